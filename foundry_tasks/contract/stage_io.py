"""StageIO: all inputs and outputs of a stage."""

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
    """Version of the code that runs."""

    version: str
    image_digest: str = ""
    """Digest of the container image; empty outside containers."""
    is_release: bool = False
    """Whether the sources are those of a release."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Services that a stage uses, the same for every run."""

    store: Store
    expectations: Expectations
    registry: Registry
    code: Code
    now: Callable[[], datetime]
    """The clock. Code that a stage calls reads no other."""
    files: UserFiles = field(default_factory=UserFiles)


@dataclass(frozen=True, slots=True)
class StageIO:
    """Inputs, outputs, checkpoints and steps of a stage, with short methods for the most frequent calls."""

    identity: Identity
    environment: Environment
    inputs: StageInputs
    outputs: StageOutputs
    checkpoints: Checkpoints
    steps: Steps

    @classmethod
    def of(cls, identity: Identity, environment: Environment, workspace: Path, progress: Progress) -> "StageIO":
        """The StageIO of a stage that begins. workspace: an empty folder, deleted when the stage has ended."""
        store, steps = environment.store, Steps(progress)
        outputs = StageOutputs(identity, store, workspace, environment.expectations, steps)
        inputs = StageInputs(identity, store)
        return cls(identity, environment, inputs, outputs, Checkpoints(store, outputs), steps)

    @property
    def store(self) -> Store:
        """The store, for data that belong to no run: ledger, trials, predictions."""
        return self.environment.store

    def read(self, kind: type[D], name: str | None = None) -> D:
        """A document of this run, as `StageInputs.read` returns it."""
        return self.inputs.read(kind, name)

    def path(self, stage: str, name: str) -> Path:
        """A local file with an artifact of a stage, as `StageInputs.path` returns it."""
        return self.inputs.path(stage, name)

    def publish(self, document: Document, name: str | None = None) -> Artifact:
        """Publish a document, as `StageOutputs.publish` does."""
        return self.outputs.publish(document, name)

    def publish_file(self, name: str, content: bytes | Path) -> Artifact:
        """Publish a file, as `StageOutputs.publish_file` does."""
        return self.outputs.publish_file(name, content)

    def warn(self, text: str) -> None:
        """Add a warning of one line to the result, the run log and the report."""
        self.outputs.warn(text)

    def step(self, name: str) -> AbstractContextManager[None]:
        """Measure the seconds of a step, as `Steps.timed` does."""
        return self.steps.timed(name)
