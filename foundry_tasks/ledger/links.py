"""Links of a hash chain: records of a ledger that hold the hash of the record before. Pure.

An altered, deleted or inserted record is detected, and a chain whose end was replaced is, by a head that was seen earlier.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from foundry_tasks.contract.artifacts import canonical_json, ledger_key, sha256_of

GENESIS = "0" * 64
"""`previous` of the first record."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Closed(BaseModel):
    """Base of everything in a ledger: frozen, without extra keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class SignOff:
    """Signature of a person's decision: who, why, when. authenticated: Airflow knows the person by a login."""

    who: str
    why: str
    when: datetime
    authenticated: bool = False


Authenticated = Annotated[bool, Field(exclude_if=lambda authenticated: not authenticated)]
"""Whether Airflow knew the person by a login. Not written if it did not, so that an earlier record keeps its hash."""


def signature(who: str, *, authenticated: bool) -> str:
    """The person's name, with a note if it was only typed."""
    return who if authenticated else f"{who} (person not authenticated)"


class Link(Closed):
    """One record of a chain, one object in the store."""

    sequence: PositiveInt
    previous: Sha256
    """Hash of the record before."""
    hash: Sha256
    """sha256 of the canonical JSON of everything else."""

    def document(self) -> bytes:
        """The stored form, canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    def true_hash(self) -> str:
        """The hash of the record's content; an unaltered record has it in `hash`."""
        return sha256_of(canonical_json(self.model_dump(mode="json", exclude={"hash"})))


R = TypeVar("R", bound=Link)


def sealed(link: R) -> R:
    """The link with its hash."""
    return link.model_copy(update={"hash": link.true_hash()})


def head_of(records: Sequence[Link]) -> str:
    """Sequence and hash of the last record. A stored head shows later whether the chain's end was replaced."""
    return f"{records[-1].sequence}:{records[-1].hash}" if records else f"0:{GENESIS}"


def hash_before(records: Sequence[Link]) -> str:
    """`previous` of the next record."""
    return records[-1].hash if records else GENESIS


@dataclass(frozen=True)
class Proof(Generic[R]):
    """The readable records of a chain, and its faults, one line each. Rely on the records only if there is no fault."""

    records: tuple[R, ...]
    findings: tuple[str, ...] = field(default=())


def prove_links(
    chain: str,
    objects: Sequence[tuple[str, bytes]],
    parse: Callable[[bytes], R],
    contradictions: Callable[[R, Sequence[R]], Iterable[str]],
) -> Proof[R]:
    """Read a chain and check it.

    objects: (key, content) of each object, sorted by key. parse: raises ValidationError for an invalid document.
    contradictions: a record and those before it → what cannot be true, one phrase each.
    """
    findings: list[str] = []
    records: list[R] = []
    expected = 1
    for key, content in objects:
        sequence = _sequence_of(chain, key)
        if sequence is None:
            findings.append(f"{key}: no ledger record has such a name")
            continue
        if sequence != expected:
            findings.append(f"{chain}: {_missing(expected, sequence - 1)}")
        expected = sequence + 1
        try:
            record = parse(content)
        except ValidationError as error:
            findings.append(f"{key}: cannot be read: {error.errors()[0]['msg']}")
            continue
        findings += [f"{key}: {fault}" for fault in _faults(record, content, sequence, records)]
        findings += [f"{key}: {fault}" for fault in contradictions(record, records)]
        records.append(record)
    return Proof(tuple(records), tuple(findings))


def contradicts(records: Sequence[Link], witness: str | None) -> str | None:
    """How a chain contradicts a head that was seen earlier, as a phrase; None if the head is part of the chain."""
    if witness is None:
        return None
    sequence, _, digest = witness.partition(":")
    if not sequence.isdecimal():
        return f"the registry's witness is not readable ({witness[:40]})"
    if int(sequence) > len(records):
        return f"cut short: the registry has seen record {sequence}, the ledger ends with {len(records)}"
    if int(sequence) > 0 and records[int(sequence) - 1].hash != digest:
        return f"rewritten: record {sequence} is not the one that the registry has seen"
    return None


def _sequence_of(chain: str, key: str) -> int | None:
    name = key.rsplit("/", 1)[-1].removesuffix(".json")
    return int(name) if name.isdecimal() and key == ledger_key(chain, int(name)) and int(name) > 0 else None


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"


def _faults(record: Link, content: bytes, sequence: int, before: Sequence[Link]) -> Iterable[str]:
    if record.hash != record.true_hash():
        yield "altered: its content does not have the hash that it holds"
    elif record.document() != content:
        yield f"altered: not the bytes that were written ({_first_difference(content)})"
    if record.sequence != sequence:
        yield f"reordered: the record says that it is number {record.sequence}"
    if record.previous != hash_before(before):
        yield f"broken chain: it does not follow from record {sequence - 1}"


def _first_difference(content: bytes) -> str:
    return "canonical JSON was rewritten" if content != canonical_json(json.loads(content)) else "other fields"
