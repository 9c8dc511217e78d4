"""The process of `make demo`: a whole DAG through Airflow with progress lines, and its messages on failures."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.stages import PIPELINES
from foundry_tasks.contract.stages import STAGES as FOUND
from tests.e2e.foundry_here import TINY, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(90)
LAPTOP = [sys.executable, str(REPOSITORY / "dags" / "_laptop.py"), "foundry_train"]
STAGES = PIPELINES["foundry_train"]
PATIENCE_S = 550


def set_of(conf) -> str:
    """A conf in the form of the variable SET."""
    return " ".join(
        f"{key}={','.join(map(str, value)) if isinstance(value, list) else value}" for key, value in conf.items()
    )


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    """laptop(**variables): output of the process, started like `make demo`, in a temporary folder."""
    folder = tmp_path_factory.mktemp("laptop")
    market = write_market(folder / "market", simulated_market(sessions=320, tickers=12, seed=5))
    told = {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "dags" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "FOUNDRY_STORE": str(folder / "store"),
        "FOUNDRY_MLFLOW_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "FOUNDRY_MLFLOW_ARTIFACTS": str(folder / "mlartifacts"),
        "FOUNDRY_RUNTIME": "process",
        "PRICES": market["prices"],
        "SECTORS": market["sectors"],
        "SET": set_of(TINY),
    }

    def start(**variables):
        return subprocess.Popen(
            LAPTOP, env=os.environ | told | variables, stdin=subprocess.DEVNULL, text=True, cwd=REPOSITORY,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    return start


@pytest.fixture(scope="module")
def first_run(laptop):
    """Its exit code, what it says, and the day on which it began: its prices are as of the day before."""
    day, process = datetime.now(UTC).date(), laptop()
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err.splitlines(), day


def test_a_run_ends_well_with_the_verdict_first_on_stdout(first_run):
    code, out, err, _ = first_run
    assert code == 0, "\n".join(err)
    assert re.match(r"\n(Refused|Passed|Challenger)", out)


def test_every_stage_has_its_line_and_nothing_of_airflows_is_between_them(first_run):
    _, _, err, _ = first_run
    assert all(re.match(r"^\d\d:\d\d:\d\d [✓!] ", line) for line in err)
    shown = [line.split()[2] for line in err if line[9] == "✓"]
    assert shown[0] == "airflow"
    assert sorted(shown[1:]) == sorted(STAGES)


def test_a_second_run_reuses_what_is_done_and_migrates_nothing(first_run, laptop):
    *_, day = first_run
    while day != (today := datetime.now(UTC).date()):  # as of another day nothing is done yet
        day = today
        laptop().communicate(timeout=PATIENCE_S)
    _, err = laptop().communicate(timeout=PATIENCE_S)
    reused = [line.split()[2] for line in err.splitlines() if "reused" in line]
    assert sorted(reused) == sorted(name for name in STAGES if FOUND[name].pure)


def test_quick_says_what_it_leaves_out(laptop):
    process = laptop(QUICK="1", SET="seeds=2")
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 10
    assert "seeds is given twice, by QUICK=1 and by SET seeds=2" in err


def test_a_conf_that_cannot_be_is_one_line_before_anything_starts(laptop):
    process = laptop(SET="folds=1")
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, len(err.splitlines())) == (10, 1)
    assert "folds" in err


def test_a_file_that_holds_no_prices_fails_with_its_reason_and_the_place_of_the_log(first_run, laptop, tmp_path):
    (tmp_path / "prices.csv").write_text("a,b\n1,2\n")
    process = laptop(PRICES=str(tmp_path / "prices.csv"))
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    lines = [line for line in err.splitlines() if " ✕ prices " in line]
    assert len(lines) == 1
    assert "failed with exit code 20" in lines[0]
    assert "laptop.log" in err.splitlines()[-1]


def command_lines() -> list[str]:
    """Command lines of all processes."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # ended meanwhile
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_ctrl_c_ends_the_stage_at_work_too(first_run, laptop):
    process = laptop(SET=set_of(TINY | {"models": ["xgboost"], "seeds": 500}))
    while "✓ labels" not in (line := process.stderr.readline()):
        assert line, "it ended before its models"
    time.sleep(2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "stopped" in err
    assert not [words for words in command_lines() if "models" in words and '"seeds": 500' in words]
