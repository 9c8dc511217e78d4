"""What a person reads on the terminal once a run has ended: plain text, at most 100 columns."""

import sys

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents.report import Report
from foundry_tasks.contract.errors import MissingInputError
from foundry_tasks.contract.ports import Store
from foundry_tasks.contract.results import StageResult, read_run_log
from foundry_tasks.report.sections import sections_of
from foundry_tasks.report.terminal_style import Terminal


def render(store: Store, dag: str, run_id: str | None) -> str:
    """The summary of a run; `run_id` None means the newest run that has a report.

    Raises MissingInputError where there is no such report. Coloured only where stdout is a terminal.
    """
    result, document = _report(store, dag, run_id)
    return summarise(document, result, colour=sys.stdout.isatty())


def page_of(store: Store, dag: str, run_id: str | None) -> str:
    """Where the page of the report lies; which report, and what is raised, as `render` has it."""
    page: str = _report(store, dag, run_id)[1].links.pages[artifacts.REPORT_PAGE]
    return page


def _report(store: Store, dag: str, run_id: str | None) -> tuple[StageResult, Report]:
    result = _report_of(store, dag, run_id)
    return result, Report.model_validate_json(store.object_path(result.outputs[Report.artifact].sha256).read_bytes())


def summarise(document: Report, report: StageResult, *, colour: bool = False) -> str:
    """The text for one report; `report` is the report stage's own result, which the document cannot hold."""
    terminal = Terminal(report, colour)
    blocks = [list(section.terminal(document, terminal)) for section in sections_of(document)]
    return "\n".join(line.rstrip() for block in blocks if block for line in ("", *block)) + "\n"


def _report_of(store: Store, dag: str, run_id: str | None) -> StageResult:
    if run_id is not None:
        found = store.read(artifacts.result_key(dag, run_id, "report", None))
    else:
        ending = f"/report/{artifacts.NO_SHARD}/result.json"
        keys = [key for key in store.keys(f"runs/{dag}/") if key.endswith(ending)]
        newest = max(keys, key=lambda key: _made_at(store, key.removesuffix(ending)), default=None)
        found = store.read(newest) if newest else None
    if found is None:
        which = f"run {run_id!r}" if run_id is not None else "no run"
        raise MissingInputError(
            f"{which} of {dag} has {'no' if run_id is not None else 'a'} report in {store.uri}. Make one: foundry run "
            f"{dag.removeprefix('foundry_')}."
        )
    return StageResult.model_validate_json(found)


def _made_at(store: Store, run_prefix: str) -> str:
    """When the run's report was last made, from its run log; "" where the log does not say."""
    return max((line.timestamp for line in read_run_log(store, run_prefix) if line.stage == "report"), default="")
