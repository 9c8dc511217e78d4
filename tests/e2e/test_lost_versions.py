"""MLflow has lost versions of the ledger: verify reports it, repair restores them; other commands work or end in one line."""

import json
import shutil
from pathlib import Path

import pytest

from foundry_tasks import __main__ as command
from foundry_tasks.adapters.registry_mlflow import EXPERIMENT, MlflowRegistry
from foundry_tasks.contract.artifacts import object_key, result_key, sha256_of
from foundry_tasks.contract.config import PromoteConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.ledger import decisions as governance
from foundry_tasks.ledger.chain import WITNESS, Ledger
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.stages import predict, promote
from tests.promotion_world import DAG, MODEL, NOON, World

pytestmark = [
    pytest.mark.slow(60),
    # of MLflow
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]

RUNS = ("first", "second", "near")
"""They make versions 1 to 3: a former champion, the champion, a challenger."""
ANN = SignOff("ann", "as we agreed", NOON)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    MlflowRegistry(f"sqlite:///{folder}/mlflow.db", str(folder)).alias(MODEL, "champion")
    return folder / "mlflow.db"


@pytest.fixture
def world(tmp_path, empty_database):
    for name in ("mlflow.db", "fresh.db"):
        shutil.copy(empty_database, tmp_path / name)
    world = World(tmp_path)
    world.promote("first")
    world.promote("second", champion=1)
    world.promote("near", verdict="challenger", champion=2)
    return world


# ------------------------------------------------------------------ what may happen to MLflow
def model_deleted(world):
    world.registry._client.delete_registered_model(MODEL)
    return world


def champion_deleted(world):
    world.registry._client.delete_model_version(MODEL, "2")
    return world


def first_deleted(world):
    world.registry._client.delete_model_version(MODEL, "1")
    return world


def last_deleted(world):
    world.registry._client.delete_model_version(MODEL, "3")
    return world


def alias_lost(world):
    world.registry._client.delete_registered_model_alias(MODEL, "champion")
    return world


def alias_moved(world):
    world.registry._client.set_registered_model_alias(MODEL, "champion", "3")
    return world


def fresh_database(world):
    return World(world.folder, f"sqlite:///{world.folder}/fresh.db")


def fresh_database_and_files(world):
    shutil.rmtree(world.folder / "mlartifacts")
    return fresh_database(world)


def files_lost(world):
    shutil.rmtree(world.folder / "mlartifacts")
    return world


def one_bundle_damaged(world):
    world.registry.bundle(world.registry.versions(MODEL)[0]).write_bytes(b"something else")
    return world


def experiment_deleted(world):
    client = world.registry._client
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)
    return world


def experiment_and_model_deleted(world):
    return model_deleted(experiment_deleted(world))


def model_and_files_deleted(world):
    return model_deleted(files_lost(world))


LOSSES = [
    model_deleted, champion_deleted, first_deleted, last_deleted, alias_lost, alias_moved, fresh_database,
    fresh_database_and_files, files_lost, one_bundle_damaged, experiment_deleted, experiment_and_model_deleted,
    model_and_files_deleted,
]  # fmt: skip


def losses(*some):
    return pytest.mark.parametrize("loss", some, ids=lambda loss: loss.__name__)


# ------------------------------------------------------------------ what is asked of it
def verify(world):
    return governance.verify(world.store, world.registry)


def repair(world):
    return governance.repair(world.store, world.registry)


def evidence(world, version):
    """gates.json in MLflow's evidence of a version."""
    found = next(one for one in world.registry.versions(MODEL) if one.version == version)
    run = world.registry._client.get_model_version(MODEL, str(found.registry_number)).run_id
    folder = Path(world.registry._client.get_run(run).info.artifact_uri) / "evidence"
    return {path.stem: json.loads(path.read_text()) for path in folder.iterdir()}


def bundles(world):
    return {one.version: world.registry.bundle(one).read_bytes() for one in world.registry.versions(MODEL)}


def assert_all_there(world):
    world.assert_whole(champion=2)
    assert world.alias("challenger") == 3
    assert bundles(world) == {number: f"{run}/5".encode() for number, run in enumerate(RUNS, 1)}


def forget_bundle(world, run):
    """Delete the bundle, as `foundry gc` does for a refused version."""
    sha256 = sha256_of(f"{run}/5".encode())
    path = world.store.root / object_key(sha256)
    path.chmod(0o600)
    path.unlink()
    return sha256


# ------------------------------------------------------------------ repair
@losses(*LOSSES)
def test_repair_brings_back_every_version_with_its_bundle_its_evidence_and_the_aliases(world, loss):
    kept = evidence(world, 2)
    records = world.events()
    world = loss(world)
    findings = verify(world)
    assert findings
    assert all("Run `foundry ledger repair`" in line for line in findings)
    repaired = repair(world)
    assert repaired.whole
    assert_all_there(world)
    if loss is not files_lost:
        assert evidence(world, 2) == kept
    assert world.events() == records
    again = repair(world)
    assert again.lines == tuple(f"{MODEL}: version {number} is already there" for number in (1, 2, 3))


@losses(model_deleted, fresh_database_and_files)
def test_a_model_made_anew_gives_each_version_the_number_that_it_had(world, loss):
    world = loss(world)
    repair(world)
    numbers = [(one.version, one.registry_number) for one in world.registry.versions(MODEL)]
    assert numbers == [(1, 1), (2, 2), (3, 3)]


def test_a_version_that_cannot_have_its_number_again_keeps_the_ledgers_and_says_mlflows(world):
    champion_deleted(world)
    assert f"{MODEL}: version 2 is gone from the registry; made again from MLflow's files, as MLflow's version 4" in (
        repair(world).lines
    )
    found = world.registry.alias(MODEL, "champion")
    assert (found.version, found.registry_number) == (2, 4)
    assert world.registry.locate(found) == f"models:/{MODEL}/4"
    governance.rollback(world.store, world.registry, MODEL, ANN)
    governance.rollback(world.store, world.registry, MODEL, ANN, to_version=2)
    world.assert_whole(champion=2)
    outcome = world.promote("third", champion=2)
    assert (outcome["version"], outcome["uri"]) == (5, f"models:/{MODEL}/5")
    world.assert_whole(champion=5)


def test_numbers_that_only_a_lost_version_has_stay_free(world):
    sha256 = forget_bundle(world, "first")
    world = fresh_database_and_files(world)
    repaired = repair(world)
    assert not repaired.whole
    lost = f"its bundle {sha256} is in neither the store nor MLflow. Restore a backup of the store or of MLflow"
    assert any(line.startswith(f"{MODEL}: version 1 is gone") and lost in line for line in repaired.lines)
    numbers = [(one.version, one.registry_number) for one in world.registry.versions(MODEL)]
    assert numbers == [(2, 2), (3, 3)]
    assert len(verify(world)) == 1
    assert lost in verify(world)[0]
    world.store.put_object(_file(world, b"first/5"))
    assert repair(world).whole
    assert_all_there(world)


def test_a_bundle_that_the_store_has_forgotten_is_taken_from_mlflows_files(world):
    for run in RUNS:
        forget_bundle(world, run)
    model_deleted(world)
    assert repair(world).whole
    assert_all_there(world)


def test_of_a_run_whose_results_are_gone_the_evidence_is_the_ledgers(world):
    world = fresh_database(world)
    shutil.rmtree(world.store.root / result_key(DAG, "second", "gates", None).rsplit("/", 2)[0])
    repaired = repair(world)
    assert repaired.whole
    assert any("version 2 is gone" in line and "with the ledger's evidence only" in line for line in repaired.lines)
    assert evidence(world, 2)["ledger"]["gates"]["auc"]["value"] == 0.53
    assert set(evidence(world, 1)) == {"gates", "refit", "features", "labels", "digests"}
    assert_all_there(world)


def test_evidence_of_gates_that_were_repeated_is_not_given_to_the_version_before(world):
    world.promote("late", champion=1)
    world.promote("late", champion=2)
    assert world.events()[-3:] == [("refused", 4), ("registered", 5), ("promoted", 5)]
    world = fresh_database(world)
    assert repair(world).whole
    assert set(evidence(world, 4)) == {"ledger"}
    assert evidence(world, 5)["gates"]["champion_version"] == 2
    world.assert_whole(champion=5)


def test_a_champion_that_only_a_backup_can_bring_leaves_no_alias_and_can_be_rolled_back_from(world):
    forget_bundle(world, "second")
    world = fresh_database_and_files(world)
    assert not repair(world).whole
    assert (world.alias(), world.alias("challenger")) == (None, 3)
    assert verify(world)[-1] == (
        f"{MODEL}: champion is none, the ledger says version 2. Restore a backup of the store or of MLflow, then run "
        "`foundry ledger repair`; or roll back to a version that is there"
    )
    governance.rollback(world.store, world.registry, MODEL, ANN)
    assert world.alias() == world.ledger.state(MODEL).champion == 1


def test_another_ledgers_version_of_the_same_number_is_left_alone_and_named(world):
    world = fresh_database(world)
    other = World(world.folder / "other", world.uri)
    other.promote("elsewhere")
    for name in (MODEL, WITNESS):
        world.registry.set_ledger_head(name, "0:" + "0" * 64)
    repaired = repair(world)
    assert not repaired.whole
    assert repaired.lines[0].startswith(
        f"{MODEL}: version 1 names another bundle in the registry than in the ledger. Set"
    )
    assert bundles(world)[1] == b"elsewhere/5"
    world.registry._client.delete_model_version(MODEL, "1")
    assert repair(world).whole
    assert_all_there(world)


@losses(model_deleted, fresh_database, files_lost)
def test_a_repair_killed_anywhere_and_repeated_leaves_each_version_once(world, loss, monkeypatch):
    world = loss(world)
    client = world.registry._client
    kills = 0
    for call in ("create_model_version", "set_logged_model_tags", "set_registered_model_alias", "delete_model_version"):
        for after in (False, True):
            with monkeypatch.context() as patch:
                patch.setattr(client, call, _killed(getattr(client, call), after=after))
                try:
                    repair(world)
                except KeyboardInterrupt:
                    kills += 1
    assert kills >= 3
    assert repair(world).whole
    assert_all_there(world)
    assert world.versions() == [1, 2, 3]


def _killed(call, *, after):
    def killed(*arguments, **named):
        if after:
            call(*arguments, **named)
        raise KeyboardInterrupt

    return killed


# ------------------------------------------------------------------ promote, rollback, approve, predict
@losses(model_deleted, last_deleted, alias_moved, fresh_database_and_files, files_lost, experiment_and_model_deleted)
def test_promote_goes_on_says_what_is_missing_and_leaves_what_repair_can_mend(world, loss):
    before = world.events()
    world = loss(world)
    outcome = world.promote("third", champion=2)
    assert outcome["event"] == "promoted"
    assert outcome["version"] not in {1, 2, 3}
    assert world.alias() == outcome["version"]
    assert world.events() == [*before, ("registered", outcome["version"]), ("promoted", outcome["version"])]
    gone = [line for line in verify(world) if "is gone from the registry" in line]
    assert bool(gone) == any("MLflow lacks versions" in text for text in outcome["warnings"])
    assert repair(world).whole
    world.assert_whole(champion=outcome["version"])
    assert len(world.versions()) == 4
    assert bundles(world) | {outcome["version"]: b""} == {
        **{number: f"{run}/5".encode() for number, run in enumerate(RUNS, 1)},
        outcome["version"]: b"",
    }


@losses(model_deleted, champion_deleted, fresh_database, experiment_deleted)
def test_a_promote_that_is_repeated_makes_its_own_version_again_and_no_new_record(world, loss):
    before = world.events()
    world = loss(world)
    outcome = world.repeat("second")
    assert (outcome["event"], outcome["version"], outcome["champion_after"]) == ("promoted", 2, 2)
    assert world.events() == before
    assert repair(world).whole
    assert_all_there(world)


def test_a_promote_killed_while_it_uses_up_numbers_leaves_nothing_behind(world, monkeypatch):
    world = fresh_database_and_files(world)
    world.prepare("third", champion=2)
    io = world.io("third")
    with monkeypatch.context() as patch:
        patch.setattr(io.environment.registry._client, "delete_model_version", _killed(None, after=False))
        with pytest.raises(KeyboardInterrupt):
            promote.run(PromoteConfig(), io)
    assert world.repeat("third")["version"] not in {1, 2, 3}
    assert len(world.versions()) == 1
    assert repair(world).whole


@losses(model_deleted, fresh_database, files_lost)
def test_rollback_and_approval_end_in_one_line_that_names_repair_and_write_nothing(world, loss):
    before = world.events()
    world = loss(world)
    for act in (
        lambda: governance.rollback(world.store, world.registry, MODEL, ANN),
        lambda: governance.approve(world.store, world.registry, MODEL, 3, ANN),
    ):
        with pytest.raises(ConfigError, match=rf"^{MODEL}: version \d [^\n]*Run `foundry ledger repair`[^\n]*$"):
            act()
    assert world.events() == before
    repair(world)
    governance.approve(world.store, world.registry, MODEL, 3, ANN)
    world.assert_whole(champion=3)


@losses(model_deleted, fresh_database, files_lost)
def test_predict_needs_no_mlflow_where_the_store_has_the_bundle_and_else_names_repair(world, loss):
    world = loss(world)
    state = Ledger(world.store).state(MODEL)
    assert state.champion == 2
    assert predict._bundle_file(world.io("today", "predict"), MODEL, 2, state).read_bytes() == b"second/5"
    forget_bundle(world, "second")
    with pytest.raises(ConfigError, match=r"^the bundle of [^\n]*version 2 [^\n]*Run `foundry ledger repair`[^\n]*$"):
        predict._bundle_file(world.io("today", "predict"), MODEL, 2, state)


def test_the_commands_exit_code_says_whether_all_is_there_again(world, monkeypatch, capsys):
    sha256 = forget_bundle(world, "first")
    world = fresh_database_and_files(world)
    settings = {"STORE": world.store.root, "MLFLOW_URI": world.uri, "MLFLOW_ARTIFACTS": world.folder / "mlartifacts"}
    for name, value in settings.items():
        monkeypatch.setenv(f"FOUNDRY_{name}", str(value))
    assert command.main(["ledger", "verify"]) == 1
    assert command.main(["ledger", "repair"]) == 1
    assert sha256 in capsys.readouterr().out
    world.store.put_object(_file(world, b"first/5"))
    assert command.main(["ledger", "repair"]) == 0
    assert command.main(["ledger", "verify"]) == 0


def _file(world, content):
    path = world.folder / "restored.zip"
    path.write_bytes(content)
    return path
