"""promote on a real MLflow and a real store: verdicts, retries, kills, races."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from foundry_tasks.adapters.registry_mlflow import MlflowRegistry
from foundry_tasks.contract.artifacts import result_key
from foundry_tasks.contract.config import PromoteConfig
from foundry_tasks.contract.errors import MissingInputError, NothingToDo, TransientError
from foundry_tasks.ledger import decisions as governance
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.stages import promote
from tests.promotion_world import DAG, MODEL, NOON, World

pytestmark = [
    pytest.mark.slow(30),
    # of MLflow
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    MlflowRegistry(f"sqlite:///{folder}/mlflow.db", str(folder)).alias(MODEL, "champion")
    return folder / "mlflow.db"


@pytest.fixture
def world(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return World(tmp_path)


# ------------------------------------------------------------------ verdicts
def test_a_model_that_passed_is_champion_and_its_record_says_on_what_evidence(world):
    outcome = world.promote("first")
    assert (outcome["event"], outcome["version"]) == ("promoted", 1)
    assert (outcome["champion_before"], outcome["champion_after"]) == (None, 1)
    assert outcome["uri"] == f"models:/{MODEL}/1"
    assert world.events() == [("registered", 1), ("promoted", 1)]
    record = world.ledger.state(MODEL).records[-1]
    assert (record.who, record.when) == (f"run {DAG}/first", NOON)
    assert (record.gates["auc"].value, record.gates["auc"].threshold) == (0.53, "≥ 0.52")
    assert (record.digests.run, record.digests.code_version) == (f"{DAG}/first", "0.1.0+test")
    assert record.digests.features.startswith("features")
    world.assert_whole(champion=1)


def test_a_better_model_takes_over(world):
    world.promote("first")
    outcome = world.promote("second", champion=1)
    assert (outcome["champion_before"], outcome["champion_after"]) == (1, 2)
    world.assert_whole(champion=2)


def test_a_near_miss_is_challenger_and_waits_for_a_human(world):
    world.promote("first")
    assert world.promote("near", verdict="challenger", champion=1)["event"] == "challenger"
    assert world.alias("challenger") == 2
    world.assert_whole(champion=1)
    governance.approve(world.store, world.registry, MODEL, 2, SignOff("ann", "seen by the committee", NOON))
    world.assert_whole(champion=2)


@pytest.mark.parametrize(
    ("arguments", "event", "why"),
    [
        ({"verdict": "refused"}, "refused", "gates refused: auc"),
        ({"verdict": "passed", "accepted": False}, "refused", "refit refused: rank correlation 0.31 below 0.80"),
        ({"verdict": "challenger", "accepted": False}, "refused", "refit refused: rank correlation 0.31 below 0.80"),
        ({"verdict": "skipped"}, "skipped", "gates skipped on request"),
    ],
)
def test_a_model_that_is_kept_out_is_registered_without_an_alias(world, arguments, event, why):
    outcome = world.promote("first", **arguments)
    assert (outcome["event"], outcome["why"]) == (event, why)
    assert (world.versions(), world.alias(), world.alias("challenger")) == ([1], None, None)
    world.assert_whole(champion=None)


def test_a_model_judged_against_another_champion_is_kept_out_and_told_to_run_the_gates_again(world):
    world.promote("first")
    outcome = world.promote("late", champion=None)
    assert outcome["event"] == "refused"
    assert outcome["warnings"][0].endswith("judged against champion none, but champion is now 1; run the gates again")
    world.assert_whole(champion=1)


def test_validate_only_registers_nothing(world):
    world.prepare("first", validate_only=True)
    (world.store.root / result_key(DAG, "first", "refit", None)).unlink()  # refit publishes nothing then either
    with pytest.raises(NothingToDo, match="validate_only"):
        promote.run(PromoteConfig(), world.io("first"))
    assert (world.versions(), list(world.store.keys("ledger/foundry-"))) == ([], [])


def test_each_horizon_is_a_model_of_its_own(world):
    world.prepare("first", horizons=(1, 5, 20))
    io = world.io("first")
    promote.run(PromoteConfig(reason="weekly"), io)
    told = {"model": "foundry-us-20d", "event": "promoted", "version": 1, "champion_after": 1, "record": 2}
    assert io.outputs.metrics["20d"] == told
    assert world.ledger.models() == ("foundry-us-1d", "foundry-us-20d", "foundry-us-5d")
    assert world.ledger.state("foundry-us-20d").records[-1].why == "every gate passed: weekly"
    world.assert_whole(champion=1)


def test_a_run_without_gates_is_told_which_stage_to_run(world):
    with pytest.raises(MissingInputError, match="stage 'gates' has published nothing"):
        promote.run(PromoteConfig(), world.io("nothing"))


# ------------------------------------------------------------------ repeated
def test_a_promote_that_is_repeated_says_the_same_and_writes_nothing_more(world):
    outcome = world.promote("first")
    assert world.repeat("first") == outcome
    assert world.events() == [("registered", 1), ("promoted", 1)]
    assert world.versions() == [1]


def test_a_promote_that_is_repeated_after_a_rollback_does_not_undo_it(world):
    world.promote("first")
    world.promote("second", champion=1)
    governance.rollback(world.store, world.registry, MODEL, SignOff("ann", "it lost money", NOON))
    outcome = world.repeat("second")
    assert (outcome["event"], outcome["champion_after"]) == ("promoted", 1)
    assert "has been replaced by version 1 since" in outcome["warnings"][0]
    world.assert_whole(champion=1)


@pytest.mark.parametrize("die", ["uploading", "registering", "registered", "promoted", "aliasing"])
def test_a_promote_killed_anywhere_and_repeated_leaves_one_version_one_promotion_one_champion(world, die):
    world.prepare("first")
    process = world.promote_in_a_process("first", die)
    assert process.communicate(timeout=180) == ("", "")
    assert process.returncode == -9
    outcome = world.repeat("first")
    assert (outcome["event"], outcome["champion_after"]) == ("promoted", 1)
    assert world.versions() == [1]
    assert world.events() == [("registered", 1), ("promoted", 1)]
    world.assert_whole(champion=1)


def test_what_a_kill_between_append_and_alias_left_is_mended_by_repair(world):
    world.prepare("first")
    world.promote_in_a_process("first", "promoted").communicate(timeout=180)
    assert governance.verify(world.store, world.registry) != []
    assert governance.repair(world.store, world.registry).lines[-1] == f"{MODEL}: champion was no version, is version 1"
    world.assert_whole(champion=1)


# ------------------------------------------------------------------ at once
def test_of_many_promotions_at_once_one_is_champion_and_the_others_run_their_gates_again(world):
    runs = [f"run {number}" for number in range(4)]
    for run in runs:
        world.prepare(run)
    with ThreadPoolExecutor(4) as pool:
        events = [outcome["event"] for outcome in pool.map(world.repeat, runs)]
    assert sorted(events) == ["promoted", "refused", "refused", "refused"]
    promoted = [version for event, version in world.events() if event == "promoted"]
    assert len(promoted) == 1
    world.assert_whole(champion=promoted[0])


def test_promotions_and_rollbacks_at_once_leave_one_champion_and_a_ledger_that_verifies(world):
    world.promote("first")
    world.promote("second", champion=1)
    world.prepare("third", champion=2)

    def back(_):
        registry = MlflowRegistry(world.uri, "")
        governance.rollback(world.store, registry, MODEL, SignOff("ann", "panic", NOON), to_version=1)

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(world.repeat, "third"), *(pool.submit(back, number) for number in range(3))]
    assert [error for error in (done.exception() for done in waiting) if error] == []
    assert world.events().count(("rolled_back", 1)) == 1
    world.assert_whole(champion=1)


def test_of_two_promotions_in_two_processes_at_once_on_a_database_yet_to_be_made_one_is_champion(tmp_path):
    world = World(tmp_path)
    for run in ("one", "two"):
        world.prepare(run)
    processes = [world.promote_in_a_process(run) for run in ("one", "two")]
    outputs = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(output for output, _ in outputs) == ["promoted\n", "refused\n"]
    world.assert_whole(champion=world.alias())
    assert world.alias() in {1, 2}


# ------------------------------------------------------------------ MLflow away
def test_without_mlflow_promote_says_so_in_one_line_and_soon_and_writes_nothing(tmp_path):
    World(tmp_path).prepare("first")
    world = World(tmp_path, "http://127.0.0.1:9")
    started = time.perf_counter()
    with pytest.raises(TransientError, match=r"^MLflow at http://127.0.0.1:9 does not answer: [^\n]+$"):
        world.repeat("first")
    assert time.perf_counter() - started < 90, "MLflow's own patience is four minutes"
    assert list(world.store.keys("ledger/foundry-")) == []


def test_the_exit_code_without_mlflow_asks_for_a_retry(tmp_path):
    World(tmp_path).prepare("first")
    world = World(tmp_path, "http://127.0.0.1:9")
    process = world.promote_in_a_process("first")
    output, errors = process.communicate(timeout=180)
    assert (process.returncode, output) == (TransientError.exit_code, "")
    assert len(errors.splitlines()) == 1
