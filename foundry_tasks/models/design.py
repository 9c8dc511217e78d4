"""The design: a FeaturePanel as the rows that base models learn from and score.

Rows are ticker-sessions in order of session, then ticker. A range of sessions is a slice of rows, so a fold's rows are
not copied. Nothing is fitted: the ranks of a session depend on that session alone.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import FeatureSource, group_sessions
from foundry_tasks.data.ranks import session_ranks
from foundry_tasks.features.registry import FEATURES
from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.market_regime import market_volatility

Inputs = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Transform = Literal["raw", "rank", "sequence"]
Rows = Any
"""Inputs, or Sequences where the transform is `sequence`. A model gets the type that its own `transform` names."""

MIN_CROSS_SECTION = 10
"""With fewer tickers, inputs are not ranked within the session, and market-wide features are inputs too."""
_MIN_SHARE = 0.5
"""A ticker-session with a smaller share of finite inputs has no row: it is neither learned from nor scored."""

# Features `rank_*` repeat the ranks that are made here. A sector's return has eleven values per session, too few to learn from.
_NO_BASE_INPUTS = frozenset(
    feature.name for feature in FEATURES if feature.market_wide or feature.name.startswith(("rank_", "sector_"))
)


@dataclass(frozen=True)
class Design:
    """Model inputs, one row for each ticker-session.

    names: n_inputs features, in order. values: (n_rows, n_inputs) float32, NaN where undefined, or Sequences of n_rows rows.
    session, ticker: (n_rows,) indices into the panel. shape: (n_sessions, n_tickers) of the panel. volatility:
    (n_sessions,) market volatility, for models that are fitted per regime.
    """

    names: tuple[str, ...]
    values: Rows
    session: npt.NDArray[np.int32]
    ticker: npt.NDArray[np.int32]
    shape: tuple[int, int]
    volatility: Scores

    def rows(self, first_session: int, end_session: int) -> slice:
        """Slice of the rows of sessions [first_session, end_session)."""
        first, end = np.searchsorted(self.session, (first_session, end_session))
        return slice(int(first), int(end))

    def from_wide(self, matrix: npt.NDArray[np.floating], rows: slice = slice(None)) -> Scores:
        """Values of the rows, such as their labels: (n_sessions, n_tickers, …) → (n_rows, …), a copy."""
        return np.asarray(matrix[self.session[rows], self.ticker[rows]], dtype=np.float64)

    def to_wide(self, values: Scores, rows: slice = slice(None)) -> Scores:
        """Values of the rows, such as their scores, as a matrix: (n_rows,) → (n_sessions, n_tickers), NaN elsewhere."""
        matrix = np.full(self.shape, np.nan)
        matrix[self.session[rows], self.ticker[rows]] = values
        return matrix


def input_names(features: FeatureSource) -> tuple[str, ...]:
    """Features that are inputs of base models.

    With MIN_CROSS_SECTION or more tickers these are all but market-wide, `rank_*` and `sector_*` features; with fewer, all.
    """
    if len(features.tickers) < MIN_CROSS_SECTION:
        return features.names
    return tuple(name for name in features.names if name not in _NO_BASE_INPUTS)


def build_design(features: FeatureSource, transform: Transform, names: tuple[str, ...] | None = None) -> Design:
    """The rows of a panel, made block by block: apart from the rows, at most one block of the panel is in memory.

    transform: `rank` replaces an input by its rank within the session, (rank − ½) / count − ½, in (−½, ½); ties get
    their mean rank, NaN stays NaN. `sequence` ranks as well and also keeps the sessions before a row. `raw` changes
    nothing. names: inputs in order; default: `input_names`.
    """
    names = input_names(features) if names is None else names
    n_sessions, n_tickers = len(features.sessions), len(features.tickers)
    ranked = transform != "raw" and n_tickers >= MIN_CROSS_SECTION
    wide = transform == "sequence"
    has_row = np.empty((n_sessions, n_tickers), dtype=bool)
    # The maximum number of rows. Pages that are never written take no memory.
    values: Rows = np.empty((n_sessions, n_tickers, len(names)) if wide else (has_row.size, len(names)), np.float32)
    done = 0
    for chunk in _chunks(n_sessions, group_sessions(n_tickers)):
        block = features.block(names, chunk)
        has_row[chunk] = np.isfinite(block).mean(axis=0) >= _MIN_SHARE
        if ranked or wide:
            block = np.where(has_row[chunk], block, np.nan)
        if ranked:
            block = _centred_ranks(block)
        block = block.transpose(1, 2, 0)
        rows = block if wide else block[has_row[chunk]]
        values[done : done + len(rows)] = rows
        done += len(rows)
    session, ticker = (place.astype(np.int32) for place in np.nonzero(has_row))
    values = Sequences(values, session, ticker) if wide else values[:done]
    volatility = market_volatility(features)
    return Design(names, values, session, ticker, (n_sessions, n_tickers), volatility)


def _chunks(n_sessions: int, length: int) -> list[slice]:
    return [slice(first, min(first + length, n_sessions)) for first in range(0, n_sessions, length)]


def _centred_ranks(block: Inputs) -> Inputs:
    count = np.isfinite(block).sum(axis=2, keepdims=True)
    ranks = (session_ranks(block) - 0.5) / np.maximum(count, 1) - 0.5
    return np.asarray(ranks, dtype=np.float32)


class Designs:
    """Designs of one panel by transform. Each is made at its first use and cached until `drop`."""

    def __init__(self, features: FeatureSource) -> None:
        self.features = features
        self._made: dict[Transform, Design] = {}

    def __getitem__(self, transform: Transform) -> Design:
        if transform not in self._made:
            self._made[transform] = build_design(self.features, transform)
        return self._made[transform]

    def drop(self, transform: Transform) -> None:
        """Free the design of a transform that is no longer needed."""
        self._made.pop(transform, None)
