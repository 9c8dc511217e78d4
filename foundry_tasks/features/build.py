"""From a PricePanel to a FeaturePanel: which features the prices allow, computed, masked and packed."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import FeaturePanel, PricePanel, group_sessions
from foundry_tasks.features.definition import Feature, FeatureSet, Need
from foundry_tasks.features.history import History
from foundry_tasks.features.lookback import first_needed
from foundry_tasks.features.registry import features_in

BLOCK_SESSIONS = 1344
"""So many sessions are computed at once, with the lookback before them: memory that a longer history does not raise, in
blocks that a processor's caches still serve. Whole refits of the factors."""


@dataclass(frozen=True)
class BuiltFeatures:
    """The features, and by name those that the prices do not allow, each with the reason."""

    panel: FeaturePanel
    left_out: Mapping[str, str]


class WaitingValues(Protocol):
    """A flat row of float32 outside memory, such as `data.temporary_matrices`; at: the place of the first value."""

    def write(self, at: int, values: npt.NDArray[np.float32]) -> None:
        """Save values, C-contiguous; threads write at once, each elsewhere."""

    def read(self, at: int, into: npt.NDArray[np.float32]) -> None:
        """Fill an array, C-contiguous."""


def build_features(prices: PricePanel, feature_set: FeatureSet, *, threads: int = 1) -> BuiltFeatures:
    """Compute a named set of features on all sessions.

    The value at session t uses sessions ≤ t only: spoiling later rows leaves it bit-identical, and so does cutting
    them. NaN where a window is not full enough, where the ticker has no bar, and outside membership; what is infinite
    is NaN too. Raises no error for a column that the source lacks: its features are left out by name. However many
    threads compute, the bits are the same.
    """
    allowed, left_out = features_for(prices, feature_set)
    return BuiltFeatures(compute_features(prices, allowed, threads=threads), left_out)


def features_for(prices: PricePanel, feature_set: FeatureSet) -> tuple[list[Feature], dict[str, str]]:
    """The features of a set that the prices allow; and by name those that they do not, each with the reason."""
    wanted = features_in(feature_set)
    reasons = {feature.name: _reason(feature, prices) for feature in wanted}
    allowed = [feature for feature in wanted if not reasons[feature.name]]
    return allowed, {name: reason for name, reason in reasons.items() if reason}


def compute_features(prices: PricePanel, features: Sequence[Feature], *, threads: int = 1) -> FeaturePanel:
    """These features, all of which the prices allow; values as `build_features` has them."""
    values = np.empty((len(features), *prices.member.shape), dtype=np.float32)
    for block in _blocks(slice(0, len(prices.sessions)), BLOCK_SESSIONS):
        fill = _filler(prices, block)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, features, values[:, block]))
    return FeaturePanel(prices.sessions, prices.tickers, tuple(feature.name for feature in features), values)


def feature_blocks(
    prices: PricePanel,
    features: Sequence[Feature],
    waiting: Callable[[], AbstractContextManager[WaitingValues]],
    *,
    since: int = 0,
    threads: int = 1,
) -> Iterator[FeaturePanel]:
    """The same of the sessions from index `since` on, a row group of a file at a time; each is overwritten by the next.

    waiting: opens the place where all features of a block wait, since they are ten times as large as the prices.
    """
    n_sessions, n_tickers = prices.member.shape
    names = tuple(feature.name for feature in features)
    part_sessions = group_sessions(n_tickers)
    part = np.empty((len(features), min(part_sessions, n_sessions), n_tickers), dtype=np.float32)
    with waiting() as values_of_block:
        for block in _blocks(slice(since, n_sessions), BLOCK_SESSIONS):
            _write_block(values_of_block, prices, features, block, threads)
            length = block.stop - block.start
            for sessions in _blocks(block, part_sessions):
                values = part[:, : sessions.stop - sessions.start]
                for index, matrix in enumerate(values):
                    row = index * length + sessions.start - block.start
                    values_of_block.read(row * n_tickers, into=matrix)
                yield FeaturePanel(prices.sessions[sessions], prices.tickers, names, values)


def _write_block(
    file: WaitingValues, prices: PricePanel, features: Sequence[Feature], block: slice, threads: int
) -> None:
    """Feature by feature, (sessions of the block, n_tickers) each."""
    fill = _filler(prices, block)

    def write(index: int, feature: Feature) -> None:
        values = np.empty((block.stop - block.start, len(prices.tickers)), dtype=np.float32)
        fill(feature, values)
        file.write(index * values.size, values)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, itertools.count(), features))


def _blocks(sessions: slice, length: int) -> Iterator[slice]:
    """Counted from the first, so that a cut of later sessions leaves those before where they were."""
    for start in range(sessions.start, sessions.stop, length):
        yield slice(start, min(start + length, sessions.stop))


def _filler(prices: PricePanel, block: slice) -> Callable[[Feature, npt.NDArray[np.float32]], None]:
    """What fills (sessions of the block, n_tickers) with a feature, from the block and the lookback before it."""
    first = first_needed(block.stop, block.stop - block.start)
    before = block.start - first
    # A column for every segment between breaks: whatever window a feature has, it looks across none.
    part = prices.part(slice(first, block.stop))
    segments, more = part.segments()
    history = History(segments, since=before)
    n_tickers = len(part.tickers)
    hidden = ~part.live[before:]

    def fill(feature: Feature, out: npt.NDArray[np.float32]) -> None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = feature.compute(history)[before:]
            out[...] = values[:, :n_tickers]
            if values.shape[1] > n_tickers:
                for column, (ticker, start) in enumerate(more, n_tickers):
                    out[max(start - before, 0) :, ticker] = values[max(start - before, 0) :, column]
        out[hidden] = np.nan
        infinite = np.isinf(out)
        if infinite.any():
            out[infinite] = np.nan

    return fill


def _reason(feature: Feature, prices: PricePanel) -> str:
    missing = [_MISSING.get(need, f"no {need}") for need in feature.needs if not _has(prices, need)]
    return ", ".join(missing)


def _has(prices: PricePanel, need: Need) -> bool:
    match need:
        case "cross_section":
            return len(prices.tickers) > 1
        case "sectors":
            return any(prices.sectors)
        case "benchmark":
            return prices.benchmark is not None
        case "vix":
            return prices.vix is not None
        case _:
            return need in prices.fields


_MISSING: Mapping[Need, str] = {
    "vix": "no VIX",
    "cross_section": "one ticker has no cross-section",
}
