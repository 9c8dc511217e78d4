"""Outputs of a stage: artifacts named by their content, pages, metrics and warnings."""

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
    """Collects the outputs of a stage. `runner` writes the stage's result from them.

    workspace: an empty folder, deleted when the stage has ended.
    """

    def __init__(
        self, identity: Identity, store: Store, workspace: Path, expectations: Expectations, steps: Steps
    ) -> None:
        self.workspace = workspace
        self.artifacts: dict[str, Artifact] = {}
        self.metrics: dict[str, JsonValue] = {}
        self.warnings: list[str] = []
        self.as_of: date | None = None
        """As-of that the prices stage sets: the last session of its prices."""
        self._identity, self._store, self._expectations, self._steps = identity, store, expectations, steps

    def publish(self, document: Document, name: str | None = None) -> Artifact:
        """Store a document as an artifact, in canonical JSON. name: of the artifact; None: `document.artifact`."""
        content = artifacts.canonical_json(document.model_dump(mode="json"))
        return self.publish_file(name or document.artifact, content)

    def publish_file(self, name: str, content: bytes | Path) -> Artifact:
        """Store bytes or a file as an artifact. Equal content is stored once."""
        if isinstance(content, bytes):
            path = self.workspace / "publish" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        else:
            path = content
        self.artifacts[name] = Artifact(sha256=self._store.put_object(path), size_bytes=path.stat().st_size)
        return self.artifacts[name]

    def show(self, page: str, content: bytes) -> str:
        """Write a page for people. Returns its path or URI."""
        key = artifacts.page_key(self._identity.dag, self._identity.run_id, page)
        self._store.write(key, content)
        return self._store.locate(key)

    def quarantine(self, name: str, content: bytes) -> str:
        """Store rejected data where no stage reads it. Returns its path or URI."""
        key = artifacts.quarantine_key(self._identity.dag, self._identity.run_id, self._identity.stage, name)
        self._store.write(key, content)
        return self._store.locate(key)

    def guard(self, suite: str, table: Table, facts: Conf) -> Verdict:
        """Validate a pandas frame with an expectation suite, before its dataset is published.

        facts: values of the suite's `$parameters`. A finding that only warns becomes a warning of this stage. Data Docs
        are written in any case. Raises DataRejectedError for a critical finding; all findings are then in quarantine.
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
        """Add a warning of one line to the result, the run log and the report."""
        self.warnings.append(text)

    def clear(self) -> None:
        """Remove the workspace."""
        shutil.rmtree(self.workspace, ignore_errors=True)
