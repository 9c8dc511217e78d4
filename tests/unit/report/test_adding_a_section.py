"""A section of the report is one file: with it alone, report.json, the page, the Markdown and the terminal have the section."""

import json

import pytest

from foundry_tasks.contract.documents import Report
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.report.html import write_html
from foundry_tasks.report.markdown import write_markdown
from foundry_tasks.report.sections import sections
from tests.package_copy import REPOSITORY, copy_package, python_in

SECTION = '''
"""Reuse: how many stages of the run were computed, and how many were reused."""

from foundry_tasks.contract.documents.base import Part
from foundry_tasks.report.section import Section


class Reuse(Part):
    """Stages by how their results came about."""

    computed: int
    reused: int


def _assemble(inputs):
    reused = sum(result.reused_from is not None for result in inputs.results)
    return Reuse(computed=len(inputs.results) - reused, reused=reused) if inputs.results else None


def _lines(report):
    part = report.part("reuse", Reuse)
    yield f"{part.computed} stages <computed>, {part.reused} reused"


SECTION = Section(
    name="reuse",
    order=95,
    title="Reuse",
    assemble=_assemble,
    html=lambda report: {"lines": list(_lines(report))},
    template="""<section id="reuse"><h2>{{ title }}</h2>{% for line in lines %}<p>{{ line }}</p>{% endfor %}</section>""",
    markdown=_lines,
    terminal=lambda report, terminal: _lines(report),
)
'''
PROGRAM = """
import json
from datetime import date
from foundry_tasks.contract.documents import Report
from foundry_tasks.contract.results import StageResult
from foundry_tasks.report.document import assemble
from foundry_tasks.report.html import write_html
from foundry_tasks.report.markdown import write_markdown
from foundry_tasks.report.report_inputs import ReportInputs
from foundry_tasks.report.summary import summarise

def result(stage):
    return StageResult(
        dag="foundry_daily", run_id="r", stage=stage, shard=None, as_of=date(2024, 1, 2), status="ok", inputs={}, outputs={},
        outputs_digest="d", metrics={}, warnings=(), config={}, config_digest="c", code_version="1", image_digest="", seed=None,
        elapsed_s={"start": 0.1, "total": 0.2}, reused_from=None,
    )

def inputs(*stages):
    return ReportInputs(
        dag="foundry_daily", run_id="r", market="us", as_of=date(2024, 1, 2), made_at="2024-01-02T22:00:00", top=5,
        upstream=("prices",), results=[result(stage) for stage in stages], locations={"report.html": "/report.html"},
    )

def shown(*stages):
    written = assemble(inputs(*stages)).model_dump_json()
    report = Report.model_validate_json(written)
    return [written, write_html(report), write_markdown(report), summarise(report, result("report"))]

print(json.dumps({"with": shown("prices", "features"), "without": shown()}))
"""


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """report.json, page, Markdown and terminal's text: of a run `with` a part for the section, and `without` one."""
    folder = tmp_path_factory.mktemp("package")
    (copy_package(folder) / "report" / "sections" / "reuse.py").write_text(SECTION)
    done = python_in(folder, "-c", PROGRAM)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


def test_its_part_is_in_report_json_under_its_name(texts):
    assert json.loads(texts["with"][0])["sections"] == {"reuse": {"computed": 2, "reused": 0}}


def test_it_is_on_the_page_in_its_place(texts):
    page = texts["with"][1]
    assert "<h2>Reuse</h2><p>2 stages &lt;computed&gt;, 0 reused</p>" in page
    assert page.index('id="data"') < page.index('id="reuse"') < page.index('id="run"')


def test_it_is_in_the_markdown_under_its_title(texts):
    assert "\n## Reuse\n\n2 stages <computed>, 0 reused\n" in texts["with"][2]


def test_it_is_on_the_terminal_as_a_block_of_its_own(texts):
    assert "\n\n2 stages <computed>, 0 reused\n\n" in texts["with"][3]


def test_a_run_without_its_part_shows_nothing_of_it(texts):
    assert "sections" not in json.loads(texts["without"][0])
    assert [
        text for text in texts["without"] if "<h2>Reuse" in text or "## Reuse" in text or "<computed>" in text
    ] == []


def test_a_report_of_the_built_in_sections_has_no_key_for_others(train_run):
    assert "sections" not in json.loads(train_run.page("report.json"))


def test_a_part_that_no_section_knows_is_ignored(document):
    other = Report.model_validate({**document.model_dump(mode="json"), "sections": {"of_a_newer_version": {"a": [1]}}})
    assert write_html(other) == write_html(document)
    assert write_markdown(other) == write_markdown(document)


def test_a_part_is_read_back_with_its_type(document):
    class Counted(Part):
        count: int

    other = document.model_copy(update={"sections": {"counted": {"count": 3, "of_a_newer_version": 1}}})
    assert other.part("counted", Counted) == Counted(count=3)


def test_every_section_has_a_name_and_a_place_of_its_own():
    found = sections()
    assert len({section.order for section in found}) == len({section.name for section in found}) == len(found)
    assert [found[0].name, found[-1].name] == ["headline", "run"]


def test_the_terminal_loads_neither_arrays_nor_templates():
    program = (
        "import sys; import foundry_tasks.report.summary; from foundry_tasks.report.sections import sections; sections();"
        "print(sorted({'numpy', 'pyarrow', 'jinja2'} & set(sys.modules)))"
    )
    assert python_in(REPOSITORY, "-c", program).stdout.strip() == "[]"
