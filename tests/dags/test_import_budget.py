"""Modules that a DAG file imports when it is parsed and serialised, which Airflow does often."""

import json
import os
import subprocess
import sys

import pytest

from foundry_tasks.contract.environment_variables import REPOSITORY

pytestmark = pytest.mark.slow(12)

DAGS = sorted((REPOSITORY / "dags").glob("foundry_*.py"))
HEAVY = {"docker", "exchange_calendars", "kubernetes", "kubernetes_asyncio", "mlflow", "numpy", "pandas", "pyarrow"}
NEEDED = {"process": set(), "docker": {"docker"}, "kubernetes": set()}
"""Docker's client takes 0.03 s to import and the operator needs it; Kubernetes' client takes 0.5 s."""

PROBE = """
import json, os, runpy, sys
from airflow.serialization.serialized_objects import DagSerialization
for path in sys.argv[2:]:
    for os.environ["FOUNDRY_RUNTIME"] in sys.argv[1].split(","):
        if not os.fork():
            DagSerialization.to_dict(runpy.run_path(path)["dag"])
            print(json.dumps([path, os.environ["FOUNDRY_RUNTIME"], [*sys.modules]]), flush=True)
            os._exit(0)
        os.wait()
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Path and runtime → top-level modules that are imported after parsing."""
    folder, plugins = REPOSITORY / "dags", REPOSITORY / "dags" / "plugins"
    told = {
        "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY, folder, plugins))),
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "FOUNDRY_IMAGE_CPU": "sha256:" + "c" * 64,
    }
    command = [sys.executable, "-c", PROBE, ",".join(NEEDED), *map(str, DAGS)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | told).stdout
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("[")]
    return {(path, runtime): {name.partition(".")[0] for name in names} for path, runtime, names in lines}


@pytest.mark.parametrize("runtime", NEEDED)
@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.name)
def test_a_dag_file_is_known_without_the_libraries_that_its_tasks_run_by(loaded, path, runtime):
    assert HEAVY & loaded[str(path), runtime] <= NEEDED[runtime]
