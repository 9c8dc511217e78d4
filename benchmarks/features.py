"""Features: seconds and memory of a set, compared with pandas, Polars and Qlib's Alpha158 on the same bars."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.markets import FIVE_YEAR, SCALE, read_market
from benchmarks.own_process import PeakMemory, in_its_own_process
from benchmarks.peer import Peer
from benchmarks.row import Row, cpu_timed, each, taking_turns, timed
from foundry_tasks.contract.config import FeaturesConfig
from foundry_tasks.data.panel import PricePanel
from foundry_tasks.data.temporary_matrices import TemporaryMatrices
from foundry_tasks.features import FEATURES, build_features
from foundry_tasks.features.build import BLOCK_SESSIONS, compute_features, feature_blocks

# Features of all kinds: return, mean, deviation, extreme, covariance, skewness, correlation, volume, sector, rank.
COMPARED = (
    "ret_1d", "ret_5d", "ret_20d", "ma_ratio_20_50", "vol_20d", "zscore_20d", "rsi_14d", "max_ret_20d", "high_252d",
    "range_position_20d", "beta_60d", "skew_60d", "volume_move_corr_20d", "vol_ratio_20d", "ret_5d_vs_sector", "rank_ret_5d",
    "rank_vol_20d",
)  # fmt: skip
LONGEST_WINDOW = 252
THREADS = FeaturesConfig().threads
LEAST_RATIO = {"pandas": 4, "polars": 1.5}


def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]:
    """Assert equal values, then measure wall time on all cores, and CPU seconds, which other programs do not disturb."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        market = read_market(market_data, FIVE_YEAR)
        whole = _without_gaps(market)
        for program in LEAST_RATIO:
            assert_equal(whole, peers, program, folder)
            yield from _beside(market, peers, program, folder, wall=not quick, quick=True, pairs=5)
        if quick:
            return
        yield _beside_alpha158(market, peers, folder)
        large = read_market(market_data, SCALE)
        for program in LEAST_RATIO:
            yield from _beside(large, peers, program, folder, wall=True, quick=False, pairs=2)
        yield _linear(market, large)
        yield _linear(large.part(slice(len(large.sessions) // 2, None)), large)
        for name in (FIVE_YEAR, SCALE):
            yield in_its_own_process(_memory, market_data, name)


def _size(market: PricePanel) -> str:
    return "{1} × {0:,}".format(*market.member.shape)


def _beside(
    market: PricePanel, peers: Path, program: str, folder: Path, *, wall: bool, quick: bool, pairs: int
) -> Iterator[Row]:
    compared = [feature for feature in FEATURES if feature.name in COMPARED]
    name, against = f"{len(COMPARED)} features of every kind, {_size(market)}", f"the same in {program}"
    _write_bars(market, folder / "bars.parquet")

    def ours() -> object:
        return compute_features(market, compared, threads=THREADS)

    with Peer(peers, f"{program}_features", folder / "bars.parquet") as peer:
        if wall:
            turns = taking_turns(timed(ours), peer.seconds, pairs=pairs)
            yield Row.of(turns, name, against, least_ratio=LEAST_RATIO[program])
        turns = taking_turns(cpu_timed(ours, repeats=3), peer.cpu_seconds, pairs=pairs)
        yield Row.of(turns, name, against, unit="s of CPU", quick=quick)


def _beside_alpha158(market: PricePanel, peers: Path, folder: Path) -> Row:
    extended = build_features(market, "extended").panel.names
    _write_bars(market, folder / "bars.parquet")
    with Peer(peers, "alpha158", folder / "bars.parquet", folder / "qlib") as peer:
        turns = taking_turns(timed(lambda: build_features(market, "extended", threads=THREADS)), peer.seconds, pairs=1)
    return Row.of(
        each(turns, len(extended), 158),
        f"a feature of {len(extended)}, {_size(market)}",
        "one of Alpha158 by Qlib",
        least_ratio=8,
    )


def _linear(small: PricePanel, large: PricePanel) -> Row:
    """CPU seconds per row, large market compared with small one. They are equal if the cost is linear in rows."""
    turns = each(
        taking_turns(*(cpu_timed(partial(_all_blocks, market)) for market in (large, small)), pairs=5),
        large.member.size,
        small.member.size,
    )
    name, against = f"all features, {_size(large)}, CPU a row", f"{_size(small)}"
    return Row.of([(1e9 * one, 1e9 * other) for one, other in turns], name, against, unit="ns a row", least_ratio=0.8)


def _all_blocks(market: PricePanel) -> None:
    """Compute all features as the stage does: one block is written before the next."""
    for _ in feature_blocks(market, FEATURES, TemporaryMatrices, threads=THREADS):
        pass


def _memory(market_data: Path, name: str) -> Row:
    """Peak memory of the computation without the prices: a block of features and its intermediate arrays."""
    import scipy.linalg  # noqa: F401, PLC0415 - imported before the measurement, as the factors import it

    market = read_market(market_data, name)
    with PeakMemory() as memory:
        _all_blocks(market)
    input_mb = sum(matrix.nbytes for matrix in (*market.fields.values(), market.member)) / 1e6
    name = f"memory of all features, {_size(market)}, in blocks of {BLOCK_SESSIONS:,} sessions"
    return Row.of([(memory.peak_mb - memory.before_mb, input_mb)], name, "the prices", unit="MB", least_ratio=0.25)


# ---------------------------------------------------------------- the same features
def _write_bars(market: PricePanel, path: Path) -> None:
    """Write the peers' input: one row per bar, sorted by ticker and date."""
    bar = np.isfinite(market.adjusted_close.T)
    ticker, session = np.nonzero(bar)
    long = {name: values.T[bar] for name, values in market.fields.items()}
    pd.DataFrame(
        {
            "ticker": pd.Categorical.from_codes(ticker, pd.Index(market.tickers)),
            "date": market.sessions[session].astype("datetime64[s]"),
            **long,
            "close": market.adjusted_close.T[bar],
            "volume": np.where(long["volume"] > 0, long["volume"], np.nan),
            "sector": pd.Categorical(np.array(market.sectors)[ticker]),
            "benchmark": np.asarray(market.benchmark)[session],
        }
    ).to_parquet(path)


def _without_gaps(market: PricePanel) -> PricePanel:
    """Tickers with a bar on every session, since each library treats missing bars differently."""
    whole = np.isfinite(market.adjusted_close).all(axis=0)
    return replace(
        market,
        tickers=tuple(np.array(market.tickers)[whole]),
        sectors=tuple(np.array(market.sectors)[whole]),
        fields={name: np.ascontiguousarray(values[:, whole]) for name, values in market.fields.items()},
        member=market.member[:, whole],
    )


def assert_equal(market: PricePanel, peers: Path, program: str, folder: Path) -> None:
    """Assert that peers compute equal values once all windows are full."""
    _write_bars(market, folder / "whole.parquet")
    with Peer(peers, f"{program}_features", folder / "whole.parquet") as peer:
        peer.save(folder / "theirs.npz")
    theirs = np.load(folder / "theirs.npz")
    ours = compute_features(market, [feature for feature in FEATURES if feature.name in COMPARED])
    for name in COMPARED:
        other = theirs[name].reshape(len(market.tickers), -1).T[LONGEST_WINDOW:]
        np.testing.assert_allclose(
            ours[name][LONGEST_WINDOW:], other, rtol=1e-4, atol=1e-5, err_msg=f"{program}, {name}"
        )
