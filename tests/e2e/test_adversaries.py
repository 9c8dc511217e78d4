"""Adversaries through the whole pipeline: nothing but a market's first look promotes without a person."""

import pytest

from foundry_tasks.gates.null_distribution import MIN_REFITS, RefittedNull
from foundry_tasks.inputs.null_store import recipe_of, store_null
from foundry_tasks.ledger.chain import Ledger
from tests.e2e.foundry_here import Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(100)

CONF = {
    "horizons": [1],
    "models": ["logistic"],
    "seeds": 1,
    "folds": 4,
    "test_sessions": 40,
    "validation_sessions": 20,
    "warmup_blocks": 1,
    "audit_dates": 1,
    "resamples": 200,
    "min_champion_difference": -1.0,
    "feature_set": "core",
    "threads": 1,
}
VALIDATE = {"validate_only": True}
BOTH = {"models": ["logistic", "lightgbm"]}
PLANS = {
    "retune": [{}, {"label_kind": "median"}],
    "reseed": [BOTH, BOTH | {"seed": 8}],
    "window shopper": [{"folds": 3, "test_sessions": 50} | VALIDATE, {"end": "2026-06-15"} | VALIDATE, {}],
    "validate-only peeker": [{"label_kind": "median"} | VALIDATE, {}],
    "null eraser": [{}, {"label_kind": "median"}],
    "horizon shopper": [{}, {"horizons": [2]}],
    "market renamer": [{}, {"market": "fresh", "label_kind": "median"}],
}
"""Kind → its runs."""
MAY_PROMOTE = {"retune", "reseed", "null eraser", "horizon shopper", "market renamer"}
"""Kinds whose first run goes on after the gates, as the policy plans it."""


def foundry_with(folder, **market):
    foundry = Foundry(folder)
    (folder / "names").mkdir(parents=True)
    (folder / "names" / "fresh.toml").write_text("")
    foundry.settings = foundry.settings.model_copy(update={"markets": str(folder / "names")})
    conf = CONF | write_market(folder / "market", simulated_market(sessions=420, tickers=20, **market))
    for name in ("us", "fresh"):
        foundry.agree(conf | {"market": name})
    return foundry, conf


def promoted(foundry):
    """The forecasts that were promoted."""
    ledger = Ledger(foundry.store)
    records = [record for model in ledger.models() for record in ledger.state(model).records]
    return {record.digests.forecast for record in records if record.event == "promoted"}


def tried(foundry, conf, kind):
    """The promoted forecasts after the first run, and after all."""
    after = []
    for number, keys in enumerate(PLANS[kind]):
        results = foundry.train(f"{number}", conf | keys, until="promote")
        if kind == "null eraser":
            erase_null(foundry, results)
        after.append(promoted(foundry))
    return after[0], after[-1]


LEARNED = ("prices", "features", "labels", "ensemble", "models")


def null(refits):
    """A null that no forecast exceeds."""
    return RefittedNull({"auc": (0.9,) * refits}, tuple(range(300, 300 + refits)), "2026-06-30")


def erase_null(foundry, results):
    """Store a null of enough refits, and then one of a single refit in its place."""
    recipe = recipe_of(results[stage].config for stage in LEARNED)
    for refits in (MIN_REFITS, 1):
        store_null(foundry.store, "us", 1, recipe, null(refits))


@pytest.mark.parametrize("kind", PLANS)
def test_with_an_edge_that_passes_every_gate_only_the_first_look_promotes(kind, tmp_path):
    foundry, conf = foundry_with(tmp_path, seed=11, signal=0.4)
    first, last = tried(foundry, conf, kind)
    assert (len(first), last) == (kind in MAY_PROMOTE, first)


def test_of_thirteen_adversaries_on_noise_none_promotes_after_its_first_look(tmp_path):
    wins = 0
    for number in range(13):
        kind = list(PLANS)[number % len(PLANS)]
        foundry, conf = foundry_with(tmp_path / f"{number}", seed=number, drift=0.0005)
        first, last = tried(foundry, conf, kind)
        assert last == first, kind
        wins += bool(last)
    assert wins <= 1


def test_a_look_at_all_but_the_newest_sessions_is_a_look_at_the_others(tmp_path):
    foundry, conf = foundry_with(tmp_path, seed=11, signal=0.4)
    foundry.train("peeked", conf | {"end": "2026-05-29", "label_kind": "median"} | VALIDATE, until="promote")
    foundry.train("chosen", conf, until="promote")
    assert promoted(foundry) == set()


def test_a_null_that_refused_a_look_cannot_be_replaced_to_promote_it(tmp_path):
    foundry, conf = foundry_with(tmp_path, seed=11, signal=0.4)
    recipe = recipe_of(
        result.config for stage, result in foundry.train("before", conf, until="ensemble").items() if stage in LEARNED
    )
    store_null(foundry.store, "us", 1, recipe, null(MIN_REFITS))
    results = foundry.train("refused", conf | VALIDATE, until="promote")
    assert results["gates"].metrics["1d"]["verdict"] == "refused"
    store_null(foundry.store, "us", 1, recipe, null(1))
    foundry.train("again", conf, until="promote")
    assert promoted(foundry) == set()


def test_another_calibration_of_the_champion_waits_for_a_person(tmp_path):
    foundry, conf = foundry_with(tmp_path, seed=11, signal=0.4)
    foundry.train("first", conf, until="promote")
    results = foundry.train("calibrated", conf | {"calibration": "platt"}, until="promote")
    assert results["promote"].metrics["1d"]["event"] == "challenger"
