"""A DAG on this machine, from start to end in one process, shown line by line: what `make demo` runs. No DAG file.

    python dags/_laptop.py foundry_train

What Airflow itself logs goes to a file beside its other logs.
"""

import importlib
import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, TextIO

HOME = Path(os.environ["AIRFLOW_HOME"])
LOG = HOME / "logs" / "laptop.log"


def main(dag: str) -> int:
    """Run a DAG with the conf that the environment holds, then print its summary; the exit code says how it ended."""
    from foundry_tasks.adapters.stores import open_store
    from foundry_tasks.contract.errors import FoundryError
    from foundry_tasks.contract.market import with_market
    from foundry_tasks.contract.settings import Settings
    from foundry_tasks.report.summary import render
    from foundry_tasks.terminal import RunView

    try:
        settings = Settings.from_environment()
        conf = with_market(_conf(), settings.markets)
    except FoundryError as error:
        sys.stderr.write(f"foundry: {error}\n")
        return error.exit_code
    with _airflow_logs_to(LOG) as terminal:
        view = RunView(terminal)
        try:
            view.doing("airflow", "start, and read the DAGs")
            run_id, ended_well = _run(dag, conf, view)
        except KeyboardInterrupt:
            view.note("stopped; the same command goes on from the stages that are done")
            return 130
        except Exception as error:
            view.failed(f"{type(error).__name__}: {error}")
            raise
        finally:
            view.close()
        if not ended_well:
            view.note(f"the run failed; everything that was printed is in {LOG}")
            return 1
    sys.stdout.write(render(open_store(settings), dag, run_id))
    return 0


def _run(dag: str, conf: Mapping[str, Any], view: Any) -> tuple[str, bool]:
    """Run id, and whether every stage did its work."""
    _migrate()
    sys.path[:0] = [os.environ["AIRFLOW__CORE__DAGS_FOLDER"], os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"]]
    module = importlib.import_module(dag)
    importlib.import_module("_process_stage").ProcessStage.watcher = view
    run = module.dag.test(run_conf=dict(conf))
    return run.run_id, run.state == "success"


def _migrate() -> None:
    """Bring Airflow's database to the version of Airflow, where it is not."""
    import airflow

    done, database = HOME / "migrated_to", HOME / "airflow.db"
    if database.exists() and done.exists() and done.read_text() == airflow.__version__:
        return
    from airflow.utils.db import upgradedb

    upgradedb()
    done.write_text(airflow.__version__)


@contextmanager
def _airflow_logs_to(path: Path) -> Iterator[TextIO]:
    """What this process prints goes to a file, whichever library prints it; gives the stderr that there was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with path.open("wb") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
    try:
        with os.fdopen(os.dup(kept[1]), "w", errors="replace") as terminal:
            yield terminal
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, file in zip((1, 2), kept, strict=True):
            os.dup2(file, number)
            os.close(file)


def _conf() -> dict[str, Any]:
    import json

    return json.loads(os.environ.get("CONF", "{}"))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
