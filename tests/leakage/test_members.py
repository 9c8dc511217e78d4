"""Members only: a ticker that is no member of the universe at a session changes nothing that is learned, judged or traded."""

from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.contract.config import EnsembleConfig, GatePolicy, ModelsConfig
from foundry_tasks.contract.documents import Fold, Window
from foundry_tasks.data.panel import PricePanel
from foundry_tasks.evaluation.standard_portfolio import standard_pnl
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import Labels, build_labels, label_span
from foundry_tasks.features.lookback import LOOKBACK_SESSIONS
from foundry_tasks.gates.diagnostics import edges_of, gate_diagnostics
from foundry_tasks.gates.verdict import evaluate_gates
from foundry_tasks.models.design import build_design
from foundry_tasks.walk.evidence import FoldOutput, among_members, gather_evidence
from foundry_tasks.walk.study import Recipe, study
from tests.leakage.markets import simulated_market

SESSIONS, TICKERS, HORIZON = 620, 16, 5
JOINS, LEAVES, STRANGER = 0, 1, 2
"""Columns of a ticker that joins, of one that leaves, and of one that is never a member."""
JOINS_AT, LEAVES_AT = LOOKBACK_SESSIONS + 150, 560
POLICY = GatePolicy(resamples=200, min_blocks=2)
RECIPE = Recipe(
    "core",
    ModelsConfig(
        horizons=(HORIZON,), models=("logistic",), seeds=1, threads=1, folds=2, test_sessions=90, validation_sessions=40,
        warmup_blocks=1, min_fit_sessions=100,
    ),
    EnsembleConfig(seeds=1, threads=1),
    POLICY,
)  # fmt: skip


@pytest.fixture(scope="module")
def prices() -> PricePanel:
    whole = simulated_market(sessions=SESSIONS, tickers=TICKERS, seed=7)
    member = whole.member.copy()
    member[:JOINS_AT, JOINS] = False
    member[LEAVES_AT:, LEAVES] = False
    member[:, STRANGER] = False
    return replace(whole, member=member)


def with_other_strangers(prices: PricePanel, seed: int = 0, *, lookback: int = LOOKBACK_SESSIONS) -> PricePanel:
    """Other prices of tickers while they are no members.

    A joiner keeps the sessions that its features look back on, and a leaver those that its last labels end on.
    """
    rng = np.random.default_rng(seed)
    noise = np.exp(rng.normal(0, 0.5, prices.member.shape))
    needed = prices.member.copy()
    needed[JOINS_AT - min(lookback, JOINS_AT) :, JOINS] = True
    needed[: LEAVES_AT + label_span(HORIZON, "next_close"), LEAVES] = True

    def change(_, values):
        return values if values.ndim == 1 else np.where(needed, values, values * noise)

    return prices.mapped(change)


@pytest.mark.parametrize("seed", range(3))
def test_no_feature_of_a_member_knows_the_prices_of_tickers_that_are_none(prices, seed):
    before = build_features(prices, "extended").panel
    after = build_features(with_other_strangers(prices, seed), "extended").panel
    others = [column for column in range(TICKERS) if column != JOINS]
    for name, values in before.items():
        assert np.isnan(values[~prices.member]).all()
        np.testing.assert_array_equal(after[name][:, others], values[:, others], err_msg=name)
        # A running sum remembers the rounding of values that have left its window.
        np.testing.assert_allclose(after[name][:, JOINS], values[:, JOINS], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("entry", ["close", "next_open", "next_close"])
def test_no_label_of_a_member_is_relative_to_tickers_that_are_none(prices, entry):
    before, after = (vars(build_labels(one, HORIZON, entry)) for one in (prices, with_other_strangers(prices)))
    for kind, values in before.items():
        assert np.isnan(values[~prices.member]).all()
        np.testing.assert_array_equal(after[kind], values, err_msg=kind)


@pytest.mark.parametrize("transform", ["raw", "rank", "sequence"])
def test_models_learn_from_and_score_members_alone(prices, transform):
    design = build_design(build_features(prices, "core").panel, transform)
    assert prices.member[design.session, design.ticker].all()
    assert set(design.ticker) == set(range(TICKERS)) - {STRANGER}


def test_no_gated_figure_and_no_profit_knows_the_prices_of_tickers_that_are_none(prices):
    """The joiner keeps its whole past: its own features round otherwise if older values change."""
    told = []
    for one in (prices, with_other_strangers(prices, lookback=JOINS_AT)):
        evidence = study(one, RECIPE)
        assert not np.isfinite(evidence.p_up[~evidence.member]).any()
        pnl = standard_pnl(one, evidence.p_up, first_session=SESSIONS - len(evidence.p_up), horizon=HORIZON)
        told.append((evaluate_gates(evidence, POLICY, seed=1).gates, pnl.pnl.tolist()))
    assert str(told[0]) == str(told[1])


def test_evidence_holds_members_alone_whatever_is_forecast_and_labelled():
    rng, shape = np.random.default_rng(4), (260, 12)
    member = rng.random(shape) > 0.3
    folds = (
        Fold(1, Window(0, 60), Window(62, 98), Window(100, 180)),
        Fold(2, Window(0, 140), Window(142, 178), Window(180, 260)),
    )

    def told(p_up, returns):
        up = (returns > 0).astype(float)
        labels = Labels(returns, up, up, up, np.abs(returns), np.abs(returns))
        rows = [slice(fold.validation.start, fold.test.stop) for fold in folds]
        outputs = [FoldOutput(fold, p_up[at], p_up[at] / 2) for fold, at in zip(folds, rows, strict=True)]
        evidence = gather_evidence(outputs, labels, member, horizon=1, leaks=())
        evidence = replace(evidence, champion_p_up=1 - p_up[100:260])
        edges = edges_of(among_members(outputs, member), labels, evidence)
        entries = {"close": returns[100:260], "next_open": np.full((160, 12), np.nan)}
        return evaluate_gates(evidence, POLICY, seed=1), gate_diagnostics(evidence, edges, entries, POLICY, seed=1)

    p_up, returns = rng.uniform(0.4, 0.6, shape), rng.normal(0, 0.02, shape)
    others = np.where(member, p_up, rng.uniform(0.1, 0.9, shape)), np.where(member, returns, 0.1)
    assert str(told(p_up, returns)) == str(told(*others))


def test_the_standard_portfolio_counts_and_trades_members_alone(prices):
    scores = np.random.default_rng(0).random((60, TICKERS))
    crowd = np.repeat(np.arange(TICKERS), [1, 1, 30, *[1] * (TICKERS - 3)])
    crowded = replace(
        prices,
        tickers=tuple(f"C{number}" for number in range(len(crowd))),
        sectors=tuple(prices.sectors[column] for column in crowd),
        fields={name: values[:, crowd] for name, values in prices.fields.items()},
        member=prices.member[:, crowd],
    )
    few, many = (
        standard_pnl(market, values, first_session=500, horizon=1).pnl
        for market, values in ((prices, scores), (crowded, scores[:, crowd]))
    )
    np.testing.assert_allclose(many, few, rtol=0, atol=1e-15)
