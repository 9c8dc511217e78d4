"""The top of the report: the gates' verdicts for each horizon and in words, and their consequence."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Promotion, Report
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.gates import ModelVerdict
from foundry_tasks.contract.documents.report import RunFacts
from foundry_tasks.contract.documents.report_gates import HorizonStatus, Status, StatusPhrase
from foundry_tasks.report import wording
from foundry_tasks.report.gate_matrix import gate_matrix
from foundry_tasks.report.reached import reached
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.terminal_style import Terminal, wrapped

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs

VERDICT_MEANINGS: Mapping[str, str] = {
    "passed": "passed every gate",
    "challenger": "near miss: a challenger that a human may promote",
    "refused": "refused by the gates",
    "skipped": "gates skipped on request: never a champion",
}


# ------------------------------------------------------------------ report.json
class Keys(Part):
    """The section's keys of report.json."""

    run: RunFacts
    status: Status


def _assemble(inputs: "ReportInputs") -> Keys:
    run = RunFacts(
        dag=inputs.dag,
        run_id=inputs.run_id,
        market=inputs.market,
        as_of=inputs.as_of.isoformat(),
        made_at=inputs.made_at,
    )
    return Keys(run=run, status=_status(inputs))


def _status(inputs: "ReportInputs") -> Status:
    """Headline, consequence, and for each horizon, shortest first, the verdict with its reasons."""
    documents = inputs.documents
    gates = documents.gates.horizons if documents.gates else {}
    promotions = documents.promotion.horizons if documents.promotion else {}
    refits = documents.refit.horizons if documents.refit else {}
    verdicts = {horizon: item.verdict for horizon, item in gates.items()}
    confidence = documents.gates.policy.confidence if documents.gates else 1.0
    steps = {horizon: reached(item, inputs.trials.get(horizon), confidence) for horizon, item in gates.items()}
    horizons = [
        HorizonStatus(
            horizon=horizon,
            name=wording.horizon_name(horizon),
            verdict=item.verdict,
            words=VERDICT_MEANINGS[item.verdict],
            reasons=tuple(wording.refusal(gate) for gate in item.gates if gate.refuses),
            champion_before=item.champion_version,
            registered=_registered(promotions.get(horizon), item.verdict),
            refit=refits[horizon].outcome if horizon in refits else None,
            reached=steps[horizon],
        )
        for horizon, item in gates.items()
    ]
    phrases = _headline(verdicts, steps)
    if "gates" not in inputs.upstream:
        phrases = [StatusPhrase(verdict="none", text="Predictions, and no verdict.")]
    return Status(
        headline=" ".join(phrase.text for phrase in phrases),
        phrases=tuple(phrases),
        consequence=_consequence(inputs, promotions),
        verdicts=verdicts,
        validate_only=documents.gates is not None and documents.gates.validate_only,
        horizons=tuple(horizons),
    )


def _registered(promotion: Promotion | None, verdict: ModelVerdict) -> str:
    """The decision on the version in one sentence; with a reason if it differs from the gates' verdict."""
    if promotion is None:
        return ""
    what = f"Registered as {promotion.model} version {promotion.version}"
    if promotion.event == "promoted":
        return f"{what}, now champion."
    if promotion.event == verdict:
        return f"{what}, {'a challenger' if verdict == 'challenger' else 'without an alias'}."
    return f"{what}, {promotion.event}: {promotion.why}."


def _consequence(inputs: "ReportInputs", promotions: Mapping[int, Promotion]) -> str:
    """The consequence of the verdicts, in one or two sentences."""
    if "gates" not in inputs.upstream:
        return f"{inputs.dag} judges no model. {_predictors(inputs)}"
    if inputs.documents.gates is None:
        return "The run ended before the gates."
    if inputs.documents.gates.validate_only:
        return "Validation only: nothing was refitted, registered or predicted."
    if "portfolio" in inputs.upstream and "promote" not in inputs.upstream:
        return "A backtest: nothing was registered."
    if not promotions:
        return "Nothing was registered."
    promoted, others = [
        [f"{item.model} version {item.version}" for item in promotions.values() if (item.event == "promoted") is yes]
        for yes in (True, False)
    ]
    sentences = []
    if promoted:
        sentences.append(f"Champion from now on: {wording.listed(promoted)}.")
    if others:
        sentences.append(f"Registered without becoming champion: {wording.listed(others)}.")
    return " ".join(sentences)


def _predictors(inputs: "ReportInputs") -> str:
    """The kind of version that predicts at each horizon: "Champion at 1 day. Shadow at 5 days and 20 days."."""
    predictions = inputs.documents.predictions
    by_kind: dict[str, list[str]] = {}
    for horizon, predictor in (predictions.per_horizon if predictions else {}).items():
        by_kind.setdefault(predictor.kind, []).append(wording.horizon_name(horizon))
    sentences = " ".join(f"{kind.capitalize()} at {wording.listed(names)}." for kind, names in by_kind.items())
    return sentences or "It made no predictions."


def _headline(verdicts: Mapping[int, str], steps: Mapping[int, str]) -> list[StatusPhrase]:
    """The verdicts of all horizons with the steps that they reach, one phrase per verdict, the best first."""
    if not verdicts:
        return [StatusPhrase(verdict="none", text="No model was judged in this run.")]
    by_verdict: dict[str, list[int]] = {}
    for horizon, verdict in verdicts.items():
        by_verdict.setdefault(verdict, []).append(horizon)
    if len(by_verdict) == len(set(steps.values())) == 1:
        verdict, horizons = next(iter(by_verdict.items()))
        where = f"at {wording.horizon_name(horizons[0])}" if len(horizons) == 1 else "at every horizon"
        return [StatusPhrase(verdict=verdict, text=f"{_title(verdict)} {where}{_in_brackets(steps[horizons[0]])}.")]
    return [
        StatusPhrase(verdict=verdict, text=f"{_title(verdict)}: {_by_step(by_verdict[verdict], steps)}.")
        for verdict in VERDICT_MEANINGS
        if verdict in by_verdict
    ]


def _title(verdict: str) -> str:
    return {"skipped": "Gates skipped"}.get(verdict, verdict.capitalize())


def _by_step(horizons: Sequence[int], steps: Mapping[int, str]) -> str:
    """1 day (earns after costs), 5 and 20 days (ranks)."""
    by_step: dict[str, list[int]] = {}
    for horizon in horizons:
        by_step.setdefault(steps[horizon], []).append(horizon)
    return ", ".join(f"{_days(found)}{_in_brackets(step)}" for step, found in by_step.items())


def _in_brackets(step: str) -> str:
    return f" ({step})" if step else ""


def _days(horizons: Sequence[int]) -> str:
    if len(horizons) == 1:
        return wording.horizon_name(horizons[0])
    return f"{wording.listed([str(horizon) for horizon in horizons])} days"


# ------------------------------------------------------------------ shown
def _html(document: Report) -> Values:
    return {"auc": [row for row in gate_matrix(document) if row.name == "auc"]}


def _markdown(document: Report) -> Iterator[str]:
    run, status = document.run, document.status
    yield f"# Foundry: {run.market}, as of {run.as_of}"
    yield ""
    yield f"**{status.headline}** {status.consequence}"
    yield ""
    if portfolio := document.portfolio:
        yield from (f"- {item.summary}" for item in portfolio.horizons.values())
        if portfolio.replay:
            yield f"- {portfolio.replay.text}"
            yield ""
    yield f"Run `{run.run_id}` of `{run.dag}`, made at {run.made_at}."
    yield ""
    for judged in status.horizons:
        reasons = "; ".join(judged.reasons) or judged.words
        verdict = f"{judged.verdict}{_in_brackets(judged.reached)}"
        yield f"- {wording.VERDICT_SIGNS[judged.verdict]} **{judged.name}: {verdict}**. {reasons}"
    if status.horizons:
        yield ""


def _terminal(document: Report, _terminal: Terminal) -> Iterator[str]:
    run, status = document.run, document.status
    yield from wrapped(status.headline)
    yield from wrapped(status.consequence)
    yield ""
    yield f"market {run.market}, as of {run.as_of}, DAG {run.dag}"
    yield f"run {run.run_id}"


SECTION = Section(
    name="headline",
    order=10,
    assemble=_assemble,
    top_level=True,
    html=_html,
    markdown=_markdown,
    terminal=_terminal,
)
