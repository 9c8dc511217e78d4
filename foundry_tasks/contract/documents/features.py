"""features.json: the features of a run."""

import datetime as dt
from collections.abc import Mapping
from typing import ClassVar

from foundry_tasks.contract.documents.base import Document


class Features(Document):
    """The features of a run, and those that its prices lack data for."""

    stage: ClassVar[str] = "features"
    artifact: ClassVar[str] = "features.json"

    feature_set: str
    names: tuple[str, ...]
    """Feature names, in the order of features.parquet."""
    left_out: Mapping[str, str]
    """Feature → the data that the prices lack for it."""
    sessions: int
    """Sessions in features.parquet: all, or only the last ones in a DAG that fits no model."""
    first_session: dt.date
