"""monitor.json."""

from collections.abc import Mapping
from typing import ClassVar

from foundry_tasks.contract.documents.base import Figure, HorizonsDocument, Interval, Part


class LiveFigures(Part):
    """Figures of predictions that were made before their labels were known, one prediction per session."""

    sessions: int
    """Sessions that are scored."""
    rows: int
    """Predictions of these sessions that have a label."""
    first: str | None
    """ISO date of the first session that is scored."""
    last: str | None
    versions: Mapping[str, int]
    """Kind and version, such as `champion 3` → sessions."""
    late: int
    """Sessions whose prediction was made after the next session had opened."""
    waiting: int
    """Sessions whose labels are not known yet."""
    fitted_on: int
    """Sessions left out because their version was fitted on them."""
    auc: Interval
    """Mean AUC per session."""
    hit_rate: Interval
    base_rate: Figure
    """Share of up labels."""
    brier: Interval
    brier_base_rate: Interval
    """Brier score of the versions' base rates."""


class DriftedFeature(Part):
    """Population stability index of a feature's recent sessions."""

    feature: str
    psi: Figure
    usual: Figure
    """95 % quantile of the PSI of earlier windows; None where there are too few."""


class FeatureDrift(Part):
    """Features by their PSI, the largest first; empty where drift cannot be measured."""

    features: tuple[DriftedFeature, ...]
    beyond: tuple[str, ...]
    """Features whose PSI is above the threshold and above what is usual for them."""
    above: int
    """Number of features above the threshold."""


class MonitoredHorizon(Part):
    """Live figures of a horizon's predictions, and drift of the features since its version was fitted."""

    version: int
    """The version that predicts now."""
    live: LiveFigures
    drift: FeatureDrift


class MonitorSettings(Part):
    """Settings of the monitor stage."""

    live_sessions: int
    drift_sessions: int
    max_psi: float
    min_live_auc_lower: float


class Monitor(HorizonsDocument[MonitoredHorizon]):
    """Horizon → live figures and drift."""

    stage: ClassVar[str] = "monitor"
    artifact: ClassVar[str] = "monitor.json"

    asked: MonitorSettings
