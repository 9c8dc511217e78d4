"""Great Expectations: seconds and memory of every suite on 2.7 million rows, called as in the stages.

There is no peer, so a suite is compared with reading its rows. Each suite runs in a new process with Great Expectations
loaded, from the stage's data to the verdict with its page.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from benchmarks.markets import SCALE, read_market
from benchmarks.own_process import PeakMemory, in_its_own_process
from benchmarks.row import Row, Turns, cpu_timed, taking_turns
from foundry_tasks.adapters.expectations_gx import GreatExpectations
from foundry_tasks.contract.config import FeaturesConfig, LabelsConfig, PricesConfig
from foundry_tasks.contract.stage_outputs import StageOutputs
from foundry_tasks.data.bar_verdicts import bars_of
from foundry_tasks.data.frames import read_frame
from foundry_tasks.data.intake import take_in
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.data.profile import profile_features, profile_labels, profile_predictions
from foundry_tasks.data.sessions import sessions_between
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import above, build_labels, forward_returns
from foundry_tasks.stages import prices

SUITES = Path(__file__).parents[1] / "expectations"
MOST_S = 8
MOST_MB = 2000
QUICK = ("prices", "predictions")


def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - no peer has these suites
    """Two rows per suite: seconds and memory."""
    for suite in QUICK if quick else PREPARED:
        found = in_its_own_process(_measured, market_data, suite)
        name = f"{suite}: {found.expectations} expectations of {found.rows:,} rows"
        is_quick = suite in QUICK
        yield Row.of(found.turns, name, "reading the bars", unit="s of CPU", most=MOST_S, quick=is_quick)
        memory = [(found.peak_mb, found.bars_mb)]
        yield Row.of(memory, name, "the bars in memory", unit="MB", most=MOST_MB, quick=is_quick)


@dataclass(frozen=True, slots=True)
class Measured:
    """One suite: seconds in turns, peak memory of the process, and memory of a pandas frame of the bars."""

    expectations: int
    rows: int
    turns: Turns
    peak_mb: float
    bars_mb: float


class Guard:
    """Stands in for a stage's outputs in a stage's guard: validates, and stores the verdict without acting on it."""

    def __init__(self) -> None:
        self._expectations = GreatExpectations(SUITES)

    def guard(self, suite: str, table: pd.DataFrame, facts: Mapping[str, Any]) -> None:
        """Validate the table against the suite."""
        self.n_rows = len(table)
        self.verdict = self._expectations.validate(suite, table, facts)


def _measured(market_data: Path, suite: str) -> Measured:
    def read() -> pd.DataFrame:
        return read_frame(market_data / f"{SCALE}.parquet")

    guard, bars = Guard(), read()
    bars_mb = float(bars.memory_usage(deep=False).sum() / 1e6)
    ask = PREPARED[suite](market_data, bars, guard)
    del bars
    ask()  # imports Great Expectations
    with PeakMemory() as memory:
        ask()
    turns = taking_turns(cpu_timed(ask), cpu_timed(read), pairs=3)
    return Measured(guard.verdict.expectations, guard.n_rows, turns, memory.peak_mb, bars_mb)


# ---------------------------------------------------------------- what each stage holds, and how it asks
def _prices(market_data: Path, table: pd.DataFrame, guard: Guard) -> Callable[[], None]:  # noqa: ARG001 - as the others
    config = PricesConfig()
    as_of = table["date"].max().date()
    sessions = sessions_between(config.calendar, table["date"].min().date(), as_of)
    bars = bars_of(table, sessions)
    intake = take_in(bars, sessions, None)
    stage = prices._guard  # noqa: SLF001 - the stage's own frame and facts
    return lambda: stage(config, cast("StageOutputs", guard), intake)


def _features(market_data: Path, table: pd.DataFrame, guard: Guard) -> Callable[[], None]:  # noqa: ARG001 - as above
    market = read_market(market_data, SCALE)
    config = FeaturesConfig()
    panel = build_features(market, config.feature_set, threads=config.threads).panel
    answers: dict[str, FloatArray] = {}
    for horizon in config.horizons:
        returns = forward_returns(market, horizon, "close").astype(np.float32)
        answers |= {f"return_{horizon}d": returns, f"up_{horizon}d": above(returns, 0.0).astype(np.float32)}
    return lambda: guard.guard("features", pd.DataFrame(profile_features(panel, market.member, answers)), {})


def _labels(market_data: Path, table: pd.DataFrame, guard: Guard) -> Callable[[], None]:  # noqa: ARG001 - as above
    market = read_market(market_data, SCALE)
    labels = {horizon: build_labels(market, horizon) for horizon in LabelsConfig().horizons}
    returns = {horizon: made.forward_return for horizon, made in labels.items()}
    kinds = {horizon: {"up": made.up} for horizon, made in labels.items()}
    known = (market, market.adjusted_close, 0, returns, kinds)
    return lambda: guard.guard("labels", pd.DataFrame(profile_labels(*known)), {})


def _predictions(market_data: Path, table: pd.DataFrame, guard: Guard) -> Callable[[], None]:  # noqa: ARG001 - as above
    date = table["date"].to_numpy().astype("datetime64[D]")
    ticker, horizon = table["ticker"].to_numpy(object), np.ones(len(table), np.int64)
    p_up = np.random.default_rng(0).beta(50, 50, len(table))
    return lambda: guard.guard("predictions", pd.DataFrame(profile_predictions(date, ticker, horizon, p_up)), {})


PREPARED: Mapping[str, Callable[[Path, pd.DataFrame, Guard], Callable[[], None]]] = {
    "prices": _prices,
    "features": _features,
    "labels": _labels,
    "predictions": _predictions,
}
