"""Small markets for backtests: built by hand, or random with gaps, halts and a delisting; a strategy with given weights."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import FloatArray, PricePanel

NAN = float("nan")


def market(
    close: npt.ArrayLike,
    *,
    member: npt.ArrayLike | None = None,
    benchmark: npt.ArrayLike | None = None,
    **fields: npt.ArrayLike | None,
) -> PricePanel:
    """A panel of these closes, rows sessions; tickers A, B, …"""
    closes = np.array(close, dtype=float)
    n_sessions, n_tickers = closes.shape
    others = {name: np.array(values, dtype=float) for name, values in fields.items() if values is not None}
    return PricePanel(
        sessions=np.datetime64("2024-01-02") + np.arange(n_sessions),
        tickers=tuple(
            f"{chr(65 + i // 26)}{chr(65 + i % 26)}" if n_tickers > 26 else chr(65 + i) for i in range(n_tickers)
        ),
        fields={"close": closes} | others,
        member=np.ones(closes.shape, bool) if member is None else np.array(member, dtype=bool),
        sectors=("",) * n_tickers,
        benchmark=None if benchmark is None else np.array(benchmark, dtype=float),
    )


def random_market(
    seed: int, *, n_sessions: int = 70, n_tickers: int = 6, gaps: bool = True
) -> tuple[PricePanel, FloatArray]:
    """Prices with opens and volume, and P(up) scores with missing values.

    With gaps: missing bars, opens without a close, closes without an open, a short halt, a halt that is long enough for a
    delisting but ends, a ticker that never returns, and one that starts late.
    """
    rng = np.random.default_rng(seed)
    shape = (n_sessions, n_tickers)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=0)) * np.exp(rng.normal(0, 1, n_tickers))
    open_ = close * np.exp(rng.normal(0, 0.01, shape))
    volume = rng.lognormal(10, 1, shape)
    p_up = np.round(0.5 + 0.05 * rng.normal(size=shape), 2)
    if gaps:
        missing = rng.random(shape) < 0.03
        first, second, third, fourth = rng.choice(n_tickers, 4, replace=False)
        start = int(rng.integers(5, n_sessions - 40))
        missing[start : start + int(rng.integers(2, 15)), first] = True
        missing[start : start + int(rng.integers(20, 30)), second] = True
        missing[start + 5 :, third] = True
        missing[:start, fourth] = True
        for values in (close, open_, volume):
            values[missing] = NAN
        open_[rng.random(shape) < 0.03] = NAN
        close[rng.random(shape) < 0.02] = NAN
        volume[rng.random(shape) < 0.03] = 0.0
        p_up[rng.random(shape) < 0.1] = NAN
    member = rng.random(shape) < 0.95
    return market(close, open=open_, volume=volume, member=member), p_up


@dataclass(frozen=True)
class ReplayedTargets:
    """A strategy that returns given weights. weights: (n_sessions, n_tickers), decimal of the capital."""

    weights: FloatArray

    def fit(self, known: PricePanel) -> None:
        """Do nothing: the weights are given."""

    def targets(self, known: PricePanel) -> FloatArray:
        """The weights of the last session of `known`, (n_tickers,)."""
        row: FloatArray = self.weights[len(known.sessions) - 1]
        return row
