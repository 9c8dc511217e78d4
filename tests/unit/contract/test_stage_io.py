"""StageIO: a stage reads results of its run only; published files are named by content."""

import json
from datetime import UTC, date, datetime
from typing import cast

import pandas as pd
import pytest

from foundry_tasks.adapters.expectations_gx import GreatExpectations
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract import artifacts
from foundry_tasks.contract.errors import DataRejectedError, MissingInputError
from foundry_tasks.contract.identity import Identity, last_completed_session
from foundry_tasks.contract.ports import Registry
from foundry_tasks.contract.results import StageResult
from foundry_tasks.contract.stage_io import Code, Environment, StageIO
from foundry_tasks.runtime.progress import PlainProgress

AS_OF = date(2026, 6, 30)


def suite(severity):
    expectation = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "p", "max_value": 1},
        "severity": severity,
        "meta": {"notes": "values above one"},
    }
    return {"name": severity, "expectations": [expectation]}


@pytest.fixture
def door(tmp_path):
    """door(stage) → its StageIO in run `r`."""
    (tmp_path / "suites").mkdir()
    for severity in ("critical", "warning"):
        (tmp_path / "suites" / f"{severity}.json").write_text(json.dumps(suite(severity)))

    def make(stage="features", shard=None):
        workspace = tmp_path / "workspace" / stage
        workspace.mkdir(parents=True)
        environment = Environment(
            store=LocalStore(tmp_path / "store"),
            expectations=GreatExpectations(tmp_path / "suites"),
            registry=cast(Registry, None),
            code=Code("test"),
            now=lambda: datetime(2026, 7, 1, tzinfo=UTC),
        )
        identity = Identity("foundry_train", "r", stage, shard, AS_OF)
        return StageIO.of(identity, environment, workspace, PlainProgress())

    return make


def published(io, as_of=AS_OF):
    """The result that the runner writes after a stage."""
    identity = io.identity
    result = StageResult(
        dag=identity.dag, run_id=identity.run_id, stage=identity.stage, shard=identity.shard, as_of=as_of, status="ok",
        inputs={}, outputs=io.outputs.artifacts, outputs_digest="", metrics={}, warnings=[], config={}, config_digest="",
        code_version="test", image_digest="", seed=None, elapsed_s={},
    )  # fmt: skip
    key = artifacts.result_key(identity.dag, identity.run_id, identity.stage, identity.shard)
    io.store.write(key, result.model_dump_json().encode())
    return key


def test_what_one_stage_publishes_the_next_one_reads(door):
    prices = door("prices")
    prices.publish_file("about.json", b'{"tickers":2}')
    prices.publish_file("prices.bin", b"\x00\x01")
    published(prices)
    features = door("features")
    assert features.path("prices", "about.json").read_bytes() == b'{"tickers":2}'
    assert features.path("prices", "prices.bin").read_bytes() == b"\x00\x01"


def test_equal_content_is_one_object_and_its_name_is_its_sha256(door):
    io = door()
    first, second = io.publish_file("a.bin", b"same"), io.publish_file("b.bin", b"same")
    assert first == second
    assert first.sha256 == artifacts.sha256_of(b"same")
    assert list(io.store.keys("objects/")) == [artifacts.object_key(first.sha256)]


def test_a_stage_that_has_not_run_is_named_with_the_command_that_runs_it(door):
    with pytest.raises(MissingInputError) as error:
        door("models").path("features", "features.parquet")
    assert "stage 'features' has published nothing in run 'r'" in str(error.value)
    assert str(error.value).endswith("foundry features --dag foundry_train --run-id r.")


def test_a_mapped_stage_that_has_not_run_is_named_too(door):
    with pytest.raises(MissingInputError, match="stage 'models' has published nothing"):
        door("ensemble").inputs.any_result("models")


def test_a_damaged_result_is_a_missing_one_with_its_path(door):
    prices = door("prices")
    key = published(prices)
    prices.store.write(key, prices.store.read(key)[:40])
    with pytest.raises(MissingInputError, match=r"is damaged .*result\.json.* Run it again: foundry prices"):
        door("features").inputs.result("prices")


def test_an_artifact_that_was_never_published_is_named_beside_those_that_were(door):
    prices = door("prices")
    prices.publish_file("about.json", b"{}")
    published(prices)
    with pytest.raises(MissingInputError, match=r"published no 'prices.parquet', only \['about.json'\]"):
        door("features").path("prices", "prices.parquet")


def test_shards_are_found_sorted_and_belong_to_their_stage_alone(door, tmp_path):
    for stage, shard in (("models", "h=5"), ("models", "h=1")):
        io = door(stage, shard)
        published(io)
        io.outputs.clear()
    published(door("labels"))
    reader = door("ensemble").inputs
    assert [result.shard for result in reader.shards("models")] == ["h=1", "h=5"]
    assert reader.any_result("models").shard == "h=1"
    assert reader.shards("features") == []


def test_as_of_is_what_the_prices_stage_made_of_it(door):
    published(door("prices"), as_of=date(2026, 6, 26))
    assert door("features").inputs.as_of == date(2026, 6, 26)
    assert door("labels").inputs.as_of == date(2026, 6, 26)


def test_a_warning_expectation_warns_and_lays_its_page_out(door):
    io = door()
    verdict = io.outputs.guard("warning", pd.DataFrame({"p": [0.5, 2.0], "ticker": ["AAA", "BBB"]}), {})
    assert verdict.passed
    assert io.outputs.warnings == ["warning: values above one (1 of 2: BBB)"]
    assert list(io.store.keys("pages/")) == [artifacts.page_key("foundry_train", "r", "data_docs/warning/index.html")]
    assert "expectations" in io.steps.elapsed_s


def test_a_critical_expectation_rejects_into_quarantine_before_anything_is_published(door):
    io = door()
    with pytest.raises(DataRejectedError) as error:
        io.outputs.guard("critical", pd.DataFrame({"p": [0.5, 2.0], "ticker": ["AAA", "BBB"]}), {})
    told = str(error.value)
    assert told.startswith("critical rejected: values above one (1 of 2: BBB). More: ")
    assert "\n" not in told
    (kept,) = io.store.keys("quarantine/")
    assert io.store.locate(kept) in told
    assert json.loads(io.store.read(kept))[0]["examples"][0]["ticker"] == "BBB"
    assert not io.outputs.artifacts


def test_steps_of_one_name_add_up_also_where_they_fail(door):
    io = door()
    with io.step("read"):
        pass
    before = io.steps.elapsed_s["read"]
    with pytest.raises(ZeroDivisionError), io.step("read"):
        _ = 1 / 0
    assert io.steps.elapsed_s["read"] > before


def test_a_cleared_workspace_is_gone(door):
    io = door()
    io.publish_file("a.bin", b"x")
    io.outputs.clear()
    assert not io.outputs.workspace.exists()


def test_the_day_before_is_the_last_that_can_be_complete():
    assert last_completed_session(datetime(2026, 3, 1, 12, tzinfo=UTC)) == date(2026, 2, 28)
