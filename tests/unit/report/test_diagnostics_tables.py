"""Diagnostics of the gates as text: equal on the page and in the Markdown."""

import pytest

from foundry_tasks.contract.documents.gates import DeflatedSharpe, FiellerBounds
from foundry_tasks.report.html import write_html
from foundry_tasks.report.markdown import write_markdown
from foundry_tasks.report.sections.diagnostics import Cell, diagnostic_rows, expected_against_observed


def diagnostics(document, horizon=1):
    return document.evidence[horizon].diagnostics


def with_diagnostics(document, **changed):
    """The document with other diagnostics of horizon 1."""
    evidence = document.evidence[1]
    found = evidence.diagnostics.model_copy(update=changed)
    return document.model_copy(
        update={"evidence": {**document.evidence, 1: evidence.model_copy(update={"diagnostics": found})}}
    )


def with_rank_ic_efficiency(document, **changed):
    efficiency = diagnostics(document).efficiency
    found = efficiency.model_copy(update={"rank_ic": efficiency.rank_ic.model_copy(update=changed)})
    return with_diagnostics(document, efficiency=found)


def with_trials(document, **changed):
    return with_diagnostics(document, trials=diagnostics(document).trials.model_copy(update=changed))


def cell(document, label, horizon=1):
    (row,) = [row for row in diagnostic_rows(document) if row.label == label]
    return row.cells[horizon]


def test_every_figure_of_every_horizon_is_on_the_page_and_in_the_markdown(document):
    page, text = write_html(document), write_markdown(document)
    for row in [*diagnostic_rows(document), *expected_against_observed(document)]:
        assert list(row.cells) == [1, 5, 20]
        assert f"<b>{row.label}</b>" in page
        assert all(f"<b>{found.value}</b>" in page and found.note in page for found in row.cells.values())
        assert f"| {row.label} | {row.about} | {' | '.join(map(str, row.cells.values()))} |" in text


def test_expected_stands_beside_observed(document):
    (row,) = [row for row in expected_against_observed(document) if row.label == "Mean AUC per session"]
    found = next(found for found in diagnostics(document).expected if found.name == "mean AUC per session")
    bounds = f"[{found.lower:.4f}, {found.upper:.4f}]"
    assert row.cells[1] == Cell(f"{found.observed:.4f}", f"expected {found.expected:.4f} {bounds}")


def test_a_classifier_is_said_to_forecast_no_returns(document):
    (row,) = [row for row in expected_against_observed(document) if row.label == "Dispersion of return forecasts"]
    assert row.cells[1].value == "not forecast"


@pytest.mark.parametrize(
    ("fieller", "note"),
    [
        ({"kind": "between", "lower": -0.2, "upper": 1.5}, "[−20 %, 150 %]"),
        (
            {"kind": "outside", "lower": -2.0, "upper": 0.4},
            "below −200 % or above 40 %: the validation edge may be zero",
        ),
        ({"kind": "every", "lower": None, "upper": None}, "any ratio: both edges may be zero"),
    ],
)
def test_an_efficiency_is_read_with_the_ratios_that_the_data_allow(document, fieller, note):
    changed = with_rank_ic_efficiency(document, value=0.6, fieller=FiellerBounds(**fieller))
    assert cell(changed, "WFE, rank IC") == Cell("60 %", note)


def test_an_efficiency_without_an_edge_in_validation_says_so(document):
    assert cell(with_rank_ic_efficiency(document, value=None), "WFE, rank IC") == Cell(
        "undefined", "no edge in validation"
    )


def test_a_deflated_sharpe_ratio_says_both_numbers_of_trials_and_what_could_not_be_aligned(document):
    raw, clustered = (
        DeflatedSharpe(n_trials=count, variance=0.01, expected_maximum=0.1, deflated=deflated)
        for count, deflated in ((18, 0.31), (1, 0.46))
    )
    changed = with_trials(document, sharpe=0.05, deflated=0.31, unaligned=2, raw=raw, clustered=clustered)
    assert cell(changed, "Deflated Sharpe ratio") == Cell(
        "0.31",
        "Sharpe 0.0500 a session after costs; 0.31 by 18 trials and 0.46 by 1 cluster; 2 of the trials on other sessions",
    )


def test_an_undefined_probability_of_overfitting_says_why(document):
    changed = with_trials(document, overfitting=None, undefined="6 different trials, 10 are needed")
    assert cell(changed, "Probability of overfitting") == Cell("undefined", "6 different trials, 10 are needed")


def test_a_note_of_bounds_alone_gets_no_second_brackets():
    assert str(Cell("0.51", "[0.50, 0.52]")) == "0.51 [0.50, 0.52]"
    assert str(Cell("0.51", "t 2.0")) == "0.51 (t 2.0)"


def test_a_run_that_judged_nothing_has_no_such_tables(document):
    evidence = {horizon: item.model_copy(update={"diagnostics": None}) for horizon, item in document.evidence.items()}
    judged_nothing = document.model_copy(update={"evidence": evidence})
    assert not diagnostic_rows(judged_nothing)
    assert "inform and refuse nothing" not in write_html(judged_nothing) + write_markdown(judged_nothing)
