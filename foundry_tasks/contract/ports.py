"""Protocols of the services that stages use. `adapters/` implements them, `cli/wiring.py` creates the adapters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from foundry_tasks.contract.plain import Conf

EXAMPLE_KEYS = ("feature", "ticker", "date", "horizon")
"""Columns that identify the row of an example."""
_NAMED = 12
"""Up to this many failures are all named in a sentence; of more, the first `_SHOWN`."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key of a store with its size and modification time, without its bytes."""

    key: str
    size_bytes: int
    modified: datetime
    """UTC."""


class Store(Protocol):
    """Maps keys to bytes. Objects are immutable; only heads and logs change, by compare-and-swap."""

    uri: str

    def read(self, key: str) -> bytes | None:
        """The bytes at `key`, None where there are none. Raises TransientError if the store does not answer."""

    def write(self, key: str, data: bytes) -> None:
        """Write `data` atomically. An earlier value is replaced."""

    def create(self, key: str, data: bytes) -> bool:
        """Write `data` if `key` is absent, atomically. Returns False, without a change, if it is present."""

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        """Write `data` if `key` still holds `expected` (None: absent), atomically. Returns False, without a change, if not."""

    def append(self, key: str, line: bytes) -> None:
        """Append one line to a log."""

    def put_object(self, source: Path) -> str:
        """Store a file under its SHA-256, and return that. An object that is present already is not written again."""

    def has_object(self, sha256: str) -> bool:
        """Whether the object is in the store."""

    def object_path(self, sha256: str) -> Path:
        """A local, read-only file that holds the object. Raises MissingInputError if the store lacks it."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that starts with `prefix`, sorted."""

    def listed(self, prefix: str) -> Iterator[StoredKey]:
        """As `keys`, with size and age."""

    def delete(self, key: str) -> None:
        """Delete a key. An absent key is no error. Only `retention` calls this."""

    def locate(self, key: str) -> str:
        """Path or URI of `key`, for people."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One failed expectation."""

    expectation: str
    severity: Literal["critical", "warning"]
    column: str
    failed: int
    checked: int
    examples: tuple[Conf, ...] = ()
    note: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong, how often and where, in one line."""
        what = self.note or f"{self.expectation} of {self.column or 'the table'} does not hold"
        shown = self.examples[: self.failed if self.failed <= _NAMED else _SHOWN]
        named = [" ".join(str(one[key]) for key in EXAMPLE_KEYS if key in one) for one in shown]
        where = ", ".join(dict.fromkeys(filter(None, named)))
        if not self.checked:
            return what
        more = " …" if where and self.failed > len(named) else ""
        return f"{what} ({self.failed:,} of {self.checked:,}{f': {where}{more}' if where else ''})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of an expectation suite on a dataset. `passed` is False only if a critical expectation failed."""

    suite: str
    passed: bool
    expectations: int
    findings: tuple[Finding, ...] = ()
    docs: Mapping[str, bytes] = field(default_factory=dict)
    """The Data Docs site: relative path → bytes."""


class Table(Protocol):
    """The part of a pandas DataFrame that code uses which does not import pandas."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_columns)."""


class Expectations(Protocol):
    """Interface to Great Expectations."""

    def warm_up(self) -> None:
        """Start importing slow libraries on a thread, while the caller works."""

    def validate(self, suite: str, table: Table, facts: Conf) -> Verdict:
        """Validate a pandas DataFrame with `expectations/<suite>.json`. facts: values of the suite's `$parameters`."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a registered model."""

    model: str
    version: int
    """The ledger's number."""
    sha256: str
    aliases: tuple[str, ...] = ()
    registry_number: int | None = None
    """MLflow's number. It differs from `version` where `foundry ledger repair` could not get the same number again."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A version that `promote` registers: its bundle, its input columns and its evidence."""

    model: str
    bundle: Path
    sha256: str
    """SHA-256 of the bundle."""
    horizon: int
    features: tuple[str, ...]
    """Input columns after date and ticker, in the model's order."""
    example: Sequence[Mapping[str, str | float]]
    """Input rows: date (ISO), ticker, features."""
    evidence: Mapping[str, Conf]
    """Name → JSON document: gates, refit, features, labels. Bundle and evidence together identify the version."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Searchable facts: run, digests, verdict."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    run_name: str = ""
    version: int | None = None
    """The ledger's number, for a version that is registered again; None: a new version."""
    taken: Mapping[int, str] = field(default_factory=dict)
    """Number → SHA-256 of the versions in the ledger. No other version gets one of these numbers."""


class Registry(Protocol):
    """Interface to MLflow's model registry. Every call raises TransientError if MLflow does not answer."""

    uri: str

    def register(self, wanted: Registration) -> ModelVersion:
        """Register a bundle with its evidence as a new version, or return the version of the same bundle and evidence."""

    def has_files_of(self, model: str, version: int, sha256: str) -> bool:
        """Whether MLflow still has the bundle and evidence that were registered as this version."""

    def register_again(self, model: str, version: int, sha256: str, taken: Mapping[int, str]) -> ModelVersion:
        """Register a version again from the files that `has_files_of` found. taken: as in Registration."""

    def delete(self, version: ModelVersion) -> None:
        """Delete a version, such as one whose bundle is lost."""

    def alias(self, model: str, name: str) -> ModelVersion | None:
        """The version that carries an alias."""

    def set_alias(self, model: str, name: str, version: int | None) -> None:
        """Point an alias at a version; None removes it. Only the ledger's projection calls this."""

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """All versions, oldest first."""

    def bundle(self, version: ModelVersion) -> Path | None:
        """A local file with the version's bundle, None if MLflow lacks it. The caller checks its SHA-256 before loading."""

    def ledger_head(self, model: str) -> str | None:
        """Head of the ledger's chain at the last projection. It reveals a chain that was truncated or rewritten since."""

    def set_ledger_head(self, model: str, head: str) -> None:
        """Store the head of the ledger's chain."""

    def experiment_is_deleted(self) -> bool:
        """Whether the experiment with the runs and files is marked as deleted. MLflow keeps it until `mlflow gc`."""

    def restore_experiment(self) -> None:
        """Restore the deleted experiment."""

    def locate(self, version: ModelVersion) -> str:
        """Page of the version on the MLflow server, else its `models:/` URI."""


class Watcher(Protocol):
    """Receives the events of a run's stages, which run one after another."""

    def started(self, name: str) -> None:
        """A stage begins. name: the stage and, where it is mapped, its shard."""

    def printed(self, line: str) -> None:
        """The running stage printed a line."""

    def ended(self, exit_code: int) -> None:
        """The running stage has ended."""
