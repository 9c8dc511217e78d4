"""Great Expectations behind the port: JSON suites in, a verdict with examples and a self-contained page out."""

import json
import re
import subprocess
import sys
from datetime import date

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.adapters.expectations_gx import MAX_EXAMPLES, GreatExpectations
from foundry_tasks.contract.errors import ConfigError


def between(column, severity="critical", notes="out of range", **kwargs):
    return {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": column, **kwargs},
        "severity": severity,
        "meta": {"notes": notes},
    }


@pytest.fixture
def validate(tmp_path):
    def run(*expectations, table, facts=None):
        (tmp_path / "suite.json").write_text(json.dumps({"name": "suite", "expectations": expectations}))
        return GreatExpectations(tmp_path).validate("suite", table, facts or {})

    return run


@pytest.fixture
def table():
    days = pd.date_range("2020-01-01", periods=100, unit="s")
    return pd.DataFrame({"ticker": ["A", "B"] * 50, "date": days, "close": np.arange(100.0)})


def test_a_sound_table_passes_without_findings(validate, table):
    verdict = validate(between("close", min_value=0), table=table)
    assert (verdict.passed, verdict.findings, verdict.expectations) == (True, (), 1)


def test_a_critical_failure_names_ticker_and_date_of_at_most_twenty_examples(validate, table):
    verdict = validate(between("close", min_value=30, notes="close too low"), table=table)
    (finding,) = verdict.findings
    assert not verdict.passed
    assert (finding.severity, finding.column, finding.failed, finding.checked) == ("critical", "close", 30, 100)
    assert len(finding.examples) == MAX_EXAMPLES
    assert finding.examples[0] == {"ticker": "A", "date": "2020-01-01", "close": 0.0}
    assert finding.sentence == "close too low (30 of 100: A 2020-01-01, B 2020-01-02, A 2020-01-03 …)"


def test_a_few_failures_are_all_named(validate, table):
    verdict = validate(between("close", min_value=4), table=table)
    assert verdict.findings[0].sentence == (
        "out of range (4 of 100: A 2020-01-01, B 2020-01-02, A 2020-01-03, B 2020-01-04)"
    )


def test_a_warning_is_a_finding_and_not_a_failure(validate, table):
    verdict = validate(between("close", severity="warning", min_value=30), table=table)
    assert verdict.passed
    assert verdict.findings[0].severity == "warning"


def test_facts_fill_parameters_and_notes(validate, table):
    expectation = {
        "type": "expect_column_max_to_be_between",
        "kwargs": {"column": "date", "min_value": {"$parameter": "fresh_since"}},
        "meta": {"notes": "nothing since {fresh_since}"},
    }
    assert validate(expectation, table=table, facts={"fresh_since": date(2020, 4, 9)}).passed
    verdict = validate(expectation, table=table, facts={"fresh_since": date(2020, 4, 10)})
    assert verdict.findings[0].sentence == "nothing since 2020-04-10"
    assert verdict.findings[0].examples == ({"observed": "2020-04-09"},)


def test_a_fact_that_the_stage_does_not_know_is_named(validate, table):
    with pytest.raises(ConfigError, match="asks for 'as_of', which is no fact of this stage; it has horizon"):
        validate(between("close", max_value={"$parameter": "as_of"}), table=table, facts={"horizon": 1})


def test_an_optional_column_that_is_absent_is_left_out(validate, table):
    expectation = between("open", min_value=0)
    expectation["meta"]["optional"] = True
    verdict = validate(expectation, between("close", min_value=0), table=table)
    assert (verdict.passed, verdict.expectations) == (True, 1)


def test_an_expectation_that_cannot_be_checked_fails_whatever_its_severity(validate, table):
    verdict = validate(between("open", severity="warning", min_value=0), table=table)
    assert not verdict.passed
    assert "could not be checked" in verdict.findings[0].sentence


def test_rows_under_repeated_labels_have_examples_too(validate, table):
    verdict = validate(between("close", min_value=1), table=pd.concat([table, table]))
    assert [one["ticker"] for one in verdict.findings[0].examples] == ["A", "A"]


def test_data_docs_are_one_page_that_loads_nothing_and_says_what_the_verdict_is(validate, table):
    page = validate(between("close", "warning", min_value=30), table=table).docs["index.html"].decode()
    assert "passed: 0 critical, 1 warnings" in page
    assert not re.findall(r"(?:src|href)=\"(?!#)[^\"]+\"|url\(|<script|@import", page)
    assert page.count("<div") == page.count("</div>")


def test_a_suite_that_is_not_there_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.json cannot be read: FileNotFoundError.*FOUNDRY_EXPECTATIONS"):
        GreatExpectations(tmp_path).validate("nowhere", pd.DataFrame(), {})


def test_a_broken_suite_is_a_configuration_error(tmp_path):
    (tmp_path / "suite.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read: JSONDecodeError"):
        GreatExpectations(tmp_path).validate("suite", pd.DataFrame(), {})


def test_nothing_is_drawn_on_the_terminal(validate, table, capfd):
    validate(between("close", min_value=30), table=table)
    assert capfd.readouterr() == ("", "")


LOADING = """
import gc, sys
from foundry_tasks.adapters.expectations_gx import _load
often = gc.get_threshold()
_load()
assert gc.get_threshold() == often
assert not {"scipy.stats", "altair"} & set(sys.modules)
assert "rfc3987_syntax" not in sys.modules, "an extra of jsonschema's, whose parsers take a second"
from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as user
assert user.stats.entropy([0.5, 0.5]) > 0.69
import scipy.stats
assert user.alt.Chart
assert scipy.stats.entropy is user.stats.entropy
"""


@pytest.mark.slow(4)
def test_what_it_would_rarely_use_is_loaded_once_it_is_used():
    subprocess.run([sys.executable, "-c", LOADING], check=True)
