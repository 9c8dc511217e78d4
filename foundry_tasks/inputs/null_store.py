"""Nulls with refits in the store: an audit writes them, the gates read them.

A null belongs to a market, a horizon and a recipe: with other prices, features, labels, walks, models, seeds or stacks it is a
different null. It stays valid when sessions are added; the gate shows the last session of its prices.
"""

import math
from collections.abc import Iterable, Mapping

from pydantic import JsonValue, ValidationError

from foundry_tasks.contract.artifacts import canonical_json, digest_of, null_key
from foundry_tasks.contract.documents.nulls import StoredNull
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ports import Store
from foundry_tasks.gates.null_distribution import RefittedNull
from foundry_tasks.inputs.recipe import configuration

Recipe = Mapping[str, JsonValue]


def recipe_of(configs: Iterable[Recipe]) -> dict[str, JsonValue]:
    """The keys that affect a figure, as one flat mapping. configs: of prices, features, labels, models and ensemble."""
    return {key: value for key, value in configuration(configs).items() if key != "end"}


def store_null(store: Store, market: str, horizon: int, recipe: Recipe, null: RefittedNull) -> StoredNull:
    """Write the null to the store and replace an earlier one. Returns the document."""
    document = StoredNull(recipe=recipe, until=null.until, shifts=null.shifts, figures=null.figures)
    store.write(null_key(market, horizon, digest_of(recipe)), canonical_json(document.model_dump(mode="json")))
    return document


def stored_null(store: Store, market: str, horizon: int, recipe: Recipe) -> RefittedNull | None:
    """The null in the store; None if no audit has written one. Raises ConfigError for a damaged document."""
    key = null_key(market, horizon, digest_of(recipe))
    document = store.read(key)
    if document is None:
        return None
    try:
        found = StoredNull.model_validate_json(document)
    except ValidationError as error:
        raise ConfigError(
            f"the null {store.locate(key)} is damaged, and the gates read it. Restore it from a backup; or "
            "delete it, and they go by the null of the run itself alone."
        ) from error
    figures = {
        name: tuple(math.nan if value is None else value for value in row) for name, row in found.figures.items()
    }
    return RefittedNull(figures, found.shifts, found.until)
