"""The project's own suites for features, labels and predictions; those for prices meet every kind of bad file in e2e."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.adapters.expectations_gx import GreatExpectations
from foundry_tasks.contract.settings import REPOSITORY

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
    }  # fmt: skip
    return pd.DataFrame(rows | changes)


def predictions(**changes):
    rows = {
        "date": pd.to_datetime(["2020-01-02"] * 2), "ticker": ["A", "B"], "horizon": [1, 1],
        "p_up": [0.52, 0.48], "spread": [0.02, 0.02],
    }  # fmt: skip
    return pd.DataFrame(rows | changes)


CASES = [
    ("features", features(), None, ""),
    ("features", features().iloc[:0], "critical", "no feature could be computed"),
    ("features", features(feature=["a", "a"]), "critical", "share a name"),
    ("features", features(infinite=[0, 3]), "critical", "infinite values.*1 of 2: b"),
    ("features", features(maximum=[1.0, 1e20]), "critical", "out of range"),
    ("features", features(label_correlation=[1.0, 0.0]), "critical", "equal a label.*: a"),
    ("features", features(label_correlation=[0.7, 0.0]), "warning", "more closely than an honest one"),
    ("features", features(constant=[True, False]), "warning", "single value"),
    ("features", features(finite_share=[0.2, 1.0]), "warning", "undefined for most"),
    ("labels", labels(), None, ""),
    ("labels", labels().iloc[:0], "critical", "no session has a label"),
    ("labels", labels(difference=[0.0, 0.003]), "critical", "horizon and date do not match.*B 2020-01-02 1"),
    ("labels", labels(up_agrees=[True, False]), "critical", "contradict the return"),
    ("labels", labels(labelled_too_late=[5, 5]), "critical", "nobody knows yet"),
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
    verdict = gx.validate(suite, table, {})
    assert verdict.passed == (severity != "critical")
    found = [finding for finding in verdict.findings if re.search(says, finding.sentence)]
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all(finding in found or finding.severity == "warning" for finding in verdict.findings)
