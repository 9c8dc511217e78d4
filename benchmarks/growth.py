"""Cost of a train run and its backtest by size of the market: seconds and memory of every stage, by tickers and years.

    python -m benchmarks.growth DATA_FOLDER [CELL …]        # such as 100x5 2000x20; all of them by default

Up to 500 real tickers of the scale set, then bootstrapped ones: for each month the bars of a random real ticker, chained, so
that tickers stay correlated. One horizon (or the cell's third factor), one seed, the default walk and models. Each stage is a
process; the kernel counts its seconds, CPU seconds and peak resident memory. growth.json stores the cells; docs/growth.md
and its plot are made from all stored cells.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.growth_page import CELLS, KEPT, MEASURED, THREE_HORIZONS, write_page
from benchmarks.markets import SCALE, read_market
from benchmarks.own_process import environment_in
from foundry_tasks.contract.config import ModelsConfig
from foundry_tasks.data.panel import PRICE_FIELDS, DateArray, FloatArray
from foundry_tasks.runtime.pipeline import stage_command

SESSIONS_A_YEAR = 252
BLOCK_SESSIONS = 21
EVERY = (*CELLS, THREE_HORIZONS)
SEED = 7
MOST_MB = 8e9 / 2**20
"""Memory limit of every stage in every cell."""


def main() -> int:
    """Measure the cells and rewrite the page after each. Returns 1 if a stage exceeded the memory limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("market_data", type=Path)
    parser.add_argument("cells", nargs="*", default=EVERY, metavar="CELL", help=f"of {' '.join(EVERY)}")
    options = parser.parse_args()
    too_much = []
    for cell in options.cells:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(options.market_data, Path(folder), *map(int, cell.split("x")))
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        KEPT.write_text(json.dumps(dict(sorted((kept | {cell: found}).items())), indent=1) + "\n")
        write_page()
        too_much += [f"{cell} {stage}" for stage in MEASURED if found[stage]["peak_mb"] > MOST_MB]
    for one in too_much:
        print(f"FAILED {one}: more than {MOST_MB:,.0f} MB")
    return 1 if too_much else 0


def measured(
    market_data: Path, folder: Path, tickers: int, years: int, n_horizons: int = 1
) -> dict[str, dict[str, float]]:
    """Stage → seconds, CPU seconds and megabytes of its process; and the rows of the market."""
    market = read_market(market_data, SCALE)
    fields = {name: values[-years * SESSIONS_A_YEAR :] for name, values in market.fields.items()}
    sessions = market.sessions[-years * SESSIONS_A_YEAR :]
    fields, sectors = grown(fields, market.sectors, tickers)
    names = [f"T{number:04}" for number in range(tickers)]
    rows = write_market(folder, fields, sessions, names, sectors)
    conf = {
        "source": "parquet",
        "prices": str(folder / "prices.parquet"),
        "sectors": str(folder / "sectors.csv"),
        "benchmark": str((market_data / "spy_1993_2024.parquet").resolve()),
        "vix": str((market_data / "vix_1990_2024.parquet").resolve()),
        "horizons": ModelsConfig().horizons[:n_horizons],
        "seeds": 1,
        "min_coverage": 0.5,
    }
    environment = environment_in(folder)
    sparse = ("policy", "set", "us", "min_coverage=0.5", "--why", "half of these tickers were listed later")
    subprocess.run([sys.executable, "-m", "foundry_tasks", *sparse], env=environment, check=True)  # noqa: S603 - our program
    identity = ["--dag", "foundry_train", "--run-id", "growth", "--config", json.dumps(conf)]
    found: dict[str, dict[str, float]] = {"market": {"rows": rows, "tickers": tickers, "sessions": len(sessions)}}
    for stage in MEASURED:
        found[stage] = one_stage(stage_command(stage, identity), environment)
        print(f"{tickers} × {years} years × {n_horizons}, {stage}: {found[stage]}", flush=True)
    return found


_LAUNCHER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""
"""Starts the stage. A child's peak memory begins with its parent's, so this parent uses almost none."""


def one_stage(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a stage in a new process. Raises CalledProcessError if it fails."""
    started = time.perf_counter()
    launched = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    ended = subprocess.run(launched, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our program
    cpu_s, peak_kib = map(float, ended.stdout.split())
    return {
        "wall_s": round(time.perf_counter() - started, 2),
        "cpu_s": round(cpu_s, 2),
        "peak_mb": round(peak_kib / 1024),
    }


def grown(
    fields: dict[str, FloatArray], sectors: tuple[str, ...], tickers: int
) -> tuple[dict[str, FloatArray], list[str]]:
    """The wanted number of tickers: evenly chosen real ones, then bootstrapped ones with the sector of a real one."""
    rng = np.random.default_rng(SEED)
    n_real = fields["close"].shape[1]
    chosen = np.linspace(0, n_real - 1, min(tickers, n_real)).round().astype(int)
    real = {name: values[:, chosen] for name, values in fields.items()}
    more = [_bootstrapped(fields, rng) for _ in range(tickers - len(chosen))]
    sector_of = [sectors[at] for at in chosen] + [sectors[at] for at in rng.integers(0, n_real, len(more))]
    return {name: np.column_stack([values, *(one[name] for one in more)]) for name, values in real.items()}, sector_of


def _bootstrapped(fields: dict[str, FloatArray], rng: np.random.Generator) -> dict[str, FloatArray]:
    """One ticker. Each block of sessions has the returns of a random real ticker that traded in the whole block."""
    close = fields["close"]
    n_sessions = len(close)
    source = np.empty(n_sessions, dtype=int)
    for first in range(0, n_sessions, BLOCK_SESSIONS):
        block = slice(max(first - 1, 0), first + BLOCK_SESSIONS)
        traded = np.flatnonzero(np.isfinite(close[block]).all(axis=0))
        source[first : first + BLOCK_SESSIONS] = rng.choice(traded)
    session = np.arange(n_sessions)
    before = close[np.maximum(session - 1, 0), source]
    level = 50 * np.cumprod(close[session, source] / before)
    scale = level / close[session, source]
    prices = [name for name in PRICE_FIELDS if name in fields and name != "volume"]
    return {name: fields[name][session, source] * scale for name in prices} | {
        "volume": fields["volume"][session, source]
    }


def write_market(
    folder: Path, fields: dict[str, FloatArray], sessions: DateArray, names: list[str], sectors: list[str]
) -> int:
    """Write prices.parquet and sectors.csv. Returns the number of bars."""
    session, ticker = np.nonzero(np.isfinite(fields["close"]))
    columns = {name: values[session, ticker] for name, values in fields.items()}
    bars = pd.DataFrame(
        {"date": sessions[session], "ticker": pd.Categorical.from_codes(ticker, pd.Index(names)), **columns}
    )
    bars.to_parquet(folder / "prices.parquet")
    pd.DataFrame({"ticker": names, "sector": sectors}).to_csv(folder / "sectors.csv", index=False)
    return len(bars)


if __name__ == "__main__":
    raise SystemExit(main())
