"""Live figures: only predictions for sessions after a version's data, scored by known labels."""

import numpy as np
import pytest

from foundry_tasks.contract.config import MonitorConfig
from foundry_tasks.contract.documents.predict import IndexedPrediction
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.live_figures import LivePrediction, live_figures
from foundry_tasks.features.labels import build_labels
from tests.leakage.markets import simulated_market

PRICES = simulated_market(sessions=200, tickers=12, seed=3)
DAYS = [str(day) for day in PRICES.sessions.astype("datetime64[D]")]
RNG = np.random.default_rng(1)
P_UP = RNG.uniform(0.4, 0.6, (200, 12))
CONFIG = MonitorConfig()


def said(
    row,
    *,
    version=1,
    kind="champion",
    fitted_until="2020-01-01",
    made_at="T23:00:00+00:00",
    tickers=None,
    entry="close",
):
    facts = IndexedPrediction(
        horizon=1, model="foundry-us-1d", version=version, kind=kind, trained_in="foundry_train/r", sha256="a" * 64,
        fitted_until=fitted_until, label_entry=entry, base_rate=0.53, as_of=DAYS[row], predictions="b" * 64,
        made_at=f"{DAYS[row]}{made_at}", dag="foundry_daily", run_id="r",
    )  # fmt: skip
    names = PRICES.tickers if tickers is None else tickers
    return LivePrediction(facts, dict(zip(names, P_UP[row], strict=False)))


def figures(history, horizon=1, config=CONFIG):
    return live_figures(history, PRICES, horizon, "XNYS", config)


def test_figures_are_those_of_the_rows_whose_labels_are_known():
    found = figures([said(row) for row in range(60, 200)], horizon=5)
    up = build_labels(PRICES, 5).up[60:195]
    assert (found.sessions, found.waiting, found.rows) == (135, 5, 135 * 12)
    assert (found.first, found.last) == (DAYS[60], DAYS[194])
    assert found.auc.value == pytest.approx(np.nanmean(metrics.session_auc(P_UP[60:195], up)))
    assert found.brier.value == pytest.approx(np.mean((P_UP[60:195] - up) ** 2))
    assert found.brier_base_rate.value == pytest.approx(np.mean((0.53 - up) ** 2))
    assert found.hit_rate.value == pytest.approx(np.mean((P_UP[60:195] > 0.5) == (up > 0.5)))
    assert found.base_rate == pytest.approx(up.mean())


def test_an_interval_needs_twelve_blocks():
    assert figures([said(row) for row in range(100, 200)]).auc.lower is None
    assert figures([said(row) for row in range(60, 200)]).auc.lower is not None


def test_a_prediction_of_a_session_that_its_version_was_fitted_on_does_not_count():
    history = [said(row, fitted_until=DAYS[150]) for row in range(140, 199)]
    found = figures(history)
    assert (found.sessions, found.fitted_on, found.first) == (49, 10, DAYS[150])


def test_the_newest_sessions_count():
    found = figures([said(row) for row in range(100, 199)], config=CONFIG.model_copy(update={"live_sessions": 20}))
    assert (found.sessions, found.first) == (20, DAYS[179])


def test_a_prediction_after_the_next_opening_is_late_and_one_before_it_is_not():
    friday = next(row for row in range(100, 150) if np.datetime64(DAYS[row]).astype(object).weekday() == 4)
    saturday = str(np.datetime64(DAYS[friday]) + 1)
    early, late = said(friday), said(friday + 1, made_at="T23:59:00+00:00")
    early = LivePrediction(early.entry.model_copy(update={"made_at": f"{saturday}T12:00:00+00:00"}), early.p_up)
    opened = LivePrediction(late.entry.model_copy(update={"made_at": f"{DAYS[friday + 2]}T14:31:00+00:00"}), late.p_up)
    assert figures([early, late]).late == 0
    assert figures([early, opened]).late == 1


def test_each_version_is_counted():
    history = [said(100, version=1, kind="shadow"), said(101, version=2), said(102, version=2)]
    assert figures(history).versions == {"shadow 1": 1, "champion 2": 2}


def test_a_ticker_that_is_gone_or_new_is_left_out():
    found = figures([said(100, tickers=[*PRICES.tickers[:10], "GONE", "ALSO"])])
    assert found.rows == 10


def test_a_version_is_judged_by_the_label_that_it_learned():
    found = figures([said(row, entry="next_close") for row in range(100, 200)])
    up = build_labels(PRICES, 1, "next_close").up[100:198]
    assert found.sessions == 98
    assert found.brier.value == pytest.approx(np.mean((P_UP[100:198] - up) ** 2))


def test_before_anything_has_matured_there_is_no_figure():
    for history in ([], [said(199)]):
        found = figures(history)
        assert (found.sessions, found.waiting, found.base_rate) == (0, len(history), None)
        assert found.auc.value is None
