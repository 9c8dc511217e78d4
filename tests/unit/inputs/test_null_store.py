"""The nulls of a store are found by their recipe only."""

import math

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import canonical_json, digest_of, null_key
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.gates.null_distribution import RefittedNull
from foundry_tasks.inputs.null_store import recipe_of, store_null, stored_null

NULL = RefittedNull({"auc": (0.5, 0.51), "wfe": (math.nan, 0.2)}, (250, 300), "2018-02-07")
RECIPE = recipe_of([{"source": "sample", "end": None, "threads": 2}, {"models": ["logistic"], "seed": 7}])


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path)


def test_a_null_is_read_as_it_was_kept(store):
    store_null(store, "us", 5, RECIPE, NULL)
    found = stored_null(store, "us", 5, RECIPE)
    assert found is not None
    assert found.figures["auc"] == NULL.figures["auc"]
    assert math.isnan(found.figures["wfe"][0])
    assert (found.shifts, found.until) == (NULL.shifts, NULL.until)


@pytest.mark.parametrize(("market", "horizon", "more"), [("eu", 5, {}), ("us", 1, {}), ("us", 5, {"seed": 8})])
def test_another_market_horizon_or_recipe_has_none(store, market, horizon, more):
    store_null(store, "us", 5, RECIPE, NULL)
    assert stored_null(store, market, horizon, RECIPE | more) is None


def test_later_sessions_and_more_threads_are_the_same_recipe():
    again = [{"source": "sample", "end": "2020-01-01", "threads": 8}, {"models": ["logistic"], "seed": 7}]
    assert recipe_of(again) == RECIPE


def test_a_damaged_null_is_named_instead_of_left_out(store):
    store.write(null_key("us", 5, digest_of(RECIPE)), b'{"figures": 3}')
    with pytest.raises(ConfigError, match="is damaged"):
        stored_null(store, "us", 5, RECIPE)


def test_a_null_that_an_earlier_version_kept_is_found_and_would_be_kept_the_same(store):
    key = f"nulls/us/5d/{digest_of(RECIPE)[:16]}.json"
    old = {
        "recipe": RECIPE,
        "until": "2018-02-07",
        "shifts": [250, 300],
        "figures": {"auc": [0.5, 0.51], "wfe": [None, 0.2]},
    }
    store.write(key, canonical_json(old))
    found = stored_null(store, "us", 5, RECIPE)
    assert found is not None
    assert (found.figures["auc"], found.shifts, found.until) == ((0.5, 0.51), (250, 300), "2018-02-07")
    assert math.isnan(found.figures["wfe"][0])
    store_null(store, "us", 5, RECIPE, NULL)
    assert store.read(key) == canonical_json(old)
