"""One horizon's bundle with the gates and refit of its run, and its registration as a version."""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Gates, HorizonGates, Refit, Refits
from foundry_tasks.contract.errors import MissingInputError
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.ports import Registration, Store
from foundry_tasks.contract.stage_inputs import StageInputs
from foundry_tasks.ledger.promotion import POSSIBLE, VERDICTS, gate_values
from foundry_tasks.ledger.records import Digests, LedgerState, market_and_horizon, model_name

if TYPE_CHECKING:
    from foundry_tasks.models.bundle import Bundle

_EXAMPLE_ROWS = 3


@dataclass(frozen=True)
class Candidate:
    """One horizon's bundle with the documents of its run. sha256: of the bundle."""

    model: str
    horizon: int
    gates: HorizonGates
    refit: Refit
    bundle: Path
    sha256: str

    def is_version(self, state: LedgerState, number: int, run: str) -> bool:
        """Whether the ledger's version has the bundle, run, gates and verdict of this candidate.

        An equal bundle is not enough: repeating a run's gates replaces their result.
        """
        known = state.versions[number]
        if (known.sha256, known.digests.run, known.gates) != (self.sha256, run, gate_values(self.gates)):
            return False
        judged = next((r for r in state.records if r.version == number and r.event in VERDICTS), None)
        return judged is None or judged.event in POSSIBLE[self.gates.verdict]


@dataclass(frozen=True)
class LostVersions:
    """Versions that the ledger has and the registry lacks.

    again: the one that is this run's candidate; None if none is. others: all others.
    """

    again: int | None
    others: tuple[int, ...]


def lost_versions(candidate: Candidate, state: LedgerState, present: Iterable[int], run: str) -> LostVersions:
    """The lost versions. present: the registry's versions. run: `<dag>/<run_id>` of the candidate."""
    lost = sorted(set(state.versions) - set(present))
    again = next((number for number in lost if candidate.is_version(state, number, run)), None)
    return LostVersions(again, tuple(number for number in lost if number != again))


def candidate_of(inputs: StageInputs, market: str, horizon: int) -> Candidate:
    """The candidate of a run for a horizon. Raises MissingInputError if its gates or refit are not published."""
    bundle = f"bundle/{horizon}d.zip"
    return Candidate(
        model=model_name(market, horizon),
        horizon=horizon,
        gates=inputs.read(Gates).horizons[horizon],
        refit=inputs.read(Refits).horizons[horizon],
        bundle=inputs.path("refit", bundle),
        sha256=inputs.result("refit").outputs[bundle].sha256,
    )


def registration(
    candidate: Candidate, digests: Digests, inputs: StageInputs, *, version: int | None, taken: Mapping[int, str]
) -> Registration:
    """Registration of the candidate with all evidence of its run. version, taken: as in Registration."""
    features, example = _example(candidate, inputs)
    made_of = digests.model_dump(exclude={"run"})
    lookback = candidate.refit.lookback_sessions
    tags = {
        "run": digests.run,
        "verdict": candidate.gates.verdict,
        "horizon": str(candidate.horizon),
        "lookback_sessions": str(lookback) if lookback else "",
        **made_of,
    }
    return Registration(
        model=candidate.model,
        bundle=candidate.bundle,
        sha256=candidate.sha256,
        horizon=candidate.horizon,
        features=features,
        example=example,
        # The registry finds a version by its evidence, so it has only the keys that the run published.
        evidence={
            "gates": candidate.gates.model_dump(mode="json", exclude_unset=True),
            "refit": candidate.refit.model_dump(mode="json", exclude_unset=True),
            "features": inputs.result("features").config | {"names": list(features)},
            "labels": inputs.result("labels").config,
            "digests": made_of,
        },
        tags={f"foundry.{key}": value for key, value in tags.items() if value},
        metrics={gate.name: gate.value for gate in candidate.gates.gates if gate.value is not None},
        run_name=f"{candidate.model} {digests.run}",
        version=version,
        taken=taken,
    )


def registration_of(store: Store, model: str, state: LedgerState, number: int) -> tuple[Registration, bool]:
    """Registration of a version of the ledger, and whether it has all evidence of its run.

    If the store lacks the results of the version's run, the evidence is the ledger's record. Raises MissingInputError if
    the store lacks the bundle.
    """
    known = state.versions[number]
    bundle = store.object_path(known.sha256)
    market, horizon = market_and_horizon(model)
    inputs = _inputs_of(store, known.digests.run)
    try:
        candidate = candidate_of(inputs, market, horizon)
        if candidate.is_version(state, number, known.digests.run) and _newest(state, number):
            return registration(candidate, known.digests, inputs, version=number, taken=state.bundles), True
    except (MissingInputError, KeyError):  # results of the run were deleted, or the run was repeated
        pass
    return _from_ledger(model, horizon, number, state, bundle), False


def _newest(state: LedgerState, number: int) -> bool:
    """Whether no later version has the same run and bundle. A run keeps only the result of its last gates."""
    known = state.versions[number]
    return not any(
        (facts.sha256, facts.digests.run) == (known.sha256, known.digests.run)
        for other, facts in state.versions.items()
        if other > number
    )


def _inputs_of(store: Store, run: str) -> StageInputs:
    """The inputs of a run's `promote`."""
    dag, _, run_id = run.partition("/")
    return StageInputs(Identity(dag, run_id, "promote", None, date.min), store)


def _from_ledger(model: str, horizon: int, number: int, state: LedgerState, bundle: Path) -> Registration:
    known = state.versions[number]
    gates = {name: value.model_dump() for name, value in known.gates.items()}
    digests = known.digests.model_dump()
    recorded = {"version": number, "verdict": known.verdict, "gates": gates, "digests": digests}
    readable = _readable(bundle)
    lookback = readable.lookback_sessions if readable else 0
    tags = {"horizon": str(horizon), "lookback_sessions": str(lookback) if lookback else "", **digests}
    return Registration(
        model=model,
        bundle=bundle,
        sha256=known.sha256,
        horizon=horizon,
        features=readable.features if readable else (),
        example=(),
        evidence={"ledger": recorded},
        tags={f"foundry.{key}": value for key, value in tags.items() if value},
        metrics={name: value.value for name, value in known.gates.items() if value.value is not None},
        run_name=f"{model} {known.digests.run}".strip(),
        version=number,
        taken=state.bundles,
    )


def _readable(path: Path) -> "Bundle | None":
    """The bundle; None if this release cannot read it."""
    from foundry_tasks.models.bundle import Bundle  # noqa: PLC0415 - only a repair without the run's results needs it

    try:
        return Bundle.from_file(path)
    except (zipfile.BadZipFile, KeyError, ValueError):
        return None


def _example(candidate: Candidate, inputs: StageInputs) -> tuple[tuple[str, ...], list[dict[str, str | float]]]:
    """Names of the model's features, and _EXAMPLE_ROWS rows of the last session as plain data."""
    from foundry_tasks.data.tables import panel_names, read_features  # noqa: PLC0415 - loads pyarrow

    path = inputs.path("features", "features.parquet")
    names = candidate.refit.features or panel_names(path)
    panel = read_features(path, names, between=(inputs.as_of, None))
    rows: list[dict[str, str | float]] = [
        {"date": str(panel.sessions[-1]), "ticker": ticker, **{name: float(panel[name][-1, column]) for name in names}}
        for column, ticker in enumerate(panel.tickers[:_EXAMPLE_ROWS])
    ]
    return names, rows
