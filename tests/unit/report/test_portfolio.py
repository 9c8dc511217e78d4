"""A backtest in the report: its earnings come first, and page, Markdown and terminal agree."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from foundry_tasks.contract.config import BacktestConfig
from foundry_tasks.contract.documents import Interval, Portfolio, Simulation
from foundry_tasks.contract.documents.portfolio import (
    BreakEven,
    Earnings,
    Ladder,
    LadderMean,
    MonthlyReturns,
    TradedHorizon,
)
from foundry_tasks.contract.documents.simulate import Retrained, SimulatedHorizon
from foundry_tasks.data.tables import write_table
from foundry_tasks.evaluation.backtest import run_backtest
from foundry_tasks.evaluation.earnings import (
    FoldAccuracy,
    daily_columns,
    earnings,
    fold_figures,
    ladder_figures,
)
from foundry_tasks.evaluation.edge_decay import edge_decay_ladder
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.report import portfolio_tables as tables
from foundry_tasks.report.html import write_html
from foundry_tasks.report.markdown import write_markdown
from foundry_tasks.report.sections.portfolio import earned, replay
from foundry_tasks.report.summary import render
from foundry_tasks.statistics.bootstrap import Resampling
from tests.traded_market import random_market

RULES = BacktestConfig(names_a_side=2)
RESAMPLING = Resampling(0.95, 5, 200, 7)
CSV = b"decided,executed,ticker,weight_change,price,cost\n2024-01-02,2024-01-03,A,0.5,10,0.0001\n"


def publish_portfolio(run, *, replay=("net", "2024-03-01", 4e-16)):
    """Publish the documents of portfolio and simulate for a random market, at 1 and 5 days."""
    io = run.io("portfolio")
    horizons = {}
    for horizon in (1, 5):
        prices, p_up = random_market(horizon, n_sessions=120)
        weights = target_weights(p_up, prices.member, RULES)
        backtest, window = run_backtest(prices, weights, RULES, horizon=horizon), slice(1, None)
        right = np.full(60, 0.52)
        folds = [
            FoldAccuracy(1, 60, right, right, right, right),
            FoldAccuracy(2, 119, right - 0.1, right, right, right),
        ]
        horizons[horizon] = TradedHorizon(
            **dict(earnings(backtest, window, holding_sessions=horizon, resampling=RESAMPLING)),
            ladder=ladder_figures(edge_decay_ladder(prices, weights), resampling=RESAMPLING),
            folds=fold_figures(folds, backtest.net, 0),
        )
        path = io.outputs.workspace / f"daily-{horizon}d.parquet"
        write_table(path, daily_columns(backtest, window))
        io.publish_file(f"{horizon}d/daily.parquet", path)
        io.publish_file(f"trades-{horizon}d.csv", CSV)
    io.publish(Portfolio(rules=RULES, confidence=0.95, horizons=horizons))
    run.finish(io)
    figure, session, value = replay
    item = SimulatedHorizon(value=value, figure=figure, session=session, agrees=value <= 1e-9, sessions=119)
    io = run.io("simulate")
    io.publish(Simulation(tolerance=1e-9, horizons={1: item, 5: item}))
    run.finish(io)


def one_horizon(**figures):
    """Earnings with only the fields that a sentence uses."""
    return Earnings.model_construct(**figures)


@pytest.fixture
def run(new_run, market, publish):
    run = new_run(dag="foundry_backtest")
    publish(run, market, until="gates")
    publish_portfolio(run)
    run.report()
    return run


def shown(page):
    body = ET.fromstring(page.removeprefix("<!DOCTYPE html>")).find("body")  # noqa: S314 - our page
    return " ".join("".join(body.itertext()).split())


def test_what_it_earned_stands_on_top_of_page_text_and_terminal(run):
    said = run.document().portfolio.horizons[5].summary
    assert re.fullmatch(
        r"5 days: −?[\d.]+ bp a day after costs \[.+\]; (break-even cost [\d.]+ bp|it loses before any cost)\.", said
    )
    page = shown(run.page("report.html"))
    assert page.index(said) < page.index("Backtest Long")
    assert run.page("report.md").index(said) < run.page("report.md").index("## Backtest")
    assert said in render(run.store, run.dag, run.run_id)


def test_page_and_markdown_are_written_from_the_json(run):
    assert write_html(run.document()) == run.page("report.html")
    assert write_markdown(run.document()) == run.page("report.md")


def test_a_loss_is_written_as_a_loss():
    item = one_horizon(net_bp=Interval(value=-1.31, lower=-3.0, upper=0.4), break_even_bp=1.1)
    assert earned(1, item) == "1 day: −1.3 bp a day after costs [−3.0, 0.4]; break-even cost 1.1 bp."


def test_what_loses_before_costs_has_no_break_even_cost_to_boast_of():
    item = one_horizon(net_bp=Interval(value=-0.7, lower=-3.2, upper=1.3), break_even_bp=-0.4)
    assert earned(5, item) == "5 days: −0.7 bp a day after costs [−3.2, 1.3]; it loses before any cost."


def test_a_mean_without_an_interval_says_so():
    item = one_horizon(net_bp=Interval(value=2.0, lower=None, upper=None), break_even_bp=3.0)
    assert "2.0 bp a day after costs (too few sessions for an interval)" in earned(20, item)


def test_a_model_that_never_traded_earned_nothing():
    item = one_horizon(net_bp=Interval(value=0.0, lower=0.0, upper=0.0), break_even_bp=None)
    assert earned(20, item) == "20 days: nothing was traded."


def test_every_cell_of_the_ladder_is_on_the_page(run):
    document = run.document()
    page = shown(run.page("report.html"))
    for item in document.portfolio.horizons.values():
        assert len(item.ladder.cells) == 36
        for row in tables.ladder(item.ladder):
            assert " ".join(cell.text for cell in row).replace(" ", "") in page.replace(" ", "")


def test_colours_follow_the_sign_and_weight_the_interval():
    cells = [
        LadderMean(entry="next_open", holding_sessions=1, cost_bp=cost, value=value, lower=lower, upper=upper)
        for cost, value, lower, upper in (
            (0, 2.0, 1.0, 3.0),
            (2, 0.5, -1.0, 2.0),
            (5, -3.0, -5.0, -1.0),
            (10, None, None, None),
        )
    ]
    break_even = BreakEven(entry="next_open", holding_sessions=1, cost_bp=2.6)
    (row,) = tables.ladder(Ladder(cells=cells, break_even_bp=(break_even,), absent=(), sessions=119))
    assert [cell.kind for cell in row] == ["", "", "gain sure", "gain", "loss sure", "", "gain"]
    assert [cell.text for cell in row] == ["next open", "1", "2.0", "0.5", "−3.0", "–", "2.6"]


def test_a_month_without_sessions_stays_empty_and_the_year_closes_the_table():
    months = MonthlyReturns(years=(2024,), months=((0.012, None, *[0.0] * 9, -0.03),), totals=(-0.0184,))
    rows = tables.months(months)
    assert [rows[at][1].text for at in (0, 1, 2, 11, 12)] == ["+1.2", "", "0.0", "−3.0", "−1.8"]
    assert rows[12][0].text == "year"


def test_a_fold_whose_efficiency_is_undefined_has_a_dash(run):
    rows = tables.folds(run.document().portfolio.horizons[1].folds)
    assert [row[3].text for row in rows] == ["100 %", "–"]


def test_curves_begin_with_the_first_session_that_earns_and_carry_the_folds(run):
    curves = run.document().portfolio.horizons[1].curves
    assert {len(values) for name, values in curves if name != "fold_stops"} == {119}
    assert curves.fold_stops == (60, 119)
    assert max(curves.drawdown) <= 0


def test_every_trade_lies_beside_the_report_and_is_linked(run):
    assert run.page("trades-5d.csv").encode() == CSV
    links = [element.get("href") for element in ET.fromstring(run.page("report.html").partition("\n")[2]).iter("a")]  # noqa: S314
    assert {"trades-1d.csv", "trades-5d.csv"} <= set(links)
    assert run.document().links.trades["trades-1d.csv"].endswith("trades-1d.csv")


def test_trades_lie_beside_the_report_also_where_the_stage_was_reused(new_run):
    first, second = (new_run(dag="foundry_backtest", run_id=name) for name in ("first", "second"))
    publish_portfolio(first)
    io = second.io("portfolio")
    io.outputs.artifacts |= first.io("report").inputs.result("portfolio").outputs
    second.finish(io, reused_from="first")
    second.report()
    assert second.page("trades-1d.csv").encode() == CSV


def test_a_simulation_that_disagrees_is_said_on_top_in_red(new_run, market, publish):
    run = new_run(dag="foundry_backtest")
    publish(run, market, until="gates")
    publish_portfolio(run, replay=("turnover", "2024-03-01", 0.2))
    run.report()
    text = "The forward simulation differs from the backtest at 1 day (turnover at 2024-03-01) and 5 days"
    page = run.page("report.html")
    assert f'<p class="earned said-refused">{text}' in page
    assert text in run.page("report.md")
    assert not run.document().portfolio.replay.agrees


def test_a_simulation_that_agrees_says_how_closely(run):
    assert run.document().portfolio.replay.text.endswith("gives the same figures within 4e-16.")


@pytest.mark.parametrize(
    ("again", "agrees", "said"),
    [
        (
            {"as_the_folds": True, "forecasts_apart": 1e-16},
            True,
            "on the data known by then: the folds' forecasts within 1e-16.",
        ),
        ({"as_the_folds": True, "forecasts_apart": 0.01}, False, "at 5 days (forecasts after refits). One of them"),
        (
            {"as_the_folds": False, "forecasts_apart": 0.01},
            True,
            "every 60 sessions on the data known by then: −1.5 bp a day",
        ),
    ],
)
def test_what_was_fitted_anew_is_held_against_the_folds_where_the_schedules_are_the_same(again, agrees, said):
    retrained = Retrained(every_sessions=60, net_bp=-1.5, **again)
    replayed = SimulatedHorizon(value=0.0, figure="", session="", agrees=True, sessions=119, retrained=retrained)
    found = replay(Simulation(tolerance=1e-9, horizons={5: replayed}))
    assert found.agrees == agrees
    assert said in found.text


def test_a_backtest_says_that_nothing_was_registered(run):
    assert run.document().status.consequence == "A backtest: nothing was registered."


def test_the_rules_are_said_in_words(run):
    said = tables.rules(run.document().portfolio.rules)
    assert said.startswith(
        "Long the 2 highest, short the 2 lowest P(up), or half of the tickers each; decided at the close of t and traded"
    )


def test_a_run_without_a_portfolio_has_no_such_part(train_run):
    assert train_run.document().portfolio is None
    assert "Backtest" not in train_run.page("report.html") + train_run.page("report.md")


def test_the_summary_of_a_backtest_fits_100_columns_and_lists_the_trades(run):
    text = render(run.store, run.dag, run.run_id)
    assert [line for line in text.splitlines() if len(line) > 100 and "/" not in line] == []
    assert "no predictions" not in text
    assert text.index("report.html") < text.index("trades-1d.csv")


def test_no_page_shows_what_is_not_a_number(run):
    for content in (shown(run.page("report.html")), run.page("report.md"), render(run.store, run.dag, run.run_id)):
        assert not re.search(r"\b(nan|inf|none|(?<!the )null)\b", content.replace("(none)", ""), re.IGNORECASE)
    assert "NaN" not in run.page("report.json")
