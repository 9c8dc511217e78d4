"""Features and labels: pure functions on wide matrices. A feature's value at session t uses only sessions ≤ t."""

from foundry_tasks.features.build import BuiltFeatures, build_features
from foundry_tasks.features.definition import Feature
from foundry_tasks.features.registry import FEATURES, feature_table_markdown

__all__ = ["FEATURES", "BuiltFeatures", "Feature", "build_features", "feature_table_markdown"]
