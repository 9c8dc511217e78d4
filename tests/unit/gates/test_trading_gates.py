"""The gates `tradable` and `earns`: what is left of an edge after the deciding close, and after costs."""

from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.standard_portfolio import STANDARD_PORTFOLIO
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.evaluation.metrics import session_auc
from foundry_tasks.features.labels import build_labels, forward_returns
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.null_distribution import null_distribution
from foundry_tasks.gates.registry import GATES
from foundry_tasks.gates.verdict import evaluate_gates
from foundry_tasks.walk.evidence import Evidence
from foundry_tasks.walk.trading import traded
from tests.traded_market import market
from tests.unit.gates.forecaster import SESSIONS, TICKERS, evidence, trading

POLICY = GatePolicy(resamples=400)
N_SESSIONS, N_TICKERS = 250, 24


def simulated(seed: int, *, overnight: float, intraday: float, n_opens: float = 1.0) -> tuple[PricePanel, FloatArray]:
    """Prices whose overnight and intraday returns of t+1 depend on a score of t, and P(up) from this score.

    overnight, intraday: correlation of the score with each. n_opens: share of the opens that are known.
    """
    rng = np.random.default_rng(seed)
    shape = (N_SESSIONS, N_TICKERS)
    score = rng.normal(size=shape)

    def returns(correlation: float) -> FloatArray:
        known = np.vstack([np.zeros((1, N_TICKERS)), score[:-1]])
        return 0.01 * (correlation * known + np.sqrt(1 - correlation**2) * rng.normal(size=shape))

    night, day = returns(overnight), returns(intraday)
    close = 100 * np.exp(np.cumsum(night + day, axis=0))
    opened = close / np.exp(day)
    opened[rng.random(shape) > n_opens] = np.nan
    return market(close, open=opened), 0.5 + 0.02 * score


def judged(prices: PricePanel, p_up: FloatArray, *names: str, horizon: int = 1) -> list[str]:
    """Verdicts of some gates on forecasts of every session."""
    labels = build_labels(prices, horizon)
    trades = traded(
        prices, p_up, lambda entry: forward_returns(prices, horizon, entry), first_session=0, horizon=horizon
    )
    halves = np.split(np.zeros(len(p_up)), 2)
    found = Evidence(
        horizon=horizon, p_up=p_up, base_rate=np.full(p_up.shape, 0.5), up=labels.up, above_median=labels.median,
        forward_return=labels.forward_return, member=prices.member, validation_relative=halves, test_relative=halves,
        validation_up=halves, test_up=halves, leaks=(), trading=trades,
    )  # fmt: skip
    case = Case(found, POLICY, 0, null_distribution(found))
    return [GATES[name].judge(case).verdict for name in names]


def test_an_edge_that_ends_at_the_next_open_ranks_the_labels_and_cannot_be_traded():
    """A lower bound of nominal 2.5 % lets two or three of a hundred pass; the moving-block bootstrap lets one or two more."""
    verdicts = [judged(*simulated(seed, overnight=1.0, intraday=0.0), "auc", "tradable") for seed in range(100)]
    assert [auc for auc, _ in verdicts] == ["passed"] * 100
    assert sum(tradable == "failed" for _, tradable in verdicts) >= 95


def test_an_edge_that_begins_at_the_next_open_passes_both():
    for seed in range(10):
        assert judged(*simulated(seed, overnight=0.0, intraday=0.3), "auc", "tradable") == ["passed", "passed"]


def test_where_opens_are_rare_an_edge_must_outlast_the_next_close():
    """Returns of t+1 that are ranked perfectly are no edge if the first trade is at the close of t+1."""
    prices, p_up = simulated(3, overnight=0.3, intraday=0.3, n_opens=0.9)
    assert judged(prices, p_up, "auc", "tradable") == ["passed", "failed"]
    whole, _ = simulated(3, overnight=0.3, intraday=0.3)
    assert judged(whole, p_up, "auc", "tradable") == ["passed", "passed"]


def gate(found: Evidence, name: str):
    return evaluate_gates(found, POLICY, seed=0).gate(name)


def test_the_bound_is_that_of_the_sign_of_the_tradable_return():
    found = gate(evidence(), "tradable")
    p_up, up = evidence().p_up, evidence().up
    assert found.value == pytest.approx(np.nanmean(session_auc(p_up, up)))
    assert found.note.startswith("from the open of t+1; 100.0% of the forecasts")


def test_the_note_says_why_the_next_open_is_no_entry():
    mine = evidence()
    notes = [
        gate(replace(mine, trading=replace(mine.trading, open_share=share)), "tradable").note for share in (0.0, 0.9)
    ]
    assert notes[0].endswith("; the prices hold no open")
    assert notes[1].endswith("; 90.0% of the forecasts have an open in the next session, 95% are needed to trade there")


def test_a_refusal_by_tradable_alone_is_no_near_miss():
    noise = np.random.default_rng(5).normal(size=(SESSIONS, TICKERS))
    report = evaluate_gates(replace(evidence(), trading=trading(noise)), POLICY, seed=0)
    assert report.failed == ("tradable",)
    assert report.verdict == "refused"


def test_evidence_that_was_never_traded_is_undefined_hence_refused():
    report = evaluate_gates(replace(evidence(), trading=None), POLICY, seed=0)
    assert (report.failed, report.gate("tradable").verdict, report.verdict) == (("tradable",), "undefined", "refused")
    assert report.gate("earns").verdict == "warned"


def test_too_few_blocks_cannot_tell_and_the_note_says_so():
    found = gate(evidence(horizon=20), "tradable")
    assert (found.verdict, found.note[:46]) == ("undefined", "6 independent blocks, 12 are needed; from the ")


@pytest.mark.parametrize("earned", [-0.01, 0.0, 0.0002, 0.01])
def test_a_portfolio_that_does_not_pay_for_its_trades_warns_and_refuses_nothing(earned):
    mine = evidence()
    report = evaluate_gates(replace(mine, trading=trading(mine.up - 0.5, earned=earned)), POLICY, seed=0)
    earns = report.gate("earns")
    assert report.verdict == "passed", report.failed
    assert earns.value == pytest.approx(earned / 1e-4, abs=3)
    assert earns.verdict == ("passed" if earns.lower > STANDARD_PORTFOLIO.cost_bp else "warned")
    assert (earns.verdict == "passed") == (earned == 0.01)


def test_a_portfolio_that_holds_nothing_says_so():
    mine = evidence()
    idle = replace(mine.trading.portfolio, before_costs=np.zeros(SESSIONS), turnover=np.zeros(SESSIONS))
    found = gate(replace(mine, trading=replace(mine.trading, portfolio=idle)), "earns")
    assert (found.value, found.verdict, found.note) == (None, "warned", "the standard portfolio trades nothing")
