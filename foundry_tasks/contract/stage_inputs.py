"""What a stage reads: results, documents and files that other stages have published."""

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
    """What the stages of a run have published, as one of its stages reads it."""

    def __init__(self, identity: Identity, store: Store) -> None:
        self.identity = identity
        self._store = store
        self._results: dict[tuple[str, str | None], StageResult] = {}

    @property
    def as_of(self) -> date:
        """The last completed session, or what the prices stage made of it where the source ends earlier."""
        if self.identity.stage == "prices":
            return self.identity.as_of
        return self.result("prices").as_of

    def of_run(self, run: str) -> "StageInputs":
        """What another run has published, `<dag>/<run_id>` as the ledger names it."""
        dag, _, run_id = run.partition("/")
        return StageInputs(replace(self.identity, dag=dag, run_id=run_id), self._store)

    def upstream(self) -> tuple[str, ...]:
        """The stages of this DAG that this stage reads."""
        return inputs_in(self.identity.dag, self.identity.stage)

    # ------------------------------------------------------------ results
    def find(self, stage: str, shard: str | None = None) -> StageResult | None:
        """The result of `stage` in this run, None where it published none."""
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
        """As `find`. Raises MissingInputError where there is none."""
        found = self.find(stage, shard)
        if found is None:
            where = self._store.locate(self._key(stage, shard))
            raise MissingInputError(
                f"stage {stage!r} has published nothing in run {self.identity.run_id!r} (no {where}). "
                f"Run it first: {self._command(stage, shard)}."
            )
        return found

    def any_result(self, stage: str) -> StageResult:
        """One result of a stage that may be mapped over shards, whose config and folds agree. Raises MissingInputError."""
        return self._all_results(stage)[0]

    def shards(self, stage: str) -> list[StageResult]:
        """Every result of a stage in this run, by shard; empty where it published none."""
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
