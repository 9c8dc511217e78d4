import numpy as np
import pytest

from foundry_tasks.features import build_features

T, TICKER = 300, 5  # a session and a ticker with full windows


@pytest.fixture
def prices(make_market):
    return make_market(missing=0)


@pytest.fixture
def features(prices):
    return build_features(prices, "extended").panel


def at(features, name):
    return float(features[name][T, TICKER])


def close_to(value):
    return pytest.approx(float(value), rel=2e-5, abs=1e-7)


def test_core_is_the_reference_systems_nine(prices):
    assert set(build_features(prices, "core").panel.names) == {
        "ret_1d",
        "ret_5d",
        "ret_20d",
        "vol_20d",
        "ma_ratio_20_50",
        "ma_ratio_50_200",
        "px_gt_sma200",
        "sma50_gt_sma200",
        "rel_strength_20d",
    }


def test_returns_run_on_adjusted_closes(prices, features):
    close = prices.fields["adj_close"][:, TICKER]
    assert at(features, "ret_5d") == close_to(close[T] / close[T - 5] - 1)
    assert at(features, "rel_strength_20d") == close_to(
        close[T] / close[T - 20] - prices.benchmark[T] / prices.benchmark[T - 20]
    )


def test_moving_averages_are_of_the_sessions_up_to_this_one(prices, features):
    close = prices.fields["adj_close"][:, TICKER]
    sma = {n: close[T - n + 1 : T + 1].mean() for n in (20, 50, 200)}
    assert at(features, "ma_ratio_20_50") == close_to(sma[20] / sma[50] - 1)
    assert at(features, "px_gt_sma200") == float(close[T] > sma[200])
    assert at(features, "sma50_gt_sma200") == float(sma[50] > sma[200])


def test_volatility_is_the_deviation_of_daily_returns(prices, features):
    close = prices.fields["adj_close"][:, TICKER]
    returns = close[1:] / close[:-1] - 1
    assert at(features, "vol_20d") == close_to(returns[T - 20 : T].std(ddof=1))


def test_twelve_one_momentum_leaves_the_last_month_out(prices, features):
    close = prices.fields["adj_close"][:, TICKER]
    assert at(features, "mom_12_1") == close_to(close[T - 21] / close[T - 252] - 1)


def test_rsi_is_the_share_of_gains(prices, features):
    close = prices.fields["adj_close"][:, TICKER]
    returns = (close[1:] / close[:-1] - 1)[T - 14 : T]
    gains, losses = returns[returns > 0].sum(), -returns[returns < 0].sum()
    assert at(features, "rsi_14d") == close_to(100 * gains / (gains + losses))


def test_volume_ratio_is_over_its_average(prices, features):
    volume = prices.fields["volume"][:, TICKER]
    assert at(features, "vol_ratio_20d") == close_to(volume[T] / volume[T - 19 : T + 1].mean())


def test_night_and_day_compound_to_the_daily_return(features):
    night, day = at(features, "gap_1d"), at(features, "intraday_1d")
    assert (1 + night) * (1 + day) - 1 == close_to(at(features, "ret_1d"))


def test_sector_relative_return_is_against_the_mean_of_the_sector(prices, features):
    close = prices.fields["adj_close"]
    returns = close[T] / close[T - 1] - 1
    peers = np.array([sector == prices.sectors[TICKER] for sector in prices.sectors])
    assert at(features, "ret_1d_vs_sector") == close_to(returns[TICKER] - returns[peers].mean())


def test_ranks_within_a_session_run_evenly_from_zero_to_one(features):
    ranks = np.sort(features["rank_ret_1d"][T])
    assert ranks == pytest.approx((np.arange(len(ranks)) + 0.5) / len(ranks), rel=1e-6)


def test_beta_is_the_least_squares_slope_on_the_benchmark(prices, features):
    close, market = prices.fields["adj_close"][:, TICKER], prices.benchmark
    y, x = (close[1:] / close[:-1] - 1)[T - 60 : T], (market[1:] / market[:-1] - 1)[T - 60 : T]
    slope = ((x - x.mean()) * (y - y.mean())).mean() / x.var(ddof=1)
    assert at(features, "beta_60d") == close_to(slope)


def test_breadth_is_the_same_for_every_ticker_and_counts_those_that_rose(prices, features):
    close = prices.fields["adj_close"]
    rose = (close[1:] > close[:-1]).mean(axis=1)
    assert features["breadth_up_5d"][T] == pytest.approx(np.full(close.shape[1], rose[T - 5 : T].mean()), rel=1e-5)


def test_a_factor_common_to_all_leaves_no_residual(make_market):
    prices = make_market(missing=0)
    market = prices.benchmark / 100
    loadings = np.linspace(0.5, 1.5, len(prices.tickers))
    same = 50 * np.cumprod(1 + loadings * np.diff(market, prepend=market[0])[:, None] / market[:, None], axis=0)
    moved = prices.mapped(lambda name, values: values if values.ndim == 1 or name == "volume" else same)
    features = build_features(moved, "extended").panel
    assert np.abs(features["residual_1d"][100:]).max() < 1e-3 * np.abs(features["ret_1d"][100:]).max()
