"""Errors carry their facts as fields and state all of them in one line."""

import pickle

import pytest

from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import ConfigError, DataRejectedError, MissingInputError
from foundry_tasks.contract.market import with_market
from foundry_tasks.contract.stages import check_conf, stage_config


def test_a_sentence_alone_is_the_one_fault():
    error = MissingInputError("stage 'features' has published nothing")
    assert (str(error), error.faults) == ("stage 'features' has published nothing", (str(error),))
    assert (error.where, error.advice) == ("", "")


def test_where_and_advice_stand_around_the_faults():
    error = ConfigError("no a", "no\nb", where="file f", advice="Write both.")
    assert str(error) == "file f: no a; no b. Write both."
    assert error.faults == ("no a", "no b")


def test_a_conf_names_every_fault_for_itself():
    with pytest.raises(ConfigError) as refused:
        check_conf({"sorce": "sample", "folds": 1})
    unknown, impossible = refused.value.faults
    assert unknown.startswith("unknown config key 'sorce'")
    assert impossible.startswith("folds=1: ")
    with pytest.raises(ConfigError) as refused:
        stage_config("models", {"folds": 1, "seeds": 0})
    assert [fault.partition("=")[0] for fault in refused.value.faults] == ["folds", "seeds"]


def test_a_market_file_keeps_the_faults_of_its_conf_apart(tmp_path):
    market = tmp_path / "tw.toml"
    market.write_text("folds = 1\nseeds = 0\n")
    with pytest.raises(ConfigError) as refused:
        with_market({"market": "tw"}, str(market))
    assert refused.value.where == f"market file {market}"
    assert len(refused.value.faults) == 2
    assert str(refused.value) == f"market file {market}: {'; '.join(refused.value.faults)}"


def test_settings_name_every_wrong_variable_for_itself():
    with pytest.raises(ConfigError) as refused:
        Settings.from_environment({"FOUNDRY_RUNTIME": "podman", "FOUNDRY_STOER": "/data"})
    assert [fault.partition("=")[0] for fault in refused.value.faults] == ["FOUNDRY_RUNTIME", "FOUNDRY_STOER"]
    assert refused.value.advice.startswith("Known settings: FOUNDRY_STORE, ")


def test_rejected_data_has_a_reason_without_addresses():
    error = DataRejectedError("prices rejected: gaps.", more=("s3://a/prices.json", "s3://a/index.html"))
    assert str(error) == "prices rejected: gaps. More: s3://a/prices.json, s3://a/index.html."
    assert error.reason == "prices rejected: gaps."
    assert str(DataRejectedError("no close")) == DataRejectedError("no close").reason == "no close"


@pytest.mark.parametrize(
    "error", [ConfigError("a", "b", where="f", advice="Do."), DataRejectedError("gaps.", more=("s3://a",))]
)
def test_an_error_comes_back_whole_from_another_process(error):
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our data
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))
