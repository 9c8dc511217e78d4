"""The ledger's records and what follows from them, pure: a hash chain of who did what to which model version, and why.

One chain a registered model. A record holds the hash of the one before, so that a record altered, taken out or put in
shows; which version is champion or challenger follows from the records alone, and the registry's aliases project it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from foundry_tasks.contract.artifacts import canonical_json, ledger_key, sha256_of
from foundry_tasks.contract.documents.promote import Event
from foundry_tasks.contract.plain import Conf

GENESIS = "0" * 64
"""What the first record holds in place of the hash before it."""

MOVES_CHAMPION: frozenset[Event] = frozenset({"promoted", "rolled_back"})
"""Events after which their version is champion; after any other one the champion is the same."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


def model_name(market: str, horizon: int) -> str:
    """The registered model of a market and horizon, such as `foundry-us-5d`."""
    return f"foundry-{market}-{horizon}d"


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GateValue(_Closed):
    """A gate's answer, as short as an auditor needs it. None: not a number."""

    value: float | None
    threshold: float | str | None
    verdict: str


class Digests(_Closed):
    """What the version was made of."""

    data: str = ""
    features: str = ""
    labels: str = ""
    code_version: str = ""
    image_digest: str = ""
    run: str = ""
    """`<dag>/<run_id>` that made the version."""


class Entry(_Closed):
    """What somebody has to say to the ledger; the ledger adds where it stands in the chain."""

    event: Event
    version: PositiveInt
    sha256: Sha256
    """Of the version's bundle."""
    who: str = Field(min_length=1)
    when: Moment
    why: str = Field(min_length=1)
    gates: Mapping[str, GateValue] = Field(default_factory=dict)
    digests: Digests = Digests()


class LedgerRecord(Entry):
    """One link of the chain, one object in the store."""

    sequence: PositiveInt
    model: str
    from_version: PositiveInt | None
    """The champion before."""
    to_version: PositiveInt | None
    """The champion after."""
    previous: Sha256
    """Hash of the record before."""
    hash: Sha256
    """sha256 of the canonical JSON of everything above."""

    def document(self) -> bytes:
        """What is stored: canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    def true_hash(self) -> str:
        """The hash that the record ought to hold."""
        return sha256_of(canonical_json(self.model_dump(mode="json", exclude={"hash"})))

    @property
    def moves_champion(self) -> bool:
        """Whether another version is champion afterwards."""
        return self.event in MOVES_CHAMPION


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What the ledger knows of a version."""

    sha256: str
    verdict: Event = "registered"
    """The last thing said of it; `promoted` once it has been champion."""
    judged_against: int | None = None
    """The champion when the verdict was given."""
    gates: Mapping[str, GateValue] = field(default_factory=dict)
    digests: Digests = field(default_factory=Digests)


@dataclass(frozen=True)
class LedgerState:
    """What follows from a chain of records."""

    records: tuple[LedgerRecord, ...] = ()
    champions: tuple[int, ...] = ()
    """The present champion last, before it the one that a rollback leads to; a rollback takes off the top."""
    challenger: int | None = None
    versions: Mapping[int, VersionFacts] = field(default_factory=dict)

    @property
    def champion(self) -> int | None:
        """The version that predicts."""
        return self.champions[-1] if self.champions else None

    @property
    def previous_champion(self) -> int | None:
        """Where a rollback leads to."""
        return self.champions[-2] if len(self.champions) > 1 else None

    @property
    def head(self) -> str:
        """The last record's sequence and hash: whoever knows it knows whether the chain's end was replaced."""
        return f"{self.records[-1].sequence}:{self.records[-1].hash}" if self.records else f"0:{GENESIS}"

    @property
    def bundles(self) -> Mapping[int, str]:
        """Version → sha256 of its bundle."""
        return {number: facts.sha256 for number, facts in self.versions.items()}

    def last(self, version: int, *events: Event) -> LedgerRecord | None:
        """The newest record of one of `events` for a version."""
        return next((r for r in reversed(self.records) if r.version == version and r.event in events), None)


def state_of(records: Iterable[LedgerRecord]) -> LedgerState:
    """Fold a chain into the state that follows from it."""
    kept = tuple(records)
    champions: list[int] = []
    challenger: int | None = None
    versions: dict[int, VersionFacts] = {}
    for record in kept:
        known = versions.get(record.version)
        versions[record.version] = VersionFacts(
            sha256=record.sha256,
            verdict="promoted" if record.moves_champion else record.event,
            judged_against=record.from_version,
            gates=record.gates or (known.gates if known else {}),
            digests=record.digests if known is None else known.digests,
        )
        if record.event == "promoted":
            champions.append(record.version)
            challenger = None
        elif record.event == "rolled_back":
            kept_champions = champions[: champions.index(record.version)] if record.version in champions else champions
            champions = [*kept_champions, record.version]
        elif record.event == "challenger":
            challenger = record.version
    return LedgerState(kept, tuple(champions), challenger, versions)


def seal(model: str, entry: Entry, state: LedgerState) -> LedgerRecord:
    """The record that puts `entry` at the end of a chain."""
    unsealed = LedgerRecord(
        **dict(entry),
        sequence=len(state.records) + 1,
        model=model,
        from_version=state.champion,
        to_version=entry.version if entry.event in MOVES_CHAMPION else state.champion,
        previous=state.records[-1].hash if state.records else GENESIS,
        hash=GENESIS,
    )
    return unsealed.model_copy(update={"hash": unsealed.true_hash()})


# ------------------------------------------------------------------ proof
def prove(model: str, objects: Sequence[tuple[str, bytes]]) -> tuple[LedgerState, tuple[str, ...]]:
    """Read a chain from its objects (key, content), sorted by key, and say everything that is wrong with it.

    Each finding is one line. The state is that of the records that can be read; without a finding it is the truth.
    """
    findings: list[str] = []
    records: list[LedgerRecord] = []
    expected = 1
    for key, content in objects:
        sequence = _sequence_of(model, key)
        if sequence is None:
            findings.append(f"{key}: no ledger record has such a name")
            continue
        if sequence != expected:
            findings.append(f"{model}: {_missing(expected, sequence - 1)}")
        expected = sequence + 1
        try:
            record = LedgerRecord.model_validate_json(content)
        except ValidationError as error:
            findings.append(f"{key}: cannot be read: {error.errors()[0]['msg']}")
            continue
        findings += [f"{key}: {fault}" for fault in _faults(record, content, model, sequence, records)]
        records.append(record)
    return state_of(records), tuple(findings)


def _sequence_of(model: str, key: str) -> int | None:
    name = key.rsplit("/", 1)[-1].removesuffix(".json")
    return int(name) if name.isdecimal() and key == ledger_key(model, int(name)) and int(name) > 0 else None


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"


def _faults(
    record: LedgerRecord, content: bytes, model: str, sequence: int, before: Sequence[LedgerRecord]
) -> Iterable[str]:
    if record.hash != record.true_hash():
        yield "altered: its content does not have the hash that it holds"
    elif record.document() != content:
        yield f"altered: not the bytes that were written ({_first_difference(content)})"
    if record.sequence != sequence:
        yield f"reordered: the record says that it is number {record.sequence}"
    if record.model != model:
        yield f"forged: the record belongs to {record.model}"
    previous = before[-1] if before else None
    if record.previous != (previous.hash if previous else GENESIS):
        yield f"broken chain: it does not follow from record {sequence - 1}"
    yield from _contradictions(record, state_of(before))


def _first_difference(content: bytes) -> str:
    return "canonical JSON was rewritten" if content != canonical_json(json.loads(content)) else "other fields"


def _contradictions(record: LedgerRecord, state: LedgerState) -> Iterable[str]:
    """What no honest writer would have appended here."""
    known = state.versions.get(record.version)
    if known is None and record.event != "registered":
        yield f"forged: version {record.version} is {record.event} but was never registered"
    if known is not None and known.sha256 != record.sha256:
        yield f"forged: version {record.version} had another bundle ({known.sha256[:12]}…, now {record.sha256[:12]}…)"
    if known is not None and record.event == "promoted" and known.verdict in {"refused", "skipped"}:
        yield f"forged: version {record.version} is promoted although its gates said {known.verdict}"
    if record.event == "rolled_back" and (known is None or known.verdict != "promoted"):
        yield f"forged: rolled back to version {record.version}, which was never champion"
    if record.from_version != state.champion:
        yield f"forged: it says that champion was {record.from_version}, but it was {state.champion}"
    if record.to_version != (record.version if record.moves_champion else record.from_version):
        yield f"forged: champion cannot be {record.to_version} after version {record.version} was {record.event}"


def contradicts(state: LedgerState, witness: str | None) -> str | None:
    """What a `head` that was seen earlier says against a chain, None where it is part of it."""
    if witness is None:
        return None
    sequence, _, digest = witness.partition(":")
    if not sequence.isdecimal():
        return f"the registry's witness is not readable ({witness[:40]})"
    if int(sequence) > len(state.records):
        return f"cut short: the registry has seen record {sequence}, the ledger ends with {len(state.records)}"
    if int(sequence) > 0 and state.records[int(sequence) - 1].hash != digest:
        return f"rewritten: record {sequence} is not the one that the registry has seen"
    return None


def describe(record: LedgerRecord) -> Conf:
    """A record as one row of a table."""
    return {
        "sequence": record.sequence,
        "when": record.when.isoformat(timespec="seconds"),
        "event": record.event,
        "version": record.version,
        "champion": f"{record.from_version or '–'} → {record.to_version or '–'}" if record.moves_champion else "",
        "who": record.who,
        "why": record.why,
        "sha256": record.sha256[:12],
    }
