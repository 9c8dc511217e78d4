"""A run's conf: flat, closed, all faults reported at once."""

import inspect

import pytest
from pydantic import ValidationError

from foundry_tasks.contract.config import FeaturesConfig, ModelsConfig, StageConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.stages import PIPELINES, STAGES, check_conf, conf_fields, inputs_in, stage_config


def test_a_stage_takes_the_keys_it_knows_and_leaves_the_rest_to_others():
    config = stage_config("features", {"feature_set": "core", "horizons": [5], "folds": 3})
    assert config == FeaturesConfig(feature_set="core", horizons=(5,))


def test_every_fault_of_a_conf_is_said_at_once():
    with pytest.raises(ConfigError) as error:
        check_conf({"sorce": "sample", "folds": 1, "horizons": [5, 5], "threads": 0})
    told = str(error.value)
    assert "unknown config key 'sorce': did you mean 'source'? `foundry conf --help` lists them; " in told
    assert "folds=1" in told
    assert "horizons must be distinct, got [5, 5]" in told
    assert told.count("threads=0") == 1, "a key that several stages share is reported once"
    assert "\n" not in told


def test_the_threshold_of_a_gate_that_was_replaced_is_refused_by_naming_the_new_one():
    with pytest.raises(ConfigError, match=r"^max_ece is no key any more: .* max_calibration_gap\. Remove max_ece"):
        check_conf({"max_ece": 0.05})


@pytest.mark.parametrize(
    "written",
    [{"adj_close": "", "date": "trade_date"}, ["date=trade_date", "adj_close="], [" date = trade_date ", "adj_close="]],
)
def test_declared_columns_are_a_table_or_a_list_and_one_text_either_way(written):
    conf = check_conf({"columns": written})
    assert conf == {"columns": ["date=trade_date", "adj_close="]}
    assert stage_config("prices", conf).declared_columns == {"date": "trade_date", "adj_close": ""}


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (["dat=trade_date"], "no role 'dat': did you mean 'date'? The roles are date, ticker,"),
        (["trade_date"], "write 'trade_date' as role=column"),
        (["date=a", "date=b"], "date has two columns, 'a' and 'b'"),
        (["date=a", "close=a"], "column 'a' has two roles"),
        ({"date": 3}, "columns="),
    ],
)
def test_a_declared_column_has_one_known_role(written, says):
    with pytest.raises(ConfigError) as error:
        check_conf({"columns": written})
    assert says in str(error.value)


@pytest.mark.parametrize("horizons", [[0], [61], ["five"], [], [1, 1], 5, [1.5]], ids=str)
def test_a_horizon_is_a_whole_number_of_days_from_1_to_60_named_once(horizons):
    with pytest.raises(ConfigError, match="horizons"):
        check_conf({"horizons": horizons})


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_a_threshold_is_a_finite_number(value):
    with pytest.raises(ConfigError, match=r"min_wfe=.*finite number"):
        check_conf({"min_wfe": value})


@pytest.mark.parametrize("other", [{"early_stopping": True}, {"tuning_trials": 3}], ids=str)
def test_models_per_regime_leave_no_room_to_stop_or_tune(other):
    with pytest.raises(ConfigError, match=r"^per_regime=true needs fixed rounds .* Set early_stopping=false"):
        check_conf({"per_regime": True, **other})


@pytest.mark.parametrize("calibration", ["platt", "isotonic", "beta"])
def test_a_regimes_intercept_needs_a_calibration_that_uses_the_base_rate(calibration):
    check_conf({"regime_scale": True, "calibration": calibration})
    with pytest.raises(ConfigError, match=f"^regime_intercept=true moves a base rate that calibration={calibration}"):
        check_conf({"regime_intercept": True, "calibration": calibration})


def test_a_config_is_frozen_and_closed():
    config = ModelsConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.folds = 9
    with pytest.raises(ValidationError, match=r"[Ee]xtra"):
        ModelsConfig(fold=9)


@pytest.mark.parametrize("stage", STAGES)
def test_a_config_survives_its_json(stage):
    config = STAGES[stage].config()
    assert isinstance(config, StageConfig)
    assert type(config).model_validate_json(config.model_dump_json()) == config


def test_a_key_means_the_same_in_every_stage():
    for name, field in conf_fields().items():
        for stage, spec in STAGES.items():
            if name in spec.config.model_fields:
                other = spec.config.model_fields[name]
                assert (other.annotation, other.default) == (field.annotation, field.default), (stage, name)


def test_a_dag_reads_only_what_it_runs_and_a_users_own_dag_may_run_everything():
    assert inputs_in("foundry_daily", "predict") == ("prices", "features")
    assert inputs_in("my_own", "predict") == STAGES["predict"].inputs
    assert set().union(*PIPELINES.values()) == set(STAGES)


@pytest.mark.parametrize("other", [{"per_regime": True}, {"tuning_trials": 3}], ids=str)
def test_deep_models_are_neither_fitted_per_regime_nor_tuned(other):
    with pytest.raises(ConfigError, match=r"^xlstm_ts cannot be fitted per regime .* or tuned .* Set per_regime=false"):
        check_conf({"models": ["logistic", "xlstm_ts"], **other})


@pytest.mark.parametrize("tasks", [["size"], ["sign", "size", "size"], []], ids=str)
def test_a_deep_model_learns_the_sign_whatever_it_learns_beside_and_nothing_twice(tasks):
    check_conf({"deep_tasks": ["volatility", "sign"]})
    with pytest.raises(
        ConfigError, match=r"^deep_tasks must contain sign and may contain size and volatility, each once, got \["
    ):
        check_conf({"deep_tasks": tasks})


def test_wavelets_need_a_window_that_they_fit_into():
    check_conf({"denoise": True, "sequence_sessions": 4})
    check_conf({"sequence_sessions": 3})
    with pytest.raises(ConfigError, match=r"^denoise needs windows of 4 sessions or more, got sequence_sessions=3"):
        check_conf({"denoise": True, "sequence_sessions": 3})


def test_a_walk_with_deep_models_has_a_purge_longer_by_their_lookback():
    assert ModelsConfig(models=("logistic", "xlstm_ts"), sequence_sessions=60, embargo_sessions=2).gap_sessions == 61
    assert ModelsConfig(sequence_sessions=60, embargo_sessions=2).gap_sessions == 2


@pytest.mark.parametrize("key", ["market", "seed", "horizons", "threads", "confidence", "resamples", "min_blocks"])
def test_a_key_of_several_stages_is_declared_once(key):
    configs = [spec.config for spec in STAGES.values() if key in spec.config.model_fields]
    declaring = {base for config in configs for base in config.__mro__ if key in inspect.get_annotations(base)}
    assert len(configs) > 1
    assert len(declaring) == 1
