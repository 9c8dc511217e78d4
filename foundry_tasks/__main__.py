"""`foundry <stage>`, `foundry run`, `foundry check`, `foundry ledger` and the others: parse, wire, run, exit code."""

import argparse
import getpass
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

_STARTED = time.perf_counter()
# Threads that wait must sleep, not spin: where cores are shared or capped, spinning made a fit six times slower, and
# small matrix products gain nothing from threads. Boosters take their threads from the config. The libraries read these
# when they are loaded, so they come first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# One kernel on every x86: else a product's last bit, and with it a digest, would depend on the year of the CPU.
os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
# Pydantic would look through every installed package for plugins, of which there are none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from foundry_tasks.runtime.import_clock import ImportClock  # noqa: E402 - it times the imports that follow

_IMPORTS = ImportClock()
_IMPORTS.start()

from foundry_tasks.adapters.stores import open_store  # noqa: E402
from foundry_tasks.contract.errors import ConfigError, DataRejectedError, FoundryError, NothingToDo  # noqa: E402
from foundry_tasks.contract.identity import Identity, last_completed_session  # noqa: E402
from foundry_tasks.contract.market import given_conf  # noqa: E402
from foundry_tasks.contract.ports import Registry  # noqa: E402
from foundry_tasks.contract.settings import REPOSITORY, Settings  # noqa: E402
from foundry_tasks.contract.stages import MARKET_STAGES, PIPELINES, STAGES, conf_fields  # noqa: E402
from foundry_tasks.contract.typed import conf_of_environment, conf_of_settings  # noqa: E402
from foundry_tasks.runtime import pipeline, runner, terminal  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit code; a foreseen failure is one line on stderr."""
    signal.signal(signal.SIGTERM, _terminated)
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except pipeline.StageFailedError as error:
        sys.stderr.write(f"foundry: {error}\n")
        return error.code
    except NothingToDo as reason:
        sys.stderr.write(f"nothing to do: {reason}\n")
        return reason.exit_code
    except FoundryError as error:
        sys.stderr.write(f"foundry: {error}\n")
        return error.exit_code
    return code


def run() -> NoReturn:
    """Run the command that was typed, and end at once: unloading the libraries would take up to a second more, a stage."""
    try:
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # whoever reads, such as `head`, has read enough
        code = 128 + signal.SIGPIPE
    os._exit(code)


def _terminated(*_: object) -> NoReturn:
    """Leave through the with-blocks, so that the run log has its line and the workspace is gone."""
    raise SystemExit(128 + signal.SIGTERM)


# ---------------------------------------------------------------- commands
def _stage(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    identity = Identity(options.dag, options.run_id, options.stage, options.shard, options.as_of)
    result = runner.execute(identity, _conf(options), _run_context(settings))
    for warning in result.warnings:
        terminal.say("warning", warning)
    terminal.say(
        "reused" if result.reused_from else "done",
        stage=result.stage,
        seconds=result.elapsed_s["total"],
        start=result.elapsed_s["start"],
        warnings=len(result.warnings),
        digest=result.outputs_digest[:12],
    )
    return 0


def _run(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    conf = given_conf(_conf(options), settings.markets)
    dag = f"foundry_{options.pipeline}"
    run_id = options.run_id or f"manual__{datetime.now(UTC).isoformat(timespec='seconds')}"
    identity = ["--dag", dag, "--run-id", run_id, "--as-of", options.as_of.isoformat(), "--config", json.dumps(conf)]
    view = terminal.RunView()
    view.note(f"{dag}, run {run_id}")
    try:
        pipeline.run_pipeline(dag, identity, view)
    finally:
        view.close()
    return _print_summary(settings, dag, run_id)


def _check(options: argparse.Namespace) -> int:
    """What the prices stage says of a file; nothing but the page is written."""
    from foundry_tasks.cli.check import check_prices, write_page  # noqa: PLC0415 - only who checks a file loads it
    from foundry_tasks.report.price_check import as_text  # noqa: PLC0415 - as above

    if options.page.suffix.lower() not in {".html", ".htm"}:
        raise ConfigError(f"--page {options.page}: the page is HTML. Give a name that ends with .html.")
    settings = Settings.from_environment()
    found = check_prices(
        options.prices,
        _conf(options),
        options.as_of,
        lambda folder: _run_context(settings.model_copy(update={"store": folder})),
    )
    sys.stdout.write(as_text(found))
    try:
        sys.stdout.write(f"\npage: {write_page(found, options.page)}\n")
    except ConfigError as error:
        if found.refusal:
            raise DataRejectedError(f"{found.refusal} {error}") from error
        raise
    if found.refusal:
        raise DataRejectedError(found.refusal)
    return 0


def _conf_command(options: argparse.Namespace) -> int:
    conf = given_conf(_conf(options), Settings.from_environment().markets)
    sys.stdout.write(json.dumps(conf) + "\n")
    return 0


def _summary(options: argparse.Namespace) -> int:
    if options.open:
        return _open_report(options)
    return _print_summary(Settings.from_environment(), options.dag, options.run_id)


def _print_summary(settings: Settings, dag: str, run_id: str | None) -> int:
    from foundry_tasks.report.summary import render  # noqa: PLC0415 - only who reads a report loads it

    sys.stdout.write(render(open_store(settings), dag, run_id))
    return 0


def _open_report(options: argparse.Namespace) -> int:
    """Say where the page is, and open it where there is a screen."""
    import webbrowser  # noqa: PLC0415 - only who opens a page loads it

    from foundry_tasks.report.summary import page_of  # noqa: PLC0415 - as above

    page = page_of(open_store(Settings.from_environment()), options.dag, options.run_id)
    address = page if "://" in page else Path(page).resolve().as_uri()
    sys.stdout.write(f"{address}\n")
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)
    else:
        sys.stderr.write("there is no screen to open it on: open the address in a browser, or copy the file\n")
    return 0


def _ledger(options: argparse.Namespace) -> int:
    """`show` prints records, `verify` proves the chain, `repair` makes the registry follow it; what is left exits with 1."""
    from foundry_tasks.ledger import decisions  # noqa: PLC0415

    settings = Settings.from_environment()
    store = open_store(settings)
    if options.action == "show":
        return _print_rows(decisions.show(store, options.model))
    if options.action == "repair":
        repaired = decisions.repair(store, _registry(settings), options.model)
        sys.stdout.writelines(f"{line}\n" for line in repaired.lines or ["nothing to repair"])
        return 0 if repaired.whole else 1
    findings = decisions.verify(store, _registry(settings), options.model)
    sys.stdout.writelines(f"{line}\n" for line in findings or ["the ledger verifies"])
    return 1 if findings else 0


def _trials(options: argparse.Namespace) -> int:
    from foundry_tasks.inputs import trials  # noqa: PLC0415

    rows = trials.show(open_store(Settings.from_environment()), options.market)
    return _print_rows(row.model_dump() for row in rows)


def _print_rows(rows: Iterable[Mapping[str, Any]]) -> int:
    """One line of JSON a row."""
    sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return 0


def _gc(options: argparse.Namespace) -> int:
    """What may be forgotten, and with `--dry-run` no more than that."""
    from foundry_tasks.store import retention  # noqa: PLC0415

    store = open_store(Settings.from_environment())
    going = retention.plan(store, keep=timedelta(days=options.keep_days), now=datetime.now(UTC))
    for one in (*going.documents, *going.objects):
        sys.stdout.write(f"{one.key} {one.size_bytes}\n")
    if not options.dry_run:
        retention.collect(store, going)
    terminal.say(
        "would delete" if options.dry_run else "deleted",
        documents=len(going.documents),
        objects=len(going.objects),
        megabytes=round(going.size_bytes / 1e6, 1),
        kept_runs=going.kept_runs,
    )
    return 0


def _verify(_: argparse.Namespace) -> int:
    """Read the store through; what is damaged is listed and exits with 1."""
    from foundry_tasks.store import integrity  # noqa: PLC0415

    found = integrity.survey(open_store(Settings.from_environment()))
    sys.stdout.writelines(f"{line}\n" for line in found.damaged)
    sys.stdout.writelines(f"{key} is named by a result, and gone\n" for key in found.gone)
    terminal.say(
        "verified", objects=found.objects, documents=found.documents, damaged=len(found.damaged), gone=len(found.gone)
    )
    return 1 if found.damaged else 0


def _move_champion(options: argparse.Namespace) -> int:
    """`rollback` and `approve`: a human's decision, into the ledger with who and why."""
    from foundry_tasks.ledger import decisions  # noqa: PLC0415

    settings = Settings.from_environment()
    decision = {"who": options.who, "why": options.why, "when": datetime.now(UTC)}
    store, registry = open_store(settings), _registry(settings)
    if options.decision == "rollback":
        record = decisions.rollback(store, registry, options.model, to_version=options.to, **decision)
    else:
        record = decisions.approve(store, registry, options.model, options.version, **decision)
    sys.stdout.write(
        f"{record.model}: champion was {record.from_version or 'none'}, is version {record.to_version} "
        f"(ledger record {record.sequence})\n"
    )
    return 0


# ---------------------------------------------------------------- wiring
def _registry(settings: Settings) -> Registry:
    from foundry_tasks.adapters.registry_mlflow import MlflowRegistry  # noqa: PLC0415 - MLflow is slow to import

    return MlflowRegistry(
        settings.mlflow_uri,
        settings.mlflow_artifacts,
        username=settings.secret("mlflow_username"),
        password=settings.secret("mlflow_password"),
    )


def _run_context(settings: Settings) -> runner.RunContext:
    from foundry_tasks.adapters.expectations_gx import GreatExpectations  # noqa: PLC0415

    return runner.RunContext(
        settings=settings,
        store=open_store(settings),
        expectations=GreatExpectations(Path(settings.expectations)),
        registry=_registry(settings),
        progress=terminal.progress(),
        now=lambda: datetime.now(UTC),
        started=_STARTED,
        imports=_IMPORTS,
    )


def _conf(options: argparse.Namespace) -> dict[str, Any]:
    """What `--config` says, and over it what is typed."""
    typed = conf_of_environment(os.environ, cwd=Path.cwd()) if options.from_make else conf_of_settings(options.set)
    return {**_document(options.config), **typed}


def _document(text: str) -> Mapping[str, Any]:
    """A conf as JSON, or the file that holds it."""
    source = text
    if not text.lstrip().startswith("{"):
        try:
            source = Path(text.removeprefix("file://")).read_text()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ConfigError(f"--config {text} cannot be read: {reason}. Give JSON or a file of it.") from error
    try:
        document = json.loads(source, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--config is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise ConfigError(f"--config must be a JSON object of key: value, got {type(document).__name__}.")
    return document


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ConfigError(f"--config gives {twice[0]} twice. Leave one out.")
    return dict(pairs)


# ---------------------------------------------------------------- command line
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="foundry", description="A factory for stock-direction models.")
    commands = parser.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="run a pipeline, stage by stage, without Airflow")
    run.add_argument(
        "pipeline", choices=[name.removeprefix("foundry_") for name, stages in PIPELINES.items() if "prices" in stages]
    )
    run.add_argument("--run-id", help="name of the run; default: now")
    _add_conf(run, MARKET_STAGES)
    run.set_defaults(command=_run)

    backtest = commands.add_parser("backtest", help="what the forecasts would have earned; the same as `run backtest`")
    backtest.add_argument("--run-id", help="name of the run; default: now")
    _add_conf(backtest, PIPELINES["foundry_backtest"])
    backtest.set_defaults(command=_run, pipeline="backtest")

    _add_check(commands)

    conf = commands.add_parser("conf", help="check a conf and print it as JSON, as a trigger takes it")
    _add_conf(conf, MARKET_STAGES)
    conf.set_defaults(command=_conf_command)

    summary = commands.add_parser("summary", help="print a run's summary again")
    summary.add_argument("--dag", default="foundry_train")
    summary.add_argument("--run-id", help="default: the newest run that has a report")
    summary.add_argument("--open", action="store_true", help="open the page of the report in a browser instead")
    summary.set_defaults(command=_summary)

    ledger = commands.add_parser("ledger", help="show, verify or repair the ledger of promotions")
    ledger.add_argument("action", choices=["show", "verify", "repair"])
    ledger.add_argument("model", nargs="?", help="such as foundry-us-5d; default: all")
    ledger.set_defaults(command=_ledger)

    trials = commands.add_parser("trials", help="list every configuration that was ever evaluated on a market")
    trials.add_argument("market", nargs="?", help="such as us; default: all")
    trials.set_defaults(command=_trials)

    gc = commands.add_parser(
        "gc", help="delete old runs and what nothing names any more, never what the ledger refers to"
    )
    gc.add_argument("--keep-days", type=int, default=90, help="runs younger than this stay; default: 90")
    gc.add_argument("--dry-run", action="store_true", help="only list what would go")
    gc.set_defaults(command=_gc)

    verify = commands.add_parser("verify", help="read the store through: is everything in it whole?")
    verify.set_defaults(command=_verify)

    for decision, what in (
        ("rollback", "make an earlier champion champion again"),
        ("approve", "promote a challenger"),
    ):
        move = commands.add_parser(decision, help=what)
        move.add_argument("model", help="such as foundry-us-5d")
        if decision == "rollback":
            move.add_argument("--to", type=int, help="version; default: the champion before")
        else:
            move.add_argument("version", type=int)
        move.add_argument("--who", default=getpass.getuser(), help="goes into the ledger; default: the user")
        move.add_argument("--why", required=True, help="goes into the ledger")
        move.set_defaults(command=_move_champion, decision=decision)

    for name, spec in STAGES.items():
        needs = f" (reads {', '.join(spec.inputs)})" if spec.inputs else ""
        stage = commands.add_parser(
            name,
            help=f"run the {name} stage alone{needs}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        stage.add_argument("--dag", default="foundry_train")
        stage.add_argument("--run-id", required=True)
        stage.add_argument("--shard", default=None, help="shard of a mapped stage, such as h=5,model=lightgbm")
        _add_conf(stage, (name,))
        stage.set_defaults(command=_stage, stage=name)
    return parser


def _add_check(commands: Any) -> None:
    check = commands.add_parser("check", help="say how a price file is read and judged, and run nothing")
    check.add_argument("prices", metavar="PRICES", help="a file, a folder or an s3:// URI of daily prices")
    check.add_argument(
        "--page",
        type=Path,
        default=REPOSITORY / ".foundry" / "check.html",
        help="where the page goes; default: %(default)s",
    )
    _add_conf(check, ("prices",))
    check.set_defaults(command=_check)


def _add_conf(command: argparse.ArgumentParser, stages: Sequence[str]) -> None:
    yesterday = last_completed_session(datetime.now(UTC))
    command.add_argument("--as-of", type=date.fromisoformat, default=yesterday, help="last completed session")
    command.add_argument("--config", default="{}", help="conf as JSON, or a file of it")
    typed = command.add_mutually_exclusive_group()
    typed.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one key of the conf")
    typed.add_argument(
        "--from-make", action="store_true", help="take the variables of `make demo` from the environment"
    )
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [
        f"  {name}={json.dumps(field.get_default(call_default_factory=True), default=str)}"
        for name, field in conf_fields(stages).items()
    ]
    command.epilog = "keys of the conf and their defaults:\n" + "\n".join(lines)


if __name__ == "__main__":
    run()
