"""Operations on registered models: roll back, approve a challenger, show, verify and repair.

An operation that moves the champion first appends to the ledger, then sets the alias. If it is killed in between, the next
operation or `repair` sets the alias.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from foundry_tasks.contract.artifacts import sha256_of
from foundry_tasks.contract.config import MARKET_NAME
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.plain import Conf
from foundry_tasks.contract.policy import checked_changes
from foundry_tasks.contract.ports import ModelVersion, Registry, Store
from foundry_tasks.ledger.briefing import look_of
from foundry_tasks.ledger.candidate import registration_of
from foundry_tasks.ledger.chain import (
    CHALLENGER,
    CHAMPION,
    WITNESS,
    EvidenceLog,
    Ledger,
    agreed,
    check_store,
    project,
)
from foundry_tasks.ledger.evidence import CHAIN, EvidenceState, PolicyChange, change_record
from foundry_tasks.ledger.links import SignOff, contradicts
from foundry_tasks.ledger.promotion import approval, return_to, version_name
from foundry_tasks.ledger.records import Entry, LedgerRecord, LedgerState, describe

_GONE = "is gone from the registry"
_OTHER_NAME = "names another bundle in the registry than in the ledger"
_NO_FILE = "has lost its bundle in MLflow"
_OTHER_FILE = "has a bundle in MLflow that is not the one that was registered"
_RUN_REPAIR = "Run `foundry ledger repair`"
_STRANGER = (
    "Set FOUNDRY_MLFLOW_URI to the MLflow of this ledger; if it is this one, delete the version there and "
    "run `foundry ledger repair`"
)
_BACKUP = "Restore a backup of the store or of MLflow, then run `foundry ledger repair`"


def rollback(
    store: Store,
    registry: Registry,
    model: str,
    signed: SignOff,
    *,
    to_version: int | None = None,
    from_version: int | None = None,
) -> LedgerRecord:
    """Make an earlier champion the champion again; returns the ledger's record.

    to_version: default the previous champion. from_version: the champion to replace; with it a repeated call does not
    roll back twice. Raises ConfigError if there is no earlier champion, or if the version was never champion.
    """
    decide = partial(return_to, model=model, signed=signed, to_version=to_version, from_version=from_version)
    return _move(store, registry, model, signed, decide)


def approve(store: Store, registry: Registry, model: str, version: int, signed: SignOff) -> LedgerRecord:
    """Promote a challenger by a person's decision; returns the ledger's record.

    Raises ConfigError if the verdict is not challenger, or if the gates compared it with another champion.
    """
    return _move(store, registry, model, signed, partial(approval, model=model, version=version, signed=signed))


def set_policy(store: Store, registry: Registry, market: str, changes: Conf, signed: SignOff) -> PolicyChange | None:
    """Change a market's policy by a person's decision; returns the record, None if the policy has these values.

    A call that is repeated appends nothing and returns None.

    Raises ConfigError for an unknown key or an impossible value.
    """
    _refuse_unsigned(signed)
    if not re.fullmatch(MARKET_NAME, market):
        raise ConfigError(f"market={market!r}: a market is named by lower-case letters, digits and _, a letter first.")
    check_store(store)
    wanted = checked_changes(changes)

    def decide(state: EvidenceState) -> PolicyChange | None:
        return change_record(market, wanted, signed, state)

    appended = EvidenceLog(store).append(registry, decide)
    return appended if isinstance(appended, PolicyChange) else None


def show(store: Store, model: str | None = None) -> list[Conf]:
    """All records, one row each, oldest first. model: default all. Works for a broken chain too."""
    ledger, evidence = Ledger(store), EvidenceLog(store).prove(thorough=False)[0]
    states = {name: ledger.prove(name)[0] for name in _models(ledger, model)}
    return [
        {"model": name, **_row(record, state, name, evidence)}
        for name, state in states.items()
        for record in state.records
    ]


def _row(record: LedgerRecord, state: LedgerState, model: str, evidence: EvidenceState) -> Conf:
    """A record with its look and policy, empty where they are unknown, and whether its person was authenticated."""
    look = look_of(state, model, record.version, evidence)
    person = ("yes" if record.authenticated else "no") if state.by_a_person(record) else ""
    row = describe(record)
    known = {"authenticated": person, "look": look.number if look else "", "policy": record.digests.policy[:12]}
    return {**row, **known}


def show_evidence(store: Store, market: str | None = None) -> list[Conf]:
    """Looks and changes of policies, one row each, oldest first. market: default all. Works for a broken chain too."""
    records = EvidenceLog(store).prove(thorough=False)[0].records
    return [
        {
            "sequence": record.sequence,
            "when": record.when.isoformat(timespec="seconds"),
            "event": record.event,
            "market": record.market,
            "what": record.sentence,
            "hash": record.hash[:12],
        }
        for record in records
        if market in {None, record.market}
    ]


def verify(store: Store, registry: Registry, model: str | None = None, *, thorough: bool = True) -> list[str]:
    """Faults of the ledger, and differences between ledger and registry, one line each; empty without faults.

    thorough: compare MLflow's file of every version with the ledger, else of champions only, and compute the standing of
    every look again.
    """
    ledger = Ledger(store)
    findings: list[str] = []
    if registry.experiment_is_deleted():
        findings.append(f"MLflow's experiment is deleted, and `mlflow gc` would delete its files. {_RUN_REPAIR}")
    findings += _evidence_findings(store, registry, thorough=thorough)
    for name in _models(ledger, model):
        witness = registry.ledger_head(name)
        state, broken = ledger.prove(name)
        findings += broken
        against = contradicts(state.records, witness)
        if against:
            findings.append(f"{name}: {against}")
        present = _present(registry, name)
        if witness is None and present:
            findings.append(f"{name}: the registry has seen nothing of its ledger. {_RUN_REPAIR}")
        compared = _Compared(store, registry, name, frozenset(state.versions if thorough else [state.champion]))
        findings += [f"{name}: {finding}" for finding in _against_registry(state, present, compared)]
    return findings


def _evidence_findings(store: Store, registry: Registry, *, thorough: bool) -> list[str]:
    """Faults of the chain of evidence, and how it contradicts the registry's witness."""
    witness = registry.ledger_head(WITNESS)
    state, broken = EvidenceLog(store).prove(thorough=thorough)
    against = contradicts(state.records, witness)
    if witness is None and state.records:
        against = f"the registry has seen nothing of it. {_RUN_REPAIR}"
    return [*broken, *([f"{CHAIN}: {against}"] if against else [])]


@dataclass(frozen=True)
class Repair:
    """Result of a repair. lines: one per version and per changed alias. whole: whether the registry has all versions."""

    lines: tuple[str, ...]
    whole: bool


def repair(store: Store, registry: Registry, model: str | None = None) -> Repair:
    """Register missing versions again and project the ledger on the registry. An interrupted repair can be repeated.

    model: default all. Raises ConfigError for a broken chain, before anything is changed.
    """
    ledger = Ledger(store)
    names = _models(ledger, model)
    states = {name: agreed(ledger, registry, name)[0] for name in names}
    lines: list[str] = []
    whole = True
    if registry.experiment_is_deleted():
        registry.restore_experiment()
        lines.append("MLflow's experiment was deleted, is restored")
    for name in names:
        present = _present(registry, name)
        for number in sorted(states[name].versions):
            done, what = _repair_version(states[name], number, present.get(number), store, registry, name)
            lines.append(f"{name}: version {number} {what}")
            whole = whole and done
        lines += project(ledger, registry, name)
    if EvidenceLog(store).witness(registry):
        lines.append(f"{CHAIN}: the registry has seen its head")
    return Repair(tuple(lines), whole)


# ------------------------------------------------------------------ parts
def _move(
    store: Store, registry: Registry, model: str, signed: SignOff, decide: Callable[[LedgerState], Entry | None]
) -> LedgerRecord:
    """Append the entry of `decide`, then set the alias. If `decide` returns None, return the last move of the champion."""
    _refuse_unsigned(signed)
    check_store(store)
    ledger = Ledger(store)
    project(ledger, registry, model)

    def decide_and_check(state: LedgerState) -> Entry | None:
        entry = decide(state)
        if entry is not None:
            fault = _fault(_present(registry, model).get(entry.version), entry.sha256, registry)
            if fault is not None:
                raise ConfigError(
                    f"{model}: version {entry.version} {fault}. {_RUN_REPAIR}: it makes the version again or says what "
                    "has to be restored."
                )
        return entry

    appended = ledger.append(model, decide_and_check)
    project(ledger, registry, model)
    if appended is not None:
        return appended
    return next(record for record in reversed(ledger.state(model).records) if record.moves_champion)


def _refuse_unsigned(signed: SignOff) -> None:
    for name, text in (("who", signed.who), ("why", signed.why)):
        if not text.strip():
            raise ConfigError(f"{name} must be said: it goes into the ledger. Give --{name}.")


def _present(registry: Registry, model: str) -> dict[int, ModelVersion]:
    """The registry's versions by the ledger's number; of two versions with one number, the older."""
    return {version.version: version for version in reversed(registry.versions(model))}


def _fault(found: ModelVersion | None, sha256: str, registry: Registry, *, opened: bool = True) -> str | None:
    """Fault of the registry's version of a bundle; None without a fault. opened: compare the file too."""
    if found is None:
        return _GONE
    if found.sha256 != sha256:
        return _OTHER_NAME
    if not opened:
        return None
    bundle = registry.bundle(found)
    if bundle is None:
        return _NO_FILE
    return None if sha256_of(bundle.read_bytes()) == sha256 else _OTHER_FILE


def _origin(state: LedgerState, number: int, store: Store, registry: Registry, model: str) -> str | None:
    """Where a version's bundle still exists; None if neither MLflow nor the store has it."""
    sha256 = state.versions[number].sha256
    if registry.has_files_of(model, number, sha256):
        return "MLflow's files"
    if store.has_object(sha256) and sha256_of(store.object_path(sha256).read_bytes()) == sha256:
        return "the store"
    return None


def _repair_version(
    state: LedgerState, number: int, found: ModelVersion | None, store: Store, registry: Registry, model: str
) -> tuple[bool, str]:
    """Whether the version is now without fault, and what was done, as a phrase."""
    sha256 = state.versions[number].sha256
    fault = _fault(found, sha256, registry)
    if fault is None:
        return True, "is already there"
    if fault == _OTHER_NAME:
        return False, f"{_OTHER_NAME}. {_STRANGER}"
    origin = _origin(state, number, store, registry, model)
    if origin is None:
        return False, _lost(fault, sha256)
    if found is not None:
        registry.delete(found)
    note = ""
    if origin == "the store":
        wanted, complete = registration_of(store, model, state, number)
        made = registry.register(wanted)
        note = "" if complete else ", with the ledger's evidence only: the results of its run are gone"
    else:
        made = registry.register_again(model, number, sha256, state.bundles)
    numbered = "" if made.registry_number == number else f", as MLflow's version {made.registry_number}"
    return True, f"{fault}; made again from {origin}{numbered}{note}"


def _lost(fault: str, sha256: str) -> str:
    return f"{fault} and cannot be made again: its bundle {sha256} is in neither the store nor MLflow. {_BACKUP}"


@dataclass(frozen=True)
class _Compared:
    """Places that are compared with a model's ledger. opened: versions whose file in MLflow is compared."""

    store: Store
    registry: Registry
    model: str
    opened: frozenset[int | None]


def _against_registry(state: LedgerState, present: Mapping[int, ModelVersion], compared: _Compared) -> list[str]:
    """Differences of versions, bundles and aliases from the ledger, each with the remedy."""
    findings, lost = [], set()
    for number in sorted({*state.versions, *present}):
        if number not in state.versions:
            findings.append(f"version {number} is in the registry but in no record. Repeat its promote, or delete it")
            continue
        sha256 = state.versions[number].sha256
        fault = _fault(present.get(number), sha256, compared.registry, opened=number in compared.opened)
        if fault is None:
            continue
        if fault == _OTHER_NAME:
            findings.append(f"version {number} {fault}. {_STRANGER}")
        elif origin := _origin(state, number, compared.store, compared.registry, compared.model):
            findings.append(f"version {number} {fault}. {_RUN_REPAIR}: it makes the version again from {origin}")
        else:
            lost.add(number)
            findings.append(f"version {number} {_lost(fault, sha256)}")
    for alias, wanted in ((CHAMPION, state.champion), (CHALLENGER, state.challenger)):
        found = next((version.version for version in present.values() if alias in version.aliases), None)
        if found == wanted:
            continue
        finding = f"{alias} is {version_name(found)}, the ledger says {version_name(wanted)}"
        if wanted in lost and found is None:
            findings.append(f"{finding}. {_BACKUP}" + _instead(alias))
        else:
            findings.append(f"{finding}. {_RUN_REPAIR}")
    return findings


def _instead(alias: str) -> str:
    return "; or roll back to a version that is there" if alias == CHAMPION else ""


def _models(ledger: Ledger, model: str | None) -> Sequence[str]:
    known = ledger.models()
    if model is not None and model not in known:
        raise ConfigError(f"the ledger knows no model {model!r}; it has {', '.join(known) or 'none'}.")
    return known if model is None else (model,)
