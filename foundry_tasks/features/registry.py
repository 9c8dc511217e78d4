"""All features. A new feature is a row in its concept's module; a new concept is a module and an entry in `_CONCEPTS`."""

from foundry_tasks.features import bars, regime, relative, returns, reversion, volatility, volume
from foundry_tasks.features.definition import Feature, FeatureSet

_CONCEPTS = (returns, volatility, reversion, volume, bars, relative, regime)

FEATURES: tuple[Feature, ...] = tuple(feature for concept in _CONCEPTS for feature in concept.FEATURES)


def features_in(feature_set: FeatureSet) -> tuple[Feature, ...]:
    """The features of a set: `core` has the nine of the reference system, `extended` has all."""
    return tuple(feature for feature in FEATURES if feature_set == "extended" or feature.feature_set == "core")


def feature_table_markdown() -> str:
    """The Markdown table of features for the docs, grouped by concept."""
    lines = ["| feature | set | needs | what it is |", "|---|---|---|---|"]
    for concept in _CONCEPTS:
        lines.append(f"| **{_title(concept.__doc__)}** | | | |")
        for feature in concept.FEATURES:
            notes = " Same for every ticker." if feature.market_wide else ""
            needs = ", ".join(need.replace("_", " ") for need in feature.needs)
            lines.append(f"| `{feature.name}` | {feature.feature_set} | {needs} | {feature.doc}{notes} |")
    return "\n".join(lines) + "\n"


def _title(doc: str | None) -> str:
    return (doc or "").splitlines()[0].rstrip(".")
