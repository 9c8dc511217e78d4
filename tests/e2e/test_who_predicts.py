"""The version that predicts in train and daily runs, if runs of two feature sets are registered in turn."""

import json
import shutil

import numpy as np
import pytest

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.tables import read_table
from foundry_tasks.ledger import decisions as governance
from foundry_tasks.ledger.chain import Ledger
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.ledger.records import Entry
from tests.e2e.foundry_here import NOW, TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(12)

MODEL = "foundry-us-1d"
CORE, EXTENDED = {"feature_set": "core"}, {"feature_set": "extended"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Version 1 reads core features, version 2 extended ones; the gates refused both."""
    folder = tmp_path_factory.mktemp("trained")
    conf = TINY | write_market(folder / "market", simulated_market(sessions=320, tickers=12, seed=5))
    foundry = Foundry(folder)
    for run, keys in (("core", CORE), ("extended", EXTENDED)):
        foundry.train(run, conf | keys, until="promote")
    assert set(Ledger(foundry.store).state(MODEL).versions) == {1, 2}
    return folder, conf


@pytest.fixture
def again(trained, tmp_path):
    """A copy of the store in which the first conf runs again and finds its version registered."""
    folder, conf = trained
    for name in ("store", "mlartifacts"):
        shutil.copytree(folder / name, tmp_path / name)
    shutil.copy(folder / "mlflow.db", tmp_path)
    foundry = Foundry(tmp_path)
    foundry.conf = conf
    return foundry


def crown(foundry, version):
    """Promote a version by a person's approval, since so small a market gives a near miss at best."""
    sha256 = Ledger(foundry.store).state(MODEL).versions[version].sha256
    near_miss = Entry(event="challenger", version=version, sha256=sha256, who="test", when=NOW, why="so")
    Ledger(foundry.store).append(MODEL, lambda _: near_miss)
    governance.approve(foundry.store, foundry.registry, MODEL, version, SignOff("test", "so", NOW))


def predict(foundry, run="again", keys=CORE):
    """The only horizon's entry of predictions.json, and the warnings that name a version."""
    foundry.train(run, foundry.conf | keys, until="promote")
    result = foundry.stage("predict", run, foundry.conf | keys)
    used = json.loads(foundry.document(result, "predictions.json"))["per_horizon"]["1"]
    return used, [line for line in result.warnings if "version" in line]


def sizes(foundry, run):
    """The column `position` of a run's predictions."""
    predict(foundry, run)
    result = foundry.stage("predict", run, foundry.conf | CORE)
    return read_table(foundry.store.object_path(result.outputs["predictions.parquet"].sha256))["position"]


def test_a_shadow_suggests_no_position_and_a_champion_no_more_than_the_capital(again):
    assert np.isnan(sizes(again, "shadow")).all()
    crown(again, 1)
    assert np.abs(sizes(again, "champion")).sum() <= 1, "NaN is not at most 1"


def test_a_train_run_predicts_with_the_version_that_it_found_registered_and_not_with_the_newest(again):
    used, warnings = predict(again)
    assert (used["version"], used["kind"]) == (1, "shadow")
    assert used["why"] == "no champion; this run's version's verdict is refused"
    assert warnings == ["1d: no champion, so version 1 predicts as a shadow"]


@pytest.mark.parametrize(("version", "keys"), [(1, CORE), (1, EXTENDED), (2, EXTENDED)])
def test_a_champion_predicts_wherever_its_features_are(again, version, keys):
    crown(again, version)
    used, warnings = predict(again, keys=keys)
    assert (used["version"], used["kind"], warnings) == (version, "champion", [])


def test_a_champion_whose_features_a_train_run_lacks_is_named_and_the_runs_own_version_is_its_shadow(again):
    crown(again, 2)
    used, (warning,) = predict(again)
    own = max(Ledger(again.store).state(MODEL).versions)  # compared with a champion, so it is a new version
    assert (used["version"], used["kind"]) == (own, "shadow")
    lacks = "champion version 2 needs features that this run lacks (amihud_20d, "
    assert warning.startswith(f"1d: {lacks}")
    assert warning.endswith(f" in all), so version {own} predicts as a shadow")
    assert used["why"].startswith(lacks)
    assert Ledger(again.store).state(MODEL).champion == 2


@pytest.mark.parametrize("champion", [None, 2])
def test_a_daily_run_that_lacks_the_features_of_its_version_is_refused_in_one_line(again, champion):
    if champion:
        crown(again, champion)
    conf = {key: value for key, value in again.conf.items() if key in {"horizons", "source", "prices", "benchmark"}}
    for stage in ("prices", "features"):
        again.stage(stage, "day", conf | CORE, "foundry_daily")
    with pytest.raises(
        ConfigError, match=f"^{MODEL} version 2 needs features that this run lacks .amihud_20d, "
    ) as error:
        again.stage("predict", "day", conf | CORE, "foundry_daily")
    assert "\n" not in str(error.value)


def test_a_version_that_the_ledger_does_not_know_does_not_predict(again):
    again.train("again", again.conf | CORE, until="promote")
    for key in again.store.keys(f"ledger/{MODEL}/"):
        again.store.delete(key)
    with pytest.raises(
        ConfigError, match="this run registered foundry-us-1d version 1, which the ledger does not know"
    ):
        again.stage("predict", "again", again.conf | CORE)
