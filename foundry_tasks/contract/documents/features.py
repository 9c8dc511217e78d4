"""features.json: which features a run has."""

import datetime as dt
from collections.abc import Mapping
from typing import ClassVar

from foundry_tasks.contract.documents.base import Document


class Features(Document):
    """The features of a run, and those that its prices do not allow."""

    stage: ClassVar[str] = "features"
    artifact: ClassVar[str] = "features.json"

    feature_set: str
    names: tuple[str, ...]
    """In the order of features.parquet."""
    left_out: Mapping[str, str]
    """Feature → what the prices lack for it."""
    sessions: int
    """How many features.parquet holds: all, or the last ones where no model is fitted on them."""
    first_session: dt.date
