"""All commands, in the order of `foundry --help`. Each module imports slow libraries only when its command runs."""

from foundry_tasks.cli import champion, check, conf_options, gc, ledger, policy, run, stages, summary, trials, verify
from foundry_tasks.cli.command import Command

COMMANDS: tuple[Command, ...] = (
    *run.COMMANDS,
    *check.COMMANDS,
    *conf_options.COMMANDS,
    *summary.COMMANDS,
    *ledger.COMMANDS,
    *trials.COMMANDS,
    *policy.COMMANDS,
    *gc.COMMANDS,
    *verify.COMMANDS,
    *champion.COMMANDS,
    *stages.COMMANDS,
)
