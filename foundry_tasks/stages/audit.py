"""audit: size and power of the gates, on simulated markets with known edges and leaks; and adversaries on noise."""

from foundry_tasks.audit.size_and_power import kinds, tally
from foundry_tasks.contract.config import AuditConfig
from foundry_tasks.contract.documents import Audit
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.ledger.adversaries import adversaries


def run(config: AuditConfig, io: StageIO) -> None:
    """→ audit.json: one tally per kind of market and per kind of adversary."""
    examined, opposed = kinds(config), adversaries(config)
    io.steps.progress.start("audit", len(examined) + len(opposed))
    tallies, opponents = [], []
    for kind, examine in examined.items():
        with io.step(kind):
            found = tally(kind, [examine(seed) for seed in range(config.simulated_markets)])
        tallies.append(found)
        io.outputs.metrics[kind] = {"promoted": found.promoted, "markets": found.markets, "auc": found.attained_auc}
        io.steps.progress.advance(str(found))
    for kind, oppose in opposed.items():
        with io.step(kind):
            opponent = oppose()
        opponents.append(opponent)
        io.outputs.metrics[kind] = {"promoted": opponent.promoted, "simulations": opponent.simulations}
        if opponent.share > opponent.bar:
            io.warn(f"adversary {opponent}")
        io.steps.progress.advance(str(opponent))
    io.publish(Audit(kinds=tuple(tallies), adversaries=tuple(opponents)))
