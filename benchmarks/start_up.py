"""Start-up: a stage compared with its required libraries, a DAG file compared with Airflow's SDK, a whole run."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.own_process import environment_in
from benchmarks.row import Row, Turns, taking_turns
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.stages import PIPELINES

LIBRARIES = "import numpy, pyarrow.parquet\nfrom pydantic import BaseModel"
"""Imports BaseModel, since Pydantic loads its modules lazily."""
PARSED = """
import resource, runpy, sys
def seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
before = seconds()
import airflow.sdk
sdk = seconds()
runpy.run_path(sys.argv[1])
print(seconds() - sdk, sdk - before)
"""
SMALL = {"horizons": [1], "models": ["logistic", "lightgbm", "xgboost"], "seeds": 1, "folds": 2, "start": "2018-01-01"}
PAIRS = 9


def rows(market_data: Path, peers: Path, *, quick: bool) -> Iterator[Row]:  # noqa: ARG001 - uses the sample
    """CPU seconds for processes that only start, since other programs disturb them less."""
    with tempfile.TemporaryDirectory() as temporary:
        environment = _environment(Path(temporary))
        gates = [sys.executable, "-m", "foundry_tasks", "gates", "--run-id", "that nobody has started"]
        turns = taking_turns(
            lambda: _cpu(gates, environment),
            lambda: _cpu([sys.executable, "-c", LIBRARIES], environment),
            pairs=PAIRS,
        )
        yield Row.of(turns, "foundry gates, CPU", "numpy, pyarrow and pydantic", least_ratio=1 / 1.3, quick=True)
        for dag in PIPELINES:
            parsed = [_parsed(dag, "process", environment) for _ in range(3)]
            yield Row.of(parsed, f"{dag}.py parsed, CPU", "airflow.sdk", most=0.3)
        for runtime in ("docker", "kubernetes"):
            parsed = [_parsed("foundry_train", runtime, environment) for _ in range(3)]
            yield Row.of(parsed, f"foundry_train.py parsed for {runtime}, CPU", "airflow.sdk", most=0.3)
        if not quick:
            yield from _whole_run(environment)


def _environment(folder: Path) -> dict[str, str]:
    return environment_in(folder) | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "dags" / "plugins"),
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / place) for place in ("", "dags", "dags/plugins")),
    }


def _cpu(command: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=False, env=environment, capture_output=True)  # noqa: S603 - our programs
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _parsed(dag: str, runtime: str, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of a DAG file and of the SDK imported before it, in one process."""
    command = [sys.executable, "-c", PARSED, str(REPOSITORY / "dags" / f"{dag}.py")]
    variables = environment | {"FOUNDRY_RUNTIME": runtime, "FOUNDRY_IMAGE_CPU": "of no account here"}
    printed = subprocess.run(command, check=True, env=variables, capture_output=True, text=True).stdout  # noqa: S603 - as above
    own, sdk = map(float, printed.splitlines()[-1].split())
    return own, sdk


def _whole_run(environment: dict[str, str]) -> Iterator[Row]:
    command = [sys.executable, "-m", "foundry_tasks", "run", "train", "--config", json.dumps(SMALL)]
    subprocess.run(command, check=True, env=environment, capture_output=True)  # noqa: S603 - as above
    results = Path(environment["FOUNDRY_STORE"]).glob("runs/*/*/*/-/result.json")
    elapsed = {path.parts[-3]: json.loads(path.read_text())["elapsed_s"] for path in results}
    started = sum(steps["start"] for steps in elapsed.values())
    worked = sum(steps["total"] for steps in elapsed.values()) - started
    report: Turns = [(elapsed["report"]["total"], started + worked)]
    yield Row.of([(started, worked)], f"start-up of the {len(elapsed)} stages of a training run", "their work", most=20)
    yield Row.of(report, "the report of a training run", "the whole run", most=3)
