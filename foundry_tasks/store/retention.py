"""What a store may forget: old runs, the bulk of those that led to nothing, and objects that nothing names any more."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from foundry_tasks.contract.artifacts import object_key, run_prefix
from foundry_tasks.contract.ports import Store, StoredKey
from foundry_tasks.ledger.chain import Ledger

SETTLED = timedelta(days=1)
"""An object younger than this may belong to a run that has not yet published its result."""
_OF_A_RUN = ("runs/", "pages/", "quarantine/")
_BY_AGE = ("reuse/", "checkpoints/")
_FOREVER = ("ledger/", "markets/", "nulls/", "predictions/", "trials/")
_RISEN = {"challenger", "promoted", "rolled_back"}
_SHA256 = re.compile(rb"\b[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Plan:
    """What would go, documents before the objects that they alone name."""

    documents: tuple[StoredKey, ...]
    objects: tuple[StoredKey, ...]
    kept_runs: int

    @property
    def size_bytes(self) -> int:
        """Bytes that deleting frees."""
        return sum(one.size_bytes for one in (*self.documents, *self.objects))


def plan(store: Store, *, keep: timedelta, now: datetime) -> Plan:
    """What is older than `keep` and neither the newest run of its DAG nor named by what stays.

    The ledger, price heads, nulls, predictions and trials always stay, and so do the results, log and pages of every run that the
    ledger names; of a run whose version was refused only the bulk goes. Every sha256 in a document that stays keeps its
    object. Raises ConfigError where the ledger does not verify: then nobody knows what it refers to.
    """
    found = {prefix: list(store.listed(prefix)) for prefix in (*_OF_A_RUN, *_BY_AGE, *_FOREVER, "objects/")}
    judged, promoted = _in_ledger(store)
    whole = _young(found["runs/"], now - keep) | promoted
    going = [one for prefix in _OF_A_RUN for one in found[prefix] if _run_of(one.key) not in whole | judged]
    going += [one for prefix in _BY_AGE for one in found[prefix] if one.modified < now - keep]
    gone = {one.key for one in going}
    naming = [one.key for one in found["runs/"] if _run_of(one.key) in whole]
    naming += [one.key for prefix in (*_BY_AGE, *_FOREVER) for one in found[prefix] if one.key not in gone]
    named = set(_named_by(store, naming))
    return Plan(
        documents=tuple(going),
        objects=tuple(one for one in found["objects/"] if one.key not in named and one.modified < now - SETTLED),
        kept_runs=len(whole),
    )


def collect(store: Store, going: Plan) -> None:
    """Delete what a plan names. To be repeated where it was interrupted: what is left is found again."""
    for one in (*going.documents, *going.objects):
        store.delete(one.key)


def _in_ledger(store: Store) -> tuple[set[str], set[str]]:
    """Runs, as `<dag>/<run_key>`, that the ledger names, and those whose version was more than refused."""
    judged: set[str] = set()
    promoted: set[str] = set()
    ledger = Ledger(store)
    for model in ledger.models():
        records = ledger.state(model).records
        risen = {record.version for record in records if record.event in _RISEN}
        for record in records:
            if record.digests.run:
                run = run_prefix(*record.digests.run.split("/", 1)).removeprefix("runs/")
                judged.add(run)
                if record.version in risen:
                    promoted.add(run)
    return judged, promoted


def _young(keys: Iterable[StoredKey], since: datetime) -> set[str]:
    """Runs that something was written to since then, and the newest of each DAG."""
    newest: dict[str, datetime] = {}
    for one in keys:
        run = _run_of(one.key)
        newest[run] = max(newest.get(run, one.modified), one.modified)
    last = {run.split("/")[0]: run for run in sorted(newest, key=newest.__getitem__)}
    return {run for run, modified in newest.items() if modified >= since} | set(last.values())


def _run_of(key: str) -> str:
    """`<dag>/<run_key>` of a key under runs/, pages/ or quarantine/."""
    return "/".join(key.split("/")[1:3])


def _named_by(store: Store, keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        for sha256 in _SHA256.findall(store.read(key) or b""):
            yield object_key(sha256.decode())
