"""Figures of a well-calibrated model, expected from μ, σ and IC, with the observed ones.

Model: forward return r = μ + σ (IC z + √(1 − IC²) ε), z the standardised score, ε noise, both normal and independent between
tickers. All formulas here follow from it. The dispersion of the best forecast is IC·σ (Grinold 1994): with an IC of 0.02 and
σ = 1.8 % it is 0.04 %, and nearly all forecasts are positive if the market drifts up. This is no collapse; a collapse is an
observed dispersion far below the expected one.

Real tickers, and their scores, are correlated. The number N of tickers that count as independent, the breadth (Grinold 1989),
is estimated from the rank IC: without skill its variance between sessions is 1 / (N − 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, fsum, pi, sin, sqrt
from statistics import NormalDist

import numpy as np

from foundry_tasks.contract.documents.gates import ExpectedFigure
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.metrics import known_mean
from foundry_tasks.evaluation.wfe import MIN_EDGE, walk_forward_efficiency
from foundry_tasks.statistics.newey_west import mean_standard_error

_NORMAL = NormalDist()
_DRAWS = 100_000


@dataclass(frozen=True, slots=True)
class Signal:
    """Strength of a forecast.

    mean_return μ, deviation σ: mean and standard deviation of a session's forward returns over `horizon` sessions, decimal.
    ic: correlation of score and return within a session; at or below 0 the expected dispersion is 0. breadth N: number of
    tickers of a session that count as independent.
    """

    mean_return: float
    deviation: float
    ic: float
    horizon: int
    breadth: float

    @classmethod
    def of(cls, scores: FloatArray, returns: FloatArray, *, horizon: int) -> "Signal":
        """Estimate from scores and forward returns, (n_sessions, n_tickers), on rows that have both.

        ic = 2 sin(πρ/6), the Pearson correlation under normality for a mean rank IC of ρ (Pearson 1907). breadth = 1 + 1 /
        var(rank IC), NaN for a constant rank IC. horizon: in sessions.
        """
        returns = np.where(np.isfinite(scores), returns, np.nan)
        rank_ic = metrics.session_rank_ic(scores, returns)
        rank_ic = rank_ic[np.isfinite(rank_ic)]
        varies = len(rank_ic) > 1 and np.ptp(rank_ic) > 0
        return cls(
            mean_return=known_mean(returns),
            deviation=known_mean(metrics.session_dispersion(returns)),
            ic=2 * sin(pi * known_mean(rank_ic) / 6),
            horizon=horizon,
            breadth=1 + 1 / float(np.var(rank_ic, ddof=1)) if varies else float("nan"),
        )

    @property
    def base_rate(self) -> float:
        """Share of positive returns b = Φ(μ/σ)."""
        return _NORMAL.cdf(self.mean_return / self.deviation)

    @property
    def return_dispersion(self) -> float:
        """Standard deviation of the best return forecast, IC·σ."""
        return max(self.ic, 0.0) * self.deviation

    @property
    def p_up_dispersion(self) -> float:
        """Standard deviation of calibrated P(up) within a session, φ(μ/σ)·IC.

        Equal to 2√π·b(1 − b)·(AUC − ½), which the gate `spread` uses.
        """
        return _NORMAL.pdf(self.mean_return / self.deviation) * max(self.ic, 0.0)

    @property
    def share_positive(self) -> float:
        """Share of positive return forecasts, equal to the share of P(up) > ½: Φ(μ / (IC·σ))."""
        if self.return_dispersion > 0:
            return _NORMAL.cdf(self.mean_return / self.return_dispersion)
        return float("nan") if np.isnan(self.ic) else float(self.mean_return > 0)

    @property
    def auc(self) -> float:
        """Mean per-session AUC against up/down, ½ + φ(μ/σ)·IC / (2√π·b(1 − b)), to first order in IC.

        >>> round(Signal(mean_return=0.0, deviation=0.018, ic=0.02, horizon=1, breadth=100.0).auc, 4)
        0.509
        """
        edge = _NORMAL.pdf(self.mean_return / self.deviation) * self.ic
        return 0.5 + edge / (2 * sqrt(pi) * self.base_rate * (1 - self.base_rate))

    def auc_deviation(self, n_sessions: int) -> float:
        """Standard deviation of the mean AUC of T sessions, √((N + 1) / (12 N² b(1 − b)) · h/T).

        Mann and Whitney (1947). T sessions count as T/h, which holds for scores that persist as long as the labels overlap.
        """
        n, b = self.breadth, self.base_rate
        return sqrt((n + 1) / (12 * n**2 * b * (1 - b)) * self.horizon / n_sessions)

    @property
    def relative_accuracy(self) -> float:
        """Accuracy of the direction relative to the session's median, ½ + asin(IC)/π. Sheppard (1899)."""
        return 0.5 + asin(self.ic) / pi

    def wfe_range(
        self, validation_sessions: Sequence[int], test_sessions: Sequence[int], *, confidence: float
    ) -> tuple[float, float]:
        """Two-sided range of the WFE on relative direction if the edge is equal in validation and test.

        validation_sessions, test_sessions: number of sessions of each fold. The variance of a session's accuracy is
        1 / (4 (N − 1)), of the mean of T sessions h/T of that. The bounds are quantiles of a fixed sample of the ratio; with
        a summed validation edge not above MIN_EDGE the ratio is ±∞ by the sign of the test edge, as in `wfe_interval`.
        """
        rng = np.random.default_rng(0)
        per_session = self.horizon / (4 * (self.breadth - 1))

        def edges(windows: Sequence[int]) -> FloatArray:
            deviation = sqrt(fsum(per_session / sessions for sessions in windows))
            return rng.normal(len(windows) * (self.relative_accuracy - 0.5), deviation, _DRAWS)

        validation, test = edges(validation_sessions), edges(test_sessions)
        ratio = np.where(validation > MIN_EDGE, test / validation, np.copysign(np.inf, test))
        tail = (1 - confidence) / 2
        lower, upper = np.quantile(ratio, [tail, 1 - tail], method="nearest")
        return float(lower), float(upper)


def expected_against_observed(
    p_up: FloatArray,
    returns: FloatArray,
    *,
    validation_relative: Sequence[FloatArray],
    test_relative: Sequence[FloatArray],
    horizon: int,
    confidence: float,
) -> tuple[ExpectedFigure, ...]:
    """Expected and observed figures of a model's out-of-fold forecasts, one row each; empty without a session's AUC.

    p_up, returns: (n_sessions, n_tickers), P(up) and its forward returns, NaN where there is none. validation_relative,
    test_relative: for each fold, `session_hit_rate` by session. horizon: in sessions. confidence: level of the ranges. μ, σ,
    IC and breadth are estimated from the same rows: the comparison tests whether the figures are consistent, not whether the
    IC is real.
    """
    signal = Signal.of(p_up, returns, horizon=horizon)
    kept = np.where(np.isfinite(returns), p_up, np.nan)
    auc = metrics.session_auc(kept, np.where(np.isfinite(returns), returns > 0, np.nan))
    n_sessions = int(np.isfinite(auc).sum())
    if not n_sessions:
        return ()
    deviation = signal.auc_deviation(n_sessions)
    rows = np.isfinite(kept).sum(axis=1)
    validation, test = ([s[np.isfinite(s)] for s in windows] for windows in (validation_relative, test_relative))
    defined = all(len(series) for series in (*validation, *test)) and len(test) > 0
    counts = [len(s) for s in validation], [len(s) for s in test]
    lower, upper = signal.wfe_range(*counts, confidence=confidence) if defined else (float("nan"), float("nan"))
    wfe = walk_forward_efficiency([s.mean() for s in validation], [s.mean() for s in test]) if defined else float("nan")
    z = _NORMAL.inv_cdf((1 + confidence) / 2)
    return (
        ExpectedFigure(
            name="independent tickers", expected=known_mean(rows[rows > 0]), observed=signal.breadth,
            formula="N, observed as 1 + 1/var(rank IC)",
        ),
        ExpectedFigure(name="spread of return forecasts", expected=signal.return_dispersion, observed=None, formula="IC·σ"),
        ExpectedFigure(
            name="spread of P(up)", expected=signal.p_up_dispersion, observed=known_mean(metrics.session_dispersion(kept)),
            formula="φ(μ/σ)·IC",
        ),
        ExpectedFigure(
            name="share of P(up) above ½", expected=signal.share_positive,
            observed=float(np.mean(kept[np.isfinite(kept)] > 0.5)), formula="Φ(μ/(IC·σ))",
        ),
        ExpectedFigure(
            name="mean AUC per session", expected=signal.auc, observed=known_mean(auc),
            formula="½ + φ(μ/σ)·IC / (2√π·b(1 − b))",
            lower=signal.auc - z * deviation, upper=signal.auc + z * deviation,
        ),
        ExpectedFigure(
            name="standard deviation of the mean AUC", expected=deviation,
            observed=mean_standard_error(auc, horizon=horizon), formula="√((N + 1) / (12 N² b(1 − b)) · h/T)",
        ),
        ExpectedFigure(
            name="WFE relative to the median", expected=1.0, observed=wfe, formula="the same edge in validation and test",
            lower=lower, upper=upper,
        ),
    )  # fmt: skip
