"""Features written to a temporary file and read from it, as in a run."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundry_tasks.data.panel import PricePanel
from foundry_tasks.data.tables import FeatureFile, write_features
from foundry_tasks.data.temporary_matrices import TemporaryMatrices
from foundry_tasks.features.build import feature_blocks, features_for
from foundry_tasks.features.definition import FeatureSet


@contextmanager
def stored_features(prices: PricePanel, feature_set: FeatureSet) -> Iterator[FeatureFile]:
    """All features that can be computed from the prices, in a temporary file that is deleted on exit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.parquet"
        write_features(path, feature_blocks(prices, features_for(prices, feature_set)[0], TemporaryMatrices))
        yield FeatureFile(path)
