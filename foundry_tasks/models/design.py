"""How a FeaturePanel becomes the rows that a base model learns from and scores.

Rows are ticker-sessions in order of session, then ticker, so that a range of sessions is a slice: taking a fold's rows
copies nothing. Nothing here is learned: a session's ranks depend on that session alone.
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
"""Inputs, or Sequences where the transform is `sequence`: what a model gets is what its own `transform` asks for."""

MIN_CROSS_SECTION = 10
"""With fewer tickers a rank within the session says little: inputs stay raw, and features of the whole market join."""
_MIN_SHARE = 0.5
"""A ticker-session with fewer of its inputs than this has no row: it is neither learned from nor scored."""

# Ranks are made here for every input, and a sector's own return has eleven values a session: too few to learn from.
_LEFT_TO_OTHERS = frozenset(
    feature.name for feature in FEATURES if feature.market_wide or feature.name.startswith(("rank_", "sector_"))
)


@dataclass(frozen=True)
class Design:
    """Model inputs, one row a ticker-session.

    values: (n_rows, n_inputs) float32, NaN where undefined, or the Sequences of as many rows. session, ticker: (n_rows,)
    places in the panel's grid of `shape` (n_sessions, n_tickers). volatility: (n_sessions,), the market's, for models that
    are fitted per regime.
    """

    names: tuple[str, ...]
    values: Rows
    session: npt.NDArray[np.int32]
    ticker: npt.NDArray[np.int32]
    shape: tuple[int, int]
    volatility: Scores

    def rows(self, first_session: int, end_session: int) -> slice:
        """The rows of sessions [first_session, end_session)."""
        first, end = np.searchsorted(self.session, (first_session, end_session))
        return slice(int(first), int(end))

    def from_wide(self, matrix: npt.NDArray[np.floating], rows: slice = slice(None)) -> Scores:
        """(n_sessions, n_tickers, …) → (n_rows, …), a copy: such as the labels of the rows."""
        return np.asarray(matrix[self.session[rows], self.ticker[rows]], dtype=np.float64)

    def to_wide(self, values: Scores, rows: slice = slice(None)) -> Scores:
        """(n_rows,) → (n_sessions, n_tickers), NaN elsewhere: such as the scores of the rows."""
        matrix = np.full(self.shape, np.nan)
        matrix[self.session[rows], self.ticker[rows]] = values
        return matrix


def input_names(features: FeatureSource) -> tuple[str, ...]:
    """Which features are inputs of base models; the market's own are left to the ensemble, where there is one."""
    if len(features.tickers) < MIN_CROSS_SECTION:
        return features.names
    return tuple(name for name in features.names if name not in _LEFT_TO_OTHERS)


def build_design(features: FeatureSource, transform: Transform, names: tuple[str, ...] | None = None) -> Design:
    """The rows of a panel, made block by block: besides them no more than a block of it is in memory.

    transform: `rank` turns an input into its rank within the session, (rank − ½) / count − ½, in (−½, ½), ties sharing
    their mean rank, NaN kept; `sequence` does so too, and keeps the sessions before a row; `raw` leaves it. names: inputs
    in order, those of `input_names` where not given.
    """
    names = input_names(features) if names is None else names
    n_sessions, n_tickers = len(features.sessions), len(features.tickers)
    ranked = transform != "raw" and n_tickers >= MIN_CROSS_SECTION
    wide = transform == "sequence"
    has_row = np.empty((n_sessions, n_tickers), dtype=bool)
    # As many rows as there can be: what no row is written to takes no memory.
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
    """The designs of one panel, each made when it is first asked for, and kept until it is dropped."""

    def __init__(self, features: FeatureSource) -> None:
        self.features = features
        self._made: dict[Transform, Design] = {}

    def __getitem__(self, transform: Transform) -> Design:
        if transform not in self._made:
            self._made[transform] = build_design(self.features, transform)
        return self._made[transform]

    def drop(self, transform: Transform) -> None:
        """Nobody asks for it again."""
        self._made.pop(transform, None)
