"""Inputs of a stage: results, documents and files that other stages have published."""

from dataclasses import replace
from datetime import date
from functools import reduce
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents import Document
from foundry_tasks.contract.errors import MissingInputError
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.ports import Store
from foundry_tasks.contract.results import StageResult
from foundry_tasks.contract.stages import inputs_in

D = TypeVar("D", bound=Document)


class StageInputs:
    """Reads the published results and artifacts of a run's stages."""

    def __init__(self, identity: Identity, store: Store) -> None:
        self.identity = identity
        self._store = store
        self._results: dict[tuple[str, str | None], StageResult] = {}

    @property
    def as_of(self) -> date:
        """As-of of the run: in the prices stage the last completed session, in later stages the as-of of its result."""
        if self.identity.stage == "prices":
            return self.identity.as_of
        return self.result("prices").as_of

    def of_run(self, run: str) -> "StageInputs":
        """Inputs from another run. run: `<dag>/<run_id>`, as in the ledger."""
        dag, _, run_id = run.partition("/")
        return StageInputs(replace(self.identity, dag=dag, run_id=run_id), self._store)

    def upstream(self) -> tuple[str, ...]:
        """The upstream stages of this stage that its DAG runs."""
        return inputs_in(self.identity.dag, self.identity.stage)

    # ------------------------------------------------------------ results
    def find(self, stage: str, shard: str | None = None) -> StageResult | None:
        """The result of `stage` in this run, None where it has none. Raises MissingInputError where it is damaged."""
        if (stage, shard) not in self._results:
            key = self._key(stage, shard)
            found = self._store.read(key)
            if found is None:
                return None
            try:
                self._results[stage, shard] = StageResult.model_validate_json(found)
            except ValidationError as error:
                raise MissingInputError(
                    f"the result of stage {stage!r} in run {self.identity.run_id!r} is damaged ({self._store.locate(key)}). "
                    f"Run it again: {self._command(stage, shard)}."
                ) from error
        return self._results[stage, shard]

    def result(self, stage: str, shard: str | None = None) -> StageResult:
        """As `find`, but raises MissingInputError where there is no result."""
        found = self.find(stage, shard)
        if found is None:
            where = self._store.locate(self._key(stage, shard))
            raise MissingInputError(
                f"stage {stage!r} has published nothing in run {self.identity.run_id!r} (no {where}). "
                f"Run it first: {self._command(stage, shard)}."
            )
        return found

    def any_result(self, stage: str) -> StageResult:
        """One result of a stage that may be mapped. Config and folds are equal in all shards. Raises MissingInputError."""
        return self._all_results(stage)[0]

    def shards(self, stage: str) -> list[StageResult]:
        """Every result of a stage in this run, sorted by shard; empty where there is none."""
        prefix = f"{artifacts.run_prefix(self.identity.dag, self.identity.run_id)}/{stage}/"
        names = [
            key.removeprefix(prefix).split("/")[0] for key in self._store.keys(prefix) if key.endswith("/result.json")
        ]
        return [self.result(stage, None if name == artifacts.NO_SHARD else name) for name in sorted(names)]

    # ------------------------------------------------------------ files and documents
    def path(self, stage: str, name: str, shard: str | None = None) -> Path:
        """A local file with the artifact `name` of `stage`. Raises MissingInputError."""
        return self.artifact(self.result(stage, shard), name)

    def artifact(self, result: StageResult, name: str) -> Path:
        """A local file with an artifact of a result. Raises MissingInputError."""
        if name not in result.outputs:
            raise MissingInputError(
                f"stage {result.stage!r} of run {result.run_id!r} published no {name!r}, only {sorted(result.outputs)}."
            )
        return self._store.object_path(result.outputs[name].sha256)

    def read(self, kind: type[D], name: str | None = None) -> D:
        """A document of this run. The documents of a mapped stage's shards are merged.

        name: the artifact, for a kind that a stage publishes several of. Raises MissingInputError where the document is
        missing or damaged.
        """
        found = [self._document(kind, result, name or kind.artifact) for result in self._all_results(kind.stage)]
        return reduce(lambda first, second: first.merged(second), found)

    def find_document(self, kind: type[D]) -> D | None:
        """As `read`, but None where the stage has no such document in this run."""
        there = self.shards(kind.stage) if kind.stage in self.upstream() else []
        return self.read(kind) if there and all(kind.artifact in result.outputs for result in there) else None

    def _document(self, kind: type[D], result: StageResult, name: str) -> D:
        path = self.artifact(result, name)
        try:
            return kind.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise MissingInputError(
                f"{name!r} of stage {result.stage!r} in run {result.run_id!r} is damaged ({path}). Run it again: "
                f"{self._command(result.stage, result.shard)}."
            ) from error

    def _all_results(self, stage: str) -> list[StageResult]:
        return self.shards(stage) or [self.result(stage)]

    def _key(self, stage: str, shard: str | None) -> str:
        return artifacts.result_key(self.identity.dag, self.identity.run_id, stage, shard)

    def _command(self, stage: str, shard: str | None) -> str:
        option = f" --shard {shard}" if shard else ""
        return f"foundry {stage} --dag {self.identity.dag} --run-id {self.identity.run_id}{option}"
