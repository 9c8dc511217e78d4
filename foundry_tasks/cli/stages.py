"""`foundry <stage>`: one stage of a run, as Airflow starts it."""

import argparse
from functools import partial

from foundry_tasks.cli.command import Command
from foundry_tasks.cli.conf_options import add_conf, conf_of
from foundry_tasks.cli.wiring import run_context
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.stages import STAGES
from foundry_tasks.runtime import progress, runner


def _add_arguments(stage: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dag", default="foundry_train")
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--shard", default=None, help="shard of a mapped stage, such as h=5,model=lightgbm")
    add_conf(parser, (stage,))


def _run(stage: str, options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    identity = Identity(options.dag, options.run_id, stage, options.shard, options.as_of)
    result = runner.execute(identity, conf_of(options), run_context(settings))
    for warning in result.warnings:
        progress.say("warning", warning)
    progress.say(
        "reused" if result.reused_from else "done",
        stage=result.stage,
        seconds=result.elapsed_s["total"],
        start=result.elapsed_s["start"],
        warnings=len(result.warnings),
        digest=result.outputs_digest[:12],
    )
    return 0


def _does(stage: str) -> str:
    inputs = STAGES[stage].inputs
    return f"run the {stage} stage alone" + (f" (reads {', '.join(inputs)})" if inputs else "")


COMMANDS = tuple(Command(name, _does(name), partial(_add_arguments, name), partial(_run, name)) for name in STAGES)
