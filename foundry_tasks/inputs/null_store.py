"""Nulls with refits in the store: audits add refits, the gates read them.

A null belongs to a market, a horizon and a recipe. It stays valid when sessions are added. Each audit creates one document,
which is never replaced; the null of a recipe unites the shifts of all its documents. So two audits at once lose nothing, and
an audit with fewer refits removes nothing. A recipe is compared by what is learned (`inputs.recipe`), as the store is read:
documents of earlier versions count as they are.
"""

import math
from collections.abc import Iterable, Sequence

from pydantic import JsonValue, ValidationError

from foundry_tasks.contract.artifacts import canonical_json, null_key, nulls_prefix, sha256_of
from foundry_tasks.contract.documents.nulls import StoredNull
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ports import Store
from foundry_tasks.gates.null_distribution import RefittedNull
from foundry_tasks.inputs.recipe import Recipe, configuration, on_the_same_prices, recipe_digest


def recipe_of(configs: Iterable[Recipe]) -> dict[str, JsonValue]:
    """The keys that affect a figure, as one flat mapping. configs: of prices, features, labels, models and ensemble."""
    return {key: value for key, value in configuration(configs).items() if key != "end"}


def store_null(store: Store, market: str, horizon: int, recipe: Recipe, null: RefittedNull) -> StoredNull:
    """Add the refits of one audit to the store. Returns the document."""
    document = StoredNull(recipe=recipe, until=null.until, shifts=null.shifts, figures=null.figures)
    content = canonical_json(document.model_dump(mode="json"))
    store.create(null_key(market, horizon, recipe_digest(recipe), sha256_of(content)), content)
    return document


def stored_nulls(store: Store, market: str, horizon: int, recipe: Recipe) -> tuple[RefittedNull, ...]:
    """The null of each recipe that was audited on the same prices, that of `recipe` first.

    Raises ConfigError for a damaged document.
    """
    mine = recipe_digest(recipe)
    found: dict[str, list[StoredNull]] = {}
    for key in store.keys(nulls_prefix(market, horizon)):
        document = _document(store, key)
        if on_the_same_prices(document.recipe, recipe):
            found.setdefault(recipe_digest(document.recipe), []).append(document)
    return tuple(_united(found[digest], own=digest == mine) for digest in sorted(found, key=lambda each: each != mine))


def _document(store: Store, key: str) -> StoredNull:
    try:
        return StoredNull.model_validate_json(store.read(key) or b"")
    except ValidationError as error:
        raise ConfigError(
            f"the null {store.locate(key)} is damaged, and the gates read it. Restore it from a backup; or "
            "delete it, and its refits do not count."
        ) from error


def _united(documents: Sequence[StoredNull], *, own: bool) -> RefittedNull:
    """One null with every shift of the documents. For a shift of several, the value on the newest prices counts.

    An undefined value replaces none; of two values on the same prices, the larger counts.
    """
    values: dict[str, dict[int, tuple[str, float]]] = {}
    for document in documents:
        for name, row in document.figures.items():
            known = values.setdefault(name, {})
            for shift, value in zip(document.shifts, row, strict=True):
                if value is not None:
                    known[shift] = max(known.get(shift, ("", -math.inf)), (document.until, value))
    shifts = tuple(sorted({shift for document in documents for shift in document.shifts}))
    nothing = ("", math.nan)
    figures = {name: tuple(known.get(shift, nothing)[1] for shift in shifts) for name, known in values.items()}
    return RefittedNull(figures, shifts, max(document.until for document in documents), own=own)
