"""portfolio.json, simulate.json and the report's section of versions up to 0.2 can be read."""

import json

import pytest

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.documents import Portfolio, Simulation
from foundry_tasks.contract.documents.report import PortfolioSection
from foundry_tasks.contract.documents.simulate import Retrained

MEAN = {"lower": None, "upper": 0.4, "value": -1.3}
MARKET = {"annualised_return": 0.1, "annualised_volatility": 0.2, "max_drawdown": 0.3, "sharpe": None}
HORIZON = {
    "benchmark": MARKET,
    "break_even_bp": 1.1,
    "buy_and_hold": MARKET,
    "costs_bp": {"borrow": 0.1, "commission": 0.2, "impact": 0.0, "spread": 0.8, "total": 1.1},
    "delisted": 0,
    "exposure": {"gross": 0.97, "net": 0.0},
    "figures": MARKET
    | {"alpha_t": 1.0, "annualised_alpha": 0.01, "beta": 0.2, "beta_t": None, "calmar": None}
    | {"mean_turnover": 0.9, "sortino": 0.6, "win_rate": 0.52},
    "first": "2024-01-03",
    "folds": [
        {"fold": 1, "net_bp": -1.3, "sessions": 2, "sharpe": None, "test_relative": 0.51}
        | {"validation_relative": 0.52, "wfe_relative": 0.5, "wfe_up": None}
    ],
    "gross_bp": MEAN,
    "halted": 0,
    "holding_sessions": 5,
    "ladder": {
        "absent": ["next_open: the prices hold no open"],
        "break_even_bp": [{"cost_bp": None, "entry": "same_close", "holding_sessions": 1}],
        "cells": [{"cost_bp": 0.0, "entry": "same_close", "holding_sessions": 1} | MEAN],
        "sessions": 2,
    },
    "last": "2024-01-04",
    "monthly": {"months": [[0.012, *[None] * 11]], "totals": [0.012], "years": [2024]},
    "net_bp": MEAN,
    "sessions": 2,
    "sharpe": MEAN,
    "sharpe_above_zero": 0.4,
    "trades": 8,
}
RULES = {
    "borrow_bp_a_year": 30.0, "capital": 1000000.0, "commission_bp": 0.5, "entry": "next_close", "half_spread_bp": 2.0,
    "holding_sessions": None, "impact": "none", "max_turnover": None, "names_a_side": 4, "sizing": "top_bottom",
}  # fmt: skip
LINES = ("net", "gross", "benchmark", "buy_and_hold", "drawdown", "gross_exposure", "net_exposure")
CURVES = {name: [0.0, None] for name in LINES} | {"sessions": ["2024-01-03", "2024-01-04"], "fold_stops": [2]}


def test_a_portfolio_is_read_and_written_as_it_was():
    old = {"rules": RULES, "confidence": 0.95, "horizons": {"20": HORIZON, "5": HORIZON}}
    portfolio = Portfolio.model_validate_json(json.dumps(old))
    assert portfolio.model_dump(mode="json") == old
    assert list(portfolio.horizons) == [5, 20]
    assert portfolio.rules == BacktestConfig(names_a_side=4, entry="next_close")


@pytest.mark.parametrize(
    "again", [None, Retrained(every_sessions=20, as_the_folds=True, forecasts_apart=0.0, net_bp=-1.3)]
)
def test_a_simulation_is_read_with_what_was_fitted_anew_and_without(again):
    item = {"value": None, "figure": "net", "session": "2024-01-04", "agrees": False, "sessions": 2}
    retrained = {} if again is None else {"retrained": again.model_dump()}
    old = {"tolerance": 1e-9, "horizons": {"5": item | retrained}}
    simulation = Simulation.model_validate_json(json.dumps(old))
    assert simulation.horizons[5].model_dump(exclude={"retrained"}) == item
    assert simulation.horizons[5].retrained == again


def test_the_section_of_a_report_is_read_and_written_as_it_was():
    told = {"said": "5 days: …", "trades_page": "trades-5d.csv"}
    old = {
        "rules": RULES,
        "confidence": 0.95,
        "replay": {"agrees": True, "text": "A forward simulation …"},
        "horizons": {"5": HORIZON | told | {"curves": CURVES}},
    }
    assert PortfolioSection.model_validate_json(json.dumps(old)).model_dump(mode="json") == old
