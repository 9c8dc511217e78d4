"""Bars of the backtester on the five-year S&P set, and a comparison with vectorbt.

    python benchmarks/backtest.py DATA_FOLDER [--vectorbt PYTHON]

Prints the fastest of several calls: a backtest of 505 tickers × 1,259 sessions with lag and costs, the sizing of its
positions, and the ladder of 36 cells. With --vectorbt, the interpreter of an environment with vectorbt (`uv venv ENV && uv
pip install --python ENV/bin/python vectorbt`), vectorbt executes the same orders on tickers without missing prices. Both
models agree for a holding period of one session and proportional costs: daily P&L must be equal to 1e-9. The signal is a
one-session reversal, which trades nearly all of the capital every day.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.data.panel import BoolArray, FloatArray, PricePanel
from foundry_tasks.data.universe import first_to_last_bar
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.edge_decay import edge_decay_ladder
from foundry_tasks.evaluation.positions import target_weights

COST_BP = 5.0
CAPITAL = 1_000_000.0
PEER = Path(__file__).with_name("backtest_vectorbt.py")


def main() -> int:
    """Measure and print the table. Returns exit code 1 if a bar is missed."""
    options = _options()
    rows = list(_rows(options))
    width = max(len(row[0]) for row in rows)
    for name, measured, bar, met in rows:
        print(f"{name:<{width}}  {measured:>18}  {bar:>8}  {'met' if met else 'MISSED'}")
    return 0 if all(row[3] for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--vectorbt", type=Path, help="interpreter of an environment with vectorbt")
    return parser.parse_args()


def _fastest(call: Callable[[], object], times: int) -> float:
    """Seconds of the fastest call, which other programs disturbed least."""
    elapsed = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        elapsed.append(time.perf_counter() - started)
    return min(elapsed)


def _panel(data: Path) -> PricePanel:
    bars = pd.read_parquet(data / "sp500_2013_2018.parquet")
    fields = {
        name: np.ascontiguousarray(bars.pivot(index="date", columns="ticker", values=name).to_numpy(np.float64))
        for name in ("open", "close", "volume")
    }
    return PricePanel(
        sessions=np.sort(bars["date"].unique()).astype("datetime64[D]"),
        tickers=tuple(sorted(bars["ticker"].unique())),
        fields=fields,
        member=first_to_last_bar(np.isfinite(fields["close"])),
        sectors=("",) * fields["close"].shape[1],
    )


def _without_gaps(panel: PricePanel) -> PricePanel:
    traded: BoolArray = np.isfinite(panel.fields["close"]) & np.isfinite(panel.fields["open"])
    whole: BoolArray = np.all(traded, axis=0)
    return replace(
        panel.mapped(lambda _, values: np.ascontiguousarray(values[:, whole])),
        member=panel.member[:, whole],
        tickers=tuple(ticker for ticker, kept in zip(panel.tickers, whole, strict=True) if kept),
        sectors=panel.sectors[: int(whole.sum())],
    )


def _reversal(panel: PricePanel) -> FloatArray:
    close = panel.fields["close"]
    return np.vstack([np.full((1, close.shape[1]), np.nan), 1 - close[1:] / close[:-1]])


def _rows(options: argparse.Namespace) -> Iterator[tuple[str, str, str, bool]]:
    panel = _panel(options.data)
    size = "{1} × {0:,}".format(*panel.member.shape)
    signal = _reversal(panel)
    config = BacktestConfig(commission_bp=COST_BP, half_spread_bp=0, borrow_bp_a_year=0)
    targets = target_weights(signal, panel.member, config)
    backtest = _fastest(lambda: run_backtest(panel, targets, config, horizon=1), 15)
    sizing = _fastest(lambda: target_weights(signal, panel.member, config), 15)
    ladder = _fastest(lambda: edge_decay_ladder(panel, targets), 3)
    yield f"backtest of {size}, ms", f"{1000 * backtest:.0f}", "≤ 60", backtest <= 0.06
    yield "the same with the sizing of its positions, ms", f"{1000 * (backtest + sizing):.0f}", "–", True
    yield "ladder of 36 cells, s", f"{ladder:.2f}", "≤ 2", ladder <= 2
    if not options.vectorbt:
        return

    panel = _without_gaps(panel)
    targets = target_weights(_reversal(panel), panel.member, config)
    for entry in ("next_open", "next_close"):
        here = config.model_copy(update={"entry": entry})
        net = run_backtest(panel, targets, here, horizon=1).net
        seconds = _fastest(partial(run_backtest, panel, targets, here, horizon=1), 15)
        theirs, first, later = _peer(options.vectorbt, panel, targets, entry)
        difference = float(np.abs(theirs - net).max())
        name = f"{len(panel.tickers)} tickers, {entry}:"
        yield f"{name} largest difference from vectorbt, daily P&L", f"{difference:.1e}", "≤ 1e-9", difference <= 1e-9
        yield f"{name} vectorbt, ms (first call)", f"{1000 * later:.0f} ({1000 * first:.0f})", "–", True
        yield f"{name} vectorbt's time over Foundry's", f"{later / seconds:.1f}", "–", True


def _peer(python: Path, panel: PricePanel, targets: FloatArray, entry: str) -> tuple[FloatArray, float, float]:
    """vectorbt's daily P&L, the seconds of its first call, which compiles, and of the fastest later call."""
    with tempfile.TemporaryDirectory() as folder:
        orders = np.full_like(targets, np.nan)
        orders[1:] = targets[:-1] * CAPITAL
        price = panel.fields["open" if entry == "next_open" else "close"]
        np.savez(
            Path(folder) / "orders.npz",
            orders=orders,
            price=price,
            close=panel.fields["close"],
            fees=COST_BP * 1e-4,
            capital=CAPITAL,
        )
        subprocess.run([python, PEER, folder], check=True, stdout=sys.stderr)  # noqa: S603 - our file
        answer = np.load(Path(folder) / "answer.npz")
        return answer["net"], float(answer["first"]), float(answer["later"])


if __name__ == "__main__":
    raise SystemExit(main())
