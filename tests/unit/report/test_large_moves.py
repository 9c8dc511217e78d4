"""Large moves in the report: by verdict, largest first, limited in number."""

from datetime import date

from foundry_tasks.contract.documents import Report
from foundry_tasks.contract.documents.prices import LargeMove
from foundry_tasks.report.html import write_html
from foundry_tasks.report.markdown import write_markdown
from foundry_tasks.report.sections.data import LARGE_MOVES_SHOWN, large_move_lines
from tests.unit.report.test_pages import shown

DAY = date(2020, 3, 2)


def event(ticker, move, verdict="kept", ratio=""):
    return LargeMove(ticker=ticker, date=DAY, until=DAY, move=move, ratio=ratio, rule="a rule", verdict=verdict)


def with_moves(document, *moves):
    """The report of a run with these large moves."""
    prices = document.data.prices.model_copy(update={"large_moves": moves})
    return document.model_copy(update={"data": document.data.model_copy(update={"prices": prices})})


def test_large_moves_are_grouped_by_verdict_the_largest_first():
    events = [event("AAA", -0.2, "an action", "5:4"), event("BBB", -0.5), event("CCC", 15.0), event("DDD", -0.9)]
    assert large_move_lines(events) == {
        "kept": ["CCC 2020-03-02 +1500.0 %", "DDD 2020-03-02 −90.0 %", "BBB 2020-03-02 −50.0 %"],
        "an action": ["AAA 2020-03-02 −20.0 % (5:4)"],
    }


def test_of_thousands_of_moves_the_largest_are_listed_and_the_others_counted():
    events = [event(f"T{number}", -0.4 - number / 10_000) for number in range(3000)]
    (lines,) = large_move_lines(events).values()
    assert len(lines) == LARGE_MOVES_SHOWN + 1
    assert lines[0].startswith("T2999 ")
    assert lines[-1] == f"and {3000 - LARGE_MOVES_SHOWN:,} more"


def test_the_page_and_the_markdown_name_large_moves_with_their_verdict(document):
    document = with_moves(document, event("T07", -1 / 3, "an <action>", "3:2"), event("T08", -0.5))
    text = shown(write_html(document))
    assert "Large moves2" in text
    assert "an <action>T07 2020-03-02 −33.3 % (3:2)" in text
    assert "- large moves, an <action>: T07 2020-03-02 −33.3 % (3:2)\n" in write_markdown(document)


def test_a_run_without_large_moves_says_nothing_of_them(document):
    document = with_moves(document)
    assert "Large moves" not in shown(write_html(document))
    assert "large moves" not in write_markdown(document)


def test_a_report_of_a_version_that_judged_no_moves_is_read(document):
    earlier = document.model_dump(mode="json")
    del earlier["data"]["prices"]["large_moves"]
    assert Report.model_validate(earlier).data.prices.large_moves == ()
