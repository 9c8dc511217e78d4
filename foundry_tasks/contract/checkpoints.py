"""Finished parts of a stage's work, kept for a retry of a try that was killed."""

from collections.abc import Iterable
from typing import TypeVar

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.ports import Store
from foundry_tasks.contract.results import Artifact
from foundry_tasks.contract.stage_outputs import StageOutputs


class Note(Part):
    """What a checkpoint says of a finished part besides its artifacts. A stage names its own fields."""


N = TypeVar("N", bound=Note)


class _Published(Part):
    """The artifacts of a finished part."""

    outputs: dict[str, Artifact]


class Checkpoints:
    """The checkpoints of a stage's work."""

    def __init__(self, store: Store, outputs: StageOutputs) -> None:
        self.prefix: str | None = None
        """Where they lie, by the digest of all that the work follows from; None: none are saved."""
        self._store, self._outputs = store, outputs

    def save(self, name: str, note: Note, outputs: Iterable[str] = ()) -> None:
        """Save a finished part of the work: its note, and the artifacts, already published, whose names `outputs` gives.

        A retry of the same work, because this try was killed, finds it by `load`.
        """
        if self.prefix is not None:
            published = _Published(outputs={name: self._outputs.artifacts[name] for name in outputs})
            document = {**note.model_dump(mode="json"), **published.model_dump(mode="json")}
            self._store.write(self._key(name), artifacts.canonical_json(document))

    def load(self, name: str, kind: type[N]) -> N | None:
        """The note of an earlier try, its artifacts published; None where there is none or an artifact is gone."""
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
