"""report.json: what the report's page, its Markdown and the terminal's summary are written from."""

from collections.abc import Mapping
from typing import Any, ClassVar

from foundry_tasks.contract.documents.base import ByHorizon, Document, Part
from foundry_tasks.contract.documents.gates import Gate, Policy
from foundry_tasks.contract.documents.leakage import Leakage
from foundry_tasks.contract.documents.report_gates import HorizonEvidence, Status
from foundry_tasks.contract.ledger import Event


class RunFacts(Part):
    """Which run it is."""

    dag: str
    run_id: str
    market: str
    as_of: str
    """ISO date."""
    made_at: str
    """ISO time."""


class StageWarning(Part):
    """A warning and the stage, with its shard, that gave it."""

    stage: str
    text: str


class AbsentStage(Part):
    """A stage of the DAG that published nothing, and why."""

    stage: str
    why: str


class StageTiming(Part):
    """What a stage took, in seconds."""

    stage: str
    shard: str | None
    status: str
    start_s: float
    work_s: float
    total_s: float
    steps: Mapping[str, float]
    reused_from: str | None


class StageProvenance(Part):
    """What a stage's result follows from."""

    stage: str
    outputs_digest: str
    config_digest: str
    seed: int | None
    config: Mapping[str, Any]


class Provenance(Part):
    """Code, images, price snapshot and stages of a run."""

    code_versions: tuple[str, ...]
    image_digests: tuple[str, ...]
    snapshot: str | None
    stages: tuple[StageProvenance, ...]


class DataDocs(Part):
    """The Data Docs of an expectation suite: address relative to the report, and where they lie."""

    suite: str
    href: str
    location: str


class RegisteredVersion(Part):
    """A version that the run registered."""

    horizon: int
    model: str
    version: int
    event: Event
    why: str
    uri: str
    url: str
    sha256: str


class Links(Part):
    """Where people find what belongs to the report: name → path or URI."""

    pages: Mapping[str, str]
    trades: Mapping[str, str]
    data_docs: tuple[DataDocs, ...]
    versions: tuple[RegisteredVersion, ...]


class Report(Document):
    """A run as the report shows it. A part that the run does not have is None or empty."""

    stage: ClassVar[str] = "report"
    artifact: ClassVar[str] = "report.json"

    report_version: int = 1
    run: RunFacts
    status: Status
    policy: Policy | None
    gates: ByHorizon[tuple[Gate, ...]]
    evidence: ByHorizon[HorizonEvidence]
    portfolio: Mapping[str, Any] | None
    models: Mapping[str, Any]
    predictions: Mapping[str, Any] | None
    live: Mapping[str, Any] | None
    data: Mapping[str, Any]
    leakage: Leakage | None
    warnings: tuple[StageWarning, ...]
    absent: tuple[AbsentStage, ...]
    stages: tuple[StageTiming, ...]
    provenance: Provenance
    links: Links
