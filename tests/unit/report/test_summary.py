"""The terminal summary: complete, at most 100 columns, plain text if the output is not a terminal."""

import re
import sys

import pytest

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents.report import HorizonPrediction, TickerPrediction
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.errors import MissingInputError
from foundry_tasks.report.sections import predictions
from foundry_tasks.report.summary import render


@pytest.fixture
def text(train_run):
    return render(train_run.store, train_run.dag, train_run.run_id)


def test_the_summary_fits_100_columns_but_for_paths(text):
    assert [line for line in text.splitlines() if len(line) > 100 and "/" not in line] == []


def test_the_summary_shows_every_gate_of_every_horizon(text, document):
    for horizon, gates in document.gates.items():
        part = text[text.index(f"\n{horizon} day") :]
        assert [gate.name for gate in gates if f"  {gate.name}" not in part] == []


def test_the_summary_shows_the_top_five_at_each_horizon(text, document):
    assert "Top 5 of 24 predictions" in text
    for entry in document.predictions.top:
        line = next(line for line in text.splitlines() if line.startswith(f"  {entry.ticker} "))
        assert line.count("%") >= 4


def test_predictions_of_shadows_alone_say_why_they_have_no_position(text, train_run):
    said = "no position: no champion"
    assert f"  {said}" in text
    assert f"- {said}" in train_run.page("report.md")
    assert f"<br/>{said.capitalize()}." in train_run.page("report.html")


def test_predictions_with_a_position_show_it(document):
    sized = HorizonPrediction(p_up=0.6, position=0.031)
    entry = TickerPrediction(ticker="T", mean_p_up=0.6, horizons={1: sized, 5: sized})
    shown = document.predictions.model_copy(update={"top": (entry,), "bottom": (), "horizons": (1, 5)})
    assert predictions.position(entry, (1, 5)) == "+3.1 %"
    assert predictions.note(shown) == ""


def test_the_summary_counts_start_up_apart(text):
    assert "start-up s" in text
    assert [line.split() for line in text.splitlines() if line.startswith("  all ")] == [
        ["all", "7.20", "121.80", "129.00"]
    ]


def test_the_summary_says_where_things_are(text):
    assert "/report.html" in text
    assert "foundry-us-1d version 3, refused\n    http://127.0.0.1:5000/#/models" in text


def test_the_summary_starts_with_the_verdict_and_ends_with_what_to_do_next(text, document):
    lines = text.strip().splitlines()
    assert lines[0] == document.status.headline
    after = lines[lines.index("What to do next") :]
    assert [
        word for word in ("make report", "make demo PRICES=", "docs/README.md") if word not in "\n".join(after)
    ] == []


def test_the_section_of_readme_that_the_summary_names_is_there(text):
    (section,) = re.findall(r"more in README.md, (.+)$", text, re.MULTILINE)
    assert f"\n## {section}\n" in (REPOSITORY / "README.md").read_text()


def test_no_word_of_a_gate_is_cut(text, document):
    told = " ".join(text.split())
    for gate in (gate for gates in document.gates.values() for gate in gates):
        assert [word for word in gate.threshold.split() if word not in told] == []
    assert "…" not in text


def test_a_log_gets_no_colour_codes(text):
    assert "\x1b" not in text


def test_a_terminal_gets_colour(train_run, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "\x1b[32mpassed\x1b[0m" in render(train_run.store, train_run.dag, train_run.run_id)


def test_without_a_run_id_the_newest_report_is_shown(new_run):
    for run_id, day in (("b", "2024-01-02"), ("a", "2024-01-03"), ("c", "2024-01-01")):
        run = new_run(run_id=run_id)
        run.report()
        line = {"stage": "report", "timestamp": f"{day}T00:00:00+00:00"}
        run.store.append(artifacts.run_log_key(run.dag, run_id), artifacts.canonical_json(line))
    assert "run a\n" in render(run.store, run.dag, None)


def test_a_run_without_a_report_is_one_clear_line(new_run):
    run = new_run()
    with pytest.raises(MissingInputError, match=r"no run of foundry_train has a report .* foundry run train"):
        render(run.store, "foundry_train", None)
    with pytest.raises(MissingInputError, match=r"run 'x' of foundry_train has no report"):
        render(run.store, "foundry_train", "x")


def test_a_run_without_predictions_says_so(new_run):
    run = new_run()
    run.report()
    assert "no predictions in this run" in render(run.store, run.dag, run.run_id)
