"""`foundry policy` and `foundry looks`: what decides a market's verdicts, and every forecast that was tested on it."""

import argparse
import getpass
import json
import sys
from datetime import UTC, datetime

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.cli.command import Command
from foundry_tasks.cli.json_rows import print_rows
from foundry_tasks.cli.wiring import open_registry
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.typed import conf_of_settings


# ---------------------------------------------------------------- policy
def _add_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["show", "set"])
    parser.add_argument("market", help="such as us")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="such as min_auc=0.53; for set")
    parser.add_argument("--who", default=getpass.getuser(), help="goes into the ledger; default: the user")
    parser.add_argument("--why", default="", help="goes into the ledger; for set")


def _policy(options: argparse.Namespace) -> int:
    from foundry_tasks.ledger import briefing, decisions  # noqa: PLC0415 - other commands start without it
    from foundry_tasks.ledger.chain import EvidenceLog  # noqa: PLC0415 - as above
    from foundry_tasks.ledger.links import SignOff  # noqa: PLC0415 - as above

    settings = Settings.from_environment()
    store = open_store(settings)
    if options.action == "set":
        signed = SignOff(options.who, options.why, datetime.now(UTC))
        changes = conf_of_settings(options.changes, "policy set")
        told = briefing.on_policy(store, options.market, changes)
        sys.stdout.writelines(f"{line}\n" for line in told)
        record = decisions.set_policy(store, open_registry(settings), options.market, changes, signed)
        sys.stdout.write(f"{options.market}: {record.sentence if record else 'the policy has these values'}\n")
        return 0
    policy = EvidenceLog(store).state().pending_policy(options.market)
    sys.stdout.writelines(f"{key} = {json.dumps(value)}\n" for key, value in policy.items())
    return 0


# ---------------------------------------------------------------- looks
def _add_looks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("market", nargs="?", help="such as us; default: all")


def _looks(options: argparse.Namespace) -> int:
    from foundry_tasks.ledger import decisions  # noqa: PLC0415 - as above

    print_rows(decisions.show_evidence(open_store(Settings.from_environment()), options.market))
    return 0


COMMANDS = (
    Command("policy", "show or change what decides a market's verdicts", _add_policy, _policy),
    Command("looks", "list every tested forecast and every change of a policy", _add_looks, _looks),
)
