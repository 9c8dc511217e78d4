"""What a stage makes: artifacts named by content, pages, metrics and warnings."""

import shutil
from dataclasses import asdict
from datetime import date
from pathlib import Path

from pydantic import JsonValue

from foundry_tasks.contract import artifacts
from foundry_tasks.contract.documents import Document
from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.plain import Conf
from foundry_tasks.contract.ports import Expectations, Store, Table, Verdict
from foundry_tasks.contract.results import Artifact
from foundry_tasks.contract.steps import Steps


class StageOutputs:
    """What a stage has made so far; `runner` makes the stage's result of it.

    workspace: an empty folder, gone once the stage has ended.
    """

    def __init__(
        self, identity: Identity, store: Store, workspace: Path, expectations: Expectations, steps: Steps
    ) -> None:
        self.workspace = workspace
        self.artifacts: dict[str, Artifact] = {}
        self.metrics: dict[str, JsonValue] = {}
        self.warnings: list[str] = []
        self.as_of: date | None = None
        """What the prices stage makes of as-of where its source ends earlier."""
        self._identity, self._store, self._expectations, self._steps = identity, store, expectations, steps

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
        self.artifacts[name] = Artifact(sha256=self._store.put_object(path), size_bytes=path.stat().st_size)
        return self.artifacts[name]

    def show(self, page: str, content: bytes) -> str:
        """Lay a page where people open it; returns what they open."""
        key = artifacts.page_key(self._identity.dag, self._identity.run_id, page)
        self._store.write(key, content)
        return self._store.locate(key)

    def quarantine(self, name: str, content: bytes) -> str:
        """Keep rejected data where no stage reads it; returns where."""
        key = artifacts.quarantine_key(self._identity.dag, self._identity.run_id, self._identity.stage, name)
        self._store.write(key, content)
        return self._store.locate(key)

    def guard(self, suite: str, table: Table, facts: Conf) -> Verdict:
        """Hold a pandas frame against an expectation suite, before its dataset is published.

        What only warns becomes a warning of this stage. Raises DataRejectedError for a critical failure, with a summary
        of every finding in quarantine. Data Docs are laid out in either case.
        """
        with self._steps.timed("expectations"):
            verdict = self._expectations.validate(suite, table, facts)
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

    def clear(self) -> None:
        """Remove the workspace."""
        shutil.rmtree(self.workspace, ignore_errors=True)
