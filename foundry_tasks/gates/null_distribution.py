"""Null distribution of every gated figure: forecasts against labels that are shifted in time, without a refit.

The label panel is shifted circularly along the sessions of the test windows; the forecasts are not. Sessions, tickers and
horizon are the same, and both sides keep their dependence in time and across tickers, which shuffling would break. The shift
also keeps lasting differences between tickers, so a constant ranking of tickers shows no skill against this null.

All shifts are computed from one table, the figure of every session's forecasts against every session's labels: a shift is a
wrapped diagonal of it. A table is a few matrix products.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.config import MIN_REFITS
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import BoolArray, FloatArray
from foundry_tasks.data.ranks import session_ranks
from foundry_tasks.evaluation.metrics import known_mean, session_auc, session_brier, session_rank_ic
from foundry_tasks.evaluation.wfe import MIN_EDGE, walk_forward_efficiency
from foundry_tasks.features.lookback import LOOKBACK_SESSIONS
from foundry_tasks.models.meta_learner import standardise
from foundry_tasks.statistics.block_means import block_length
from foundry_tasks.walk.evidence import Evidence

Shifts = npt.NDArray[np.intp]

MEMORY_SESSIONS = LOOKBACK_SESSIONS
"""How far features look back. A label that is shifted further is no part of a later session's features."""


@dataclass(frozen=True, slots=True)
class NullFigure:
    """A figure: observed, and mean and quantiles over the shifts.

    chance: p-value of a permutation test, (1 + shifts at least as good) / (1 + shifts).
    """

    observed: float
    mean: float
    q05: float
    q50: float
    q95: float
    chance: float


@dataclass(frozen=True, slots=True)
class NullDistribution:
    """Every gated figure under the null. shifts: their number. blocks: approximate number of independent shifts."""

    min_shift_sessions: int
    shifts: int
    blocks: int
    figures: Mapping[str, NullFigure]


@dataclass(frozen=True, slots=True)
class RefittedNull:
    """Null with refits: every gated figure of the whole recipe, which is refitted for each shift of the label panel.

    figures: name → one value per shift, NaN where undefined. shifts: in sessions. until: last session of its prices. own:
    whether its recipe is that of the judged run.
    """

    figures: Mapping[str, tuple[float, ...]]
    shifts: tuple[int, ...]
    until: str
    own: bool = True

    def refits(self, figure: str) -> int:
        """Number of refits in which a figure is defined."""
        return sum(isfinite(value) for value in self.figures.get(figure, ()))

    def q95(self, figure: str) -> float:
        """The 95 % quantile of a figure; NaN below MIN_REFITS refits."""
        known = [value for value in self.figures.get(figure, ()) if isfinite(value)]
        return float(np.quantile(known, 0.95)) if len(known) >= MIN_REFITS else float("nan")


def strictest(nulls: Sequence[RefittedNull], figure: str) -> RefittedNull | None:
    """The null with the highest 95 % quantile of a figure; None where no null has one."""
    defined = [null for null in nulls if isfinite(null.q95(figure))]
    return max(defined, key=lambda null: null.q95(figure), default=None)


def gated_figures(evidence: Evidence) -> dict[str, float]:
    """The observed value of each figure that has a null. For `brier` lower is better."""
    e = evidence
    validation, test = ([known_mean(series) for series in each] for each in (e.validation_relative, e.test_relative))
    return {
        "auc": known_mean(session_auc(e.p_up, e.up)),
        "wfe": walk_forward_efficiency(validation, test),
        "brier": known_mean(session_brier(e.p_up, e.up) - session_brier(e.base_rate, e.up)),
        "rank_ic": known_mean(session_rank_ic(e.p_up, e.forward_return)),
    }


def spread_shifts(n_sessions: int, span: int, refits: int, *, lookback: int = 0) -> tuple[int, ...]:
    """`refits` evenly spaced shifts, in sessions, for a null with refits.

    A label that is shifted to a later session is a past outcome there, and features with a long window contain it: on real
    prices, a recipe refitted on labels shifted by 250 sessions reached an AUC of 0.59. These shifts are therefore longer than
    all that a model reads and the label together, in both directions. span: sessions that a label looks ahead. lookback:
    sessions of a model's input sequence before its own. Raises ConfigError if there are fewer such shifts.
    """
    least = MEMORY_SESSIONS + lookback + span + 1
    shifts = np.arange(least, n_sessions - least + 1)
    if len(shifts) < refits:
        raise ConfigError(
            f"{n_sessions} sessions have fewer than {refits} shifts of at least {least} sessions in both directions, more "
            f"than models look back. Use {2 * least + refits - 1} sessions, or lower null_refits."
        )
    return tuple(shifts[np.linspace(0, len(shifts) - 1, refits).round().astype(int)].tolist())


def admissible_shifts(n_sessions: int) -> Shifts:
    """Circular shifts of at least MEMORY_SESSIONS in both directions, or a third of the sessions if that is less.

    In that case the features with the longest windows contain outcomes of some shifted labels.
    """
    least = min(MEMORY_SESSIONS, n_sessions // 3)
    return np.arange(least, n_sessions - least + 1)


def shifted(table: FloatArray, shifts: Shifts) -> FloatArray:
    """Figure by shift and session, (n_shifts, n_sessions): the forecasts of t against the labels of t + shift.

    table: (n_sessions, n_sessions), a row per session of forecasts, a column per session of labels.
    """
    sessions = np.arange(len(table))
    picked: FloatArray = table[sessions, (sessions + shifts[:, None]) % len(table)]
    return picked


def auc_table(scores: FloatArray, labels: FloatArray) -> FloatArray:
    """AUC of every session's scores against every session's labels.

    scores, labels: (n_sessions, n_tickers), labels 0 or 1, NaN left out. Returns (n_sessions, n_sessions). Ranks are among
    all tickers with a score; if a ticker with a score has no label, the result is only approximately Mann–Whitney's AUC.
    """
    count = np.maximum(np.isfinite(scores).sum(axis=1, keepdims=True), 1)
    rank = session_ranks(scores) / count
    return 0.5 + _means(rank, labels > 0.5) - _means(rank, labels <= 0.5)


def hit_table(scores: FloatArray, labels: FloatArray) -> FloatArray:
    """`session_hit_rate` of every session's scores against every session's labels.

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
    """The null of a figure that is a mean over sessions."""
    return _summary(float(_mean(np.diag(table))), _mean(shifted(table, shifts)), lower_is_better=lower_is_better)


def _wfe(evidence: Evidence, shifts: Shifts) -> NullFigure:
    """The null of the WFE on relative direction. The denominator is the observed validation edge at every shift."""
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
    """Mean of the values of session t over the tickers chosen in session s, (n_sessions, n_sessions)."""
    columns = _columns(chosen)
    return _ratio(np.nan_to_num(values) @ columns, np.isfinite(values).astype(np.float64) @ columns)


def _columns(chosen: BoolArray) -> FloatArray:
    """The transposed mask as zeros and ones, (n_tickers, n_sessions)."""
    return chosen.T.astype(np.float64)


def _ratio(total: FloatArray, count: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, total / count, np.nan)


def _mean(series: FloatArray) -> FloatArray:
    """Mean of the finite values over the last axis; NaN if there are none."""
    finite = np.isfinite(series)
    return _ratio(np.where(finite, series, 0.0).sum(axis=-1), finite.sum(axis=-1))


def _empty_as_zero(scores: FloatArray) -> FloatArray:
    """Scores with 0 in sessions that have none: every score then equals the median and is left out."""
    return np.where(np.isfinite(scores).any(axis=1, keepdims=True), scores, 0.0)
