"""Compute a FeaturePanel from a PricePanel: select the available features, compute and mask them."""

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
"""Sessions computed at once, in addition to the lookback before them. Memory does not grow with the history, and a block
still profits from the processor's caches. A multiple of REFIT_SESSIONS."""


@dataclass(frozen=True)
class BuiltFeatures:
    """panel: the features. left_out: name → reason, for features whose inputs the prices lack."""

    panel: FeaturePanel
    left_out: Mapping[str, str]


class WaitingValues(Protocol):
    """A flat array of float32 outside memory, such as `data.temporary_matrices`. at: index of the first value."""

    def write(self, at: int, values: npt.NDArray[np.float32]) -> None:
        """Write C-contiguous values. Threads write concurrently, to disjoint ranges."""

    def read(self, at: int, into: npt.NDArray[np.float32]) -> None:
        """Fill a C-contiguous array."""


def build_features(prices: PricePanel, feature_set: FeatureSet, *, threads: int = 1) -> BuiltFeatures:
    """Compute a named set of features on all sessions.

    The value at session t uses only sessions ≤ t: changing or removing later rows leaves it bit-identical. It is NaN if a
    window has too few values, if the ticker has no bar, outside membership, and if the result is infinite. Features whose
    inputs the prices lack are named in `left_out`, without an error. The number of threads does not change a bit.
    """
    allowed, left_out = features_for(prices, feature_set)
    return BuiltFeatures(compute_features(prices, allowed, threads=threads), left_out)


def features_for(prices: PricePanel, feature_set: FeatureSet) -> tuple[list[Feature], dict[str, str]]:
    """The features of a set whose inputs the prices have; and name → reason for the others."""
    wanted = features_in(feature_set)
    reasons = {feature.name: _reason(feature, prices) for feature in wanted}
    allowed = [feature for feature in wanted if not reasons[feature.name]]
    return allowed, {name: reason for name, reason in reasons.items() if reason}


def compute_features(prices: PricePanel, features: Sequence[Feature], *, threads: int = 1) -> FeaturePanel:
    """Compute features whose inputs the prices have, on all sessions; values as in `build_features`."""
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
    """Compute features on the sessions from index `since` on, one row group of a panel file at a time.

    The yielded panels share one array: each overwrites the one before. waiting: opens the temporary storage of a block's
    features, which are ten times as large as its prices.
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
    """Compute a block and write it to `file`: for each feature a matrix (sessions of the block, n_tickers)."""
    fill = _filler(prices, block)

    def write(index: int, feature: Feature) -> None:
        values = np.empty((block.stop - block.start, len(prices.tickers)), dtype=np.float32)
        fill(feature, values)
        file.write(index * values.size, values)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, itertools.count(), features))


def _blocks(sessions: slice, length: int) -> Iterator[slice]:
    """Consecutive ranges of `length` sessions from the first one on: removing later sessions does not move earlier ranges."""
    for start in range(sessions.start, sessions.stop, length):
        yield slice(start, min(start + length, sessions.stop))


def _filler(prices: PricePanel, block: slice) -> Callable[[Feature, npt.NDArray[np.float32]], None]:
    """A function that fills (sessions of the block, n_tickers) with a feature, from the block and the lookback before it."""
    first = first_needed(block.stop, block.stop - block.start)
    before = block.start - first
    # One column for each segment between breaks, so that no window spans a break.
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
            return any(prices.sectors) or prices.dated_sectors is not None
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
