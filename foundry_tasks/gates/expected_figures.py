"""What figures an honest model shows: expected from μ, σ and IC, beside what was observed.

A forward return is r = μ + σ (IC z + √(1 − IC²) ε), z the standardised score, ε noise, both normal and independent between
tickers. Everything here follows from that: the best forecast's spread is IC·σ (Grinold 1994), so an IC of 0.02 spreads
predictions of a 1.8 % return by 0.04 % and makes nearly all of them positive where the market drifts. That is honest
shrinkage; a collapse is an observed spread far below the expected one.

Real tickers move together and so do their scores. How many of them count as independent, the breadth (Grinold 1989), is read
off the rank IC: of N independent tickers and no skill it varies by 1 / (N − 1) between sessions.
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
    """How strong a forecast is.

    mean_return μ and deviation σ: of a session's forward returns over `horizon` sessions, decimal. ic: correlation of
    score and return within a session; at or below 0 there is no forecast, and no spread. breadth N: tickers of a session
    that count as independent.
    """

    mean_return: float
    deviation: float
    ic: float
    horizon: int
    breadth: float

    @classmethod
    def of(cls, scores: FloatArray, returns: FloatArray, *, horizon: int) -> "Signal":
        """Estimated from scores and forward returns, (n_sessions, n_tickers), on rows that have both.

        The mean rank IC ρ stands for 2 sin(πρ/6), its Pearson correlation under normality (Pearson 1907); breadth is
        1 + 1 / var(rank IC), NaN where that never changes.
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
        """Deviation of the best return forecast, IC·σ."""
        return max(self.ic, 0.0) * self.deviation

    @property
    def p_up_dispersion(self) -> float:
        """Deviation of calibrated P(up) within a session, φ(μ/σ)·IC; the spread gate's 2√π·b(1 − b)·(AUC − ½)."""
        return _NORMAL.pdf(self.mean_return / self.deviation) * max(self.ic, 0.0)

    @property
    def share_positive(self) -> float:
        """Share of positive forecasts, which are those of P(up) > ½: Φ(μ / (IC·σ))."""
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

        Mann and Whitney (1947). T sessions count as T/h, as they do for scores that last as long as their labels overlap.
        """
        n, b = self.breadth, self.base_rate
        return sqrt((n + 1) / (12 * n**2 * b * (1 - b)) * self.horizon / n_sessions)

    @property
    def relative_accuracy(self) -> float:
        """Share of right directions relative to the session's median, ½ + asin(IC)/π. Sheppard (1899)."""
        return 0.5 + asin(self.ic) / pi

    def wfe_range(
        self, validation_sessions: Sequence[int], test_sessions: Sequence[int], *, confidence: float
    ) -> tuple[float, float]:
        """Where WFE on relative direction lies, though the edge is the same in validation and test.

        validation_sessions, test_sessions: of each fold. A session's accuracy varies by 1 / (4 (N − 1)), over T sessions by
        h/T of that. Quantiles of a fixed sample of the ratio; a summed validation edge not above MIN_EDGE counts as
        ±∞ by the sign of the test edge, as in `wfe_interval`.
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
    """Rows for a report, from what a model did on sessions that it never saw.

    p_up, returns: (n_sessions, n_tickers), P(up) and the forward returns that it is about, NaN where there is none.
    validation_relative, test_relative: per fold, `session_hit_rate` by session. μ, σ, IC and breadth are those of the same
    rows, so the comparison asks whether the figures fit together, not whether the IC is real.
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
    lower, upper = (
        signal.wfe_range([len(s) for s in validation], [len(s) for s in test], confidence=confidence)
        if defined
        else (float("nan"), float("nan"))
    )
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
