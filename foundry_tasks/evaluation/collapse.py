"""Variance collapse: a model that says the same of every ticker.

The best forecast of a daily return spreads by a fiftieth of what returns do, and most of a session may well be "up": a
small dispersion and a lopsided share are no collapse. One is where the dispersion within a session vanishes, or the number
of scores that differ. Training ends on it, and a gate refuses it; both ask here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MIN_DISPERSION = 1e-6
"""A session whose scores vary less than this is flat: every ticker has the same. Log-odds or probabilities alike."""
MAX_FLAT_SESSIONS = 0.1
"""Share of the sessions that may be flat."""
MIN_DISTINCT = 0.1
"""Share of a session's scores that must differ."""
_DECIMALS = 9
"""Scores that agree to so many are one score."""


@dataclass(frozen=True, slots=True)
class CollapseReport:
    """Whether scores collapsed, and what says so.

    dispersion: mean over sessions of the standard deviation within one (ddof = 0), in the scores' unit. flat_sessions: share
    of the sessions that are flat. distinct_share: mean over sessions of distinct scores / scores. why: one sentence
    where they collapsed, else empty.
    """

    dispersion: float
    flat_sessions: float
    distinct_share: float
    collapsed: bool
    why: str


def collapse_of(scores: npt.NDArray[np.floating], session: npt.NDArray[np.integer]) -> CollapseReport:
    """Look for a collapse in scores of ticker-sessions.

    scores: (n_rows,) log-odds or probabilities, rows that are not finite are left out. session: (n_rows,) which session
    each is of, in any order. A session of one score says nothing; where all are such, as with one ticker, the scores are
    compared across sessions. Fewer than two scores are no collapse, and their dispersion is NaN.

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
    """How many scores of each group differ."""
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
