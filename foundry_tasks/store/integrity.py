"""Whether a store is whole: every object is what its name says, and every document can be read to its end.

What a fault must never leave behind is something half written that a reader takes for whole.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from foundry_tasks.contract.artifacts import object_key, sha256_of
from foundry_tasks.contract.ports import Store
from foundry_tasks.contract.results import StageResult

_DOCUMENTS = ("runs/", "reuse/", "checkpoints/", "ledger/", "nulls/", "trials/", "predictions/", "markets/")


@dataclass(frozen=True)
class Survey:
    """What was read.

    damaged: one line a key that is not whole. gone: objects that a result names and the store lacks, as after `foundry gc`
    of a refused version's run.
    """

    objects: int
    documents: int
    damaged: tuple[str, ...]
    gone: tuple[str, ...]


def survey(store: Store) -> Survey:
    """Read a store through, byte for byte."""
    objects = list(store.keys("objects/"))
    documents = [key for prefix in _DOCUMENTS for key in store.keys(prefix)]
    damaged = [f"{store.locate(key)} is not what its name says" for key in objects if not _is_itself(store, key)]
    named: set[str] = set()
    for key in documents:
        try:
            named.update(_named(key, store.read(key) or b""))
        except ValueError as error:
            damaged.append(f"{store.locate(key)} is not whole: {str(error).splitlines()[0]}")
    return Survey(len(objects), len(documents), tuple(damaged), tuple(sorted(named - set(objects))))


def _is_itself(store: Store, key: str) -> bool:
    return object_key(sha256_of(store.read(key) or b"")) == key


def _named(key: str, document: bytes) -> Iterator[str]:
    """Objects that a document names. Raises ValueError where it is not whole."""
    if key.endswith(".jsonl"):
        for line in document.splitlines():
            json.loads(line)
    elif key.endswith("/result.json"):
        try:
            result = StageResult.model_validate_json(document)
        except ValidationError as error:
            raise ValueError(f"no result: {error.errors()[0]['msg']}") from error
        yield from (object_key(item.sha256) for item in result.outputs.values())
    else:
        json.loads(document)
