"""Drift of a feature: the population stability index of recent sessions against those that a model was fitted on.

PSI = Σ (r_b − e_b) ln(r_b / e_b) over bins b, e the share of the reference and r the recent share; bins are the
reference's deciles, and one more for missing values. Siddiqi (2006): below 0.1 stable, above 0.25 another population.
Sessions are not independent, and a window of some weeks of a slow feature always looks like another population: so the
same figure of earlier windows of that length says what is usual.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import BoolArray, FloatArray

IntArray = npt.NDArray[np.integer]

BINS = 10
SMALLEST_SHARE = 1e-4
"""What an empty bin counts as, so that the logarithm is finite."""
MIN_WINDOWS = 8
"""Fewer earlier windows than this say nothing about what is usual."""
USUAL = 0.95
_EDGE_ROWS = 200_000
"""Rows that the deciles are taken from, evenly spread."""


@dataclass(frozen=True, slots=True)
class Drift:
    """psi: of the recent sessions. usual: 95 % of earlier windows were below this; NaN where there are too few."""

    psi: float
    usual: float

    def beyond(self, threshold: float) -> bool:
        """Whether it is above the threshold, and unusual for this feature."""
        return self.psi > threshold and not self.psi <= self.usual


@dataclass(frozen=True, slots=True)
class Reference:
    """What recent sessions of a feature are held against.

    edges: ascending, between the bins. expected: rows in each bin, the missing ones last. usual: as in `Drift`; None where
    there are too few windows.
    """

    edges: tuple[float, ...]
    expected: tuple[int, ...]
    usual: float | None

    def drift(self, values: FloatArray, rows: BoolArray) -> Drift:
        """values, rows: (n_sessions, n_tickers), as in `reference_of`, of the recent sessions."""
        observed = _session_counts(values, rows, np.array(self.edges)).sum(axis=0)
        usual = float("nan") if self.usual is None else self.usual
        return Drift(stability_index(self.expected, observed), usual)


def reference_of(values: FloatArray, rows: BoolArray, *, recent: int) -> Reference:
    """The reference that one feature's values on the sessions that a model was fitted on are.

    values: (n_sessions, n_tickers). rows: same shape, which of them count, NaN values among them. recent: the length of
    the windows that say what is usual, in sessions.
    """
    edges = _deciles(values[rows])
    counts = _session_counts(values, rows, edges)
    expected = counts.sum(axis=0)
    sums = np.concatenate([np.zeros((1, counts.shape[1]), counts.dtype), np.cumsum(counts, axis=0)])
    stops = np.arange(recent, len(values) + 1, recent)
    earlier = [stability_index(expected, window) for window in sums[stops] - sums[stops - recent] if window.any()]
    usual = float(np.quantile(earlier, USUAL)) if len(earlier) >= MIN_WINDOWS else None
    return Reference(tuple(edges.tolist()), tuple(expected.tolist()), usual)


def stability_index(expected: npt.ArrayLike, observed: npt.ArrayLike) -> float:
    """PSI of two histograms of counts over the same bins; NaN where one is empty.

    >>> round(stability_index([50, 50], [40, 60]), 3)
    0.041
    """
    e, r = (np.asarray(counts, dtype=np.float64) for counts in (expected, observed))
    if not e.sum() or not r.sum():
        return float("nan")
    e, r = (np.maximum(counts / counts.sum(), SMALLEST_SHARE) for counts in (e, r))
    return float(((r - e) * np.log(r / e)).sum())


def _deciles(values: FloatArray) -> FloatArray:
    known = values[np.isfinite(values)]
    known = known[:: max(1, len(known) // _EDGE_ROWS)]
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    return np.unique(np.quantile(known, inner)) if len(known) else np.empty(0)


def _session_counts(values: FloatArray, rows: BoolArray, edges: FloatArray) -> IntArray:
    """(n_sessions, n_bins) rows of each session in each bin; the last bin holds missing values."""
    n_bins = len(edges) + 2
    bins = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), n_bins - 1)
    cells = bins + n_bins * np.arange(len(values))[:, None]
    return np.bincount(cells[rows], minlength=n_bins * len(values)).reshape(-1, n_bins)
