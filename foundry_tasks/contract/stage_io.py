"""A stage's only door to the outside: identity in, result out, nothing else crosses."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from foundry_tasks.contract.checkpoints import Checkpoints
from foundry_tasks.contract.documents import Document
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.ports import Expectations, Registry, Store
from foundry_tasks.contract.results import Artifact
from foundry_tasks.contract.stage_inputs import D, StageInputs
from foundry_tasks.contract.stage_outputs import StageOutputs
from foundry_tasks.contract.steps import Progress, Steps
from foundry_tasks.contract.user_files import UserFiles


@dataclass(frozen=True, slots=True)
class Code:
    """What computes."""

    version: str
    image_digest: str = ""
    """Of the container; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What is around a stage, whatever its run."""

    store: Store
    expectations: Expectations
    registry: Registry
    code: Code
    now: Callable[[], datetime]
    """The clock: nothing below a stage asks another."""
    files: UserFiles = field(default_factory=UserFiles)


@dataclass(frozen=True, slots=True)
class StageIO:
    """What a stage reads, what it makes, and how far it is. What stages do most has a short word here."""

    identity: Identity
    environment: Environment
    inputs: StageInputs
    outputs: StageOutputs
    checkpoints: Checkpoints
    steps: Steps

    @classmethod
    def of(cls, identity: Identity, environment: Environment, workspace: Path, progress: Progress) -> "StageIO":
        """The door of a stage that has made nothing yet. workspace: an empty folder, gone once the stage has ended."""
        store, steps = environment.store, Steps(progress)
        outputs = StageOutputs(identity, store, workspace, environment.expectations, steps)
        inputs = StageInputs(identity, store)
        return cls(identity, environment, inputs, outputs, Checkpoints(store, outputs), steps)

    @property
    def store(self) -> Store:
        """The store itself, for what belongs to no run: ledger, trials, predictions."""
        return self.environment.store

    def read(self, kind: type[D], name: str | None = None) -> D:
        """A document of this run, as `StageInputs.read` finds it."""
        return self.inputs.read(kind, name)

    def path(self, stage: str, name: str) -> Path:
        """A local file with an artifact of a stage, as `StageInputs.path` finds it."""
        return self.inputs.path(stage, name)

    def publish(self, document: Document, name: str | None = None) -> Artifact:
        """Publish a document, as `StageOutputs.publish` does."""
        return self.outputs.publish(document, name)

    def publish_file(self, name: str, content: bytes | Path) -> Artifact:
        """Publish a file, as `StageOutputs.publish_file` does."""
        return self.outputs.publish_file(name, content)

    def warn(self, text: str) -> None:
        """One line that goes into the result, the run log and the report."""
        self.outputs.warn(text)

    def step(self, name: str) -> AbstractContextManager[None]:
        """Count the seconds of a step, as `Steps.timed` does."""
        return self.steps.timed(name)
