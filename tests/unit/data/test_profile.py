"""The small frames for expectations represent the large arrays."""

import numpy as np
import pytest

from foundry_tasks.data.panel import FeaturePanel, PricePanel
from foundry_tasks.data.profile import profile_features, profile_labels, profile_predictions

RNG = np.random.default_rng(5)
SHAPE = (80, 6)
SESSIONS = np.arange(SHAPE[0]) + np.datetime64("2020-01-01")
TICKERS = tuple("ABCDEF")


def profile_of(matrix, labels=None, member=None):
    panel = FeaturePanel(SESSIONS, TICKERS, ("f",), matrix[None].astype(np.float32))
    columns = profile_features(panel, np.ones(SHAPE, bool) if member is None else member, labels or {})
    return {name: values[0] for name, values in columns.items()}


def test_a_feature_is_profiled_over_its_defined_member_cells():
    matrix = RNG.normal(2, 3, SHAPE)
    matrix[:20] = np.nan
    matrix[30, 0] = np.nan
    matrix[31, 1] = 1e6
    member = np.ones(SHAPE, bool)
    member[31, 1] = False
    row = profile_of(matrix, member=member)
    known = matrix[np.isfinite(matrix) & member].astype(np.float32)
    assert (row["minimum"], row["maximum"]) == (known.min(), known.max())
    assert row["standard_deviation"] == pytest.approx(known.std(), rel=1e-5)
    assert row["finite_share"] == pytest.approx((60 * 6 - 2) / (60 * 6 - 1))
    assert not row["constant"]


def test_infinite_cells_are_counted_even_where_nothing_is_finite():
    matrix = np.full(SHAPE, np.nan)
    matrix[3, 2] = np.inf
    row = profile_of(matrix)
    assert (row["infinite"], row["finite_share"]) == (1, 0.0)


def test_a_constant_has_no_correlation_with_anything():
    row = profile_of(np.full(SHAPE, 0.1), {"up_1d": RNG.normal(size=SHAPE)})
    assert row["constant"]
    assert np.isnan(row["label_correlation"])
    assert row["label"] == ""


def test_a_feature_that_is_a_label_is_found_and_the_label_named():
    future = RNG.normal(size=SHAPE)
    future[-5:] = np.nan
    noise = RNG.normal(size=SHAPE)
    row = profile_of(future * 3e6 + 1e9, {"noise": noise, "return_5d": future})
    assert row["label"] == "return_5d"
    assert row["label_correlation"] > 0.99


def test_correlation_is_pearsons_over_shared_cells():
    feature, label = RNG.normal(size=SHAPE), RNG.normal(size=SHAPE)
    feature[:30, 2] = np.nan
    label[10:50, 4] = np.nan
    every = np.unique(np.linspace(0, SHAPE[0] - 1, 64).astype(int))
    x, y = feature[every].astype(np.float32).ravel(), label[every].ravel()
    both = np.isfinite(x) & np.isfinite(y)
    assert profile_of(feature, {"y": label})["label_correlation"] == pytest.approx(
        abs(np.corrcoef(x[both], y[both])[0, 1])
    )


def panel_of(price, breaks=None):
    return PricePanel(SESSIONS, TICKERS, {"close": price}, np.ones(SHAPE, bool), ("",) * len(TICKERS), breaks=breaks)


def labels_of(price, horizon, lag=0):
    returns = np.full(SHAPE, np.nan)
    n = SHAPE[0] - horizon - lag
    returns[:n] = price[horizon + lag :] / price[lag : n + lag] - 1
    return returns, {"up": np.where(np.isfinite(returns), returns > 0, np.nan)}


@pytest.mark.parametrize("lag", [0, 1])
def test_honest_labels_differ_by_nothing_from_recomputed_ones(lag):
    price = np.exp(np.cumsum(RNG.normal(0, 0.01, SHAPE), axis=0))
    returns, kinds = labels_of(price, 5, lag)
    columns = profile_labels(panel_of(price), price, lag, {5: returns}, {5: kinds})
    assert len(columns["ticker"]) == 5 * 6
    assert columns["difference"].max() == 0
    assert columns["up_agrees"].all()
    assert not columns["labelled_too_late"].any()


def test_labels_of_another_horizon_and_labels_that_know_too_much_show():
    price = np.exp(np.cumsum(RNG.normal(0, 0.01, SHAPE), axis=0))
    returns, kinds = labels_of(price, 4)
    columns = profile_labels(panel_of(price), price, 0, {5: returns}, {5: kinds})
    assert columns["difference"].max() > 1e-4
    assert set(columns["labelled_too_late"]) == {6}


def test_labels_that_reach_across_a_break_are_counted():
    price = np.exp(np.cumsum(RNG.normal(0, 0.01, SHAPE), axis=0))
    breaks = np.zeros(SHAPE, bool)
    breaks[20, 2] = True
    returns, kinds = labels_of(price, 5)
    columns = profile_labels(panel_of(price, breaks), price, 0, {5: returns}, {5: kinds})
    assert set(columns["labelled_across"]) == {5}
    returns[15:20, 2] = np.nan
    columns = profile_labels(panel_of(price, breaks), price, 0, {5: returns}, {5: kinds})
    assert set(columns["labelled_across"]) == {0}


def test_the_spread_of_predictions_is_that_of_their_session_and_horizon():
    date = np.repeat(SESSIONS[:2], 12)
    horizon = np.tile(np.repeat([1, 5], 6), 2)
    ticker = np.array(list(TICKERS) * 4, dtype=object)
    p_up = RNG.random(24)
    p_up[6:12] = 0.5
    columns = profile_predictions(date, ticker, horizon, p_up)
    assert columns["spread"][0] == pytest.approx(p_up[:6].std())
    assert columns["spread"][6] == 0
    assert columns["spread"][18] == pytest.approx(p_up[18:].std())


def test_a_handful_of_predictions_has_no_spread():
    columns = profile_predictions(
        SESSIONS[:1].repeat(3), np.array(list("ABC"), object), np.ones(3, int), np.full(3, 0.5)
    )
    assert np.isnan(columns["spread"]).all()
