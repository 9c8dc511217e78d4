"""One stage's run: the result is written last, equal work is reused, and the run log always has its line."""

import json
import sys
import time
import types
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.adapters.stores import open_store
from foundry_tasks.contract import artifacts
from foundry_tasks.contract.artifacts import canonical_json, sha256_of
from foundry_tasks.contract.config import StageConfig
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import (
    ConfigError,
    DataRejectedError,
    MissingInputError,
    NothingToDo,
    TransientError,
)
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.ports import Expectations, Registry
from foundry_tasks.contract.stages import STAGES, StageSpec
from foundry_tasks.runtime import runner
from foundry_tasks.runtime.progress import PlainProgress

AS_OF = date(2026, 6, 30)
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


class ToyConfig(StageConfig):
    seed: int = 7
    top: int = 10


@pytest.fixture
def stages(monkeypatch):
    """Two small stages, `first`, and `second`, which reads it. `ran` records their runs."""
    ran = []

    def first(config, io):
        with io.step("work"):
            io.publish_file("number.json", canonical_json(config.top))
        io.outputs.metrics["number"] = config.top
        ran.append("first")

    def second(config, io):
        io.publish_file("double.json", canonical_json(2 * json.loads(io.path("first", "number.json").read_bytes())))
        io.warn("doubled")
        ran.append("second")

    def add(name, run, **keys):
        module = types.ModuleType(f"foundry_tasks.stages.{name}")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(STAGES, name, StageSpec(name, "do what a test asks", ToyConfig, **keys))
        return module

    add("first", first)
    add("second", second, inputs=("first",), mapped=True)
    return types.SimpleNamespace(ran=ran, add=add)


@pytest.fixture
def run(tmp_path):
    """run(stage, run_id, shard, **conf) → its result; run.store: the store."""
    store = LocalStore(tmp_path / "store")

    def execute(stage, run_id="r", shard=None, as_of=AS_OF, **conf):
        context = runner.RunContext(
            settings=Settings(store=store.uri, image_digest="sha256:abc"),
            store=store,
            expectations=cast(Expectations, None),
            registry=cast(Registry, None),
            progress=PlainProgress(),
            now=lambda: NOW,
            started=time.perf_counter(),
        )
        return runner.execute(Identity("my_dag", run_id, stage, shard, as_of), conf, context)

    execute.store = store
    return execute


def log_of(run, run_id="r"):
    found = run.store.read(artifacts.run_log_key("my_dag", run_id)) or b""
    return [json.loads(line) for line in found.splitlines()]


def result_at(run, stage, run_id="r", shard=None):
    return run.store.read(artifacts.result_key("my_dag", run_id, stage, shard))


# ------------------------------------------------------------------ the result
def test_a_result_says_what_it_was_made_of_and_by(stages, run):
    first = run("first", top=3)
    second = run("second")
    assert json.loads(result_at(run, "first")) == json.loads(first.model_dump_json())
    assert second.inputs == {"first": first.outputs_digest}
    assert first.outputs["number.json"].sha256 == artifacts.sha256_of(b"3")
    assert (first.config, first.seed, first.metrics) == ({"seed": 7, "top": 3}, 7, {"number": 3})
    assert (first.status, second.status, second.warnings) == ("ok", "warn", ["doubled"])
    assert first.code_version == runner.code_version()
    assert first.image_digest == "sha256:abc"
    assert set(first.elapsed_s) == {"start", "work", "total"}
    assert first.elapsed_s["total"] >= first.elapsed_s["work"]


def test_every_result_of_a_run_and_its_log_have_the_as_of_of_its_prices(stages, run):
    last_session = date(2022, 12, 28)

    def prices(config, io):
        io.outputs.as_of = last_session

    stages.add("prices", prices)
    stages.add("middle", lambda *_: None, inputs=("prices",))
    stages.add("last", lambda *_: None, inputs=("middle",))
    assert {run(stage).as_of for stage in ("prices", "middle", "last")} == {last_session}
    assert {line["date"] for line in log_of(run)} == {"2022-12-28"}


def test_shards_of_a_stage_lie_beside_each_other_and_are_inputs_of_their_own(stages, run):
    run("first")
    one, other = run("second", shard="h=1"), run("second", shard="h=5")
    stages.add("third", lambda *_: None, inputs=("second",))
    assert run("third").inputs == {"second/h=1": one.outputs_digest, "second/h=5": other.outputs_digest}


def test_a_stage_that_is_not_mapped_takes_no_shard(stages, run):
    with pytest.raises(ConfigError, match="stage first is not mapped: leave --shard h=5 out"):
        run("first", shard="h=5")
    assert result_at(run, "first", shard="h=5") is None


def test_the_workspace_is_gone_afterwards_also_where_the_stage_failed(stages, run):
    seen = []

    def fail(config, io):
        seen.append(io.outputs.workspace)
        io.publish_file("x", b"x")
        raise ZeroDivisionError("a bug")

    stages.add("failing", fail)
    with pytest.raises(ZeroDivisionError):
        run("failing")
    assert not seen[0].exists()


# ------------------------------------------------------------------ reuse
def test_equal_work_of_another_run_is_reused(stages, run):
    done = run("first")
    again = run("first", run_id="other")
    assert stages.ran == ["first"]
    assert again.reused_from == "r"
    assert (again.run_id, again.outputs_digest, again.metrics) == ("other", done.outputs_digest, done.metrics)
    assert json.loads(result_at(run, "first", "other"))["reused_from"] == "r"


def test_warnings_are_reused_with_the_work(stages, run):
    for run_id in ("r", "other"):
        run("first", run_id)
    run("second")
    assert run("second", "other").warnings == ["doubled"]
    assert stages.ran == ["first", "second"]


@pytest.mark.parametrize("what", ["config", "inputs", "code", "libraries", "shard"])
def test_other_config_inputs_code_libraries_or_shard_are_computed_anew(stages, run, monkeypatch, what):
    run("first")
    run("second")
    code, libraries = runner.code_version(), runner.library_versions("second")
    run("first", "other", **({"top": 4} if what == "inputs" else {}))
    if what == "code":
        monkeypatch.setattr(runner, "code_version", lambda: f"{code}-edited")
    if what == "libraries":
        monkeypatch.setattr(runner, "library_versions", lambda _: libraries | {"numpy": "1.0"})
    again = run("second", "other", "h=1" if what == "shard" else None, **({"seed": 8} if what == "config" else {}))
    assert again.reused_from is None
    assert stages.ran.count("second") == 2


def test_what_reads_the_outside_is_reused_only_while_its_fingerprint_holds(stages, run):
    outside = ["a"]
    module = stages.add("fetching", lambda *_: stages.ran.append("fetching"))
    module.fingerprint = lambda *_: outside[0]
    run("fetching")
    assert run("fetching", "2").reused_from == "r"
    outside[0] = "b"
    assert run("fetching", "3").reused_from is None
    outside[0] = None
    run("fetching", "4")
    assert run("fetching", "5").reused_from is None, "a live source is always asked"
    assert stages.ran == ["fetching"] * 4


def test_what_is_not_pure_is_never_reused(stages, run):
    stages.add("promoting", lambda *_: stages.ran.append("promoting"), pure=False)
    run("promoting")
    assert run("promoting", "other").reused_from is None
    assert stages.ran == ["promoting", "promoting"]


def test_work_whose_object_is_gone_is_done_again(stages, run):
    done = run("first")
    run.store.object_path(done.outputs["number.json"].sha256).unlink()
    again = run("first", "other")
    assert again.reused_from is None
    assert run.store.has_object(done.outputs["number.json"].sha256)


def test_a_damaged_note_of_earlier_work_is_not_trusted(stages, run):
    run("first")
    (note,) = run.store.keys("reuse/first/")
    run.store.write(note, run.store.read(note)[:50])
    assert run("first", "other").reused_from is None
    assert run("first", "third").reused_from == "other", "and mended by the way"


# ------------------------------------------------------------------ failures
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("wrong"), "error"),
        (DataRejectedError("rejected"), "error"),
        (TransientError("no answer"), "error"),
        (NothingToDo("closed"), "ok"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_foreseen_end_is_its_line_in_the_log_and_no_result(stages, run, error, status):
    def end(config, io):
        io.publish_file("half", b"half")
        raise error

    stages.add("ending", end)
    with pytest.raises(type(error)):
        run("ending")
    (line,) = log_of(run)
    assert (line["status"], line["warnings"]) == (status, [str(error)])
    assert result_at(run, "ending") is None
    assert list(run.store.keys("reuse/")) == []


def test_a_bug_is_logged_by_its_type(stages, run):
    stages.add("buggy", lambda *_: {}["absent"])
    with pytest.raises(KeyError):
        run("buggy")
    assert log_of(run)[0]["warnings"] == ["KeyError: 'absent'"]


def test_being_told_to_stop_is_logged(stages, run):
    def stop(config, io):
        raise SystemExit(143)

    stages.add("stopped", stop)
    with pytest.raises(SystemExit):
        run("stopped")
    assert log_of(run)[0]["warnings"] == ["stopped from outside (exit code 143)"]


def test_a_log_line_has_the_runs_facts(stages, run):
    run("first")
    with pytest.raises(MissingInputError):
        run("second", "elsewhere")
    (line,) = log_of(run)
    seconds = line.pop("stats")["elapsed_s"]
    assert seconds >= 0
    assert line == {
        "run_id": "r",
        "stage": "first",
        "shard": None,
        "status": "ok",
        "warnings": [],
        "date": "2026-06-30",
        "timestamp": "2026-07-01T12:00:00+00:00",
    }
    assert log_of(run, "elsewhere")[0]["status"] == "error"


def test_a_log_that_takes_no_line_does_not_hide_why_the_stage_failed(stages, run):
    def reject(config, io):
        raise DataRejectedError("rejected")

    stages.add("rejecting", reject)
    log = Path(run.store.locate(artifacts.run_log_key("my_dag", "r")))
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    with pytest.raises(DataRejectedError, match="rejected"):
        run("rejecting")
    with pytest.raises(TransientError, match="the store is full"):
        run("first")


def test_a_workspace_without_room_is_transient_and_says_where(stages, run):
    def fill(config, io):
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    stages.add("filling", fill)
    with pytest.raises(TransientError, match=r"no room left for the stage's workspace .* set TMPDIR"):
        run("filling")
    assert log_of(run)[0]["warnings"][0].startswith("no room left")


# ------------------------------------------------------------------ versions
def test_the_code_version_moves_with_the_sources(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(runner, "PACKAGE", tmp_path)
    versions = []
    for source in ("x = 1\n", "x = 2\n", "x = 1\n"):
        (tmp_path / "a.py").write_text(source)
        runner.code_version.cache_clear()
        versions.append(runner.code_version())
    runner.code_version.cache_clear()
    assert versions[0] == versions[2] != versions[1]


def test_the_code_version_is_of_the_whole_package():
    assert (runner.PACKAGE / "contract" / "config.py").is_file()


def test_a_stage_before_the_models_is_computed_anew_for_no_library_of_theirs():
    of_features, of_models = runner.library_versions("features"), runner.library_versions("models")
    assert of_models.items() > of_features.items()
    assert of_models.keys() - of_features.keys() == {"lightgbm"}


def test_a_store_that_is_neither_folder_nor_bucket_is_refused_rather_than_made_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(store="gs://bucket/prefix")
    with pytest.raises(ConfigError, match="FOUNDRY_STORE=gs://bucket/prefix"):
        open_store(settings)
    assert list(tmp_path.iterdir()) == []


def test_sources_are_a_release_only_with_the_hash_that_the_release_wrote(tmp_path):
    for name, marked, edited in (("none", False, False), ("release", True, False), ("edited", True, True)):
        package = tmp_path / name
        package.mkdir()
        (package / "a.py").write_text("a = 1\n")
        if marked:
            digest = sha256_of(b"a.pya = 1\n")[:12]
            (package / "RELEASE").write_text(f"{digest}\n")
        if edited:
            (package / "b.py").write_text("")
        assert runner.is_release(package) is (name == "release")
