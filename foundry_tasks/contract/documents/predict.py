"""predictions.json, versions.json, and a prediction in the store's index."""

from typing import ClassVar, Literal

from foundry_tasks.contract.config import LabelEntry
from foundry_tasks.contract.documents.base import ByHorizon, Document, HorizonsDocument, Part

PredictorKind = Literal["champion", "shadow"]


class Predictor(Part):
    """The version that predicts at a horizon, its kind, and the reason."""

    model: str
    version: int
    kind: PredictorKind
    why: str = ""


class Predictions(Document):
    """Facts about predictions.parquet."""

    stage: ClassVar[str] = "predict"
    artifact: ClassVar[str] = "predictions.json"

    as_of: str
    """ISO date of the session that is predicted from."""
    per_horizon: ByHorizon[Predictor]
    coverage: float
    """Share of the last session's tickers with any feature that have a P(up) at every horizon."""


class PredictingVersion(Part):
    """A version that predicts, and the data that it was fitted on."""

    model: str
    version: int
    kind: PredictorKind
    trained_in: str
    """The run that fitted it: `<dag>/<run_id>`."""
    sha256: str
    """SHA-256 of its bundle."""
    fitted_until: str
    """ISO date of the last session that it was fitted on."""
    label_entry: LabelEntry
    base_rate: float
    """Share of up labels, as known when it was fitted."""


class VersionInUse(PredictingVersion):
    """A version that predicts, and the features that it needs."""

    features: tuple[str, ...]


class Versions(HorizonsDocument[VersionInUse]):
    """Horizon → the version that predicts."""

    stage: ClassVar[str] = "predict"
    artifact: ClassVar[str] = "versions.json"


class IndexedPrediction(PredictingVersion):
    """A version's prediction after a session: `predictions/…` of the store. It is created once and never replaced."""

    horizon: int
    as_of: str
    """ISO date of the session."""
    predictions: str
    """SHA-256 of predictions.parquet."""
    made_at: str
    """ISO time."""
    dag: str
    run_id: str
