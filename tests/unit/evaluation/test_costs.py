"""Costs by hand: commission, spread, impact, borrow."""

import numpy as np
import pytest

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.evaluation.costs import charge, impact_model
from tests.traded_market import NAN, market

FREE = {"commission_bp": 0, "half_spread_bp": 0, "borrow_bp_a_year": 0}


def test_commission_and_spread_are_parts_of_what_is_traded():
    config = BacktestConfig(commission_bp=1, half_spread_bp=2)
    costs = charge(np.array([[0.5, -0.3]]), np.zeros((1, 2)), None, config)
    assert costs.commission == pytest.approx([0.8e-4])
    assert costs.spread == pytest.approx([1.6e-4])
    assert costs.per_trade == pytest.approx(np.array([[1.5e-4, 0.9e-4]]))
    assert costs.total == pytest.approx([2.4e-4])


def test_borrowed_shares_cost_a_252nd_of_the_yearly_fee_each_night():
    positions = np.array([[0.5, -0.5], [0.5, -0.4], [0.0, 0.0]])
    costs = charge(np.zeros((3, 2)), positions, None, BacktestConfig(borrow_bp_a_year=252))
    assert costs.borrow == pytest.approx([0, 0.5e-4, 0.4e-4])


def swinging(n_sessions=30, **volume):
    """Alternating returns of +1 % and −1 %, and 1,000 shares per session."""
    close = 100 * np.cumprod(1 + np.where(np.arange(n_sessions) % 2, 0.01, -0.01))[:, None]
    return market(close, volume=np.full((n_sessions, 1), 1000.0))


def test_square_root_impact_is_volatility_times_the_root_of_the_volume_share():
    prices = swinging()
    config = BacktestConfig(impact="square_root", capital=50_000, **FREE)
    traded = np.zeros((30, 1))
    traded[25] = -0.2
    before = slice(5, 25)
    volume = float((prices.fields["volume"] * prices.fields["close"])[before].mean())
    volatility = 0.01 * np.sqrt(20 / 19)
    costs = charge(traded, np.zeros((30, 1)), impact_model(prices, config), config)
    assert costs.impact[25] == pytest.approx(0.2 * volatility * np.sqrt(0.2 * 50_000 / volume))
    assert costs.per_trade[25, 0] == pytest.approx(costs.impact[25])
    assert np.delete(costs.impact, 25).sum() == 0


def test_volume_share_impact_is_a_tenth_of_the_share_squared():
    prices = swinging()
    config = BacktestConfig(impact="volume_share", capital=50_000, **FREE)
    traded = np.zeros((30, 1))
    traded[25] = 0.2
    volume = float((prices.fields["volume"] * prices.fields["close"])[5:25].mean())
    costs = charge(traded, np.zeros((30, 1)), impact_model(prices, config), config)
    assert costs.impact[25] == pytest.approx(0.2 * 0.1 * (0.2 * 50_000 / volume) ** 2)


@pytest.mark.parametrize("impact", ["square_root", "volume_share"])
def test_impact_knows_nothing_of_the_session_it_trades_in(impact):
    config = BacktestConfig(impact=impact)
    before = impact_model(swinging(), config).scale[25]
    changed = swinging()
    changed.fields["volume"][25:] *= 50
    changed.fields["close"][25:] *= 3
    assert impact_model(changed, config).scale[25] == pytest.approx(before)


@pytest.mark.parametrize("impact", ["square_root", "volume_share"])
def test_impact_without_volume_is_refused_in_one_line(impact):
    with pytest.raises(ConfigError, match=rf"^impact={impact} needs volume, and the prices hold none. Set impact=none"):
        impact_model(market(np.full((30, 1), 10.0)), BacktestConfig(impact=impact))


def test_impact_is_unknown_where_a_ticker_hardly_trades():
    prices = swinging()
    prices.fields["volume"][5:15] = 0
    prices.fields["volume"][8] = NAN
    assert np.isnan(impact_model(prices, BacktestConfig(impact="square_root")).scale[20, 0])
