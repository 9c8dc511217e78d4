"""`foundry run` and `foundry backtest`: the stages of a DAG one after another, without Airflow."""

import argparse
import json
from datetime import UTC, datetime
from functools import partial

from foundry_tasks.cli.command import Command
from foundry_tasks.cli.conf_options import add_conf, conf_of
from foundry_tasks.cli.summary import print_summary
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.market import given_conf
from foundry_tasks.contract.stages import MARKET_STAGES, PIPELINES
from foundry_tasks.runtime import pipeline, progress


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pipeline", choices=[name.removeprefix("foundry_") for name, stages in PIPELINES.items() if "prices" in stages]
    )
    _add_run(parser, MARKET_STAGES)


def _add_run(parser: argparse.ArgumentParser, stages: tuple[str, ...]) -> None:
    parser.add_argument("--run-id", help="name of the run; default: now")
    add_conf(parser, stages)


def _run(options: argparse.Namespace) -> int:
    return _run_pipeline(options.pipeline, options)


def _run_pipeline(name: str, options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    conf = given_conf(conf_of(options), settings.markets)
    dag = f"foundry_{name}"
    run_id = options.run_id or f"manual__{datetime.now(UTC).isoformat(timespec='seconds')}"
    identity = ["--dag", dag, "--run-id", run_id, "--as-of", options.as_of.isoformat(), "--config", json.dumps(conf)]
    view = progress.RunView()
    view.note(f"{dag}, run {run_id}")
    try:
        pipeline.run_pipeline(dag, identity, view)
    finally:
        view.close()
    print_summary(settings, dag, run_id)
    return 0


COMMANDS = (
    Command("run", "run a pipeline, stage by stage, without Airflow", _add_arguments, _run),
    Command(
        "backtest",
        "what the forecasts would have earned; the same as `run backtest`",
        partial(_add_run, stages=PIPELINES["foundry_backtest"]),
        partial(_run_pipeline, "backtest"),
    ),
)
