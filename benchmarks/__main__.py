"""Measure and store, or measure the quick rows again and compare: see the package's docstring."""

import argparse
import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.record import DOCUMENT, Record, benchmarks_markdown, machine, read_record, table_line, write_record
from benchmarks.regression import regressions
from benchmarks.row import Row

BENCHMARKS = ("demo", "features", "models", "validation", "expectations", "daily", "start_up", "store")


def main() -> int:
    """Returns exit code 1 if a bar is missed or, with --check, if a ratio has fallen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("market_data", type=Path)
    parser.add_argument("peers", type=Path, help="interpreter of the peers' environment")
    parser.add_argument("--only", nargs="*", choices=BENCHMARKS, default=BENCHMARKS)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if not options.market_data.is_dir():
        parser.error(f"no folder {options.market_data}: say where the market data is, such as MARKET_DATA=folder")
    failed = [line for name in options.only for line in (_check if options.check else _measure)(name, options)]
    print("\n".join(f"FAILED {line}" for line in failed) or "all is as it should be")
    return 1 if failed else 0


def _measure(name: str, options: argparse.Namespace) -> list[str]:
    """Measure and store. Returns the rows that miss their bar."""
    rows = tuple(_rows(name, options))
    write_record(name, Record(machine(options.peers), rows))
    DOCUMENT.write_text(benchmarks_markdown())
    return [f"{row.key}: {row.bar}" for row in rows if not row.met]


def _check(name: str, options: argparse.Namespace) -> list[str]:
    return regressions(read_record(name).rows, lambda: _rows(name, options))


def _rows(name: str, options: argparse.Namespace) -> Iterator[Row]:
    benchmark = importlib.import_module(f"benchmarks.{name}")
    rows: Iterable[Row] = benchmark.rows(options.market_data, options.peers, quick=options.check)
    for row in rows:
        print(table_line(row), flush=True)
        yield row


if __name__ == "__main__":
    raise SystemExit(main())
