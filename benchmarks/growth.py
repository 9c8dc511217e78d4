"""What a train run and its backtest cost as their market grows: seconds and memory of every stage, by tickers and years.

    python -m benchmarks.growth DATA_FOLDER [CELL …]        # such as 100x5 2000x20; all of them by default

Real tickers of the scale set up to 500, beyond them bootstrapped ones: month for month the bars of another real ticker, chained,
so that the market still moves together. One horizon (a third factor of a cell says how many), one seed, the default walk and
models; a process a stage, its seconds, its processor seconds and its largest resident memory as the kernel counted them. What
is measured is kept in growth.json, cell by cell; docs/growth.md and its plot are made of all that is kept.
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
"""What no stage may take, however large the cell."""


def main() -> int:
    """Measure the cells that were asked for, and write the page anew after each; 1 where a stage took too much memory."""
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
    """Stage → seconds, processor seconds and megabytes of its process; and the rows of the market."""
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
"""A child's largest memory is at first its parent's: this parent has next to none."""


def one_stage(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a stage in a process of its own. Raises CalledProcessError where it fails."""
    started = time.perf_counter()
    launched = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    ended = subprocess.run(launched, env=environment, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    cpu_s, peak_kib = map(float, ended.stdout.split())
    return {
        "wall_s": round(time.perf_counter() - started, 2),
        "cpu_s": round(cpu_s, 2),
        "peak_mb": round(peak_kib / 1024),
    }


def grown(
    fields: dict[str, FloatArray], sectors: tuple[str, ...], tickers: int
) -> tuple[dict[str, FloatArray], list[str]]:
    """As many tickers as are asked for: evenly chosen real ones, then bootstrapped ones, in a sector of a real one."""
    rng = np.random.default_rng(SEED)
    n_real = fields["close"].shape[1]
    chosen = np.linspace(0, n_real - 1, min(tickers, n_real)).round().astype(int)
    real = {name: values[:, chosen] for name, values in fields.items()}
    more = [_bootstrapped(fields, rng) for _ in range(tickers - len(chosen))]
    sector_of = [sectors[at] for at in chosen] + [sectors[at] for at in rng.integers(0, n_real, len(more))]
    return {name: np.column_stack([values, *(one[name] for one in more)]) for name, values in real.items()}, sector_of


def _bootstrapped(fields: dict[str, FloatArray], rng: np.random.Generator) -> dict[str, FloatArray]:
    """One ticker: in each block of sessions the moves of another real one that traded throughout it."""
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
    """prices.parquet and sectors.csv; how many bars there are."""
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
