"""How a stage reads what came before and publishes what it made: identity in, result out, nothing else crosses."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.config import ModelsConfig
from foundry_tasks.contract.documents import Document
from foundry_tasks.contract.errors import DataRejectedError, MissingInputError
from foundry_tasks.contract.ports import Expectations, Registry, Store, Verdict
from foundry_tasks.contract.stages import inputs_in, recent_sessions

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything a stage follows from."""

    dag: str
    run_id: str
    stage: str
    shard: str | None
    as_of: date


def last_completed_session(moment: datetime) -> date:
    """The as-of of a run that starts at `moment`: a session is complete once its day is over.

    The day before; whether it was a session, the calendar knows.
    """
    return (moment - timedelta(days=1)).date()


class Artifact(BaseModel):
    """A file that a stage published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size_bytes: int


class StageResult(BaseModel):
    """`result.json`: written last and atomically."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dag: str
    run_id: str
    stage: str
    shard: str | None
    as_of: date
    status: Literal["ok", "warn"]
    inputs: dict[str, str]
    """Upstream stage (and shard) → its outputs digest."""
    outputs: dict[str, Artifact]
    outputs_digest: str
    """Free of time, run and runtime: equal work has an equal digest."""
    metrics: dict[str, Any]
    """Headline figures, small; `result.json` is what Airflow's XCom points at."""
    warnings: list[str]
    config: dict[str, Any]
    config_digest: str
    code_version: str
    image_digest: str
    seed: int | None
    elapsed_s: dict[str, float]
    """Seconds per step; `start` is start-up and whatever was imported later, `total` all up to publication."""
    reused_from: str | None = None
    """The run whose result this is, where a pure stage found its work done."""

    @property
    def start_s(self) -> float:
        """Seconds of start-up and imports."""
        return self.elapsed_s.get("start", 0.0)

    @property
    def total_s(self) -> float:
        """Seconds up to publication."""
        return self.elapsed_s.get("total", 0.0)


class RunLogLine(BaseModel):
    """A line of a run's log, as far as reports read it; `runner` writes it for every stage that has ended."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str
    timestamp: str = ""
    """ISO time at which the stage ended."""
    warnings: tuple[str, ...] = ()
    """Of a stage that published nothing: why."""


def read_run_log(store: Store, prefix: str) -> tuple[RunLogLine, ...]:
    """The log of the run whose artifacts lie below `prefix`, the newest line last; empty where there is none."""
    lines = (store.read(f"{prefix}/{artifacts.RUN_LOG}") or b"").splitlines()
    return tuple(map(RunLogLine.model_validate_json, lines))


class Progress(Protocol):
    """A progress bar on a terminal, plain lines where there is none."""

    def start(self, label: str, total: int) -> None:
        """Begin work of `total` steps. label: what is done, in a word or two."""

    def advance(self, note: str = "") -> None:
        """One step is done. note: what it was."""


@dataclass
class StageIO:
    """A stage's only door to the outside."""

    identity: Identity
    store: Store
    expectations: Expectations
    registry: Registry
    progress: Progress
    workspace: Path
    """An empty folder, gone once the stage has ended."""
    now: Callable[[], datetime]
    """The clock: nothing below a stage asks another."""
    code_version: str
    image_digest: str
    fetch: Callable[[str, Path], Path] | None = None
    """Copies what an `s3://` URI means into a folder and says where it lies there."""
    secret: Callable[[str], str | None] = lambda _: None
    """The value of a secret file by its name; None where there is none."""
    checkpoints: str | None = None
    """Where checkpoints of this work lie, by the digest of all it follows from; None: none are saved."""
    effective_as_of: date | None = None
    """What the prices stage makes of as-of where its source ends earlier."""
    warnings: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Artifact] = field(default_factory=dict)
    elapsed_s: dict[str, float] = field(default_factory=dict)
    results: dict[tuple[str, str | None], StageResult] = field(default_factory=dict)
    _fetched: dict[str, Path] = field(default_factory=dict)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def as_of(self) -> date:
        """The last completed session, or what the prices stage made of it where the source ends earlier."""
        if self.identity.stage == "prices":
            return self.identity.as_of
        return self.result("prices").as_of

    @property
    def recent_sessions(self) -> int | None:
        """Of how many sessions, the last ones, this run makes features; None: of all."""
        return recent_sessions(self.identity.dag)

    # ------------------------------------------------------------ reading
    def of_run(self, run: str) -> "StageIO":
        """The same door on what another run has published, `<dag>/<run_id>` as the ledger names it."""
        dag, _, run_id = run.partition("/")
        return replace(self, identity=replace(self.identity, dag=dag, run_id=run_id), results={})

    def here(self, path: str) -> str:
        """A path of this machine for a user's path or `s3://` URI; what a URI means is fetched once, into the workspace.

        Raises ConfigError where there is nothing, TransientError where the server does not answer.
        """
        if self.fetch is None or not path.startswith("s3://"):
            return path
        if path not in self._fetched:
            self._fetched[path] = self.fetch(path, self.workspace / "fetched" / str(len(self._fetched)))
        return str(self._fetched[path])

    def upstream(self) -> tuple[str, ...]:
        """The stages of this DAG that this stage reads."""
        return inputs_in(self.identity.dag, self.identity.stage)

    def find(self, stage: str, shard: str | None = None) -> StageResult | None:
        """The result of `stage` in this run, None where it published none."""
        if (stage, shard) not in self.results:
            key = artifacts.result_key(self.identity.dag, self.identity.run_id, stage, shard)
            found = self.store.read(key)
            if found is None:
                return None
            try:
                self.results[stage, shard] = StageResult.model_validate_json(found)
            except ValidationError as error:
                raise MissingInputError(
                    f"the result of stage {stage!r} in run {self.identity.run_id!r} is damaged ({self.store.locate(key)}). "
                    f"Run it again: {self._command(stage, shard)}."
                ) from error
        return self.results[stage, shard]

    def result(self, stage: str, shard: str | None = None) -> StageResult:
        """As `find`. Raises MissingInputError where there is none."""
        found = self.find(stage, shard)
        if found is None:
            key = artifacts.result_key(self.identity.dag, self.identity.run_id, stage, shard)
            raise MissingInputError(
                f"stage {stage!r} has published nothing in run {self.identity.run_id!r} (no {self.store.locate(key)}). "
                f"Run it first: {self._command(stage, shard)}."
            )
        return found

    def any_result(self, stage: str) -> StageResult:
        """One result of a stage that may be mapped over shards, whose config and folds agree. Raises MissingInputError."""
        found = self.shards(stage)
        return found[0] if found else self.result(stage)

    def models_config(self, **changed: Any) -> ModelsConfig:
        """What the models stage was asked, with the size of deep models that its machine chose where it was asked for none."""
        sizes = [result.metrics["deep"]["size"] for result in self.shards("models") if "deep" in result.metrics]
        chosen = {"deep_size": sizes[0]} if sizes else {}
        return ModelsConfig.model_validate(self.any_result("models").config | chosen | changed)

    def _command(self, stage: str, shard: str | None) -> str:
        option = f" --shard {shard}" if shard else ""
        return f"foundry {stage} --dag {self.identity.dag} --run-id {self.identity.run_id}{option}"

    def shards(self, stage: str) -> list[StageResult]:
        """Every result of a stage in this run, by shard; empty where it published none."""
        prefix = f"{artifacts.run_prefix(self.identity.dag, self.identity.run_id)}/{stage}/"
        names = [
            key.removeprefix(prefix).split("/")[0] for key in self.store.keys(prefix) if key.endswith("/result.json")
        ]
        return [self.result(stage, None if name == artifacts.NO_SHARD else name) for name in sorted(names)]

    def path(self, stage: str, name: str, shard: str | None = None) -> Path:
        """A local file with the artifact `name` of `stage`. Raises MissingInputError."""
        return self.artifact(self.result(stage, shard), name)

    def artifact(self, result: StageResult, name: str) -> Path:
        """A local file with an artifact of a result. Raises MissingInputError."""
        if name not in result.outputs:
            raise MissingInputError(
                f"stage {result.stage!r} of run {result.run_id!r} published no {name!r}, only {sorted(result.outputs)}."
            )
        return self.store.object_path(result.outputs[name].sha256)

    def read(self, kind: type[D], name: str | None = None) -> D:
        """A document of this run; of a stage mapped over shards, the parts of all shards as one.

        name: the artifact, where the stage publishes several of a kind. Raises MissingInputError where there is none,
        or where it is damaged.
        """
        found = [self._document(kind, result, name or kind.artifact) for result in self._all_results(kind.stage)]
        return reduce(lambda first, second: first.merged(second), found)

    def find_document(self, kind: type[D]) -> D | None:
        """As `read`; None where this run's stage has published no such document."""
        there = self.shards(kind.stage) if kind.stage in self.upstream() else []
        return self.read(kind) if there and all(kind.artifact in result.outputs for result in there) else None

    def _all_results(self, stage: str) -> list[StageResult]:
        return self.shards(stage) or [self.result(stage)]

    def _document(self, kind: type[D], result: StageResult, name: str) -> D:
        path = self.artifact(result, name)
        try:
            return kind.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise MissingInputError(
                f"{name!r} of stage {result.stage!r} in run {result.run_id!r} is damaged ({path}). Run it again: "
                f"{self._command(result.stage, result.shard)}."
            ) from error

    # ------------------------------------------------------------ publishing
    def publish(self, document: Document, name: str | None = None) -> Artifact:
        """Store a document as an artifact of this stage, canonically; under its own name unless another is given."""
        content = artifacts.canonical_json(document.model_dump(mode="json"))
        return self.publish_file(name or document.artifact, content)

    def publish_file(self, name: str, content: bytes | Path) -> Artifact:
        """Store a file as an artifact of this stage. Equal content is stored once."""
        if isinstance(content, bytes):
            path = self.workspace / "publish" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        else:
            path = content
        self.outputs[name] = Artifact(sha256=self.store.put_object(path), size_bytes=path.stat().st_size)
        return self.outputs[name]

    def save_checkpoint(self, name: str, note: Mapping[str, Any]) -> None:
        """Save a finished part of the work: its artifacts, published as `note["outputs"]` names them, and the rest of `note`.

        A retry of the same work, because this try was killed, finds it by `load_checkpoint`.
        """
        if self.checkpoints is not None:
            outputs = {output: self.outputs[output].model_dump() for output in note["outputs"]}
            self.store.write(f"{self.checkpoints}/{name}.json", artifacts.canonical_json({**note, "outputs": outputs}))

    def load_checkpoint(self, name: str) -> dict[str, Any] | None:
        """The note of an earlier try, its artifacts published; None where there is none or an artifact is gone."""
        document = self.store.read(f"{self.checkpoints}/{name}.json") if self.checkpoints else None
        if document is None:
            return None
        note: dict[str, Any] = json.loads(document)
        outputs = {output: Artifact.model_validate(item) for output, item in note["outputs"].items()}
        if not all(self.store.has_object(item.sha256) for item in outputs.values()):
            return None
        self.outputs |= outputs
        return note

    def show(self, page: str, content: bytes) -> str:
        """Lay a page where people open it; returns what they open."""
        key = artifacts.page_key(self.identity.dag, self.identity.run_id, page)
        self.store.write(key, content)
        return self.store.locate(key)

    def quarantine(self, name: str, content: bytes) -> str:
        """Keep rejected data where no stage reads it; returns where."""
        key = artifacts.quarantine_key(self.identity.dag, self.identity.run_id, self.identity.stage, name)
        self.store.write(key, content)
        return self.store.locate(key)

    def guard(self, suite: str, table: Any, facts: Mapping[str, Any]) -> Verdict:
        """Hold a pandas frame against an expectation suite, before its dataset is published.

        What only warns becomes a warning of this stage. Raises DataRejectedError for a critical failure, with a summary
        of every finding in quarantine. Data Docs are laid out in either case.
        """
        with self.step("expectations"):
            verdict = self.expectations.validate(suite, table, facts)
            pages = [self.show(f"data_docs/{suite}/{path}", page) for path, page in verdict.docs.items()]
        for finding in verdict.findings:
            if finding.severity == "warning":
                self.warn(f"{suite}: {finding.sentence}")
        if not verdict.passed:
            kept = self.quarantine(f"{suite}.json", artifacts.canonical_json([asdict(one) for one in verdict.findings]))
            faults = "; ".join(one.sentence for one in verdict.findings if one.severity == "critical")
            raise DataRejectedError(f"{suite} rejected: {faults}.", more=(kept, *pages[:1]))
        return verdict

    def warn(self, text: str) -> None:
        """One line that goes into the result, the run log and the report."""
        self.warnings.append(text)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the seconds of a step; several of one name add up, those of threads side by side too."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._counting:
                self.elapsed_s[name] = self.elapsed_s.get(name, 0.0) + time.perf_counter() - started

    def clear(self) -> None:
        """Remove the workspace."""
        shutil.rmtree(self.workspace, ignore_errors=True)
