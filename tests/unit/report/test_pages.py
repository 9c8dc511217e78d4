"""The page and the Markdown: well-formed, self-contained, and in agreement with the JSON."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from foundry_tasks.contract.documents import Gate
from foundry_tasks.report import wording
from foundry_tasks.report.html import write_html
from foundry_tasks.report.markdown import write_markdown

LOADING = {"src", "srcset", "data", "poster", "background", "action", "xlink:href"}


class Loads(HTMLParser):
    """All addresses that a browser would load with the page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in LOADING or (name == "href" and tag != "a"):
                self.addresses.append(value)


@pytest.fixture(scope="module")
def page(train_run):
    return train_run.page("report.html")


def parsed(page: str) -> ET.Element:
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>"))  # noqa: S314 - our page, just written


def shown(page: str) -> str:
    """The visible text, without tags and style."""
    body = parsed(page).find("body")
    assert body is not None
    return " ".join("".join(body.itertext()).split())


def with_gates(document, *gates):
    """The document with other gates at horizon 1."""
    return document.model_copy(update={"gates": {**document.gates, 1: gates}})


def test_the_page_is_well_formed(page):
    assert page.startswith("<!DOCTYPE html>")
    assert parsed(page).tag == "html"


def test_a_base_model_says_what_it_adds_to_the_average(page, train_run):
    assert "AUC that the average gains by it" in shown(page)
    assert "+0.0012" in shown(page)
    assert "+0.0012 [−0.0004, +0.0029]" in train_run.page("report.md")


def test_what_the_leakage_audit_has_not_covered_is_named(page, train_run):
    for text in (shown(page), train_run.page("report.md")):
        assert "stack and calibrator at 1d in folds other than fold2" in text


def test_opening_the_page_asks_nobody_for_anything(page):
    loads = Loads()
    loads.feed(page)
    assert loads.addresses == ["data:,"]
    assert not loads.tags & {"script", "iframe", "object", "embed", "img", "base"}
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_every_gate_with_its_value_interval_threshold_and_verdict_is_on_the_page(page, document):
    text = shown(page)
    for gates in document.gates.values():
        for gate in gates:
            label = wording.gate_style(gate.name).label
            parts = (label, wording.gate_value(gate), wording.gate_interval(gate), gate.threshold, gate.verdict)
            assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.json"])
def test_no_page_shows_what_is_not_a_number(train_run, name):
    content = train_run.page(name)
    assert not re.search(
        r"\b(nan|inf|none|(?<!the )null)\b",
        shown(content) if name == "report.html" else content.replace("null", ""),
        re.IGNORECASE,
    )


def test_names_from_data_are_escaped(page):
    assert "today's members <only>" in shown(page)
    assert "<only>" not in page


def test_markdown_and_page_are_written_from_the_json(train_run, document):
    assert write_markdown(document) == train_run.page("report.md")
    assert write_html(document) == train_run.page("report.html")


def test_the_published_artifacts_are_the_pages_that_are_shown(train_run):
    io = train_run.report()
    for name, artifact in io.outputs.artifacts.items():
        assert train_run.store.object_path(artifact.sha256).read_text() == train_run.page(name)


def test_a_gate_that_the_report_does_not_know_is_shown_plainly(document):
    new = Gate(name="null_market", question="Does it beat noise?", value=0.5, threshold="> 0.4", verdict="passed")
    with_new = with_gates(document, *document.gates[1], new)
    assert "null market" in shown(write_html(with_new))
    assert "null market" in write_markdown(with_new)


def test_a_refusal_by_a_gate_that_the_report_does_not_know_is_told_plainly():
    gate = Gate(name="null_market", question="", value=0.3, threshold="> 0.4", verdict="failed")
    assert wording.refusal(gate) == "null market 0.3000, asked > 0.4"


def test_a_table_cell_cannot_break_the_markdown(document):
    first, *others = document.gates[1]
    assert r"a \| b c" in write_markdown(with_gates(document, first.model_copy(update={"note": "a | b\nc"}), *others))


def test_absent_stages_are_said_on_the_page(new_run):
    run = new_run()
    run.report()
    said = "promote and predict: skipped, or the run did not get that far"
    assert said in shown(run.page("report.html"))
    assert said in run.page("report.md")


@pytest.mark.parametrize(
    ("value", "written"), [(0.42, "0.42 s"), (12.34, "12.3 s"), (59.99, "1 min 0 s"), (200.4, "3 min 20 s")]
)
def test_seconds_are_written_as_people_say_them(value, written):
    assert wording.seconds(value) == written


def test_a_negative_zero_is_written_as_zero():
    assert wording.percent(-0.00001) == "0.0 %"


def test_undefined_is_said_and_not_left_blank():
    gate = Gate(name="wfe", question="", value=None, threshold="≥ 40%", verdict="undefined")
    assert wording.gate_value(gate) == "undefined"
    assert wording.refusal(gate).startswith("Walk-forward efficiency is undefined: ")


def test_many_leaks_are_counted_and_the_first_is_named():
    note = "a leaks; b leaks; c leaks"
    gate = Gate(name="leakage", question="", value=3.0, threshold="no", verdict="failed", note=note)
    assert wording.refusal(gate) == "Leakage audit: a leaks; and 2 more"
