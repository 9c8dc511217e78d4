"""`make demo` with installed packages: the whole, its parts, and QUICK=1, compared with the version before the speed-up.

The earlier version runs from its sources, with the commands of its Makefile, in the same environment.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.row import Row
from foundry_tasks.contract.environment_variables import REPOSITORY

BEFORE = "26b8c1a"
PARTS: Mapping[str, float] = {
    "make demo": 140,
    "before the first stage": 14,
    "between and after stages": 9,
    "leakage": 20,
    "models": 72,
    "the nine other stages": 25,
}
"""Measurement → its bar in seconds."""
QUICK_S = 75


def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - uses the sample
    """Wall time on two cores. One turn, since the earlier version takes minutes."""
    if quick:
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ours = _seconds(folder / "ours", [["make", "--no-print-directory", "demo"]], REPOSITORY)
        theirs = _seconds(folder / "theirs", *_before(folder / "before"))
        for part, most in PARTS.items():
            yield Row.of([(ours[part], theirs[part])], part, f"the same at {BEFORE}", most=most)
        fast = _seconds(folder / "fast", [["make", "--no-print-directory", "demo", "QUICK=1"]], REPOSITORY)
        whole = "make demo"
        yield Row.of([(fast[whole], ours[whole])], "make demo QUICK=1", "make demo", most=QUICK_S)


def _before(folder: Path) -> tuple[list[list[str]], Path]:
    """Commands of the earlier version, and the folder of its sources."""
    folder.mkdir()
    packed = subprocess.run(["git", "archive", BEFORE], check=True, cwd=REPOSITORY, capture_output=True).stdout  # noqa: S603, S607 - as below
    subprocess.run(["tar", "--extract"], check=True, cwd=folder, input=packed)  # noqa: S607 - as above
    airflow, foundry = [str(Path(sys.executable).with_name("airflow"))], [sys.executable, "-m", "foundry_tasks"]
    return [
        [*airflow, "db", "migrate"],
        [*foundry, "conf"],
        [*airflow, "dags", "test", "foundry_train", "--conf", '{"market": "us"}'],
        [*foundry, "summary"],
    ], folder


def _seconds(folder: Path, commands: list[list[str]], sources: Path) -> dict[str, float]:
    """Seconds of each part of a run with a new store and a new Airflow."""
    folder.mkdir()
    settings = {
        "FOUNDRY_STORE": str(folder / "store"),
        "FOUNDRY_MLFLOW_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "FOUNDRY_MLFLOW_ARTIFACTS": str(folder / "mlartifacts"),
        "FOUNDRY_RUNTIME": "process",
        "PYTHONPATH": str(sources),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(sources / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(sources / "dags" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    started = time.time()
    for command in commands:
        extra = [f"AIRFLOW_HOME={settings['AIRFLOW_HOME']}"] if command[0] == "make" else []
        subprocess.run([*command, *extra], check=True, cwd=sources, env=kept | settings, stdout=subprocess.DEVNULL)  # noqa: S603
    ended = time.time()
    found = [
        (path.stat().st_mtime, json.loads(path.read_text())) for path in folder.glob("store/runs/*/*/*/-/result.json")
    ]
    stages = {result["stage"]: result["elapsed_s"]["total"] for _, result in found}
    first = min(written - result["elapsed_s"]["total"] for written, result in found)
    return {
        "make demo": ended - started,
        "before the first stage": first - started,
        "between and after stages": ended - first - sum(stages.values()),
        "leakage": stages["leakage"],
        "models": stages["models"],
        "the nine other stages": sum(stages.values()) - stages["leakage"] - stages["models"],
    }
