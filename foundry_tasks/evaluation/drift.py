"""Drift of a feature: population stability index (PSI) of recent sessions against the sessions a model was fitted on.

PSI = Σ (r_b − e_b) ln(r_b / e_b) over bins b; e is the share of the reference, r the recent share. Bins are the deciles of
the reference, plus one bin for missing values. Siddiqi (2006): below 0.1 stable, above 0.25 a different population.
Sessions are dependent: the PSI of a few weeks of a slow feature is always high. It is therefore compared with the PSI of
earlier windows of the same length.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import BoolArray, FloatArray

IntArray = npt.NDArray[np.integer]

BINS = 10
SMALLEST_SHARE = 1e-4
"""Share used for an empty bin, so that the logarithm is finite."""
MIN_WINDOWS = 8
"""With fewer earlier windows, `usual` is undefined."""
USUAL = 0.95
"""Quantile of the earlier windows' PSI that `usual` is."""
_EDGE_ROWS = 200_000
"""Number of evenly spaced rows from which the deciles are computed, if there are more."""


@dataclass(frozen=True, slots=True)
class Drift:
    """psi: of the recent sessions. usual: 95 % quantile of the PSI of earlier windows; NaN if there are too few."""

    psi: float
    usual: float

    def beyond(self, threshold: float) -> bool:
        """Whether the PSI is above the threshold and above `usual`; a NaN `usual` is ignored."""
        return self.psi > threshold and not self.psi <= self.usual


@dataclass(frozen=True, slots=True)
class Reference:
    """Distribution of a feature on the sessions a model was fitted on.

    edges: between the bins, ascending. expected: rows in each bin, missing values last. usual: as in `Drift`; None if
    there are too few windows.
    """

    edges: tuple[float, ...]
    expected: tuple[int, ...]
    usual: float | None

    def drift(self, values: FloatArray, rows: BoolArray) -> Drift:
        """Drift of recent sessions. values, rows: (n_sessions, n_tickers), as in `reference_of`."""
        observed = _session_counts(values, rows, np.array(self.edges)).sum(axis=0)
        usual = float("nan") if self.usual is None else self.usual
        return Drift(stability_index(self.expected, observed), usual)


def reference_of(values: FloatArray, rows: BoolArray, *, recent: int) -> Reference:
    """Reference of one feature, from its values on the sessions a model was fitted on.

    values: (n_sessions, n_tickers). rows: same shape, True for the values that count; these may be NaN. recent: length in
    sessions of the windows from which `usual` is computed.
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
    """PSI of two histograms of counts over the same bins; NaN if one is empty.

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
    """Rows of each session in each bin, (n_sessions, n_bins); the last bin holds missing values."""
    n_bins = len(edges) + 2
    bins = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), n_bins - 1)
    cells = bins + n_bins * np.arange(len(values))[:, None]
    return np.bincount(cells[rows], minlength=n_bins * len(values)).reshape(-1, n_bins)
