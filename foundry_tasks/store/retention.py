"""Garbage collection of a store: old runs, the bulk of runs whose version was refused, and unreferenced objects."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from foundry_tasks.contract.artifacts import object_key, run_prefix
from foundry_tasks.contract.ports import Store, StoredKey
from foundry_tasks.ledger.chain import Ledger

SETTLED = timedelta(days=1)
"""A younger object may belong to a run that has not published its result yet."""
_OF_A_RUN = ("runs/", "pages/", "quarantine/")
_BY_AGE = ("reuse/", "checkpoints/")
_FOREVER = ("ledger/", "markets/", "nulls/", "predictions/", "trials/")
_RISEN = {"challenger", "promoted", "rolled_back"}
_SHA256 = re.compile(rb"\b[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Plan:
    """What to delete, documents before objects. kept_runs: number of runs that stay complete."""

    documents: tuple[StoredKey, ...]
    objects: tuple[StoredKey, ...]
    kept_runs: int

    @property
    def size_bytes(self) -> int:
        """Total size of the documents and objects in the plan."""
        return sum(one.size_bytes for one in (*self.documents, *self.objects))


def plan(store: Store, *, keep: timedelta, now: datetime) -> Plan:
    """Plan the deletion of runs older than `keep` and of unreferenced objects.

    The newest run of each DAG stays, and so do the ledger, price heads, nulls, predictions and trials. Of a run that the
    ledger names, results, log and pages stay; if its version was only refused, its objects are deleted. An object stays if a
    remaining document contains its sha256. Raises ConfigError if the ledger does not verify, since its references are then
    unknown.
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
    """Delete everything in a plan. After an interruption, plan and collect again."""
    for one in (*going.documents, *going.objects):
        store.delete(one.key)


def _in_ledger(store: Store) -> tuple[set[str], set[str]]:
    """Runs, as `<dag>/<run_key>`, that the ledger names, and those whose version was a challenger or champion."""
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
    """Runs with a key that was written since then, and the newest run of each DAG."""
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
