"""gates: judges each horizon's evidence by the policy. A refused model is a result; the stage does not fail."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np

from foundry_tasks.contract.config import (
    LABEL_ENTRIES,
    GatePolicy,
    GatesConfig,
)
from foundry_tasks.contract.documents import Diagnostics, Fold, GateReport, Gates, HorizonGates, Leakage
from foundry_tasks.contract.documents.gates import GatesHeadline, LookHeadline
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import DateArray, FloatArray
from foundry_tasks.data.tables import Matrices, read_matrices
from foundry_tasks.evaluation.selection_bias import SelectionBias
from foundry_tasks.gates.diagnostics import Edges, edges_of, gate_diagnostics, trial_figures
from foundry_tasks.gates.verdict import evaluate_gates
from foundry_tasks.inputs.null_store import recipe_of, stored_nulls
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.inputs.trials_of_run import record_run
from foundry_tasks.ledger.chain import Ledger
from foundry_tasks.ledger.looks import Looks, forecast_digest
from foundry_tasks.ledger.records import model_name
from foundry_tasks.walk.evidence import Evidence, among_members, collapsed_folds, gather_evidence
from foundry_tasks.walk.trading import traded


def run(config: GatesConfig, io: StageIO) -> None:
    """ensemble's P(up), labels, prices and the leakage audit → gates.json; trials and the look → the store.

    Market and policy are those of the run's prices and of the ledger. The look is appended before a verdict exists.
    """
    inputs = RunInputs(io.inputs)
    reported_folds, leaks = inputs.reported_folds, io.read(Leakage).leaks
    with io.step("look"):
        looks = Looks(io, inputs)
        market, policy = looks.market, looks.policy(config)
    with io.step("trials"):
        tried = record_run(io, inputs, market, policy.gates)
    with io.step("look"):
        tested = {horizon: inputs.tested_p_up(horizon, folds) for horizon, folds in reported_folds.items()}
        forecasts = {horizon: forecast_digest(trial, tested[horizon]) for horizon, (trial, _) in tried.items()}
        look = looks.take(forecasts)
    io.outputs.metrics |= {"look": LookHeadline(number=look.number, because=look.because).model_dump(mode="json")}
    recipe = recipe_of(inputs.configs("prices", "features", "labels", "ensemble", "models"))
    judged: dict[int, HorizonGates] = {}
    sessions = inputs.label_grid.sessions
    for horizon, reported in reported_folds.items():
        with io.step(f"gates_{horizon}d"):
            collapsed = collapsed_folds(reported, partial(inputs.scores.of, horizon))
            evidence, edges, returns = _evidence(io, inputs, horizon, leaks, collapsed)
            champion = Champion.of(io, model_name(market, horizon))
            if champion is not None:
                evidence = champion.as_reference(evidence, io, horizon, reported)
            refitted = stored_nulls(io.store, market, horizon, recipe)
            report = evaluate_gates(evidence, policy.gates, seed=policy.seed, refitted=refitted)
            diagnostics = gate_diagnostics(evidence, edges, returns, policy.gates, seed=policy.seed)
        verdict = "skipped" if config.skip_gates else report.verdict
        judged[horizon] = HorizonGates(
            horizon=horizon,
            verdict=verdict,
            gates=report.gates,
            null=report.null,
            diagnostics=diagnostics,
            champion_version=champion.version if champion else None,
            last_session=date.fromisoformat(str(sessions[reported[-1].test.stop - 1])),
            forecast=forecasts[horizon],
        )
        # Trials go to the metrics, not to gates.json: a run that is judged again publishes the same gates.
        auc, bias = report.gate("auc"), tried[horizon][1]
        headline = GatesHeadline(verdict=verdict, auc=auc.value if auc else None, trials=trial_figures(bias))
        io.outputs.metrics[f"{horizon}d"] = headline.model_dump(mode="json")
        _warn(io, horizon, report, skipped=config.skip_gates)
        if fades(evidence, diagnostics):
            io.warn(f"{horizon}d: traded at the close of t+1 the ranking is not distinguishable from chance")
        _warn_of_trials(io, horizon, report, bias, policy.gates)
    io.publish(
        Gates(validate_only=config.validate_only, policy=policy.gates, policy_digest=policy.digest, horizons=judged)
    )


@dataclass(frozen=True)
class Champion:
    """The champion according to the ledger, and the run that made it."""

    version: int
    run: str
    """`<dag>/<run_id>` that made it."""

    @classmethod
    def of(cls, io: StageIO, model: str) -> "Champion | None":
        """The champion of `model`, None where there is none yet."""
        state = Ledger(io.store).state(model)
        return None if state.champion is None else cls(state.champion, state.versions[state.champion].digests.run)

    def as_reference(self, evidence: Evidence, io: StageIO, horizon: int, folds: list[Fold]) -> Evidence:
        """The evidence with the champion's out-of-fold forecasts of the same sessions and tickers.

        Out-of-fold forecasts of both recipes are compared, because a refitted champion was fitted on these rows.
        """
        forecast = np.full(evidence.p_up.shape, np.nan)
        mine = read_matrices(io.path("labels", "labels.parquet"), [])
        sessions = mine.sessions[folds[0].test.start : folds[-1].test.stop]
        other = io.inputs.of_run(self.run)
        if (result := other.find("ensemble")) is not None:
            # A fold's validation sessions are tested by earlier folds, which are therefore overlaid later.
            files = (name for name in result.outputs if name.startswith(f"{horizon}d/fold"))
            for name in sorted(files, key=_fold_number, reverse=True):
                _overlay(forecast, sessions, mine.tickers, read_matrices(other.artifact(result, name), ["p_up"]))
        common = int(np.isfinite(forecast).any(axis=1).sum())
        note = f"champion is version {self.version}; {common} sessions that both recipes forecast out of fold"
        return replace(evidence, champion_p_up=forecast, champion_note=note)


def _fold_number(file: str) -> int:
    return int(file.rpartition("/fold")[2].removesuffix(".parquet"))


def _overlay(into: FloatArray, sessions: DateArray, tickers: tuple[str, ...], theirs: Matrices) -> None:
    """Copy another run's finite forecasts into `into`, by session and ticker. They replace forecasts that are there."""
    _, rows, their_rows = np.intersect1d(sessions, theirs.sessions, return_indices=True)
    _, columns, their_columns = np.intersect1d(tickers, theirs.tickers, return_indices=True)
    values = theirs["p_up"][np.ix_(their_rows, their_columns)]
    present = into[np.ix_(rows, columns)]
    into[np.ix_(rows, columns)] = np.where(np.isfinite(values), values, present)


def _evidence(
    io: StageIO, inputs: RunInputs, horizon: int, leaks: tuple[str, ...], collapsed: Mapping[str, tuple[int, ...]]
) -> tuple[Evidence, Edges, dict[str, FloatArray]]:
    """The evidence, the edges of ungated efficiencies, and entry → forward returns of the tested sessions."""
    folds, labels = inputs.reported_folds[horizon], inputs.labels(horizon)
    names = ["member", *(f"return_{horizon}d_{entry}" for entry in LABEL_ENTRIES)]
    matrices = read_matrices(io.path("labels", "labels.parquet"), names)
    outputs = among_members(inputs.forecasts(horizon, folds), matrices["member"])
    evidence = gather_evidence(outputs, labels, matrices["member"], horizon=horizon, leaks=leaks, collapsed=collapsed)
    first = folds[0].test.start
    tested = slice(first, folds[-1].test.stop)
    entries: dict[str, FloatArray] = {entry: matrices[f"return_{horizon}d_{entry}"][tested] for entry in LABEL_ENTRIES}
    edges = edges_of(outputs, labels, evidence)
    trading = traded(inputs.prices, evidence.p_up, entries.__getitem__, first_session=first, horizon=horizon)
    return replace(evidence, trading=trading), edges, entries


def _warn(io: StageIO, horizon: int, report: GateReport, *, skipped: bool) -> None:
    if skipped:
        io.warn(f"{horizon}d: gates skipped on request; this version can never become champion")
    elif report.failed:
        io.warn(f"{horizon}d: {report.verdict}, gates {', '.join(report.failed)}")


def fades(evidence: Evidence, diagnostics: Diagnostics) -> bool:
    """Whether the ranking does not outlast the next session. False where its close is the first entry: `tradable` tells it."""
    late, trading = diagnostics.at_next_close, evidence.trading
    told = trading is not None and trading.entry == "next_close"
    return late is not None and not told and not (late.auc_up.lower or 0.0) > 0.5


def _warn_of_trials(io: StageIO, horizon: int, report: GateReport, bias: SelectionBias, policy: GatePolicy) -> None:
    if report.verdict in {"passed", "challenger"} and not bias.deflated >= policy.confidence:
        io.warn(
            f"{horizon}d: after costs, a Sharpe ratio of {bias.sharpe:.3f} a session is not more than the best of "
            f"{bias.raw.n_trials} trials may show without skill (deflated {bias.deflated:.2f})"
        )
