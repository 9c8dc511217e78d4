"""What people do to registered models: go back, approve a near miss, look at the ledger, prove it, mend its projection.

Each operation that moves the champion appends to the ledger first and sets the alias then; killed in between, the next
operation or `repair` sets the alias.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from foundry_tasks.contract.artifacts import sha256_of
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ledger import Entry, Event, LedgerRecord, LedgerState, contradicts, describe
from foundry_tasks.contract.ledger_chain import CHALLENGER, CHAMPION, Ledger, check_store, project
from foundry_tasks.contract.ports import ModelVersion, Registry, Store


def rollback(
    store: Store,
    registry: Registry,
    model: str,
    *,
    to_version: int | None = None,
    from_version: int | None = None,
    who: str,
    why: str,
    when: datetime,
) -> LedgerRecord:
    """Make an earlier champion champion again, by default the one before; returns the ledger's record.

    from_version names the champion that is to go, so that a call that is repeated does not go back twice. Raises
    ConfigError where there is nothing to go back to, or where the version was never champion.
    """

    def decide(state: LedgerState) -> Entry | None:
        if from_version is not None and state.champion != from_version:
            if state.records and _is_rollback_from(state, from_version):
                return None
            raise ConfigError(f"{model}: champion is {_name(state.champion)}, not version {from_version}. Look again.")
        target = state.previous_champion if to_version is None else to_version
        if target is None:
            raise ConfigError(f"{model} has no earlier champion to go back to (champion: {_name(state.champion)}).")
        if target == state.champion:
            if state.last(target, "promoted", "rolled_back") == state.last(target, "rolled_back"):
                return None
            raise ConfigError(f"{model}: version {target} is champion already.")
        verdict = state.versions[target].verdict if target in state.versions else None
        if verdict != "promoted":
            raise ConfigError(f"{model}: cannot roll back to version {target}: {_why_not(verdict)}. {_could(state)}")
        return _entry(state, target, "rolled_back", who=who, why=why, when=when)

    return _move(store, registry, model, decide, who=who, why=why)


def approve(
    store: Store, registry: Registry, model: str, version: int, *, who: str, why: str, when: datetime
) -> LedgerRecord:
    """Promote a challenger by a human's decision; returns the ledger's record.

    Raises ConfigError where the gates said anything but challenger, or judged it against another champion.
    """

    def decide(state: LedgerState) -> Entry | None:
        known = state.versions.get(version)
        if known is not None and known.verdict == "promoted" and state.champion == version:
            return None
        if known is None or known.verdict != "challenger":
            verdict = known.verdict if known else None
            raise ConfigError(f"{model}: version {version} cannot be approved: {_why_not(verdict)}.")
        if known.judged_against != state.champion:
            raise ConfigError(
                f"{model}: version {version} was judged against {_name(known.judged_against)}, but champion is now "
                f"{_name(state.champion)}. Run the gates again."
            )
        return _entry(state, version, "promoted", who=who, why=why, when=when)

    return _move(store, registry, model, decide, who=who, why=why)


def show(store: Store, model: str | None = None) -> list[Mapping[str, Any]]:
    """Every record, oldest first, one row each; of all models by default. It shows a broken chain too."""
    ledger = Ledger(store)
    chains = ((name, ledger.prove(name)[0].records) for name in _models(ledger, model))
    return [{"model": name, **describe(record)} for name, records in chains for record in records]


def verify(store: Store, registry: Registry, model: str | None = None) -> list[str]:
    """Everything that is wrong with the ledger, or between it and the registry; empty where all is whole."""
    ledger = Ledger(store)
    findings: list[str] = []
    for name in _models(ledger, model):
        witness = registry.ledger_head(name)
        state, broken = ledger.prove(name)
        findings += broken
        against = contradicts(state, witness)
        if against:
            findings.append(f"{name}: {against}")
        if witness is None:
            findings.append(f"{name}: the registry has seen nothing of its ledger. Run `foundry ledger repair`")
        findings += [f"{name}: {finding}" for finding in _against_registry(state, registry, name)]
    return findings


def repair(store: Store, registry: Registry, model: str | None = None) -> list[str]:
    """Project the ledger on the registry again; what was changed, a line each. Raises ConfigError on a broken chain."""
    ledger = Ledger(store)
    return [change for name in _models(ledger, model) for change in project(ledger, registry, name)]


# ------------------------------------------------------------------ parts
def _move(
    store: Store,
    registry: Registry,
    model: str,
    decide: Callable[[LedgerState], Entry | None],
    *,
    who: str,
    why: str,
) -> LedgerRecord:
    """Append what `decide` says, then set the alias; where it has been said before, the record of then."""
    for name, text in (("who", who), ("why", why)):
        if not text.strip():
            raise ConfigError(f"{name} must be said: it goes into the ledger. Give --{name}.")
    check_store(store)
    ledger = Ledger(store)
    project(ledger, registry, model)
    present = {version.version: version for version in registry.versions(model)}

    def decide_on_what_is_there(state: LedgerState) -> Entry | None:
        entry = decide(state)
        if entry is not None and not _same_bundle(present.get(entry.version), entry.sha256):
            raise ConfigError(f"{model}: version {entry.version} is not in the registry as the ledger knows it.")
        return entry

    appended = ledger.append(model, decide_on_what_is_there)
    project(ledger, registry, model)
    if appended is not None:
        return appended
    return next(record for record in reversed(ledger.state(model).records) if record.moves_champion)


def _entry(state: LedgerState, version: int, event: Event, *, who: str, why: str, when: datetime) -> Entry:
    known = state.versions[version]
    return Entry(
        event=event,
        version=version,
        sha256=known.sha256,
        who=who,
        when=when,
        why=why,
        gates=known.gates,
        digests=known.digests,
    )


def _is_rollback_from(state: LedgerState, version: int) -> bool:
    last = next((record for record in reversed(state.records) if record.moves_champion), None)
    return last is not None and last.event == "rolled_back" and last.from_version == version


def _same_bundle(found: ModelVersion | None, sha256: str) -> bool:
    return found is not None and found.sha256 == sha256


def _holds(registry: Registry, version: ModelVersion, sha256: str) -> bool:
    bundle = registry.bundle(version)
    return bundle.is_file() and sha256_of(bundle.read_bytes()) == sha256


def _against_registry(state: LedgerState, registry: Registry, model: str) -> list[str]:
    """Where aliases, versions or bundles are not what the ledger says."""
    findings = []
    present = {version.version: version for version in registry.versions(model)}
    for alias, wanted in ((CHAMPION, state.champion), (CHALLENGER, state.challenger)):
        found = registry.alias(model, alias)
        number = found.version if found else None
        if number != wanted:
            findings.append(f"{alias} is {_name(number)}, the ledger says {_name(wanted)}. Run `foundry ledger repair`")
        if wanted in present and not _holds(registry, present[wanted], state.versions[wanted].sha256):
            findings.append(f"the bundle of version {wanted} ({alias}) is not the one that was registered")
    for number, version in present.items():
        if number not in state.versions:
            findings.append(f"version {number} is in the registry but in no record. Repeat its promote, or delete it")
        elif version.sha256 != state.versions[number].sha256:
            findings.append(f"version {number} names another bundle in the registry than in the ledger")
    findings += [f"version {gone} is gone from the registry" for gone in sorted(set(state.versions) - set(present))]
    return findings


def _models(ledger: Ledger, model: str | None) -> Sequence[str]:
    known = ledger.models()
    if model is not None and model not in known:
        raise ConfigError(f"the ledger knows no model {model!r}; it has {', '.join(known) or 'none'}.")
    return known if model is None else (model,)


def _name(version: int | None) -> str:
    return "none" if version is None else f"version {version}"


def _why_not(verdict: Event | None) -> str:
    if verdict is None:
        return "it was never registered"
    return {
        "registered": "it has no verdict yet, repeat its promote",
        "challenger": "it has never been champion, approve it instead",
        "refused": "its gates, or what followed them, refused it",
        "skipped": "its gates were skipped",
        "promoted": "it has been champion, roll back to it instead",
        "rolled_back": "it has been champion, roll back to it instead",
    }[verdict]


def _could(state: LedgerState) -> str:
    earlier = [number for number, facts in state.versions.items() if facts.verdict == "promoted"]
    return f"Earlier champions: {', '.join(map(str, earlier)) or 'none'}."
