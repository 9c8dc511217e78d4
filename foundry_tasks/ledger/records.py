"""The ledger's records and their state: a hash chain of decisions about the versions of a model. Pure.

There is one chain per registered model. A record holds the hash of the previous record, so an altered, deleted or inserted
record is detected. Champion and challenger follow from the records only; the registry's aliases are set from them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import Field, PositiveInt, SerializerFunctionWrapHandler, model_serializer

from foundry_tasks.contract.documents.promote import Event
from foundry_tasks.contract.plain import Conf
from foundry_tasks.ledger.links import (
    GENESIS,
    Authenticated,
    Closed,
    Link,
    Moment,
    Sha256,
    hash_before,
    head_of,
    prove_links,
    sealed,
)

MOVES_CHAMPION: frozenset[Event] = frozenset({"promoted", "rolled_back"})
"""Events whose version becomes champion. Other events do not change the champion."""


def model_name(market: str, horizon: int) -> str:
    """The registered model of a market and horizon, such as `foundry-us-5d`."""
    return f"foundry-{market}-{horizon}d"


def market_and_horizon(model: str) -> tuple[str, int]:
    """Market and horizon of a registered model. Raises ValueError for another name.

    >>> market_and_horizon("foundry-us-5d")
    ('us', 5)
    """
    market, _, horizon = model.removeprefix("foundry-").removesuffix("d").rpartition("-")
    return market, int(horizon)


class GateValue(Closed):
    """A gate's result, in short. value None: undefined, or the gate has no figure."""

    value: float | None
    threshold: float | str | None
    verdict: str


class Digests(Closed):
    """Digests and versions of everything from which a version was made."""

    data: str = ""
    features: str = ""
    labels: str = ""
    code_version: str = ""
    image_digest: str = ""
    run: str = ""
    """`<dag>/<run_id>` that made the version."""
    forecast: str = ""
    """Of the P&L of the forecast that was judged; it names the look. Empty in records of earlier versions."""
    policy: str = ""
    """Of the market's policy at the judgement. Empty in records of earlier versions."""

    @model_serializer(mode="wrap")
    def _without_what_earlier_records_lack(self, dump: SerializerFunctionWrapHandler) -> dict[str, str]:
        """Leave out empty new digests, so that an earlier record keeps its hash."""
        plain: dict[str, str] = dump(self)
        return {key: value for key, value in plain.items() if value or key not in {"forecast", "policy"}}


class Entry(Closed):
    """Content of a record, without its place in the chain."""

    event: Event
    version: PositiveInt
    sha256: Sha256
    """Of the version's bundle."""
    who: str = Field(min_length=1)
    authenticated: Authenticated = False
    """Of a person's decision; False in records of earlier versions and of stages."""
    when: Moment
    why: str = Field(min_length=1)
    gates: Mapping[str, GateValue] = Field(default_factory=dict)
    digests: Digests = Digests()


class LedgerRecord(Entry, Link):
    """One link of a model's chain."""

    model: str
    from_version: PositiveInt | None
    """The champion before."""
    to_version: PositiveInt | None
    """The champion after."""

    @property
    def moves_champion(self) -> bool:
        """Whether the record's version becomes champion."""
        return self.event in MOVES_CHAMPION


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """Facts about a version that follow from the ledger."""

    sha256: str
    verdict: Event = "registered"
    """Event of its last record; `promoted` if that record made it champion."""
    judged_against: int | None = None
    """The champion at the time of the verdict."""
    gates: Mapping[str, GateValue] = field(default_factory=dict)
    digests: Digests = field(default_factory=Digests)


@dataclass(frozen=True)
class LedgerState:
    """State that follows from a chain of records."""

    records: tuple[LedgerRecord, ...] = ()
    champions: tuple[int, ...] = ()
    """Stack of champions: the current one last, the target of a rollback before it. A rollback pops the stack."""
    challenger: int | None = None
    versions: Mapping[int, VersionFacts] = field(default_factory=dict)

    @property
    def champion(self) -> int | None:
        """The current champion's version."""
        return self.champions[-1] if self.champions else None

    @property
    def previous_champion(self) -> int | None:
        """The default target of a rollback."""
        return self.champions[-2] if len(self.champions) > 1 else None

    @property
    def head(self) -> str:
        """Sequence and hash of the last record. A stored head shows later whether the chain's end was replaced."""
        return head_of(self.records)

    @property
    def bundles(self) -> Mapping[int, str]:
        """Version → sha256 of its bundle."""
        return {number: facts.sha256 for number, facts in self.versions.items()}

    def last(self, version: int, *events: Event) -> LedgerRecord | None:
        """The newest record of one of `events` for a version."""
        return next((r for r in reversed(self.records) if r.version == version and r.event in events), None)

    def by_a_person(self, record: LedgerRecord) -> bool:
        """Whether a record is a person's decision: a rollback, or the approval of a challenger."""
        waited = (r for r in self.records[: record.sequence] if (r.version, r.event) == (record.version, "challenger"))
        return record.event == "rolled_back" or (record.event == "promoted" and any(waited))


def state_of(records: Iterable[LedgerRecord]) -> LedgerState:
    """State of a chain. records: in order of sequence."""
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
    """The record that appends `entry` to a chain. state: of the chain so far."""
    return sealed(
        LedgerRecord(
            **dict(entry),
            sequence=len(state.records) + 1,
            model=model,
            from_version=state.champion,
            to_version=entry.version if entry.event in MOVES_CHAMPION else state.champion,
            previous=hash_before(state.records),
            hash=GENESIS,
        )
    )


# ------------------------------------------------------------------ proof
def prove(model: str, objects: Sequence[tuple[str, bytes]]) -> tuple[LedgerState, tuple[str, ...]]:
    """Read a chain and check it. Returns its state and its faults, one line each.

    objects: (key, content) of each object, sorted by key. The state is that of the readable records; rely on it only if
    there is no fault.
    """

    def contradictions(record: LedgerRecord, before: Sequence[LedgerRecord]) -> Iterable[str]:
        if record.model != model:
            yield f"forged: the record belongs to {record.model}"
        yield from _contradictions(record, state_of(before))

    proof = prove_links(model, objects, LedgerRecord.model_validate_json, contradictions)
    return state_of(proof.records), proof.findings


def _contradictions(record: LedgerRecord, state: LedgerState) -> Iterable[str]:
    """Contradictions between a record and the state before it, one phrase each."""
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
