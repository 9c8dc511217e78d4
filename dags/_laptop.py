"""Run a DAG on this machine in one process and show its progress. `make demo` runs this. It is not a DAG file.

    python dags/_laptop.py foundry_train

The conf comes from the variables of `make demo`. Airflow's log goes to a file in its folder of logs.
"""

import importlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import FoundryError
from foundry_tasks.contract.market import given_conf
from foundry_tasks.contract.typed import QUICK, conf_of_environment

HOME = Path(os.environ.get("AIRFLOW_HOME", ".foundry/airflow"))
LOG = HOME / "logs" / "laptop.log"
"""Log of the last run."""


def main(dag: str) -> int:
    """Run a DAG, then print its summary. Returns 0 if every stage succeeded, whatever the gates decided."""
    # DAG files do not need these modules, so they are imported here.
    from foundry_tasks.adapters.stores import open_store  # noqa: PLC0415
    from foundry_tasks.report.summary import render  # noqa: PLC0415
    from foundry_tasks.runtime.progress import RunView  # noqa: PLC0415

    try:
        settings = Settings.from_environment()
        conf = given_conf(conf_of_environment(os.environ, cwd=Path.cwd()), settings.markets)
    except FoundryError as error:
        sys.stderr.write(f"foundry: {error}\n")
        return error.exit_code
    with _everything_printed_goes_to(LOG) as terminal:
        view = RunView(terminal)
        if os.environ.get("QUICK") == "1":
            view.note(f"QUICK=1: {_written(QUICK)}; the default takes longer, and its forecasts depend less on chance")
        view.doing("airflow", "start, and read the DAGs")
        try:
            run = _run(dag, conf, view)
        except KeyboardInterrupt:
            view.failed("stopped")
            return 130
        except Exception as error:
            view.failed(f"{type(error).__name__}: {error} (more in {LOG})")
            raise
        finally:
            view.close()
        if signal.getsignal(signal.SIGINT) is not _stop:
            view.note("stopped; the same command goes on after the stages that are done")
            return 130
        if run.state != "success":
            view.note(f"the run failed; all that was printed is in {LOG}")
            return 1
    sys.stdout.write(render(open_store(settings), dag, run.run_id))
    return 0


def _written(conf: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in conf.items())


def _run(dag: str, conf: Mapping[str, Any], view: Any) -> Any:
    """Run the DAG to its end. Returns Airflow's DagRun."""
    _migrate()
    sys.path[:0] = [os.environ["AIRFLOW__CORE__DAGS_FOLDER"], os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"]]
    importlib.import_module("_process_stage").ProcessStage.watcher = view
    signal.signal(signal.SIGINT, _stop)
    return importlib.import_module(dag).dag.test(run_conf=dict(conf))


def _stop(*_: object) -> None:
    """The first Ctrl-C ends the running stage, and with it the run. Airflow would count an exception as a failed try."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stage = sys.modules["_process_stage"].ProcessStage.at_work
    if stage is None:
        raise KeyboardInterrupt
    stage.on_kill()


def _migrate() -> None:
    """Migrate Airflow's database if another version of Airflow wrote it."""
    import airflow  # noqa: PLC0415 - it logs on import

    done = HOME / "migrated_to"
    if (HOME / "airflow.db").exists() and done.exists() and done.read_text() == airflow.__version__:
        return
    from airflow.utils.db import upgradedb  # noqa: PLC0415 - as above

    upgradedb()
    done.write_text(airflow.__version__)


@contextmanager
def _everything_printed_goes_to(path: Path) -> Iterator[TextIO]:
    """Redirect file descriptors 1 and 2, so that the output of C libraries is included. Yields the former stderr."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(1), os.dup(2)
    with path.open("wb") as log, os.fdopen(os.dup(2), "w", errors="replace") as terminal:
        _redirect((log.fileno(), log.fileno()))
        try:
            yield terminal
        finally:
            _redirect(kept)
            for number in kept:
                os.close(number)


def _redirect(files: tuple[int, int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for number, file in zip((1, 2), files, strict=True):
        os.dup2(file, number)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
