"""Samples of the ticker-sessions and tickers that a look tests. Pure."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.artifacts import sha256_of
from foundry_tasks.data.panel import DateArray, PricePanel
from foundry_tasks.ledger.evidence import Sample

ROWS = 256
"""Sampled ticker-sessions of a look: an overlap is estimated with a standard error of at most 3 %."""
TICKERS = 64
_RETURN_STEP = 1e-3
"""Returns are compared in steps of 0.1 %, so that two vendors' rounding rarely matters."""
_RETURNS = 3
"""Daily returns that identify a ticker-session; with 500 tickers fewer than 1 % share their three with another."""
_UNKNOWN = 1 << 20

Words = npt.NDArray[np.uint64]


def row_sample(prices: PricePanel, sessions: DateArray) -> Sample:
    """Sample of the members' ticker-sessions of `sessions`, each named by its session and its last three daily returns."""
    close = np.log(prices.adjusted_close)
    steps = np.full(close.shape, np.nan)
    steps[1:] = np.round(np.diff(close, axis=0) / _RETURN_STEP)
    known = np.nan_to_num(steps, nan=_UNKNOWN).astype(np.int64)
    rows = np.flatnonzero(np.isin(prices.sessions, sessions))
    words = prices.sessions[rows].astype("datetime64[D]").astype(np.int64)[:, None].astype(np.uint64)
    for back in range(_RETURNS):
        words = _mixed(words ^ _mixed(known[np.maximum(rows - back, 0)].astype(np.uint64)))
    tested = prices.member[rows] & np.isfinite(close[rows])
    return Sample(hashes=tuple(f"{word:016x}" for word in np.unique(words[tested])[:ROWS].tolist()), size=ROWS)


def ticker_sample(tickers: Iterable[str]) -> Sample:
    """Sample of names of tickers."""
    return Sample(hashes=tuple(sorted({sha256_of(name.encode())[:16] for name in tickers})[:TICKERS]), size=TICKERS)


def _mixed(words: Words) -> Words:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014): a bijection whose outputs look random."""
    words = (words + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Words = words ^ (words >> np.uint64(31))
    return mixed
