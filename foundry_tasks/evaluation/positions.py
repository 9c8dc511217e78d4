"""Weights from forecasts: the fraction of the capital for each ticker, decided at a session's close.

Target weights are those of a backtest. A ticker without a score, or outside the universe on that day, has weight 0.
`long_only` invests at most the capital; the other sizings are dollar-neutral, half the capital long and half short, so their
P&L does not contain the market's drift. Suggested positions are those of the newest predictions.
"""

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.config import BacktestConfig, PredictConfig
from foundry_tasks.data.panel import BoolArray, FloatArray

UP = 0.5


def target_weights(p_up: FloatArray, member: BoolArray, config: BacktestConfig) -> FloatArray:
    """Weights wanted at each session's close, decimal of capital, negative for shorts.

    p_up, member: (n_sessions, n_tickers); P(up), or for the dollar-neutral sizings any score, NaN where there is none.
    Returns the same shape, finite, Σ|weight| ≤ 1 in every session. Each row depends on that row only.

    >>> p_up = np.array([[0.6, 0.55, 0.4, 0.2]])
    >>> target_weights(p_up, np.isfinite(p_up), BacktestConfig(sizing="long_short")).tolist()
    [[0.25, 0.25, -0.25, -0.25]]
    """
    known = member & np.isfinite(p_up)
    if config.sizing == "long_only":
        return _long_only(p_up, known)
    if config.sizing == "top_bottom":
        return _extremes(p_up, known, config.names_a_side)
    distance = _from_median(p_up, known)
    return _balanced(np.sign(distance) if config.sizing == "long_short" else distance)


def suggested_positions(p_up: FloatArray, base_rate: FloatArray, config: PredictConfig) -> FloatArray:
    """Suggested position per ticker, decimal of capital, negative for shorts: a fraction of the Kelly bet on the edge.

    p_up: (n_horizons, n_tickers), of the horizons that have a champion; NaN where there is none. base_rate: (n_horizons,),
    share of up labels as known when each champion was fitted. The edge is P(up) − base rate, so a market that rises is no
    edge. The Kelly bet at even odds on a probability of ½ + edge is 2 · edge; its mean over the horizons times
    `kelly_fraction` is bounded by ± `max_position`. If Σ|position| > 1, all are divided by it. Returns (n_tickers,), NaN
    for a ticker without a P(up) at every horizon, and for all tickers without a horizon. Kelly (1956).

    >>> config = PredictConfig(max_position=0.05, kelly_fraction=0.25)
    >>> suggested_positions(np.array([[0.56, 0.50, 0.80]]), np.array([0.52]), config).round(4).tolist()
    [0.02, -0.01, 0.05]
    """
    if not len(p_up):
        return np.full(p_up.shape[1], np.nan)
    bet = config.kelly_fraction * (2 * (p_up - base_rate[:, None])).mean(axis=0)
    position = np.clip(bet, -config.max_position, config.max_position)
    scaled: FloatArray = position / max(1.0, float(np.nansum(np.abs(position))))
    return scaled


def _long_only(p_up: FloatArray, known: BoolArray) -> FloatArray:
    """1/n for each of the n scored tickers whose P(up) is above 0.5, cash for the rest.

    A forecast of "up" for all tickers holds the equal-weight universe; a single ticker above 0.5 gets 1/n, not everything.
    """
    chosen = known & (p_up > UP)
    weights: FloatArray = chosen / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return weights


def _extremes(scores: FloatArray, known: BoolArray, names: int) -> FloatArray:
    """The k highest scores long and the k lowest short, 1/(2k) each; k is at most half of the scored tickers.

    Tickers tied for the last places share them equally: the order of columns has no effect, and a constant score gives
    no position.
    """
    values = np.where(known, scores, np.nan)
    ordered = np.sort(values, axis=1)
    count = known.sum(axis=1)
    k = np.minimum(names, count // 2)
    row = np.arange(len(values))
    high = np.where(k > 0, ordered[row, np.minimum(count - k, values.shape[1] - 1)], np.inf)[:, None]
    low = np.where(k > 0, ordered[row, np.maximum(k - 1, 0)], -np.inf)[:, None]
    weights = _places(values > high, values == high, k)
    weights -= _places(values < low, values == low, k)
    weights /= np.maximum(2 * k, 1)[:, None]
    return weights


def _places(beyond: BoolArray, tied: BoolArray, k: npt.NDArray[np.intp]) -> FloatArray:
    """1 for tickers beyond the tie; the tied tickers share the remaining places of k equally."""
    left = (k - beyond.sum(axis=1)) / np.maximum(tied.sum(axis=1), 1)
    places: FloatArray = np.where(tied, left[:, None], beyond)
    return places


def _from_median(scores: FloatArray, known: BoolArray) -> FloatArray:
    import bottleneck as bn  # noqa: PLC0415 - stages that size no positions start faster

    values = np.where(known, scores, np.nan).astype(np.float64, copy=False)
    distance: FloatArray = np.nan_to_num(values - bn.nanmedian(values, axis=1)[:, None], copy=False)
    return distance


def _balanced(strength: FloatArray) -> FloatArray:
    """Scale each side to half the capital; a session with an empty side has no positions."""
    long = np.maximum(strength, 0.0)
    short = np.maximum(-strength, 0.0)
    bought, sold = (side.sum(axis=1, keepdims=True) for side in (long, short))
    both = (bought > 0) & (sold > 0)
    long /= np.where(both, 2 * bought, np.inf)
    short /= np.where(both, 2 * sold, np.inf)
    weights: FloatArray = long - short
    return weights
