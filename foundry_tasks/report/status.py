"""The top of the report: what the gates said, per horizon and in words, and what the run did about it."""

from collections.abc import Mapping

from foundry_tasks.contract.documents import Promotion
from foundry_tasks.contract.documents.gates import ModelVerdict
from foundry_tasks.contract.documents.report_gates import HorizonStatus, Status, StatusPhrase
from foundry_tasks.report import wording
from foundry_tasks.report.report_inputs import ReportInputs


def status_of(inputs: ReportInputs) -> Status:
    """Headline, consequence, and a verdict with its reasons for every horizon, shortest first."""
    documents = inputs.documents
    gates = documents.gates.horizons if documents.gates else {}
    promotions = documents.promotion.horizons if documents.promotion else {}
    refits = documents.refit.horizons if documents.refit else {}
    verdicts = {horizon: item.verdict for horizon, item in gates.items()}
    horizons = [
        HorizonStatus(
            horizon=horizon,
            name=wording.horizon_name(horizon),
            verdict=item.verdict,
            words=wording.VERDICT_MEANINGS[item.verdict],
            reasons=tuple(wording.refusal(gate) for gate in item.gates if gate.refuses),
            champion_before=item.champion_version,
            registered=_registered(promotions.get(horizon), item.verdict),
            refit=refits[horizon].outcome if horizon in refits else None,
        )
        for horizon, item in gates.items()
    ]
    phrases = wording.headline(verdicts)
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
    """What became of the version, one sentence; a reason only where it is not the gates' verdict itself."""
    if promotion is None:
        return ""
    what = f"Registered as {promotion.model} version {promotion.version}"
    if promotion.event == "promoted":
        return f"{what}, now champion."
    if promotion.event == verdict:
        return f"{what}, {'a challenger' if verdict == 'challenger' else 'without an alias'}."
    return f"{what}, {promotion.event}: {promotion.why}."


def _consequence(inputs: ReportInputs, promotions: Mapping[int, Promotion]) -> str:
    """What the run did about it, a sentence or two."""
    if "gates" not in inputs.upstream:
        return f"{inputs.dag} judges no model. {_predictors(inputs)}"
    if inputs.documents.gates is None:
        return "The run ended before the gates could speak."
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


def _predictors(inputs: ReportInputs) -> str:
    """Who predicts at which horizon: "Champion at 1 day. Shadow at 5 days and 20 days."."""
    predictions = inputs.documents.predictions
    by_kind: dict[str, list[str]] = {}
    for horizon, predictor in (predictions.per_horizon if predictions else {}).items():
        by_kind.setdefault(predictor.kind, []).append(wording.horizon_name(horizon))
    said = " ".join(f"{kind.capitalize()} at {wording.listed(names)}." for kind, names in by_kind.items())
    return said or "It predicted nothing either."
