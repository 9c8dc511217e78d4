"""One horizon's bundle with what its run said of it, and the version that is registered."""

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
from foundry_tasks.ledger.promotion import VERDICTS, gate_values, ruling
from foundry_tasks.ledger.records import Digests, LedgerState, model_name

if TYPE_CHECKING:
    from foundry_tasks.models.bundle import Bundle

_EXAMPLE_ROWS = 3


@dataclass(frozen=True)
class Candidate:
    """One horizon's bundle and what was said about it before."""

    model: str
    horizon: int
    gates: HorizonGates
    refit: Refit
    bundle: Path
    sha256: str

    def is_version(self, state: LedgerState, number: int, run: str) -> bool:
        """Whether this run's gates and refit are those that the ledger's version was registered and judged with.

        A run whose gates are repeated replaces their result, so an equal bundle alone does not say so.
        """
        known = state.versions[number]
        if (known.sha256, known.digests.run, known.gates) != (self.sha256, run, gate_values(self.gates)):
            return False
        judged = next((r for r in state.records if r.version == number and r.event in VERDICTS), None)
        if judged is None:
            return True
        ruled = ruling(self.gates, self.refit, judged.from_version)
        return judged.event == ruled.event and judged.why.startswith(ruled.why)


@dataclass(frozen=True)
class LostVersions:
    """Versions that the ledger knows and the registry lacks.

    again: the one that is this run's candidate, None where none is. others: all the rest.
    """

    again: int | None
    others: tuple[int, ...]


def lost_versions(candidate: Candidate, state: LedgerState, present: Iterable[int], run: str) -> LostVersions:
    """What a registry that has only the versions `present` lacks. run: `<dag>/<run_id>` of the candidate."""
    lost = sorted(set(state.versions) - set(present))
    again = next((number for number in lost if candidate.is_version(state, number, run)), None)
    return LostVersions(again, tuple(number for number in lost if number != again))


def candidate_of(inputs: StageInputs, market: str, horizon: int) -> Candidate:
    """What a run's gates and refit have published for a horizon. Raises MissingInputError."""
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
    """The version as the registry takes it, with all of its run's evidence. version, taken: as in Registration."""
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
        # The registry finds a version by its evidence: the keys are those that the run has published.
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
    """A version of the ledger as `promote` registered it, and whether with all of its evidence.

    Where the store lacks what the version's run published, the evidence is what the ledger says. Raises
    MissingInputError where the store lacks the bundle.
    """
    known = state.versions[number]
    bundle = store.object_path(known.sha256)
    market, _, horizon = model.removeprefix("foundry-").removesuffix("d").rpartition("-")
    inputs = _inputs_of(store, known.digests.run)
    try:
        candidate = candidate_of(inputs, market, int(horizon))
        if candidate.is_version(state, number, known.digests.run) and _newest(state, number):
            return registration(candidate, known.digests, inputs, version=number, taken=state.bundles), True
    except (MissingInputError, KeyError):  # a run that is gone, wholly or in part, or that has been repeated
        pass
    return _from_ledger(model, int(horizon), number, state, bundle), False


def _newest(state: LedgerState, number: int) -> bool:
    """Whether no later version is of the same run and bundle: a run keeps the result of its last gates only."""
    known = state.versions[number]
    return not any(
        (facts.sha256, facts.digests.run) == (known.sha256, known.digests.run)
        for other, facts in state.versions.items()
        if other > number
    )


def _inputs_of(store: Store, run: str) -> StageInputs:
    """A run's results as its `promote` reads them."""
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
    """The bundle, None where this release cannot read it."""
    from foundry_tasks.models.bundle import Bundle  # noqa: PLC0415 - only a repair without its run's results loads it

    try:
        return Bundle.from_file(path)
    except (zipfile.BadZipFile, KeyError, ValueError):
        return None


def _example(candidate: Candidate, inputs: StageInputs) -> tuple[tuple[str, ...], list[dict[str, str | float]]]:
    """The model's features, and some rows of the last session as plain data."""
    from foundry_tasks.data.tables import panel_names, read_features  # noqa: PLC0415 - pyarrow, once there is work

    path = inputs.path("features", "features.parquet")
    names = candidate.refit.features or panel_names(path)
    panel = read_features(path, names, between=(inputs.as_of, None))
    rows: list[dict[str, str | float]] = [
        {"date": str(panel.sessions[-1]), "ticker": ticker, **{name: float(panel[name][-1, column]) for name in names}}
        for column, ticker in enumerate(panel.tickers[:_EXAMPLE_ROWS])
    ]
    return names, rows
