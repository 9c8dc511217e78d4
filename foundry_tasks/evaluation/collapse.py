"""Variance collapse: a model gives all tickers of a session the same score.

A small dispersion or a large share of "up" is no collapse: the best forecast of a daily return has 1/50 of the returns'
dispersion, and in some sessions most tickers rise. Scores have collapsed if the dispersion within sessions, or the share of
distinct scores, is close to zero. Training stops on a collapse, and a gate refuses it; both call `collapse_of`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MIN_DISPERSION = 1e-6
"""A session is flat if the standard deviation of its scores (log-odds or probabilities) is below this."""
MAX_FLAT_SESSIONS = 0.1
"""Scores have collapsed if a larger share of the sessions is flat."""
MIN_DISTINCT = 0.1
"""Scores have collapsed if the mean share of distinct scores in a session is smaller."""
_DECIMALS = 9
"""Scores are rounded to so many decimals before distinct ones are counted."""


@dataclass(frozen=True, slots=True)
class CollapseReport:
    """Whether scores collapsed, with the measures of it.

    dispersion: mean over sessions of the standard deviation within a session (ddof = 0), in the scores' unit.
    flat_sessions: share of flat sessions. distinct_share: mean over sessions of distinct scores / scores. why: the
    reason in one sentence if collapsed, else empty.
    """

    dispersion: float
    flat_sessions: float
    distinct_share: float
    collapsed: bool
    why: str


def collapse_of(scores: npt.NDArray[np.floating], session: npt.NDArray[np.integer]) -> CollapseReport:
    """Whether scores of ticker-sessions have collapsed.

    scores: (n_rows,) log-odds or probabilities, non-finite rows are left out. session: (n_rows,) session of each row, in
    any order. Sessions with one score are ignored; if all have one, as with a single ticker, the scores are compared
    across sessions. Fewer than two scores are no collapse, and their dispersion is NaN.

    >>> collapse_of(np.array([0.1, 0.1, 0.2, 0.2]), session=np.array([0, 0, 1, 1])).why
    'collapsed: 100% of the sessions give every ticker the same score, 10% may'
    """
    finite = np.isfinite(scores)
    kept = scores[finite].astype(np.float64)
    if len(kept) < 2:
        return CollapseReport(float("nan"), 0.0, 1.0, False, "")
    _, group, sizes = np.unique(session[finite], return_inverse=True, return_counts=True)
    if sizes.max() < 2:
        group, sizes = np.zeros(len(kept), dtype=np.intp), np.array([len(kept)])
    several = sizes > 1
    dispersion = _dispersion(kept, group, sizes)[several]
    distinct = float((_distinct(kept, group, len(sizes)) / sizes)[several].mean())
    flat = float((dispersion < MIN_DISPERSION).mean())
    why = _why(flat, distinct)
    return CollapseReport(float(dispersion.mean()), flat, distinct, bool(why), why)


def _dispersion(
    scores: npt.NDArray[np.float64], group: npt.NDArray[np.intp], sizes: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    centred = scores - (np.bincount(group, scores) / sizes)[group]
    return np.sqrt(np.bincount(group, centred * centred) / sizes)


def _distinct(scores: npt.NDArray[np.float64], group: npt.NDArray[np.intp], n_groups: int) -> npt.NDArray[np.intp]:
    """Number of distinct scores in each group."""
    rounded = np.round(scores, _DECIMALS)
    order = np.lexsort((rounded, group))
    group, rounded = group[order], rounded[order]
    new = np.ones(len(rounded), dtype=bool)
    new[1:] = (np.diff(rounded) > 0) | (np.diff(group) > 0)
    return np.bincount(group[new], minlength=n_groups)


def _why(flat: float, distinct: float) -> str:
    reasons = []
    if flat > MAX_FLAT_SESSIONS:
        reasons.append(f"{flat:.0%} of the sessions give every ticker the same score, {MAX_FLAT_SESSIONS:.0%} may")
    if distinct < MIN_DISTINCT:
        reasons.append(f"{distinct:.1%} of a session's scores differ, {MIN_DISTINCT:.0%} must")
    return "collapsed: " + " and ".join(reasons) if reasons else ""
