"""The project's suites, fact by fact. tests/e2e tests the suite of prices with all kinds of bad files."""

import json
import re
from datetime import date

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.adapters.expectations_gx import GreatExpectations
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.data.bar_verdicts import bars_of, judge
from foundry_tasks.data.defects import STALE_SESSIONS
from foundry_tasks.data.jumps import LARGE_MOVE, RESOLVED_SESSIONS
from foundry_tasks.data.sessions import sessions_between
from foundry_tasks.stages.prices import MAX_AGE_SESSIONS, MAX_GAP_SESSIONS
from tests.market_bars import FIRST, LAST, sound_bars

FOLDER = REPOSITORY / "expectations"
SUITES = ("prices", "features", "labels", "predictions")


@pytest.fixture(scope="module")
def gx():
    return GreatExpectations(FOLDER)


@pytest.mark.parametrize("suite", SUITES)
def test_every_expectation_has_a_severity_and_says_in_words_what_is_wrong(suite):
    document = json.loads((FOLDER / f"{suite}.json").read_text())
    assert document["name"] == suite
    for expectation in document["expectations"]:
        assert expectation["severity"] in {"critical", "warning"}
        assert expectation["meta"]["notes"]


def features(**changes):
    rows = {
        "feature": ["a", "b"], "finite_share": [1.0, 0.9], "minimum": [-1.0, 0.0], "maximum": [1.0, 2.0],
        "standard_deviation": [0.5, 0.5], "infinite": [0, 0], "constant": [False, False],
        "label_correlation": [0.01, np.nan], "label": ["up_1d", ""],
    }  # fmt: skip
    return pd.DataFrame(rows | changes)


def labels(**changes):
    rows = {
        "horizon": [1, 1], "ticker": ["A", "B"], "date": pd.to_datetime(["2020-01-02"] * 2),
        "forward_return": [0.01, -0.02], "recomputed": [0.01, -0.02], "difference": [0.0, 0.0],
        "up_agrees": [True, True], "up_share": [0.52, 0.52], "labelled_too_late": [0, 0],
        "labelled_across": [0, 0],
    }  # fmt: skip
    return pd.DataFrame(rows | changes)


def predictions(**changes):
    rows = {
        "date": pd.to_datetime(["2020-01-02"] * 2), "ticker": ["A", "B"], "horizon": [1, 1],
        "p_up": [0.52, 0.48], "spread": [0.02, 0.02],
    }  # fmt: skip
    return pd.DataFrame(rows | changes)


def prices(**changes):
    """Judged bars of two tickers, without faults."""
    days = np.tile(pd.to_datetime(["2020-01-02", "2020-01-03", "2020-01-06"]), 2)
    rows = {
        "ticker": ["A"] * 3 + ["B"] * 3, "date": days, "open": 10.0, "high": 10.5, "low": 9.5, "close": 10.0,
        "adj_close": 10.0, "volume": 1000.0, "is_session": True, "outside_range": False, "bad_jump": False,
        "action": False, "large_move": False, "common_step": 1.0, "single_price": False, "unchanged_sessions": 0,
        "skipped_sessions": 0, "sessions_behind": 0, "days_after_as_of": 0, "coverage": 1.0,
    }  # fmt: skip
    return pd.DataFrame(rows | changes)


def at(places, value=True, otherwise=False):
    """A column of `prices` with `value` at these rows."""
    return [value if place in places else otherwise for place in range(6)]


FACTS = {
    "prices": {
        "as_of": date(2020, 1, 6), "newest": date(2020, 1, 6), "max_age": MAX_AGE_SESSIONS, "calendar": "XNYS",
        "min_sessions": 3, "large_move": LARGE_MOVE, "resolved_sessions": RESOLVED_SESSIONS,
        "most_unchanged_sessions": STALE_SESSIONS - 1, "most_skipped_sessions": MAX_GAP_SESSIONS, "min_coverage": 0.95,
        "coverage": 1.0, "thinnest": "A 100%",
    }
}  # fmt: skip
CASES = [
    ("prices", prices(), None, ""),
    ("prices", prices().drop(columns=["open", "high", "low", "adj_close", "volume"]), None, ""),
    (
        "prices",
        prices(common_step=at({2, 5}, 4 / 3, 1.0)),
        "critical",
        "two scales meet.*2 of 6: A 2020-01-06, B 2020-01-06",
    ),
    ("prices", prices(common_step=at({2, 5}, 1 / 100, 1.0)), "critical", "two scales meet.*redenominations"),
    ("prices", prices(bad_jump=at({1})), "warning", "between a jump and the return.*excluded.*1 of 6: A 2020-01-03"),
    (
        "prices",
        prices(action=at({4})),
        "warning",
        f"unadjusted actions.*{RESOLVED_SESSIONS} sessions.*keep.*: B 2020-01-03",
    ),
    ("prices", prices(large_move=at({2})), "warning", f"more than {LARGE_MOVE:.0%}.*are kept.*1 of 6: A 2020-01-06"),
    ("prices", prices(sessions_behind=MAX_AGE_SESSIONS), None, ""),
    ("prices", prices(sessions_behind=MAX_AGE_SESSIONS + 1), "critical", "prices are stale: the newest session"),
    ("prices", prices(days_after_as_of=at({2}, 1, 0)), "critical", "after the last completed session"),
    ("prices", prices(is_session=at({0}, False, True)), "critical", "lie off the sessions"),
    ("prices", prices(outside_range=at({0})), "warning", "outside .low, high."),
    ("prices", prices(single_price=at({0, 1, 2})), "warning", "a single price"),
    ("prices", prices(unchanged_sessions=at({2}, STALE_SESSIONS, 0)), "warning", "stale bars"),
    ("prices", prices(skipped_sessions=at({2}, MAX_GAP_SESSIONS + 1, 0)), "warning", "follow a gap"),
    ("prices", prices(coverage=0.9), "critical", "below min_coverage"),
    ("prices", prices(close=at({0}, -1.0, 10.0)), "critical", "closes that are not a positive"),
    ("features", features(), None, ""),
    ("features", features().iloc[:0], "critical", "no feature could be computed"),
    ("features", features(feature=["a", "a"]), "critical", "share a name"),
    ("features", features(infinite=[0, 3]), "critical", "infinite values.*1 of 2: b"),
    ("features", features(maximum=[1.0, 1e20]), "critical", "out of range"),
    ("features", features(label_correlation=[1.0, 0.0]), "critical", "equal a label.*: a"),
    ("features", features(label_correlation=[0.7, 0.0]), "warning", "implausibly high correlation"),
    ("features", features(constant=[True, False]), "warning", "single value"),
    ("features", features(finite_share=[0.2, 1.0]), "warning", "undefined for most"),
    ("labels", labels(), None, ""),
    ("labels", labels().iloc[:0], "critical", "no session has a label"),
    ("labels", labels(difference=[0.0, 0.003]), "critical", "horizon and date do not match.*B 2020-01-02 1"),
    ("labels", labels(up_agrees=[True, False]), "critical", "contradict the return"),
    ("labels", labels(labelled_too_late=[5, 5]), "critical", "not known yet"),
    ("labels", labels(labelled_across=[3, 3]), "critical", "reach across a split"),
    ("labels", labels(up_share=[0.99, 0.99]), "critical", "nearly all the same"),
    ("labels", labels(up_share=[0.8, 0.8]), "warning", "out of balance"),
    ("labels", labels(recomputed=[np.nan, 0.1]), "critical", "price at entry or exit is missing"),
    ("labels", labels(ticker=["A", "A"]), "critical", "several labels for one"),
    ("predictions", predictions(), None, ""),
    ("predictions", predictions(spread=[np.nan, np.nan]), None, ""),
    ("predictions", predictions(p_up=[0.5, np.nan]), "critical", "without P.up."),
    ("predictions", predictions(p_up=[0.5, 1.2]), "critical", "outside .0, 1..*B 2020-01-02 1"),
    ("predictions", predictions(ticker=["A", "A"]), "critical", "several predictions for one"),
    ("predictions", predictions(spread=[0.0, 0.0]), "warning", "have collapsed"),
    ("predictions", predictions().iloc[:0], "critical", "no prediction was made"),
]


@pytest.mark.parametrize(
    ("suite", "table", "severity", "says"), CASES, ids=[f"{case[0]}: {case[3] or 'sound'}" for case in CASES]
)
def test_a_suite_finds_its_fault_at_its_severity_and_nothing_more(gx, suite, table, severity, says):
    verdict = gx.validate(suite, table, FACTS.get(suite, {}))
    assert verdict.passed == (severity != "critical")
    found = [finding for finding in verdict.findings if re.search(says, finding.sentence)]
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all(finding in found or finding.severity == "warning" for finding in verdict.findings)


def test_every_fact_that_is_judged_of_a_bar_is_asked_for_by_the_suite():
    """A fact without an expectation has no effect."""
    bars = bars_of(sound_bars(("AAA",)), sessions_between("XNYS", FIRST, LAST))
    document = json.loads((FOLDER / "prices.json").read_text())
    asked = {expectation["kwargs"].get("column") for expectation in document["expectations"]}
    assert set(judge(bars).columns) <= asked
