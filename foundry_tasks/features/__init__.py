"""Features: pure functions on wide matrices; the value at session t uses sessions ≤ t only."""

from foundry_tasks.features.build import BuiltFeatures, build_features
from foundry_tasks.features.definition import Feature
from foundry_tasks.features.registry import FEATURES, feature_table_markdown

__all__ = ["FEATURES", "BuiltFeatures", "Feature", "build_features", "feature_table_markdown"]
