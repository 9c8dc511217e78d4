"""decide: records a person's decision in the ledger, with name and reason, under the ledger's rules."""

from foundry_tasks.contract.config import DecideConfig
from foundry_tasks.contract.documents import Decision
from foundry_tasks.contract.errors import ConfigError, NothingToDo
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.contract.typed import conf_of_settings
from foundry_tasks.ledger import decisions as governance
from foundry_tasks.ledger.chain import EvidenceLog
from foundry_tasks.ledger.links import SignOff


def run(config: DecideConfig, io: StageIO) -> None:
    """Approve a challenger, roll back or change a policy. Publishes decision.json, which names the ledger record.

    A repeated decision adds no record; decision.json then names the earlier one. Raises ConfigError for a decision that the
    ledger does not allow, such as approval of a version that the gates refused, NothingToDo if the policy has these values.
    """
    signed = SignOff(config.who, config.why, io.environment.now(), config.authenticated)
    if config.action == "policy":
        io.publish(_changed(config, signed, io))
        return
    decision = _moved(config, signed, io)
    io.publish(decision)
    io.outputs.metrics[decision.model.rsplit("-")[-1]] = {
        "model": decision.model,
        "event": decision.event,
        "version": decision.version,
        "champion_after": decision.champion_after,
        "record": decision.record,
    }


def _moved(config: DecideConfig, signed: SignOff, io: StageIO) -> Decision:
    """The decision on a model's champion."""
    if not config.model:
        raise ConfigError("model must be said, such as model=foundry-us-5d.")
    store, registry = io.store, io.environment.registry
    if config.action == "rollback":
        record = governance.rollback(store, registry, config.model, signed, to_version=config.version)
    elif config.version is None:
        raise ConfigError("version must be said: an approval is of one version, such as version=3.")
    else:
        record = governance.approve(store, registry, config.model, config.version, signed)
    return Decision(
        model=record.model,
        event=record.event,
        version=record.version,
        champion_before=record.from_version,
        champion_after=record.to_version,
        who=record.who,
        authenticated=record.authenticated,
        why=record.why,
        record=record.sequence,
        hash=record.hash,
    )


def _changed(config: DecideConfig, signed: SignOff, io: StageIO) -> Decision:
    """The decision on a market's policy."""
    changes = conf_of_settings(config.changes.split(), "changes")
    if not changes:
        raise ConfigError("changes must be said, such as changes=min_auc=0.53.")
    appended = governance.set_policy(io.store, io.environment.registry, config.market, changes, signed)
    record = appended or EvidenceLog(io.store).state().last_change(config.market)
    if record is None or record.changes.keys() != changes.keys():
        raise NothingToDo(f"the policy of market {config.market} has these values.")
    return Decision(
        model="",
        event=record.event,
        version=None,
        champion_before=None,
        champion_after=None,
        market=record.market,
        changes=record.changes,
        policy_before=record.old,
        policy_after=record.new,
        who=record.who,
        authenticated=record.authenticated,
        why=record.why,
        record=record.sequence,
        hash=record.hash,
    )
