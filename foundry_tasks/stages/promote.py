"""promote: register every horizon's bundle with its evidence, write it into the ledger, move the aliases.

The ledger is the truth: what a killed promote had already said is found there and not said again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry_tasks.contract.config import PromoteConfig
from foundry_tasks.contract.errors import ConfigError, NothingToDo
from foundry_tasks.contract.ledger import Digests, Entry, Event, GateValue, LedgerState, model_name
from foundry_tasks.contract.ledger_chain import Ledger, check_store, project
from foundry_tasks.contract.ports import ModelVersion, Registration
from foundry_tasks.contract.stage_io import StageIO

_EXAMPLE_ROWS = 3
_REFUSING = {"failed", "undefined", "near miss"}


@dataclass(frozen=True)
class Candidate:
    """One horizon's bundle and what was said about it before."""

    model: str
    horizon: int
    gates: Mapping[str, Any]
    refit: Mapping[str, Any]
    bundle: Path
    sha256: str

    @property
    def refusal(self) -> str | None:
        """Why it stays out, None where neither the gates nor the refit refuse it."""
        if self.gates["verdict"] == "refused":
            failed = [gate["name"] for gate in self.gates["gates"] if gate["verdict"] in _REFUSING]
            return f"gates refused: {', '.join(failed) or 'see the gate report'}"
        if not self.refit["accepted"] or self.refit["kind"] != "refit":
            return f"refit refused: {self.refit.get('reason') or self.refit['kind']}"
        return None

    def verdict(self, champion: int | None) -> tuple[Event, str]:
        """The event that follows, and why, if `champion` is champion now."""
        if self.gates["verdict"] == "skipped":
            return "skipped", "gates skipped on request"
        if self.refusal:
            return "refused", self.refusal
        judged_against = self.gates.get("champion_version")
        if judged_against != champion:
            return "refused", (
                f"judged against champion {judged_against or 'none'}, but champion is now {champion or 'none'}; "
                "run the gates again"
            )
        if self.gates["verdict"] == "challenger":
            near = [gate["name"] for gate in self.gates["gates"] if gate["verdict"] == "near miss"]
            return "challenger", f"a near miss of {', '.join(near)}: a human may approve it"
        return "promoted", "every gate passed"


def run(config: PromoteConfig, io: StageIO) -> None:
    """gates.json, refit.json and bundles → versions, records, aliases; publishes promotion.json.

    Raises NothingToDo after `validate_only`.
    """
    gates = io.json("gates", "gates.json")
    if gates["validate_only"]:
        raise NothingToDo("validate_only: the gates have spoken, nothing is registered.")
    refit = io.json("refit", "refit.json")
    check_store(io.store)
    promotions = {}
    for horizon in sorted(gates["horizons"], key=int):
        bundle = f"bundle/{horizon}d.zip"
        candidate = Candidate(
            model=model_name(config.market, int(horizon)),
            horizon=int(horizon),
            gates=gates["horizons"][horizon],
            refit=refit["horizons"][horizon],
            bundle=io.path("refit", bundle),
            sha256=io.result("refit").outputs[bundle].sha256,
        )
        promotions[horizon] = _promote(candidate, config, io)
        told = ("model", "event", "version", "champion_after", "record")
        io.metrics[f"{horizon}d"] = {key: promotions[horizon][key] for key in told}
    io.publish_json("promotion.json", {"horizons": promotions})


def _promote(candidate: Candidate, config: PromoteConfig, io: StageIO) -> dict[str, Any]:
    """Register, append, project; every part finds its own work done if it is repeated."""
    ledger, model, digests = Ledger(io.store), candidate.model, _digests(io)
    with io.step("project"):
        project(ledger, io.registry, model)
    with io.step("register"):
        version = io.registry.register(_registration(candidate, digests, io))

    def entry(event: Event, why: str) -> Entry:
        return Entry(
            event=event,
            version=version.version,
            sha256=candidate.sha256,
            who=f"run {digests.run}",
            when=io.now(),
            why=f"{why}: {config.reason}" if config.reason else why,
            gates=_gate_values(candidate.gates),
            digests=digests,
        )

    def register(state: LedgerState) -> Entry | None:
        _refuse_other_bundle(state, version, candidate)
        return None if version.version in state.versions else entry("registered", "trained and judged")

    def judge(state: LedgerState) -> Entry | None:
        said_already = state.versions[version.version].verdict != "registered"
        return None if said_already else entry(*candidate.verdict(state.champion))

    with io.step("ledger"):
        ledger.append(model, register)
        ledger.append(model, judge)
    with io.step("project"):
        project(ledger, io.registry, model)
    return _outcome(ledger.state(model), version, candidate, io)


def _outcome(state: LedgerState, version: ModelVersion, candidate: Candidate, io: StageIO) -> dict[str, Any]:
    """What the report shows of this horizon."""
    record = state.last(version.version, "promoted", "challenger", "refused", "skipped")
    if record is None:
        raise ConfigError(
            f"the ledger of {candidate.model} has no verdict on version {version.version}. Repeat the run."
        )
    if record.event == "refused":
        io.warn(f"{candidate.horizon}d: version {version.version} registered without an alias: {record.why}")
    if record.event == "promoted" and state.champion != version.version:
        io.warn(
            f"{candidate.horizon}d: version {version.version} was promoted by record {record.sequence} and has been "
            f"replaced by version {state.champion} since; it stays so"
        )
    return {
        "model": candidate.model,
        "version": version.version,
        "event": record.event,
        "why": record.why,
        "champion_before": record.from_version,
        "champion_after": state.champion,
        "sha256": candidate.sha256,
        "record": record.sequence,
        "uri": f"models:/{candidate.model}/{version.version}",
        "url": io.registry.locate(version),
    }


def _refuse_other_bundle(state: LedgerState, version: ModelVersion, candidate: Candidate) -> None:
    known = state.versions.get(version.version)
    if known is not None and known.sha256 != candidate.sha256:
        raise ConfigError(
            f"the ledger knows version {version.version} of {candidate.model} with another bundle. "
            "Look at `foundry ledger verify`: registry and ledger do not belong together."
        )


def _registration(candidate: Candidate, digests: Digests, io: StageIO) -> Registration:
    features, example = _example(candidate, io)
    made_of = digests.model_dump(exclude={"run"})
    lookback = candidate.refit.get("lookback_sessions")
    tags = {
        "run": digests.run,
        "verdict": candidate.gates["verdict"],
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
        evidence={
            "gates": dict(candidate.gates),
            "refit": dict(candidate.refit),
            "features": io.result("features").config | {"names": list(features)},
            "labels": io.result("labels").config,
            "digests": made_of,
        },
        tags={f"foundry.{key}": value for key, value in tags.items() if value},
        metrics={gate["name"]: gate["value"] for gate in candidate.gates["gates"] if gate["value"] is not None},
        run_name=f"{candidate.model} {digests.run}",
    )


def _example(candidate: Candidate, io: StageIO) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """The model's features, and some rows of the last session as plain data."""
    from foundry_tasks.data.tables import panel_names, read_features  # noqa: PLC0415 - pyarrow, once there is work

    path = io.path("features", "features.parquet")
    names = tuple(candidate.refit.get("features") or panel_names(path))
    panel = read_features(path, names, between=(io.as_of, None))
    rows = [
        {"date": str(panel.sessions[-1]), "ticker": ticker} | {name: float(panel[name][-1, column]) for name in names}
        for column, ticker in enumerate(panel.tickers[:_EXAMPLE_ROWS])
    ]
    return names, rows


def _digests(io: StageIO) -> Digests:
    return Digests(
        data=io.result("prices").outputs_digest,
        features=io.result("features").outputs_digest,
        labels=io.result("labels").outputs_digest,
        code_version=io.code_version,
        image_digest=io.image_digest,
        run=f"{io.identity.dag}/{io.identity.run_id}",
    )


def _gate_values(gates: Mapping[str, Any]) -> dict[str, GateValue]:
    return {
        gate["name"]: GateValue(value=gate["value"], threshold=gate["threshold"], verdict=gate["verdict"])
        for gate in gates["gates"]
    }
