"""A model per regime: the split uses the fit window only; each half fits and scores the sessions of its regime."""

from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.contract.config import ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.models.base.lightgbm import LightGBMClassifier
from foundry_tasks.models.base.logistic import LogisticRegression
from foundry_tasks.models.base.xgboost import XGBoostClassifier
from foundry_tasks.models.base_models import load_model, score_panel
from foundry_tasks.models.bundle import Bundle, PyfuncBundle, needed_features
from foundry_tasks.models.calibration import BaseRateSlope
from foundry_tasks.models.design import build_design
from foundry_tasks.models.importance import LabelledRows, permutation_importance
from foundry_tasks.models.market_regime import VOLATILITY, RegimeSplit, need_volatility
from foundry_tasks.models.per_regime import MIN_REGIME_SESSIONS, PerRegimeModel
from foundry_tasks.models.seed_average import AveragedModel
from foundry_tasks.models.stack import Stack
from foundry_tasks.models.training import FitWindow, WindowTrainer

SESSIONS, TICKERS = 300, 15
WINDOW = FitWindow(10, 200, purge=1)
CONFIG = ModelsConfig(threads=1, seeds=2, per_regime=True)
ESTIMATORS = [
    LogisticRegression(),
    LightGBMClassifier(rounds=10, min_leaf_rows=20),
    XGBoostClassifier(rounds=10, min_leaf_rows=20),
]
by_name = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.name)


@pytest.fixture
def panel(make_features):
    """A panel with the market's volatility as a feature."""
    made = make_features(SESSIONS, TICKERS)
    return replace(made, names=tuple(VOLATILITY if name == "market_ret_5d" else name for name in made.names))


@pytest.fixture
def target(panel):
    """Reversal in calm sessions, momentum in turbulent ones."""
    noise = np.random.default_rng(1).normal(size=(SESSIONS, TICKERS))
    return (noise + np.where(panel[VOLATILITY] > 0, 1, -1) * panel["ret_1d"] > 0).astype(float)


def fit(estimator, panel, target, *, window=WINDOW, beside=(), config=CONFIG):
    return WindowTrainer(estimator, build_design(panel, estimator.transform), [window, *beside], config).fit(
        target, window
    )


# ------------------------------------------------------------------ what it learns from
@by_name
def test_the_split_is_the_median_of_the_fit_windows_sessions_alone(estimator, panel, target):
    later = FitWindow(0, SESSIONS, purge=1)
    model = fit(estimator, panel, target, beside=[later])
    assert model.split.threshold == np.median(panel[VOLATILITY][WINDOW.start : WINDOW.stop, 0].astype(float))
    panel.values[panel.names.index(VOLATILITY), WINDOW.stop :] *= 1000
    assert fit(estimator, panel, target, beside=[later]).to_bytes() == model.to_bytes()


@by_name
def test_a_half_learns_from_its_own_sessions_and_nothing_from_the_others(estimator, panel, target):
    before = fit(estimator, panel, target)
    turbulent = panel[VOLATILITY][:, 0] > before.split.threshold
    changed = target.copy()
    changed[turbulent] = 1 - changed[turbulent]
    after = fit(estimator, panel, changed)
    assert after.calm.to_bytes() == before.calm.to_bytes()
    assert after.turbulent.to_bytes() != before.turbulent.to_bytes()


def test_what_holds_in_one_regime_alone_is_found_where_a_common_model_sees_nothing(panel, target):
    estimator = ESTIMATORS[0]
    common = fit(estimator, panel, target, config=ModelsConfig(threads=1, seeds=1))
    apart = fit(estimator, panel, target)
    design = build_design(panel, estimator.transform)
    calm = design.rows(200, SESSIONS)
    ret_1d = design.values[calm, design.names.index("ret_1d")]

    def follows(model):
        return np.corrcoef(model.score(design.values[calm]), ret_1d)[0, 1]

    assert follows(apart.calm) < -0.9
    assert follows(apart.turbulent) > 0.9
    assert isinstance(common, AveragedModel)


def test_with_too_few_sessions_in_a_regime_one_model_learns_from_all(panel, target):
    plain = ModelsConfig(threads=1, seeds=2)
    short = FitWindow(0, 2 * MIN_REGIME_SESSIONS - 1, purge=1)
    enough = FitWindow(0, 2 * MIN_REGIME_SESSIONS, purge=1)
    fallen_back = fit(ESTIMATORS[0], panel, target, window=short)
    assert fallen_back.to_bytes() == fit(ESTIMATORS[0], panel, target, window=short, config=plain).to_bytes()
    assert isinstance(fit(ESTIMATORS[0], panel, target, window=enough), PerRegimeModel)


def test_a_market_whose_volatility_never_moves_has_one_regime(panel, target):
    panel.values[panel.names.index(VOLATILITY)] = 0.01
    assert isinstance(fit(ESTIMATORS[0], panel, target), AveragedModel)


# ------------------------------------------------------------------ how it scores
@by_name
def test_a_session_is_scored_by_its_own_regimes_model_and_by_the_mean_of_both_where_it_has_none(
    estimator, panel, target
):
    model = fit(estimator, panel, target)
    panel.values[panel.names.index(VOLATILITY), 250] = np.nan
    scores = score_panel(model, panel)
    calm, turbulent = (score_panel(half, panel) for half in (model.calm, model.turbulent))
    volatility = panel[VOLATILITY][:, 0]
    for session in range(SESSIONS):
        if session == 250:
            expected = (calm[session] + turbulent[session]) / 2
        else:
            expected = turbulent[session] if volatility[session] > model.split.threshold else calm[session]
        np.testing.assert_allclose(scores[session], expected, rtol=0, atol=1e-12)


@by_name
def test_it_survives_its_bytes_and_explains_itself(estimator, panel, target):
    model = fit(estimator, panel, target)
    again = load_model(model.to_bytes())
    assert again.to_bytes() == model.to_bytes()
    np.testing.assert_array_equal(score_panel(again, panel), score_panel(model, panel))
    assert sum(model.gain().values()) == pytest.approx(1.0)
    design = build_design(panel, estimator.transform)
    rows = LabelledRows(design.values, design.from_wide(target), design.session)
    losses = permutation_importance(model, rows, top=2, seed=1)
    assert len(losses) == 2


def test_a_bundle_of_one_asks_for_the_volatility_and_rows_give_what_the_panel_gives(panel, target):
    pd = pytest.importorskip("pandas")
    models = {"logistic": fit(ESTIMATORS[0], panel, target)}
    stack = Stack(("logistic",), None, BaseRateSlope(0.3), "by hand")
    names = needed_features(models, stack, panel.names)
    assert VOLATILITY in names
    bundle = Bundle("us", 1, names, 0.53, models, stack, {})
    eaten = FeaturePanel(panel.sessions, panel.tickers, names, panel.values[[panel.names.index(n) for n in names]])
    at_session, at_ticker = (index.ravel() for index in np.indices((SESSIONS, TICKERS)))
    frame = {"date": panel.sessions[at_session].astype("datetime64[s]"), "ticker": np.array(panel.tickers)[at_ticker]}
    frame |= {name: values.ravel().astype(float) for name, values in eaten.items()}
    predicted = PyfuncBundle(bundle).predict(pd.DataFrame(frame))
    np.testing.assert_array_equal(predicted["p_up"], bundle.p_up(panel).ravel())


# ------------------------------------------------------------------ regimes
def test_a_session_without_a_volatility_is_in_neither_regime():
    calm, turbulent = RegimeSplit(0.01).members(np.array([0.005, 0.01, 0.02, np.nan]))
    assert calm.tolist() == [True, True, False, False]
    assert turbulent.tolist() == [False, False, True, False]


def test_features_without_the_volatility_are_refused_with_what_to_do():
    need_volatility([VOLATILITY], "per_regime")
    with pytest.raises(ConfigError, match=r"per_regime=true needs the feature market_vol_20d.* feature_set=extended"):
        need_volatility(["ret_1d"], "per_regime")
