"""Checkpoints: finished parts of a stage's work, saved for a retry after the stage was killed."""

from collections.abc import Iterable
from typing import TypeVar

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.ports import Store
from foundry_tasks.contract.results import Artifact
from foundry_tasks.contract.stage_outputs import StageOutputs


class Note(Part):
    """Fields of a checkpoint besides its artifacts. A stage defines its own subclass."""


N = TypeVar("N", bound=Note)


class _Published(Part):
    """The artifacts of a finished part."""

    outputs: dict[str, Artifact]


class Checkpoints:
    """Saves and loads the checkpoints of one stage."""

    def __init__(self, store: Store, outputs: StageOutputs) -> None:
        self.prefix: str | None = None
        """Key prefix, with the digest of the stage's inputs, config and code. None: nothing is saved or loaded."""
        self._store, self._outputs = store, outputs

    def save(self, name: str, note: Note, outputs: Iterable[str] = ()) -> None:
        """Save a finished part of the work. A retry of the same work finds it by `load`.

        name: of the part. note: its fields. outputs: names of its artifacts, which are published already.
        """
        if self.prefix is not None:
            published = _Published(outputs={name: self._outputs.artifacts[name] for name in outputs})
            document = {**note.model_dump(mode="json"), **published.model_dump(mode="json")}
            self._store.write(self._key(name), artifacts.canonical_json(document))

    def load(self, name: str, kind: type[N]) -> N | None:
        """The note that an earlier try saved under `name`; its artifacts become outputs of this stage.

        None where there is no checkpoint, or where the store lacks one of its artifacts.
        """
        document = self._store.read(self._key(name)) if self.prefix else None
        if document is None:
            return None
        published = _Published.model_validate_json(document).outputs
        if not all(self._store.has_object(item.sha256) for item in published.values()):
            return None
        self._outputs.artifacts |= published
        return kind.model_validate_json(document)

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}.json"
