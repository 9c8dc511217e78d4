"""Summaries of features, labels and predictions for the expectation suites: small frames instead of all cells.

Each function returns the columns of a frame, for `io.outputs.guard(suite, pandas.DataFrame(columns), facts)`.
"""

from collections.abc import Mapping

import numpy as np

from foundry_tasks.data.panel import AnyArray, BoolArray, DateArray, FeaturePanel, FloatArray, PricePanel
from foundry_tasks.data.tables import FeatureFile

Columns = dict[str, AnyArray]

_CORRELATED_SESSIONS = 64
_MIN_TICKERS = 5
"""A session with fewer predictions than this has no dispersion."""


def profile_features(
    features: FeaturePanel | FeatureFile, member: BoolArray, labels: Mapping[str, FloatArray]
) -> Columns:
    """One row for each feature, over the ticker-sessions of members.

    member: (n_sessions, n_tickers). labels: name → (n_sessions, n_tickers), including forward returns.

    Columns: feature; finite_share, from the first session with a finite value on; infinite, a count; minimum, maximum and
    standard_deviation of finite values (NaN without any); constant; label_correlation, the largest absolute correlation with
    a label on up to 64 sessions (NaN for a constant); label, the name of that label.
    """
    n_features = len(features.names)
    rows = {name: np.full(n_features, np.nan) for name in ("minimum", "maximum", "standard_deviation", "finite_share")}
    infinite = np.zeros(n_features, np.int64)
    cells = np.flatnonzero(member)
    session = cells // max(member.shape[1], 1)
    every = np.unique(np.linspace(0, len(features.sessions) - 1, _CORRELATED_SESSIONS).astype(int))
    labels = labels or {"": np.full(member.shape, np.nan)}
    answers = np.stack([labels[name][every][member[every]] for name in labels]).astype(np.float64)
    found = np.full((n_features, len(labels)), np.nan)
    for index, (_, matrix) in enumerate(features.items()):
        found[index] = _correlations(matrix[every][member[every]][None].astype(np.float64), answers)
        values = matrix.reshape(-1)[cells]
        finite = np.isfinite(values)
        known = values[finite]
        if not len(known):
            infinite[index], rows["finite_share"][index] = np.count_nonzero(np.isinf(values)), 0.0
            continue
        if len(known) < len(values):
            infinite[index] = np.count_nonzero(np.isinf(values))
        since = np.searchsorted(session, session[int(finite.argmax())])
        rows["finite_share"][index] = len(known) / (len(values) - since)
        rows["minimum"][index], rows["maximum"][index] = known.min(), known.max()
        rows["standard_deviation"][index] = known.std(dtype=np.float64)
    names = np.array(list(labels), dtype=np.object_)
    best = np.argmax(np.nan_to_num(found, nan=-1.0), axis=1)
    correlation = found[np.arange(n_features), best]
    return {
        "feature": np.array(features.names, dtype=np.object_),
        **rows,
        "infinite": infinite,
        "constant": rows["minimum"] == rows["maximum"],
        "label_correlation": correlation,
        "label": np.where(np.isnan(correlation), "", names[best]),
    }


def profile_labels(
    prices: PricePanel,
    price: FloatArray,
    lag: int,
    forward_returns: Mapping[int, FloatArray],
    labels: Mapping[int, Mapping[str, FloatArray]],
    n_sampled: int = 5,
) -> Columns:
    """Labels of `n_sampled` evenly spaced sessions for each horizon, with recomputed forward returns.

    price: (n_sessions, n_tickers), the entry price; a position is entered `lag` sessions after t. forward_returns: horizon →
    published matrix. labels: horizon → kind → matrix of 0, 1 and NaN.

    Columns: horizon, ticker, date; forward_return, as published; recomputed, from `price`; difference, absolute; up_agrees,
    whether the published label `up` has the sign of the recomputed return. Of the whole horizon: up_share; labelled_too_late,
    the number of labels in the last h + lag sessions; labelled_across, the number of labels that span a break of `prices`.
    """
    sessions, tickers, breaks = prices.sessions, prices.tickers, prices.breaks
    columns: dict[str, list[AnyArray]] = {}
    for horizon, published in forward_returns.items():
        label_span = horizon + lag
        up = labels[horizon]["up"]
        n_labelled = max(len(sessions) - label_span, 0)
        across = 0
        if breaks is not None:
            so_far = np.cumsum(breaks, axis=0)
            reaching = so_far[label_span:] > so_far[lag : lag + n_labelled]
            across = int(np.count_nonzero(np.isfinite(published[:n_labelled]) & reaching))
        at = np.unique(np.linspace(0, n_labelled - 1, n_sampled).astype(int)) if n_labelled else np.empty(0, int)
        for t in at:
            known = np.flatnonzero(np.isfinite(published[t]))
            recomputed = price[t + label_span, known] / price[t + lag, known] - 1
            sampled: Columns = {
                "horizon": np.full(len(known), horizon),
                "ticker": np.array(tickers, dtype=np.object_)[known],
                "date": np.full(len(known), sessions[t]).astype("datetime64[s]"),
                "forward_return": published[t, known],
                "recomputed": recomputed,
                "difference": np.abs(published[t, known] - recomputed),
                "up_agrees": (up[t, known] == 1) == (recomputed > 0),
                "up_share": np.full(len(known), np.nanmean(up) if np.isfinite(up).any() else np.nan),
                "labelled_across": np.full(len(known), across),
                "labelled_too_late": np.full(len(known), np.count_nonzero(np.isfinite(published[n_labelled:]))),
            }
            for name, values in sampled.items():
                columns.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def profile_predictions(date: DateArray, ticker: AnyArray, horizon: AnyArray, p_up: FloatArray) -> Columns:
    """The predictions, each with its session's dispersion: standard deviation of P(up) over tickers, per horizon.

    date, ticker, horizon, p_up: (n_rows,). Columns: date, ticker, horizon, p_up, spread; spread, the dispersion, is NaN if a
    session has fewer than five predictions of the horizon.
    """
    _, session = np.unique(date, return_inverse=True)
    _, of_horizon = np.unique(horizon, return_inverse=True)
    group = session * (int(of_horizon.max(initial=0)) + 1) + of_horizon
    known = np.isfinite(p_up)
    size = int(group.max(initial=-1)) + 1
    count = np.bincount(group[known], minlength=size)
    mean = np.bincount(group[known], p_up[known], size) / np.maximum(count, 1)
    square = np.bincount(group[known], (p_up[known] - mean[group[known]]) ** 2, size) / np.maximum(count, 1)
    dispersion = np.where(count >= _MIN_TICKERS, np.sqrt(square), np.nan)
    return {
        "date": date.astype("datetime64[s]"),
        "ticker": ticker,
        "horizon": horizon,
        "p_up": p_up,
        "spread": dispersion[group],
    }


def _correlations(x: FloatArray, y: FloatArray) -> FloatArray:
    """(n, m): |Pearson correlation| of each row of x with each row of y over the cells where both are finite.

    x: (n, n_cells), y: (m, n_cells). NaN if a row is constant or fewer than three cells are shared.
    """
    x_known, y_known = np.isfinite(x), np.isfinite(y)
    x0, y0 = _centred(x, x_known), _centred(y, y_known)
    x1, y1 = x_known.astype(np.float64), y_known.astype(np.float64)
    shared = x1 @ y1.T
    with np.errstate(divide="ignore", invalid="ignore"):
        x_mean, y_mean = (x0 @ y1.T) / shared, (x1 @ y0.T) / shared
        x_variance = (x0**2 @ y1.T) / shared - x_mean**2
        y_variance = (x1 @ (y0**2).T) / shared - y_mean**2
        found = np.abs((x0 @ y0.T) / shared - x_mean * y_mean) / np.sqrt(x_variance * y_variance)
    known: FloatArray = np.where((shared > 2) & (x_variance > 0) & (y_variance > 0), found, np.nan)
    return known


def _centred(values: FloatArray, known: BoolArray) -> FloatArray:
    """Each row standardised over its known values; 0 where unknown, all 0 for a constant row."""
    filled = np.where(known, values, 0.0)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    centred = np.where(known, filled - filled.sum(axis=1, keepdims=True) / count, 0.0)
    scale = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    magnitude = np.abs(filled).max(axis=1, keepdims=True)
    constant = scale <= 1e-12 * magnitude
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, scale))
