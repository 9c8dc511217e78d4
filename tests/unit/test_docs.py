"""Generated docs are current, and hand-written docs name existing things only."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.growth_page import growth_markdown
from benchmarks.record import benchmarks_markdown
from foundry_tasks.contract import documents
from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import ConfigError, DataRejectedError, FoundryError
from foundry_tasks.contract.stages import PIPELINES, STAGES, inputs_in
from foundry_tasks.data import bar_verdicts, defects, jumps
from foundry_tasks.features import FEATURES, feature_table_markdown
from foundry_tasks.report import price_cases
from foundry_tasks.stages import prices
from foundry_tasks.store import retention

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
ARCHITECTURE = (DOCS / "architecture.md").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PAGES = (*sorted(REPOSITORY.glob("*.md")), *sorted(DOCS.rglob("*.md")))
DECISIONS = sorted((DOCS / "adr").glob("0*.md"))


def rows(header: str) -> dict[str, tuple[str, ...]]:
    """A table of architecture.md by its header: first cell → other cells."""
    _, _, table = ARCHITECTURE.partition(f"\n{header}\n")
    assert table, f"architecture.md has no table {header}"
    lines = table.split("\n\n")[0].splitlines()[1:]
    return {
        first: tuple(cells) for first, *cells in ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    }


def block(beginning: str) -> str:
    """The fenced block of architecture.md with this beginning."""
    found = re.findall(r"^```\w*\n(.*?)^```$", ARCHITECTURE, re.DOTALL | re.MULTILINE)
    return next(text for text in found if text.startswith(beginning))


def names(cells: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cells)


# ---------------------------------------------------------------- generated
def test_the_feature_table_is_current_run_make_docs():
    assert (DOCS / "features.md").read_text() == f"# Features\n\n{feature_table_markdown()}"


def test_the_benchmarks_page_is_what_was_measured_run_make_docs():
    assert (DOCS / "benchmarks.md").read_text() == benchmarks_markdown()


def test_the_growth_page_is_what_was_measured_run_make_docs():
    assert (DOCS / "growth.md").read_text() == growth_markdown()


def test_there_are_at_least_sixty_features_each_with_a_line_of_documentation():
    assert len(FEATURES) >= 60
    assert all(feature.doc and "\n" not in feature.doc for feature in FEATURES)


# ---------------------------------------------------------------- architecture.md
def test_the_architecture_page_names_every_dag_with_its_stages_in_order():
    said = {
        names(dag)[0]: tuple(re.sub(r" \(.*\)", "", stages).split(", "))
        for dag, (stages,) in rows("| DAG | stages in order |").items()
    }
    assert said == PIPELINES


def test_the_architecture_page_names_every_stage_with_what_it_reads():
    said = {names(stage)[0]: reads for stage, (reads, _) in rows("| stage | reads | publishes |").items()}
    assert list(said) == list(STAGES)
    assert said.pop("report") == "all stages of its DAG"
    assert {stage: () if reads == "–" else tuple(reads.split(", ")) for stage, reads in said.items()} == {
        stage: spec.inputs for stage, spec in STAGES.items() if stage != "report"
    }


@pytest.mark.parametrize("dag", [dag for dag, stages in PIPELINES.items() if "report" in stages])
def test_the_report_reads_all_stages_of_its_dag(dag):
    assert set(inputs_in(dag, "report")) == set(PIPELINES[dag]) - {"report"}


def document_types():
    """Every type of a stage's document."""
    kinds = [getattr(documents, name) for name in documents.__all__]
    return [kind for kind in kinds if isinstance(kind, type) and hasattr(kind, "artifact")]


def test_a_file_that_the_architecture_page_says_a_stage_publishes_stands_in_its_module():
    for stage, (_, publishes) in rows("| stage | reads | publishes |").items():
        module = (REPOSITORY / "foundry_tasks" / "stages" / f"{names(stage)[0]}.py").read_text()
        typed = {kind.artifact for kind in document_types() if kind.stage == names(stage)[0]}
        assert [file for file in names(publishes) if file not in typed and f'"{file}"' not in module] == []


def test_the_architecture_page_explains_every_exit_code():
    def codes(error: type[FoundryError]) -> Iterator[int]:
        yield error.exit_code
        for kind in error.__subclasses__():
            yield from codes(kind)

    assert set(map(int, rows("| exit code | meaning | Airflow |"))) == {0, *codes(FoundryError)}


def test_the_architecture_page_names_what_is_never_reused():
    never = ARCHITECTURE.partition("Never\n   reused: ")[2].partition(", and `prices`")[0]
    assert set(names(never)) == {stage for stage, spec in STAGES.items() if not spec.pure}


def test_the_architecture_page_draws_every_folder_of_a_store():
    tree = block("objects/")
    drawn = {f"{line.split('/')[0]}/" for line in tree.splitlines()}
    assert drawn == {"objects/", "checks/", *retention._OF_A_RUN, *retention._BY_AGE, *retention._FOREVER}


def test_the_architecture_page_says_what_every_folder_of_the_repository_holds():
    made = {line.strip("/") for line in (REPOSITORY / ".gitignore").read_text().splitlines()}
    there = {path.name for path in REPOSITORY.iterdir() if path.is_dir()} - made
    there = {name for name in there if name == ".ci" or (name[0] not in "._" and not name.endswith(".egg-info"))}
    assert {name for cell in rows("| folder | what it holds |") for name in names(cell)} == there


def test_the_architecture_page_says_what_every_part_of_the_package_holds():
    package = REPOSITORY / "foundry_tasks"
    there = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    said = {name for cell in rows("| in `foundry_tasks` | what it holds |") for name in names(cell)}
    assert said == there - {"__init__"}


def test_the_architecture_page_has_the_layers_that_imports_are_checked_for():
    contract = next(one for one in PROJECT["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    drawn = block("__main__")
    assert " ".join(drawn.split()) == " > ".join(contract["layers"]).replace("foundry_tasks.", "")


def test_the_architecture_page_has_at_most_200_lines():
    assert len(ARCHITECTURE.splitlines()) <= 200


# ---------------------------------------------------------------- prices.md
def third(share: float) -> Fraction:
    return Fraction(share).limit_denominator(9)


def prices_page_numbers() -> list[str]:
    """Phrases of prices.md with a number, filled in from the constants."""
    suite = json.loads((REPOSITORY / "expectations" / "prices.json").read_text())["expectations"]
    off_calendar = next(one["kwargs"]["mostly"] for one in suite if one["kwargs"].get("mostly"))
    min_coverage = PricesConfig.model_fields["min_coverage"].default
    return [
        f"the ten largest moves: prices of up to {price_cases.AROUND_SESSIONS} sessions before and after",
        f"0: accepted. {DataRejectedError.exit_code}: rejected",
        f"{ConfigError.exit_code}: wrong conf or missing file",
        f"more than {1 - off_calendar:.0%} of such bars".replace("%", " %"),
        f"more than {bar_verdicts.MAX_ZERO_VOLUME:.0%} of a file's volumes are zero".replace("%", " %"),
        f"in at least {defects.CONSTANT_BARS} bars",
        f"the same for {defects.STALE_SESSIONS} sessions or more",
        f"more than {prices.MAX_GAP_SESSIONS} sessions between a bar and the one before",
        f"`min_coverage`, {min_coverage:.0%} by default".replace("%", " %"),
        f"fewer than {prices.MIN_SESSIONS} sessions",
        f"medians of the {jumps.BASELINE_BARS} bars before; fewer than {jumps._MIN_BASELINE} known values",
        f"falls by more than {jumps.LARGE_MOVE:.0%}, or rises by more than the inverse factor, and the factor is below "
        f"{round(np.exp(jumps._SCALE_CHANGE))}".replace("%", " %"),
        f"at least {jumps._CONFIRMING_VOLUME:g} times the usual one, or the day's range",
        f"is at least {Fraction(jumps._CONFIRMING_RANGE)} of the move",
        f"or the factor is {round(np.exp(jumps._SCALE_CHANGE))} or more",
        f"an overnight gap of more than {jumps.SMALL_GAP:.0%}, the day's range below "
        f"{Fraction(jumps._CONFIRMING_RANGE)} of it and below {jumps._QUIET_RANGE:g} times the usual one, volume below "
        f"{jumps._QUIET_VOLUME:g} times the usual one, and the median move of the others below "
        f"{third(jumps._SHARED)} of it".replace("%", " %"),
        f"whole numbers up to {jumps.MAX_TERM}, or a whole number, within {jumps._NAMED_TOLERANCE:.0%}".replace(
            "%", " %"
        ),
        f"a fall by more than {jumps.LARGE_MOVE_OF_CLOSES:.0%}, or a rise by more than the inverse factor; or a whole ratio "
        f"within {jumps._RATIO_TOLERANCE:.1%}".replace("%", " %"),
        f"within {jumps.RESOLVED_SESSIONS} sessions after a jump the price comes back",
        f"to within {third(jumps._RETURNED)} of the jump, in one step of more than {Fraction(jumps._STEP_BACK)} of it",
        f"withheld for {jumps.RESOLVED_SESSIONS} sessions",
        f"at least {jumps._MIN_TICKERS} tickers more than half move by more than {jumps.COMMON_STEP:.0%}, and the median "
        f"move is beyond {jumps.COMMON_STEP:.0%} and beyond {jumps._COMMON_DEVIATIONS:g} times the median deviation from it; "
        f"with fewer than {jumps.MANY_TICKERS} tickers, beyond {jumps.COMMON_STEP_OF_FEW:.0%}".replace("%", " %"),
        f"smaller term is at most {jumps.MAX_TERM}, within {jumps._NAMED_TOLERANCE:.0%}".replace("%", " %"),
        f"on any of the {bar_verdicts.RECENT_SESSIONS} sessions before",
        f"up to {prices.MAX_AGE_SESSIONS} sessions behind",
    ]


def test_the_price_page_has_no_number_but_those_of_the_code():
    page = re.sub(r"```.*?```", "", (DOCS / "prices.md").read_text(), flags=re.DOTALL)
    page = re.sub(r"`[^`]+`", lambda code: "" if re.search(r"\d", code[0]) else code[0], page)
    page = " ".join(page.split())
    assert [phrase for phrase in prices_page_numbers() if phrase not in page] == []
    assert price_cases.CASES == defects.STALE_SESSIONS == 10  # "ten", "tenth"
    for phrase in prices_page_numbers():
        page = page.replace(phrase, "")
    assert re.findall(r".{0,40}\d.{0,40}", page) == []


def test_the_price_page_names_every_reason_for_which_a_bar_is_set_aside():
    page = (DOCS / "prices.md").read_text()
    told = {
        "not a session": "off the calendar",
        "no close": "no close",
        "outside its low and high": "outside its range",
        "volume of zero": "untraded bar",
        "between a jump and its return": "bad bars",
        "single price throughout": "single price",
        "close unchanged too long": "stale price",
    }
    assert set(told) == set(bar_verdicts.REASONS)
    assert [name for name in told.values() if not re.search(rf"^\| [^|]*{name}", page, re.MULTILINE)] == []


# ---------------------------------------------------------------- all pages
def test_the_index_names_every_page():
    index = (DOCS / "README.md").read_text()
    listed = set(PAGES) - set(DECISIONS) - {DOCS / "README.md"}
    assert [page.name for page in listed if f"({os.path.relpath(page, DOCS)})" not in index] == []


def test_the_index_of_decisions_names_every_decision_with_its_title():
    index = re.findall(r"^\| \[(.+)\]\((.+)\) \|", (DOCS / "adr" / "README.md").read_text(), re.MULTILINE)
    titles = [(page.read_text().splitlines()[0].removeprefix("# "), page.name) for page in DECISIONS]
    assert index == titles
    assert [int(title.split(".")[0]) for title, _ in titles] == [int(name[:4]) for _, name in titles]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_three_sections_on_one_page(page):
    lines = page.read_text().splitlines()
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]
    assert len(lines) <= 45


def anchors(page: Path) -> set[str]:
    """GitHub's anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_a_link_within_the_repository_leads_somewhere(page):
    for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", page.read_text()):
        file, _, anchor = target.partition("#")
        other = page.parent / file if file else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_a_file_that_a_page_names_is_there(page):
    """Files are named in backticks by their path from the repository's root."""
    named = re.findall(
        r"`((?:foundry_tasks|dags|images|helm|tests|benchmarks|docs|requirements|expectations)/[\w./-]+)`",
        page.read_text(),
    )
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_every_make_target_that_a_page_names_exists():
    makefiles = (REPOSITORY / "Makefile").read_text() + (REPOSITORY / "images" / "images.mk").read_text()
    targets = set(re.findall(r"[\w.-]+", " ".join(re.findall(r"^([\w .-]+):(?!=)", makefiles, re.MULTILINE))))
    targets |= {
        f"image-{name}" for name in ("stage-cpu", "stage-cuda", "airflow", "mlflow", "docker-proxy", "reports", "s3")
    }
    for page in PAGES:
        named = re.findall(r"`make ([a-z][a-z-]*)", page.read_text())
        assert [name for name in named if name not in targets] == [], page.name


# ---------------------------------------------------------------- the version
def test_one_version_stands_in_the_project_the_chart_and_the_changelog():
    version = PROJECT["project"]["version"]
    chart = (REPOSITORY / "helm" / "foundry" / "Chart.yaml").read_text()
    released = re.findall(r"^## \[([\d.]+)\]", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.findall(r"^(?:version|appVersion): (.+)$", chart, re.MULTILINE) == [version, version]
    assert released[0] == version
