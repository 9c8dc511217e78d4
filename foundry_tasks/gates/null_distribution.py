"""The cheap null: what every gated figure looks like where forecasts and outcomes have nothing to do with each other.

The label panel is shifted circularly along the sessions of the test windows, against forecasts that stay where they are:
same sessions, tickers, horizon, and both sides keep their dependence in time and across tickers, which shuffling would
break. A lasting difference between tickers survives the shift too, so ranking the same tickers first for ever is no
skill here. Nothing is refitted.

All shifts come from one table, the figure of every session's forecasts against every session's outcomes, whose wrapped
diagonals they are; and every such table is a few matrix products.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import BoolArray, FloatArray
from foundry_tasks.data.ranks import session_ranks
from foundry_tasks.evaluation.metrics import known_mean, session_auc, session_brier, session_rank_ic
from foundry_tasks.evaluation.wfe import MIN_EDGE, walk_forward_efficiency
from foundry_tasks.models.meta_learner import standardise
from foundry_tasks.statistics.bootstrap import block_length
from foundry_tasks.walk.evidence import Evidence

Shifts = npt.NDArray[np.intp]

MIN_SHIFT_SESSIONS = 250
"""A year: what most features remember, so that a forecast has not seen the outcomes that it is held against."""


MEMORY_SESSIONS = 315
"""A year and a quarter: what the features of one session are made of, the volatility of residuals of yearly betas the longest."""
MIN_REFITS = 40
"""With fewer the 95 % quantile is hardly more than the largest."""


@dataclass(frozen=True, slots=True)
class NullFigure:
    """A figure's quantiles over the shifts, and how often chance was at least as good as what was observed.

    chance: (1 + shifts at least as good) / (1 + shifts), the p-value of a permutation test.
    """

    observed: float
    mean: float
    q05: float
    q50: float
    q95: float
    chance: float


@dataclass(frozen=True, slots=True)
class NullDistribution:
    """Every gated figure under the null. blocks: how many of the shifts are about independent."""

    min_shift_sessions: int
    shifts: int
    blocks: int
    figures: Mapping[str, NullFigure]


@dataclass(frozen=True, slots=True)
class RefittedNull:
    """The expensive null: every gated figure of the whole recipe, fitted anew once a shift of the label panel.

    figures: name → one a shift, NaN where undefined. shifts: in sessions. until: last session of the market it was made on.
    """

    figures: Mapping[str, tuple[float, ...]]
    shifts: tuple[int, ...]
    until: str

    def q95(self, figure: str) -> float:
        """The 95 % quantile; NaN below MIN_REFITS, which are too few to estimate a tail."""
        known = np.array([value for value in self.figures[figure] if np.isfinite(value)])
        return float(np.quantile(known, 0.95)) if len(known) >= MIN_REFITS else float("nan")


def gated_figures(evidence: Evidence) -> dict[str, float]:
    """What is observed of each figure that a null is made for; `brier` is lower the better."""
    e = evidence
    validation, test = ([known_mean(series) for series in each] for each in (e.validation_relative, e.test_relative))
    return {
        "auc": known_mean(session_auc(e.p_up, e.up)),
        "wfe": walk_forward_efficiency(validation, test),
        "brier": known_mean(session_brier(e.p_up, e.up) - session_brier(e.base_rate, e.up)),
        "rank_ic": known_mean(session_rank_ic(e.p_up, e.forward_return)),
    }


def spread_shifts(n_sessions: int, horizon: int, refits: int) -> tuple[int, ...]:
    """`refits` shifts for labels that are learned anew, as far apart as they get.

    A label that was moved to a later session is an outcome of the past there, and a recipe that learns it finds the features
    that remember that past: shifted by 250 sessions, one reached an AUC of 0.59 on real prices by what it knew of last
    year's month. So these shifts are longer than any memory, either way. Raises ConfigError where there are not so many.
    """
    least = MEMORY_SESSIONS + horizon
    shifts = np.arange(least, n_sessions - least + 1)
    if len(shifts) < refits:
        raise ConfigError(
            f"{n_sessions} sessions have no {refits} shifts of at least {least} sessions either way, which is what features "
            f"remember. Bring {2 * least + refits - 1} sessions, or lower null_refits."
        )
    return tuple(shifts[np.linspace(0, len(shifts) - 1, refits).round().astype(int)].tolist())


def admissible_shifts(n_sessions: int) -> Shifts:
    """Circular shifts of at least MIN_SHIFT_SESSIONS either way, or of a third of the sessions where that is less."""
    least = min(MIN_SHIFT_SESSIONS, n_sessions // 3)
    return np.arange(least, n_sessions - least + 1)


def shifted(table: FloatArray, shifts: Shifts) -> FloatArray:
    """Each shift's figure by session, (n_shifts, n_sessions): session t's forecasts against the outcomes of t + shift.

    table: (n_sessions, n_sessions), forecasts down, outcomes across.
    """
    sessions = np.arange(len(table))
    picked: FloatArray = table[sessions, (sessions + shifts[:, None]) % len(table)]
    return picked


def auc_table(scores: FloatArray, labels: FloatArray) -> FloatArray:
    """AUC of every session's scores against every session's labels.

    scores, labels: (n_sessions, n_tickers), labels 0 or 1, NaN left out. Ranks are those among all tickers that have a
    score; where a ticker has a score and no label, the AUC is that of the ranks and no longer exactly Mann–Whitney's.
    """
    count = np.maximum(np.isfinite(scores).sum(axis=1, keepdims=True), 1)
    rank = session_ranks(scores) / count
    return 0.5 + _means(rank, labels > 0.5) - _means(rank, labels <= 0.5)


def hit_table(scores: FloatArray, labels: FloatArray) -> FloatArray:
    """Share of right directions, relative to the session's median score, of every session against every other.

    scores, labels: (n_sessions, n_tickers), labels 0 or 1, NaN left out. Returns (n_sessions, n_sessions).
    """
    direction = np.sign(scores - np.nanmedian(_empty_as_zero(scores), axis=1, keepdims=True))
    above, below = (direction > 0).astype(np.float64), (direction < 0).astype(np.float64)
    right = above @ _columns(labels > 0.5) + below @ _columns(labels <= 0.5)
    return _ratio(right, (above + below) @ _columns(np.isfinite(labels)))


def brier_table(p_up: FloatArray, base_rate: FloatArray, labels: FloatArray) -> FloatArray:
    """Brier(P(up)) − Brier(base rate) of every session's forecasts against every session's labels.

    p_up, base_rate, labels: (n_sessions, n_tickers), labels 0 or 1. Returns (n_sessions, n_sessions).
    """
    known = np.isfinite(p_up) & np.isfinite(base_rate)
    if_up = np.where(known, (p_up - 1) ** 2 - (base_rate - 1) ** 2, 0.0)
    if_down = np.where(known, p_up**2 - base_rate**2, 0.0)
    total = if_up @ _columns(labels > 0.5) + if_down @ _columns(labels <= 0.5)
    return _ratio(total, known.astype(np.float64) @ _columns(np.isfinite(labels)))


def rank_ic_table(scores: FloatArray, returns: FloatArray) -> FloatArray:
    """Spearman correlation of every session's scores and every session's returns.

    scores, returns: (n_sessions, n_tickers), NaN left out. Returns (n_sessions, n_sessions).
    """
    a, b = standardise(session_ranks(scores)), standardise(session_ranks(returns))
    both = np.isfinite(a).astype(np.float64) @ _columns(np.isfinite(b))
    return _ratio(np.nan_to_num(a) @ np.nan_to_num(b).T, both)


def null_distribution(evidence: Evidence) -> NullDistribution:
    """Every gated figure at every admissible shift: `auc`, `wfe`, `brier` (lower is better) and `rank_ic`."""
    e, n_sessions = evidence, len(evidence.p_up)
    shifts = admissible_shifts(n_sessions)
    figures = {
        "auc": _figure(auc_table(e.p_up, e.up), shifts),
        "wfe": _wfe(evidence, shifts),
        "brier": _figure(brier_table(e.p_up, e.base_rate, e.up), shifts, lower_is_better=True),
        "rank_ic": _figure(rank_ic_table(e.p_up, e.forward_return), shifts),
    }
    blocks = len(shifts) // block_length(e.horizon)
    return NullDistribution(int(shifts[0]) if len(shifts) else 0, len(shifts), blocks, figures)


def _figure(table: FloatArray, shifts: Shifts, *, lower_is_better: bool = False) -> NullFigure:
    """Mean over the sessions, at every shift."""
    return _summary(float(_mean(np.diag(table))), _mean(shifted(table, shifts)), lower_is_better=lower_is_better)


def _wfe(evidence: Evidence, shifts: Shifts) -> NullFigure:
    """WFE on direction relative to the median, its denominator the validation edge that was observed."""
    table = hit_table(evidence.p_up, evidence.above_median)
    stops = np.cumsum([len(series) for series in evidence.test_relative])[:-1]
    everything = shifted(table, np.concatenate([[0], shifts]))
    test_edge = np.sum([_mean(part) - 0.5 for part in np.split(everything, stops, axis=1)], axis=0)
    validation_edge = fsum(float(_mean(series)) - 0.5 for series in evidence.validation_relative)
    wfe = test_edge / validation_edge if validation_edge > MIN_EDGE else np.full(len(shifts) + 1, np.nan)
    return _summary(float(wfe[0]), wfe[1:])


def _summary(observed: float, under_null: FloatArray, *, lower_is_better: bool = False) -> NullFigure:
    known = under_null[np.isfinite(under_null)]
    if not len(known) or not np.isfinite(observed):
        return NullFigure(observed, *[float("nan")] * 5)
    as_good = known <= observed if lower_is_better else known >= observed
    low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
    chance = (1 + int(as_good.sum())) / (1 + len(known))
    return NullFigure(observed, float(known.mean()), float(low), float(middle), float(high), chance)


def _means(values: FloatArray, chosen: BoolArray) -> FloatArray:
    """Mean of each session's values over the tickers that each session has chosen."""
    columns = _columns(chosen)
    return _ratio(np.nan_to_num(values) @ columns, np.isfinite(values).astype(np.float64) @ columns)


def _columns(chosen: BoolArray) -> FloatArray:
    """(n_tickers, n_sessions) zeros and ones; NaN has been compared away."""
    return chosen.T.astype(np.float64)


def _ratio(total: FloatArray, count: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, total / count, np.nan)


def _mean(series: FloatArray) -> FloatArray:
    """Mean over the last axis without NaN; NaN where nothing is left."""
    finite = np.isfinite(series)
    return _ratio(np.where(finite, series, 0.0).sum(axis=-1), finite.sum(axis=-1))


def _empty_as_zero(scores: FloatArray) -> FloatArray:
    """Sessions without any score as zeros, so that they have a median to be left out by."""
    return np.where(np.isfinite(scores).any(axis=1, keepdims=True), scores, 0.0)
