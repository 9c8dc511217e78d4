"""Size and power of the gates: share of noise markets that are promoted, and share of planted edges that are.

Each kind of market is simulated with many seeds, and each market is studied. A verdict `passed` counts as promoted; a
near miss does not, since a person decides on it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from foundry_tasks.audit.planted_leaks import PLANTED_LEAKS, Planted
from foundry_tasks.audit.simulated_markets import SimulatedMarket, signal_for, simulate
from foundry_tasks.contract.config import AuditConfig, EnsembleConfig, GatePolicy, ModelsConfig
from foundry_tasks.contract.documents.audit import Quantiles, Tally
from foundry_tasks.contract.documents.gates import ModelVerdict
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation.metrics import known_mean, session_auc
from foundry_tasks.gates.null_distribution import admissible_shifts
from foundry_tasks.gates.verdict import evaluate_gates
from foundry_tasks.walk.evidence import Evidence
from foundry_tasks.walk.study import Recipe, always_long, study

FIRST_TEST_SESSION = 120
TEST_SESSIONS = 30
STRONGEST_EDGE = 0.55
"""Oracle's AUC of the edge in the markets with shifted labels and with leaks: without shift or leak it would be promoted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one market.

    oracle_auc: the oracle's mean per-session AUC on the test sessions. figures: gate → figure, NaN if it has none. leaks:
    findings of the leakage audit.
    """

    verdict: ModelVerdict
    oracle_auc: float
    figures: Mapping[str, float]
    leaks: tuple[str, ...] = ()


Examine = Callable[[int], Outcome]
"""seed → outcome of the market of that seed."""


def small_recipe(config: AuditConfig) -> Recipe:
    """A recipe for one year of forty tickers: few features, short blocks, the policy of the config.

    It has two warm-up blocks. With one, the calibrator's slope is too often clipped to 0, and then the fold has no ranking
    and is refused as collapsed.
    """
    folds = (config.market_sessions - FIRST_TEST_SESSION) // TEST_SESSIONS
    models = ModelsConfig(
        horizons=(1,), models=("logistic", "lightgbm"), seeds=1, seed=config.seed, threads=config.threads, folds=folds,
        test_sessions=TEST_SESSIONS, validation_sessions=20, warmup_blocks=2, min_fit_sessions=50, fan_out=None,
    )  # fmt: skip
    policy = GatePolicy(**{name: getattr(config, name) for name in GatePolicy.model_fields})
    policy = policy.model_copy(update={"min_null_refits": 0})  # a simulated market has no stored null
    return Recipe("core", models, EnsembleConfig(seeds=1, seed=config.seed, threads=config.threads), policy)


def kinds(config: AuditConfig) -> Mapping[str, Examine]:
    """Kind of market → the function that makes and judges a market of a seed."""
    audit = _Audit(config, small_recipe(config))
    edges = {f"edge {auc:g}": partial(audit.edge, auc) for auc in config.oracle_aucs}
    leaks = {f"leak: {name}": partial(audit.leak, planted) for name, planted in PLANTED_LEAKS.items()}
    return {
        "noise": partial(audit.edge, 0.5), "shifted labels": audit.shifted, "always long": audit.always_long,
        **edges, **leaks,
    }  # fmt: skip


@dataclass(frozen=True)
class _Audit:
    config: AuditConfig
    recipe: Recipe

    def edge(self, oracle_auc: float, seed: int) -> Outcome:
        """A market with a reversal whose oracle has this AUC; ½: a random walk with drift and a common factor."""
        market = self._market(oracle_auc, seed)
        return self._judged(study(market.prices, self.recipe), market)

    def shifted(self, seed: int) -> Outcome:
        """A market with an edge and circularly shifted labels, by a shift that the cheap null admits."""
        market = self._market(STRONGEST_EDGE, seed)
        choices = admissible_shifts(self.config.market_sessions)
        evidence = study(market.prices, self.recipe, shift_sessions=int(choices[seed % len(choices)]))
        return self._judged(evidence, replace(market, oracle=np.zeros_like(market.oracle)))

    def always_long(self, seed: int) -> Outcome:
        """A market of noise and a model with one P(up) above ½ for every ticker: its accuracy is the share of up labels."""
        market = self._market(0.5, seed)
        return self._judged(always_long(market.prices, self.recipe), market)

    def leak(self, planted: Planted, seed: int) -> Outcome:
        """A market with an edge that would be promoted, and the audit's findings on a planted leak."""
        market = self._market(STRONGEST_EDGE, seed)
        leaks = planted(market.prices, self.recipe, np.random.default_rng(seed))
        return self._judged(study(market.prices, self.recipe, leaks=leaks), market)

    def _market(self, oracle_auc: float, seed: int) -> SimulatedMarket:
        return simulate(
            sessions=self.config.market_sessions, tickers=self.config.market_tickers, seed=self.config.seed + seed,
            signal=signal_for(oracle_auc),
        )  # fmt: skip

    def _judged(self, evidence: Evidence, market: SimulatedMarket) -> Outcome:
        report = evaluate_gates(evidence, self.recipe.policy, seed=self.config.seed)
        tested = market.oracle[-len(evidence.p_up) :]
        return Outcome(
            report.verdict,
            known_mean(session_auc(tested, evidence.up)),
            {gate.name: math.nan if gate.value is None else gate.value for gate in report.gates},
            evidence.leaks,
        )


def tally(kind: str, outcomes: Sequence[Outcome]) -> Tally:
    """Counts of a kind of market, the interval of the promoted share, mean AUC and quantiles of every gate's figure."""
    figures = {name: np.array([outcome.figures[name] for outcome in outcomes]) for name in outcomes[0].figures}
    verdicts = [outcome.verdict for outcome in outcomes]
    promoted = verdicts.count("passed")
    lower, upper = wilson_interval(promoted, len(outcomes))
    return Tally(
        kind=kind,
        markets=len(outcomes),
        promoted=promoted,
        challengers=verdicts.count("challenger"),
        leaks_found=sum(bool(outcome.leaks) for outcome in outcomes),
        lower=lower,
        upper=upper,
        attained_auc=known_mean(figures["auc"]),
        oracle_auc=known_mean(np.array([outcome.oracle_auc for outcome in outcomes])),
        figures={name: _quantiles(values) for name, values in figures.items()},
    )


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Score interval of the share successes / trials, in [0, 1]. Wilson (1927). z: quantile of the normal distribution."""
    share, spread = successes / trials, z * z / trials
    middle = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def _quantiles(values: FloatArray) -> Quantiles:
    known = values[np.isfinite(values)]
    low, middle, high = np.quantile(known, [0.05, 0.5, 0.95]) if len(known) else [math.nan] * 3
    return Quantiles(q05=float(low), q50=float(middle), q95=float(high))
