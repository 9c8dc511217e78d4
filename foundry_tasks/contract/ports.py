"""What stages ask of the outside, as protocols; `adapters/` implements them and `cli/wiring.py` puts them together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from foundry_tasks.contract.plain import Conf

EXAMPLE_KEYS = ("feature", "ticker", "date", "horizon")
"""Columns that say which row of a table an example is."""
_NAMED = 12
"""Up to so many failures are all named in a sentence, of more the first few."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What a store knows of a key without its bytes."""

    key: str
    size_bytes: int
    modified: datetime
    """UTC."""


class Store(Protocol):
    """Keys to bytes. Objects are immutable; only heads and logs ever change, and those by compare-and-swap."""

    uri: str

    def read(self, key: str) -> bytes | None:
        """The bytes at `key`, None where there are none. Raises TransientError if the store does not answer."""

    def write(self, key: str, data: bytes) -> None:
        """Put `data` whole or not at all, over what was there."""

    def create(self, key: str, data: bytes) -> bool:
        """Put `data` only if `key` is absent; False, and nothing changed, where it is there. One winner of a race."""

    def swap(self, key: str, expected: bytes | None, data: bytes) -> bool:
        """Put `data` only if `key` still holds `expected` (None: absent). One winner of a race."""

    def append(self, key: str, line: bytes) -> None:
        """Add one line to a log."""

    def put_object(self, source: Path) -> str:
        """Keep a file under its sha256 and return that; what is there already is not written again."""

    def has_object(self, sha256: str) -> bool:
        """Whether the object is in the store."""

    def object_path(self, sha256: str) -> Path:
        """A local file that holds the object, to be read and never written. Raises MissingInputError."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that starts with `prefix`, sorted."""

    def listed(self, prefix: str) -> Iterator[StoredKey]:
        """As `keys`, with size and age."""

    def delete(self, key: str) -> None:
        """Take a key away; one that is not there is no fault. Only `retention` does so."""

    def locate(self, key: str) -> str:
        """What a person opens: a path or a URI."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation that did not hold."""

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
    """What an expectation suite made of a dataset. `passed` is False only where a critical expectation failed."""

    suite: str
    passed: bool
    expectations: int
    findings: tuple[Finding, ...] = ()
    docs: Mapping[str, bytes] = field(default_factory=dict)
    """The Data Docs site: relative path → bytes."""


class Table(Protocol):
    """A pandas DataFrame, as far as it is known where nobody loads pandas."""

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns."""


class Expectations(Protocol):
    """Great Expectations, seen from a stage."""

    def warm_up(self) -> None:
        """Start loading what is slow to import, beside the caller's own work."""

    def validate(self, suite: str, table: Table, facts: Conf) -> Verdict:
        """Hold a pandas DataFrame against `expectations/<suite>.json`, its `$parameters` filled in from `facts`."""


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
    """A version as `promote` hands it to the registry: the bundle, what it eats, and the evidence for or against it."""

    model: str
    bundle: Path
    sha256: str
    """Of the bundle."""
    horizon: int
    features: tuple[str, ...]
    """Input columns after date and ticker, in the model's order."""
    example: Sequence[Mapping[str, str | float]]
    """Input rows: date (ISO), ticker, features."""
    evidence: Mapping[str, Conf]
    """Name → JSON document: gates, refit, features, labels. With the bundle it says which version this is."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What is searched for: run, digests, verdict."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    run_name: str = ""
    version: int | None = None
    """The ledger's number of a version that is made again; None: a new version."""
    taken: Mapping[int, str] = field(default_factory=dict)
    """Number → sha256 of the versions that the ledger knows. No other version gets one of these numbers."""


class Registry(Protocol):
    """MLflow's model registry, seen from a stage. Every call raises TransientError where MLflow does not answer."""

    uri: str

    def register(self, wanted: Registration) -> ModelVersion:
        """Log a bundle with its evidence as a new version, or find the version of the same bundle and evidence."""

    def has_files_of(self, model: str, version: int, sha256: str) -> bool:
        """Whether MLflow still keeps bundle and evidence that were registered as this version."""

    def register_again(self, model: str, version: int, sha256: str, taken: Mapping[int, str]) -> ModelVersion:
        """Make a version again of the files that `has_files_of` found. taken: as in Registration."""

    def delete(self, version: ModelVersion) -> None:
        """Take away a version, such as one whose bundle is gone."""

    def alias(self, model: str, name: str) -> ModelVersion | None:
        """The version that carries an alias."""

    def set_alias(self, model: str, name: str, version: int | None) -> None:
        """Point an alias at a version; None takes it away. Only the ledger's projection calls this."""

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """All versions, oldest first."""

    def bundle(self, version: ModelVersion) -> Path | None:
        """A local file with the version's bundle, None where MLflow lacks it. Check its sha256 before it is loaded."""

    def ledger_head(self, model: str) -> str | None:
        """The end of the ledger's chain as of the last projection, a witness against a chain cut short or rewritten."""

    def set_ledger_head(self, model: str, head: str) -> None:
        """Keep the end of the ledger's chain."""

    def experiment_is_deleted(self) -> bool:
        """Whether somebody deleted the experiment that holds the runs and files; MLflow keeps it until `mlflow gc`."""

    def restore_experiment(self) -> None:
        """Undo that."""

    def locate(self, version: ModelVersion) -> str:
        """What a person opens or loads: a page of the MLflow server, else a `models:/` URI."""


class Watcher(Protocol):
    """Who is told of a run's stages while they run, one after another."""

    def started(self, name: str) -> None:
        """A stage begins. name: the stage and, where it is mapped, its shard."""

    def printed(self, line: str) -> None:
        """The stage at work printed a line."""

    def ended(self, exit_code: int) -> None:
        """The stage at work has ended."""
