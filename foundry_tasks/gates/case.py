"""Input of every gate: the evidence of one horizon, the policy, and the nulls, computed once for all gates."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundry_tasks.contract.config import GatePolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foundry_tasks.data.panel import FloatArray
    from foundry_tasks.gates.null_distribution import NullDistribution, RefittedNull
    from foundry_tasks.statistics.block_means import BlockRule, Interval
    from foundry_tasks.statistics.bootstrap import Resampling
    from foundry_tasks.walk.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Case:
    """Input of the gates for one model.

    seed: of the bootstrap. null: the gated figures on shifted labels. refitted: the nulls of audits on these prices, one
    per recipe; empty without an audit.
    """

    evidence: "Evidence"
    policy: GatePolicy
    seed: int
    null: "NullDistribution"
    refitted: "Sequence[RefittedNull]" = ()

    @property
    def rule(self) -> "BlockRule":
        """The policy's parameters of intervals of means."""
        from foundry_tasks.statistics.block_means import BlockRule  # noqa: PLC0415 - the report reads gates without NumPy

        return BlockRule(self.policy.confidence, self.policy.min_blocks)

    @property
    def resampling(self) -> "Resampling":
        """The policy's parameters of bootstrap intervals."""
        from foundry_tasks.statistics.bootstrap import Resampling  # noqa: PLC0415 - as above

        return Resampling.of(self.policy, self.seed)

    def interval(self, series: "FloatArray") -> "Interval":
        """The policy's interval of the mean of a per-session figure.

        series: (n_sessions,), NaN where a session has no figure.
        """
        return interval_of(series, self.evidence, self.policy)


def interval_of(series: "FloatArray", evidence: "Evidence", policy: GatePolicy) -> "Interval":
    """The policy's interval of the mean of a per-session figure.

    series: (n_sessions,), NaN where a session has no figure.
    """
    from foundry_tasks.statistics.block_means import BlockRule, mean_interval  # noqa: PLC0415 - as above

    rule = BlockRule(policy.confidence, policy.min_blocks)
    return mean_interval(series, horizon=evidence.horizon, rule=rule)
