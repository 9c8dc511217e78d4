"""Forecasts without skill of one simulated market, and the AUC gate's verdict on them. Nothing is fitted.

Scores last for weeks and are correlated between recipes; all recipes share the market's outcomes.
"""

from collections.abc import Sequence

import numpy as np

from foundry_tasks.contract.config import MIN_REFITS, GatePolicy
from foundry_tasks.contract.documents import Gate
from foundry_tasks.contract.documents.gates import GateVerdict, ModelVerdict
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation.metrics import known_mean, session_auc, session_hit_rate
from foundry_tasks.gates.case import Case, interval_of
from foundry_tasks.gates.null_distribution import RefittedNull, null_distribution
from foundry_tasks.gates.registry import GATES
from foundry_tasks.gates.verdict import verdict_of
from foundry_tasks.walk.evidence import Evidence

Tested = tuple[slice, slice]
"""Tested sessions and tickers, as indices."""

LONGEST_HORIZON = 20
PERSISTENCE = 20
"""A score is the mean of as many sessions of noise, so that it lasts for weeks."""
BASE_RATE, DISPERSION = 0.52, 0.01


class NoiseForecasts:
    """A market of noise, and a forecast of it for each recipe, a number.

    likeness: correlation of the scores of two recipes.
    """

    def __init__(self, *, sessions: int, tickers: int, seed: int, likeness: float) -> None:
        self._shape, self._seed, self._likeness = (sessions, tickers), seed, likeness
        rng = np.random.default_rng([seed, 0])
        moved = (sessions + LONGEST_HORIZON, tickers)
        factor = rng.normal(0.0003, 0.008, (moved[0], 1)) * rng.uniform(0.6, 1.4, (1, tickers))
        self._steps = factor + rng.normal(0, 0.012, moved)
        self._shared = _lasting(rng, self._shape)

    def mean_auc(self, recipe: int, tested: Tested) -> float:
        """Mean AUC per session of the forecasts of the next session."""
        up = self._forward(1)[tested] > 0
        return known_mean(session_auc(self._scores(recipe)[tested], up.astype(float)))

    def auc_gate(
        self, recipe: int, tested: Tested, *, horizon: int, policy: GatePolicy, null: bool
    ) -> tuple[ModelVerdict, Gate]:
        """The verdict that follows from the AUC gate alone.

        horizon: in sessions. null: whether a refitted null is stored that refuses an AUC below 0.53.
        """
        evidence = self._evidence(recipe, tested, horizon)
        interval = interval_of(session_auc(evidence.p_up, evidence.up), evidence, policy)
        gate = GATES["auc"]
        if not interval.lower > policy.min_auc_lower:  # the gate would refuse it; the null is slow
            return "refused", _gate(gate.name, interval.value, "failed")
        refitted = RefittedNull({"auc": (0.53,) * MIN_REFITS}, tuple(range(MIN_REFITS)), "2026-06-30")
        answer = gate.judge(Case(evidence, policy, 0, null_distribution(evidence), (refitted,) if null else ()))
        found = _gate(gate.name, interval.value, answer.verdict)
        return verdict_of([found]), found

    def _evidence(self, recipe: int, tested: Tested, horizon: int) -> Evidence:
        forward = self._forward(horizon)[tested]
        up = (forward > 0).astype(float)
        p_up = BASE_RATE + DISPERSION * self._scores(recipe)[tested]
        above = (forward > np.median(forward, axis=1, keepdims=True)).astype(float)
        rates = [session_hit_rate(p_up, above)]
        return Evidence(
            horizon=horizon, p_up=p_up, base_rate=np.full(p_up.shape, BASE_RATE), up=up, above_median=above,
            forward_return=forward, member=np.ones(p_up.shape, dtype=bool), validation_relative=rates,
            test_relative=rates, validation_up=rates, test_up=rates, leaks=(),
        )  # fmt: skip

    def _scores(self, recipe: int) -> FloatArray:
        own = _lasting(np.random.default_rng([self._seed, 1, recipe]), self._shape)
        scores: FloatArray = np.sqrt(self._likeness) * self._shared + np.sqrt(1 - self._likeness) * own
        return scores

    def _forward(self, horizon: int) -> FloatArray:
        """(n_sessions, n_tickers): sum of the next `horizon` log returns."""
        sums = np.cumsum(np.vstack([np.zeros((1, self._shape[1])), self._steps]), axis=0)
        forward: FloatArray = (sums[horizon:] - sums[:-horizon])[: self._shape[0]]
        return forward


def _gate(name: str, value: float, verdict: GateVerdict) -> Gate:
    return Gate(name=name, question="", value=value, threshold="", verdict=verdict)


def _lasting(rng: np.random.Generator, shape: Sequence[int]) -> FloatArray:
    """Standard normal scores, each the scaled mean of PERSISTENCE sessions of noise."""
    sums = np.cumsum(rng.normal(size=(shape[0] + PERSISTENCE, shape[1])), axis=0)
    scores: FloatArray = (sums[PERSISTENCE:] - sums[:-PERSISTENCE]) / np.sqrt(PERSISTENCE)
    return scores
