"""Bars of a run on the five-year S&P set: seconds, memory, AUC of the default recipe, and its backtest.

    python benchmarks/five_year.py DATA_FOLDER [--pipeline train|backtest] [--seeds 3] [--keep FOLDER] [--scale]

Runs the pipeline on a new store and prints every bar with its measured figure. The folds are those of the reference figures:
five expanding folds of 150 sessions from session 500. With --scale: the members of the S&P 500 from 2000 to 2024, on the
default folds, with the same bars.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

RUN = "five-year"

Bar = tuple[str, str, str, bool]
"""Measurement, figure, requirement, and whether it is met."""


def main() -> int:
    """Run, read the results, print the table. Returns exit code 1 if a bar is missed."""
    options = _options()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary)
        minutes, peak_gb = _run(options, folder)
        run = Published(folder / "store")
        rows = [_bar("whole run, minutes", minutes, _minutes(options)), _bar("peak memory of a stage, GB", peak_gb, 6)]
        if options.scale:
            rows += [(f"{stage}, s", f"{found['total']:.1f}", "–", True) for stage, found in run.elapsed.items()]
        rows += _traded(run) if options.pipeline == "backtest" else _found(run) if options.scale else _trained(run)
    width = max(len(row[0]) for row in rows)
    for name, measured, bar, met in rows:
        print(f"{name:<{width}}  {measured:>24}  {bar:>12}  {'met' if met else 'MISSED'}")
    return 0 if all(row[3] for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pipeline", choices=("train", "backtest"), default="train")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", help="folder that keeps store and registry")
    parser.add_argument("--scale", action="store_true", help="the scale set instead")
    return parser.parse_args()


def _minutes(options: argparse.Namespace) -> float:
    """Maximum minutes of a whole run."""
    if options.scale:
        return float("inf")
    if options.pipeline == "backtest":
        return 8
    return 6 if options.seeds == 1 else 12


def _run(options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    """Run the pipeline. Returns minutes, and the memory of its largest stage in GB."""
    data = options.data.resolve()
    market = "sp500_2000_2024" if options.scale else "sp500_2013_2018"
    conf = {
        "source": "parquet",
        "prices": str(data / f"{market}.parquet"),
        "sectors": str(data / f"sectors_{market}.csv"),
        "benchmark": str(data / "spy_1993_2024.parquet"),
        "vix": str(data / "vix_1990_2024.parquet"),
        "seeds": options.seeds,
    }
    conf |= {"universe": str(data / "sp500_membership_start_end.csv")} if options.scale else {"first_test_session": 500}
    environment = os.environ | {
        "FOUNDRY_STORE": str(folder / "store"),
        "FOUNDRY_MLFLOW_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "FOUNDRY_MLFLOW_ARTIFACTS": str(folder / "mlartifacts"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "foundry_tasks", "run", options.pipeline, "--run-id", RUN, "--config"]
    started = time.perf_counter()
    subprocess.run([*command, json.dumps(conf)], check=True, env=environment, stdout=sys.stderr)  # noqa: S603 - our program
    # The largest grandchild (stages are grandchildren), in KiB on Linux.
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (time.perf_counter() - started) / 60, peak_kib / 2**20


class Published:
    """Documents of the only run in a store."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.results = {path.parts[-3]: json.loads(path.read_text()) for path in store.glob("runs/*/*/*/-/result.json")}
        self.elapsed = {stage: result["elapsed_s"] for stage, result in self.results.items()}

    def document(self, stage: str, name: str) -> dict[str, Any]:
        sha256 = self.results[stage]["outputs"][name]["sha256"]
        found: dict[str, Any] = json.loads((self.store / "objects" / sha256).read_text())
        return found


def _trained(run: Published) -> Iterator[Bar]:
    yield _bar("features computed and written, s", run.elapsed["features"]["compute"], 3)
    for stage in ("gates", "report"):
        yield _bar(f"{stage}, s", run.elapsed[stage]["total"], 10)
    yield _bar("start-up and imports of all stages, s", sum(steps["start"] for steps in run.elapsed.values()), 30)
    yield from _found(run)


def _found(run: Published) -> Iterator[Bar]:
    day = run.document("gates", "gates.json")["horizons"]["1"]
    gate = {item["name"]: item for item in day["gates"]}
    beside = day["beside"]
    yield _bound("1-day AUC against up/down", gate["auc"], 0.515, 0.505)
    yield _bound("1-day AUC against the median", beside["auc_median"], 0.512, 0.505)
    yield _bound("1-day rank IC", beside["rank_ic"], 0.020, float("-inf"))
    brier = gate["brier"]["value"]
    yield "1-day Brier − base rate's", f"{brier:+.6f}", "< 0", brier < 0
    for number, fold in enumerate(beside["folds"], start=1):
        yield (
            f"fold {number}: AUC up, median, IC",
            f"{fold['auc_up']:.4f} {fold['auc_median']:.4f} {fold['rank_ic']:+.3f}",
            "–",
            True,
        )


def _traded(run: Published) -> Iterator[Bar]:
    for stage in ("portfolio", "simulate", "report"):
        yield f"{stage}, s", f"{run.elapsed[stage]['total']:.1f}", "–", True
    for horizon, found in run.document("simulate", "simulate.json")["horizons"].items():
        yield f"{horizon} d: simulator − backtest", f"{found['value']:.1e}", "≤ 1e-09", found["value"] <= 1e-9
    for horizon, found in run.document("portfolio", "portfolio.json")["horizons"].items():
        for name in ("gross_bp", "net_bp"):
            kind = name.removesuffix("_bp")
            figure = "{value:.2f} [{lower:.2f}, {upper:.2f}]".format(**found[name])
            yield f"{horizon} d: {kind}, bp a day", figure, "–", True


def _bar(name: str, measured: float, most: float) -> Bar:
    return name, f"{measured:.1f}", f"≤ {most:g}", measured <= most


def _bound(name: str, figure: Mapping[str, float], point: float, lower: float) -> Bar:
    measured = f"{figure['value']:.4f} [{figure['lower']:.4f}, {figure['upper']:.4f}]"
    bar = f"≥ {point:g}" + (f", > {lower:g}" if lower > 0 else "")
    return name, measured, bar, figure["value"] >= point and figure["lower"] > lower


if __name__ == "__main__":
    raise SystemExit(main())
