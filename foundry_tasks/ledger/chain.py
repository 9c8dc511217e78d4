"""The ledger in a store: append-only, one object per record, created atomically; and its projection on the registry.

The ledger has one chain per registered model, and the chain of evidence. MLflow witnesses the head of each.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from foundry_tasks.contract.artifacts import ledger_key
from foundry_tasks.contract.errors import ConfigError, TransientError
from foundry_tasks.contract.ports import Registry, Store
from foundry_tasks.ledger.evidence import CHAIN, EvidenceRecord, EvidenceState, prove_evidence
from foundry_tasks.ledger.links import Link, contradicts
from foundry_tasks.ledger.records import Entry, LedgerRecord, LedgerState, prove, seal

S = TypeVar("S")
R = TypeVar("R", bound=Link)

CHAMPION, CHALLENGER = "champion", "challenger"
_FOLDER = "ledger/"
_LOST_RACES = 200
_WRITERS = 8
_CHECKED_KEY = "checks/create-once"
WITNESS = "foundry-evidence"
"""The registered model, without versions, whose tag is MLflow's witness of the chain of evidence."""


class Ledger:
    """The chains of a store, one per registered model."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def models(self) -> tuple[str, ...]:
        """All models with a record."""
        chains = {key.removeprefix(_FOLDER).split("/")[0] for key in self.store.keys(_FOLDER)}
        return tuple(sorted(chains - {CHAIN}))

    def prove(self, model: str) -> tuple[LedgerState, tuple[str, ...]]:
        """State of a chain, and all its faults, one line each. A broken chain raises no error."""
        return prove(model, _objects(self.store, model))

    def state(self, model: str) -> LedgerState:
        """State of a chain. Raises ConfigError if the chain does not verify."""
        state, findings = self.prove(model)
        _refuse(findings, model, self.store)
        return state

    def append(self, model: str, decide: Callable[[LedgerState], Entry | None]) -> LedgerRecord | None:
        """Append the entry that `decide` returns for the current state; returns the record.

        If another writer appends first, `decide` is called again with the new state. If it returns None, nothing is
        appended and the result is None. Raises the errors of `decide`, ConfigError if the chain does not verify,
        TransientError after _LOST_RACES lost races.
        """

        def record(state: LedgerState) -> LedgerRecord | None:
            entry = decide(state)
            return None if entry is None else seal(model, entry, state)

        return _append(self.store, model, lambda: self.state(model), record)


class EvidenceLog:
    """The chain of looks and changes of policies of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def prove(self, *, thorough: bool = True) -> tuple[EvidenceState, tuple[str, ...]]:
        """State of the chain, and all its faults, one line each. A broken chain raises no error. As `prove_evidence`."""
        return prove_evidence(_objects(self.store, CHAIN), thorough=thorough)

    def state(self) -> EvidenceState:
        """State of the chain. Raises ConfigError if its hashes do not verify."""
        state, findings = prove_evidence(_objects(self.store, CHAIN), thorough=False)
        _refuse(findings, CHAIN, self.store)
        return state

    def append(
        self, registry: Registry, decide: Callable[[EvidenceState], EvidenceRecord | None]
    ) -> EvidenceRecord | None:
        """Append the record that `decide` returns for the current state, and let the registry witness it.

        If another writer appends first, `decide` is called again. If it returns None, nothing is appended. Raises
        ConfigError if the chain does not verify or the registry has seen another chain, TransientError after _LOST_RACES
        lost races.
        """
        self.agreed(registry)
        appended = _append(self.store, CHAIN, self.state, decide)
        self.witness(registry)
        return appended

    def witness(self, registry: Registry) -> bool:
        """Let the registry witness the chain's head; returns whether it was another one. Raises ConfigError as `agreed`."""
        state, witness = self.agreed(registry)
        if state.head == witness or not state.records:
            return False
        registry.set_ledger_head(WITNESS, state.head)
        return True

    def agreed(self, registry: Registry) -> tuple[EvidenceState, str | None]:
        """The state, and the head that the registry has seen. Raises ConfigError if they contradict each other."""
        witness = registry.ledger_head(WITNESS)  # read before the chain, so the chain can only be longer
        state = self.state()
        _refuse_contradiction(contradicts(state.records, witness), CHAIN)
        return state, witness


def _objects(store: Store, chain: str) -> list[tuple[str, bytes]]:
    return [(key, store.read(key) or b"") for key in list(store.keys(f"{_FOLDER}{chain}/"))]


def _refuse(findings: tuple[str, ...], chain: str, store: Store) -> None:
    if findings:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise ConfigError(
            f"the ledger of {chain} does not verify: {findings[0]}{more}. Look at `foundry ledger verify`, and "
            f"restore {store.locate(_FOLDER + chain)} from a backup."
        )


def _refuse_contradiction(against: str | None, chain: str) -> None:
    if against:
        raise ConfigError(
            f"the ledger of {chain}: {against}. Restore the ledger and MLflow from one backup; an MLflow that belongs to "
            "another store cannot serve this one (FOUNDRY_MLFLOW_URI)."
        )


def _append(store: Store, chain: str, read: Callable[[], S], decide: Callable[[S], R | None]) -> R | None:
    for _ in range(_LOST_RACES):
        record = decide(read())
        if record is None or store.create(ledger_key(chain, record.sequence), record.document()):
            return record
    raise TransientError(f"the ledger of {chain} is too busy: {_LOST_RACES} races lost. Try again.")


def project(ledger: Ledger, registry: Registry, model: str) -> tuple[str, ...]:
    """Set the registry's aliases to the ledger's champion and challenger; returns the changes, one line each.

    An alias whose version the registry lacks is deleted: no champion is safer than a wrong one.

    The ledger is read again after the aliases are set, and the loop repeats if a record was appended in between. With
    concurrent promotions the last writer thus sets the aliases of the last record. Raises ConfigError if the registry has
    seen another chain, TransientError after _LOST_RACES repetitions.
    """
    changed: list[str] = []
    for _ in range(_LOST_RACES):
        state, witness = agreed(ledger, registry, model)
        if not state.records:
            return ()
        present = registry.versions(model)  # read after the chain: its versions were registered before
        for name, number in ((CHAMPION, state.champion), (CHALLENGER, state.challenger)):
            wanted = number if any(version.version == number for version in present) else None
            before = next((version.version for version in present if name in version.aliases), None)
            if before != wanted:
                registry.set_alias(model, name, wanted)
                changed.append(f"{model}: {name} was {_version(before)}, is {_version(wanted)}")
        if witness != state.head and present:
            registry.set_ledger_head(model, state.head)
        if ledger.state(model).head == state.head:
            return tuple(changed)
    raise TransientError(f"the ledger of {model} is too busy to be projected. Run `foundry ledger repair` later.")


def agreed(ledger: Ledger, registry: Registry, model: str) -> tuple[LedgerState, str | None]:
    """A model's state, and the ledger head that the registry has seen. Raises ConfigError if they contradict each other."""
    witness = registry.ledger_head(model)  # read before the chain, so the chain can only be longer
    state = ledger.state(model)
    _refuse_contradiction(contradicts(state.records, witness), model)
    return state, witness


def _version(number: int | None) -> str:
    return "no version" if number is None else f"version {number}"


def check_store(store: Store) -> None:
    """Let several writers create one key at once; raises ConfigError unless exactly one succeeds.

    On some S3 servers several concurrent conditional puts of one key succeed; a ledger could fork there. The result is
    recorded in the store, so the check runs once per store.
    """
    if store.read(_CHECKED_KEY) == store.uri.encode():
        return
    for _ in range(3):
        key = f"{_CHECKED_KEY}-{secrets.token_hex(8)}"
        winners = _race(store, key)
        if len(winners) != 1 or store.read(key) != winners[0]:
            raise ConfigError(
                f"the store {store.uri} cannot keep a ledger: {len(winners)} of {_WRITERS} writers won one race, "
                "exactly one may. Use a store with an atomic create-if-absent."
            )
    store.write(_CHECKED_KEY, store.uri.encode())


def _race(store: Store, key: str) -> list[bytes]:
    """Contents of the writers that created the key."""
    start = Barrier(_WRITERS)

    def one(number: int) -> bytes | None:
        content = f"writer {number}".encode()
        start.wait(timeout=30)
        return content if store.create(key, content) else None

    with ThreadPoolExecutor(_WRITERS) as writers:
        return [content for content in writers.map(one, range(_WRITERS)) if content is not None]
