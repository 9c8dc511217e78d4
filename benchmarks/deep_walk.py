"""Gain of the deep models on the five-year S&P set: one day, five purged folds, together with the three other models.

    python benchmarks/deep_walk.py DATA_FOLDER [--every 3] [--precision float32] [--set key=value …] [--keep FOLDER]

Needs TensorFlow (`make deep`). Default: every third ticker, which takes two cores twenty minutes. The walk is that of
`five_year.py`, up to the ensemble's comparison. Prints per model the per-session AUC with interval, collapsed folds and NaN;
the difference between the ensembles with and without deep models, paired by session; and the minutes of each stage.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from foundry_tasks.contract.config import DEEP_MODELS, ModelsConfig
from foundry_tasks.contract.documents import Folds
from foundry_tasks.contract.results import StageResult
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.data.tables import read_matrices
from foundry_tasks.evaluation.collapse import collapse_of
from foundry_tasks.evaluation.metrics import session_auc, session_rank_ic
from foundry_tasks.models.meta_learner import average
from foundry_tasks.statistics.block_means import BlockRule, mean_interval

STAGES = ("prices", "features", "labels", "models", "ensemble")
LIGHT = ("logistic", "lightgbm", "xgboost")


def main() -> int:
    """Run the stages and print the figures. Returns exit code 1 if a fold collapsed or has a NaN."""
    options = _options()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary)
        results = _run(options, folder)
        sound = _print(folder / "store", results)
    return 0 if sound else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=3, help="take every so many-th ticker")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--models", default=",".join((*LIGHT, *DEEP_MODELS)))
    parser.add_argument("--set", action="append", default=[], help="any other key of the conf")
    parser.add_argument("--keep", help="folder that keeps the store")
    return parser.parse_args()


def _run(options: argparse.Namespace, folder: Path) -> dict[str, StageResult]:
    """Run the stages. Returns stage → result."""
    prices = (options.data / "sp500_2013_2018.parquet").resolve()
    tickers = np.unique(pq.read_table(prices, columns=["ticker"])["ticker"].to_numpy(zero_copy_only=False).astype(str))
    conf = {
        "source": "parquet",
        "prices": str(prices),
        "sectors": str((options.data / "sectors_sp500_2013_2018.csv").resolve()),
        "benchmark": str((options.data / "spy_1993_2024.parquet").resolve()),
        "vix": str((options.data / "vix_1990_2024.parquet").resolve()),
        "tickers": tickers[:: options.every].tolist(),
        "horizons": [1],
        "first_test_session": 500,
        "seeds": 1,
        "precision": options.precision,
        "models": options.models.split(","),
    }
    environment = os.environ | {"FOUNDRY_STORE": str(folder / "store")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    more = [part for item in options.set for part in ("--set", item)]
    for stage in STAGES:
        command = [sys.executable, "-m", "foundry_tasks", stage, "--dag", "deep_walk", "--run-id", "walk"]
        command += ["--config", json.dumps(conf), *more]
        subprocess.run(command, check=True, env=environment, stdout=sys.stderr)  # noqa: S603 - our program
    found = folder.glob("store/runs/deep_walk/*/*/-/result.json")
    return {path.parts[-3]: StageResult.model_validate_json(path.read_bytes()) for path in found}


def _print(store: Path, results: dict[str, StageResult]) -> bool:
    """Print the figures. Returns whether no fold of any model collapsed or has a NaN."""

    def artifact(stage: str, name: str) -> Path:
        return store / "objects" / results[stage].outputs[name].sha256

    names: tuple[str, ...] = ModelsConfig.model_validate(results["models"].config).models
    reported = Folds.model_validate_json(artifact("models", Folds.artifact).read_bytes()).reported[1]
    labels = read_matrices(artifact("labels", "labels.parquet"), ["up_1d", "median_1d", "return_1d", "member"])
    tested = slice(reported[0].test.start, reported[-1].test.stop)
    up, median, returns = (labels[name][tested].astype(np.float64) for name in ("up_1d", "median_1d", "return_1d"))
    sound, scores = True, {}
    for name in names:
        parts = []
        for fold in reported:
            matrix = read_matrices(artifact("models", f"scores/1d/{name}/{fold.name}.parquet"))["score"]
            test = matrix[-len(fold.test) :]
            session, _ = np.nonzero(np.isfinite(test))
            report = collapse_of(test[np.isfinite(test)], session)
            known = np.isfinite(test).sum() / labels["member"][fold.test.slice].sum()
            sound &= not report.collapsed and known > 0.95
            parts.append(test)
            print(
                f"{name:<17} fold {fold.number}: {known:.1%} scored, spread {report.dispersion:.4f} {report.why or 'sound'}"
            )
        scores[name] = np.concatenate(parts)
    light = {name: scores[name] for name in names if name not in DEEP_MODELS}
    rows: dict[str, FloatArray] = dict(scores) | {"average of all": average(scores)}
    if light:
        rows["average without deep"] = average(light)
    for name, values in rows.items():
        figures = (session_auc(values, up), session_auc(values, median), session_rank_ic(values, returns))
        print(
            f"{name:<21} AUC up {_interval(figures[0])}  median {_interval(figures[1])}  rank IC {_interval(figures[2])}"
        )
    if light:
        gained = session_auc(rows["average of all"], up) - session_auc(rows["average without deep"], up)
        print(f"{'with deep − without':<21} AUC up {_interval(gained)}")
    for stage in STAGES:
        print(f"{stage:<10} {results[stage].elapsed_s['total'] / 60:6.1f} min")
    steps = results["models"].elapsed_s
    print("  ".join(f"{name} {seconds / 60:.1f} min" for name, seconds in steps.items() if name.startswith("fit_")))
    return sound


def _interval(series: FloatArray) -> str:
    found = mean_interval(series, horizon=1, rule=BlockRule(0.95, 12))
    return f"{found.value:+.4f} [{found.lower:+.4f}, {found.upper:+.4f}]"


if __name__ == "__main__":
    sys.exit(main())
