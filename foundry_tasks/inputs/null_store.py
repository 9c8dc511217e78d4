"""What an audit found out about a recipe on a market where there is nothing to find, kept for the gates to read.

A null belongs to a market, a horizon and a recipe: other prices, features, labels, walks, models, seeds or stacks have nulls of
their own. Later sessions do not make another; the gate says until when it was made.
"""

import math
from collections.abc import Iterable, Mapping

from pydantic import JsonValue, ValidationError

from foundry_tasks.contract.artifacts import canonical_json, digest_of, null_key
from foundry_tasks.contract.documents.nulls import StoredNull
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ports import Store
from foundry_tasks.gates.null_distribution import RefittedNull
from foundry_tasks.inputs.trial_ledger import configuration

Recipe = Mapping[str, JsonValue]


def recipe_of(configs: Iterable[Recipe]) -> dict[str, JsonValue]:
    """Everything in the configs of prices, features, labels, models and ensemble that moves a figure, flat."""
    return {key: value for key, value in configuration(configs).items() if key != "end"}


def store_null(store: Store, market: str, horizon: int, recipe: Recipe, null: RefittedNull) -> StoredNull:
    """Keep the null, in the place of an earlier one. Returns the document."""
    document = StoredNull(recipe=recipe, until=null.until, shifts=null.shifts, figures=null.figures)
    store.write(null_key(market, horizon, digest_of(recipe)), canonical_json(document.model_dump(mode="json")))
    return document


def stored_null(store: Store, market: str, horizon: int, recipe: Recipe) -> RefittedNull | None:
    """None where no audit has made one. Raises ConfigError for a document that is damaged."""
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
