"""audit: size and power of the gates, on simulated markets with known edges and leaks."""

from foundry_tasks.audit.size_and_power import kinds, tally
from foundry_tasks.contract.config import AuditConfig
from foundry_tasks.contract.documents import Audit
from foundry_tasks.contract.stage_io import StageIO


def run(config: AuditConfig, io: StageIO) -> None:
    """→ audit.json: one tally per kind of market."""
    examined = kinds(config)
    io.steps.progress.start("audit", len(examined))
    tallies = []
    for kind, examine in examined.items():
        with io.step(kind):
            found = tally(kind, [examine(seed) for seed in range(config.simulated_markets)])
        tallies.append(found)
        io.outputs.metrics[kind] = {"promoted": found.promoted, "markets": found.markets, "auc": found.attained_auc}
        io.steps.progress.advance(str(found))
    io.publish(Audit(kinds=tuple(tallies)))
