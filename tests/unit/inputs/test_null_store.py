"""The nulls of a store: audits only add to them, and the strictest one on the same prices counts."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import canonical_json, digest_of
from foundry_tasks.contract.config import MIN_REFITS
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.gates.null_distribution import RefittedNull, strictest
from foundry_tasks.inputs.null_store import recipe_of, store_null, stored_nulls
from foundry_tasks.inputs.recipe import CONFIGS, LEARNED, UNLEARNED
from tests.unit.inputs.test_recipe import OTHER

NULL = RefittedNull({"auc": (0.5, 0.51), "wfe": (math.nan, 0.2)}, (250, 300), "2018-02-07")
RECIPE = recipe_of(config().model_dump(mode="json") for config in CONFIGS)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path)


def audit(top, refits, until="2018-02-07", first=400):
    """A null whose AUCs rise from 0.5 to `top`."""
    aucs = tuple(0.5 + (top - 0.5) * (index + 1) / refits for index in range(refits))
    return RefittedNull({"auc": aucs}, tuple(range(first, first + refits)), until)


def threshold(store, recipe=RECIPE):
    found = strictest(stored_nulls(store, "us", 5, recipe), "auc")
    return found and found.q95("auc")


def test_a_null_is_read_as_it_was_kept(store):
    store_null(store, "us", 5, RECIPE, NULL)
    (found,) = stored_nulls(store, "us", 5, RECIPE)
    assert found.figures["auc"] == NULL.figures["auc"]
    assert math.isnan(found.figures["wfe"][0])
    assert (found.shifts, found.until, found.own) == (NULL.shifts, NULL.until, True)


@pytest.mark.parametrize(("market", "horizon", "more"), [("eu", 5, {}), ("us", 1, {}), ("us", 5, {"prices": "other"})])
def test_another_market_horizon_or_price_file_has_none(store, market, horizon, more):
    store_null(store, "us", 5, RECIPE, NULL)
    assert stored_nulls(store, market, horizon, RECIPE | more) == ()


@pytest.mark.parametrize("key", sorted(LEARNED))
def test_the_null_of_another_recipe_on_the_same_prices_counts_and_is_said_to_be_anothers(store, key):
    store_null(store, "us", 5, RECIPE, audit(0.6, MIN_REFITS))
    (found,) = stored_nulls(store, "us", 5, RECIPE | {key: OTHER[key]})
    assert not found.own


def test_the_own_null_comes_first(store):
    for seed in (1, 2, 3, 7, 9):
        store_null(store, "us", 5, RECIPE | {"seed": seed}, NULL)
    assert [null.own for null in stored_nulls(store, "us", 5, RECIPE)] == [True, False, False, False, False]


# ------------------------------------------------------------------ nothing is erased
def test_an_eraser_who_audits_again_with_fewer_refits_or_with_changed_keys_lowers_no_threshold(store):
    store_null(store, "us", 5, RECIPE, audit(0.53, MIN_REFITS))
    before = threshold(store)
    assert before == pytest.approx(0.5286, abs=1e-4)
    store_null(store, "us", 5, RECIPE, audit(0.50075, 1))
    assert threshold(store) == before
    for key in sorted({*UNLEARNED, *LEARNED}):
        other = RECIPE | {key: OTHER[key]}
        assert threshold(store, other) == before, key
        store_null(store, "us", 5, other, audit(0.50075, 1))
        assert threshold(store, other) == threshold(store) == before, key
    calm = RECIPE | {"seed": 8}
    store_null(store, "us", 5, calm, audit(0.501, MIN_REFITS))
    assert threshold(store, calm) == threshold(store) == before


audits = st.lists(
    st.tuples(
        st.dictionaries(st.integers(400, 430), st.none() | st.floats(0.4, 0.6), min_size=1, max_size=12),
        st.sampled_from(["2018-02-07", "2019-02-07", "2020-02-07"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(audits, st.randoms(use_true_random=False))
def test_shifts_of_all_audits_are_united_in_any_order_and_the_newest_prices_count(tmp_path_factory, made, random):
    def kept(made):
        store, counts = LocalStore(tmp_path_factory.mktemp("store")), [0]
        for values, until in made:
            row = tuple(math.nan if value is None else value for value in values.values())
            store_null(store, "us", 5, RECIPE, RefittedNull({"auc": row}, tuple(values), until))
            (null,) = stored_nulls(store, "us", 5, RECIPE)
            counts.append(null.refits("auc"))
        assert counts == sorted(counts)
        return null

    null = kept(made)
    again = kept(random.sample(made, len(made)))
    assert (again.shifts, again.until, repr(again.figures)) == (null.shifts, null.until, repr(null.figures))
    assert null.shifts == tuple(sorted({shift for values, _ in made for shift in values}))
    assert null.until == max(until for _, until in made)
    for shift, value in zip(null.shifts, null.figures["auc"], strict=True):
        known = [(until, values[shift]) for values, until in made if values.get(shift) is not None]
        assert (max(known)[1] == value) if known else math.isnan(value)


def test_the_same_audit_stored_twice_is_stored_once(store):
    assert store_null(store, "us", 5, RECIPE, NULL) == store_null(store, "us", 5, RECIPE, NULL)
    assert len(list(store.keys("nulls/"))) == 1


def test_audits_at_the_same_time_lose_nothing(store):
    made = [audit(0.51 + number / 1000, 10, first=400 + 5 * number) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda null: store_null(store, "us", 5, RECIPE, null), made))
    (null,) = stored_nulls(store, "us", 5, RECIPE)
    assert null.shifts == tuple(range(400, 465))
    assert null.figures["auc"][null.shifts.index(464)] == pytest.approx(0.521)


# ------------------------------------------------------------------ documents
SHORT = {"recipe": {}, "until": "2018-02-07", "shifts": [400], "figures": {"auc": []}}


@pytest.mark.parametrize("damage", [b'{"figures": 3}', b"", canonical_json(SHORT)])
def test_a_damaged_null_is_named_instead_of_left_out(store, damage):
    store.write("nulls/us/5d/0123456789abcdef.json", damage)
    with pytest.raises(ConfigError, match=r"0123456789abcdef\.json is damaged"):
        stored_nulls(store, "us", 5, RECIPE)


def test_a_null_that_an_earlier_version_kept_is_found_and_later_audits_add_to_it(store):
    earlier = {key: value for key, value in RECIPE.items() if key != "redenominations"} | {"stopping_sessions": 200}
    key = f"nulls/us/5d/{digest_of(earlier)[:16]}.json"
    old = {
        "recipe": earlier,
        "until": "2018-02-07",
        "shifts": [250, 300],
        "figures": {"auc": [0.5, 0.51], "wfe": [None, 0.2]},
    }
    store.write(key, canonical_json(old))
    (found,) = stored_nulls(store, "us", 5, RECIPE)
    assert (found.figures["auc"], found.shifts, found.until, found.own) == ((0.5, 0.51), (250, 300), "2018-02-07", True)
    assert math.isnan(found.figures["wfe"][0])
    store_null(store, "us", 5, RECIPE, RefittedNull({"auc": (0.52, 0.49)}, (300, 400), "2019-02-07"))
    assert store.read(key) == canonical_json(old)
    (found,) = stored_nulls(store, "us", 5, RECIPE)
    assert (found.figures["auc"], found.shifts, found.until) == ((0.5, 0.52, 0.49), (250, 300, 400), "2019-02-07")
