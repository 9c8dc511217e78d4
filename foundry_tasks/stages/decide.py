"""decide: records a person's decision about a model version in the ledger, with name and reason, under the ledger's rules."""

from foundry_tasks.contract.config import DecideConfig
from foundry_tasks.contract.documents import Decision
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.ledger import decisions as governance
from foundry_tasks.ledger.links import SignOff


def run(config: DecideConfig, io: StageIO) -> None:
    """Approve a near miss or roll back. Publishes decision.json, which names the ledger record.

    A repeated decision adds no record; decision.json then names the earlier one. Raises ConfigError for a decision that the
    ledger does not allow, such as approval of a version that the gates refused.
    """
    if not config.model:
        raise ConfigError("model must be said, such as model=foundry-us-5d.")
    store, registry, signed = io.store, io.environment.registry, SignOff(config.who, config.why, io.environment.now())
    if config.action == "rollback":
        record = governance.rollback(store, registry, config.model, signed, to_version=config.version)
    elif config.version is None:
        raise ConfigError("version must be said: an approval is of one version, such as version=3.")
    else:
        record = governance.approve(store, registry, config.model, config.version, signed)
    decision = Decision(
        model=record.model,
        event=record.event,
        version=record.version,
        champion_before=record.from_version,
        champion_after=record.to_version,
        who=record.who,
        why=record.why,
        record=record.sequence,
        hash=record.hash,
    )
    io.publish(decision)
    io.outputs.metrics[record.model.rsplit("-")[-1]] = {
        "model": decision.model,
        "event": decision.event,
        "version": decision.version,
        "champion_after": decision.champion_after,
        "record": decision.record,
    }
