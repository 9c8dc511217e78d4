"""The recipe of a model: which keys of a conf decide what it learns. Trials and nulls are identified by their recipes.

Every key of the stages from prices to ensemble is in exactly one of the three tables: the prices (`MARKET_DATA`), the rest of
what is learned (`LEARNED`), and keys that change nothing that is learned (`UNLEARNED`), always or under a condition.
"""

from collections.abc import Callable, Iterable, Mapping

from pydantic import JsonValue

from foundry_tasks.contract.artifacts import digest_of
from foundry_tasks.contract.config import (
    DEEP_MODELS,
    DeepConfig,
    EnsembleConfig,
    FeaturesConfig,
    LabelsConfig,
    ModelsConfig,
    PricesConfig,
    StageConfig,
)

Recipe = Mapping[str, JsonValue]
"""Key of the conf → value as JSON, flat."""

CONFIGS: tuple[type[StageConfig], ...] = (PricesConfig, FeaturesConfig, LabelsConfig, ModelsConfig, EnsembleConfig)
"""The configs of the stages that a recipe runs through."""

NO_PART_OF_A_TRIAL = frozenset(
    {
        "market",
        "horizons",
        "threads",
        "overlap_sessions",
        "skip_closed",
        "validate_only",
        "skip_gates",
        "min_null_refits",
    }
)
"""Keys of a conf that affect no figure, or that a trial or a null holds in a field of its own. A recorded trial's digest
depends on this set, so it is not the larger set of keys that change nothing that is learned."""

MARKET_DATA = frozenset({"source", "prices", "columns", "tickers", "universe", "calendar", "start", "redenominations"})
"""Keys that decide which prices a run has. Two recipes with equal values are on the same prices; `end` adds sessions."""

LEARNED = frozenset(
    {
        *("sectors", "benchmark", "vix", "keep", "feature_set", "label_entry", "label_kind"),
        *("walk", "folds", "test_sessions", "validation_sessions", "warmup_blocks", "first_test_session"),
        *("embargo_sessions", "models", "seeds", "seed", "early_stopping", "tuning_trials", "per_regime"),
        *("calibration", "regime_scale", "regime_intercept"),
    }
)
"""Other keys that always decide what is learned."""


def _always(_: Recipe) -> bool:
    return True


def _never(_: Recipe) -> bool:
    return False


def _no_deep_model(recipe: Recipe) -> bool:
    models = recipe["models"]
    return not (isinstance(models, list) and set(DEEP_MODELS).intersection(map(str, models)))


UNLEARNED: Mapping[str, Callable[[Recipe], bool]] = {
    **dict.fromkeys(("market", "horizons", "threads", "fan_out"), _always),
    **dict.fromkeys(("end", "overlap_sessions", "skip_closed", "cross_check"), _always),
    **dict.fromkeys(("min_coverage", "min_fit_sessions"), _always),  # they only refuse
    "fit_sessions": lambda recipe: recipe["walk"] != "rolling",
    "stopping_sessions": lambda recipe: not (recipe["early_stopping"] or recipe["tuning_trials"]),
    "calibration_sessions": lambda recipe: recipe["calibration"] == "base_rate_slope",
    **dict.fromkeys(DeepConfig.model_fields, _no_deep_model),
}
"""Key → whether it changes nothing that is learned under a recipe with every key. A null has market and horizon in fields of
its own, and stays valid when sessions are added."""


def configuration(configs: Iterable[Recipe]) -> dict[str, JsonValue]:
    """The configs of a run's stages as one flat mapping, without the keys that affect no figure."""
    merged = {key: value for config in configs for key, value in config.items()}
    return {key: merged[key] for key in sorted(merged.keys() - NO_PART_OF_A_TRIAL)}


def learned(recipe: Recipe) -> dict[str, JsonValue]:
    """The keys of a recipe that decide what is learned. A key that the recipe lacks has its default.

    A recipe of an earlier version lacks the keys that were added since.
    """
    whole = {name: value for config in CONFIGS for name, value in config().model_dump(mode="json").items()} | dict(
        recipe
    )
    return {key: value for key, value in whole.items() if not UNLEARNED.get(key, _never)(whole)}


def recipe_digest(recipe: Recipe) -> str:
    """One digest for all recipes that learn the same."""
    return digest_of(learned(recipe))


def on_the_same_prices(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes are on the same prices, apart from later sessions."""
    mine, theirs = ({key: value for key, value in learned(each).items() if key in MARKET_DATA} for each in (one, other))
    return digest_of(mine) == digest_of(theirs)
