"""Executes the orders of `benchmarks/backtest.py` with vectorbt, in an environment without Foundry.

    PYTHON benchmarks/backtest_vectorbt.py FOLDER

Reads FOLDER/orders.npz (sessions × tickers: target values in money, prices to trade at, closes) and writes
FOLDER/answer.npz: daily P&L as a decimal of the capital, and the seconds of the first and of the fastest later call.
"""

import sys
import time
from pathlib import Path

import numpy as np
import vectorbt as vbt


def main(folder: Path) -> None:
    """Order every ticker to its target value each session. All tickers share cash that is never used up."""
    given = np.load(folder / "orders.npz")
    capital = float(given["capital"])

    def values() -> np.ndarray:
        portfolio = vbt.Portfolio.from_orders(
            given["close"],
            given["orders"],
            size_type="targetvalue",
            price=given["price"],
            fees=float(given["fees"]),
            init_cash=100 * capital,
            cash_sharing=True,
            group_by=True,
            freq="1D",
        )
        return np.asarray(portfolio.value()).reshape(-1)

    elapsed = []
    for _ in range(6):
        started = time.perf_counter()
        value = values()
        elapsed.append(time.perf_counter() - started)
    net = np.diff(value, prepend=100 * capital) / capital
    np.savez(folder / "answer.npz", net=net, first=elapsed[0], later=min(elapsed[1:]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
