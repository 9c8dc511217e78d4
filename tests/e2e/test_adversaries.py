"""Adversaries through the whole pipeline: nothing but a market's first look promotes without a person."""

import pytest

from foundry_tasks.gates.null_distribution import MIN_REFITS, RefittedNull
from foundry_tasks.inputs.null_store import recipe_of, store_null
from foundry_tasks.ledger.chain import Ledger
from tests.e2e.foundry_here import Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(150)

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
    "retune": [{}, {"label_kind": "median"}, {"label_kind": "sector"}],
    "reseed": [BOTH | {"seed": seed} for seed in (7, 8, 9)],
    "window shopper": [{"folds": 3, "test_sessions": 50} | VALIDATE, {"end": "2026-06-15"} | VALIDATE, {}],
    "validate-only peeker": [{"label_kind": "median"} | VALIDATE, {"label_kind": "sector"} | VALIDATE, {}],
    "null eraser": [{}, {"label_kind": "median"}],
    "horizon shopper": [{}, {"horizons": [2]}, {"horizons": [3]}],
    "market renamer": [{}, {"market": "fresh", "label_kind": "median"}, {"market": "newer"}],
}
"""Kind → its runs."""
MAY_PROMOTE = {"retune", "reseed", "null eraser", "horizon shopper", "market renamer"}
"""Kinds whose first run goes on after the gates, as the policy plans it."""


def foundry_with(folder, **market):
    folder.mkdir(exist_ok=True)
    foundry = Foundry(folder)
    (folder / "names.toml").write_text("")
    foundry.settings = foundry.settings.model_copy(update={"markets": str(folder / "names.toml")})
    prices = simulated_market(sessions=420, tickers=20, **market)
    conf = CONF | write_market(folder / "market", prices)
    foundry.agree(conf)
    return foundry, conf, prices


def events(foundry):
    """(market, event) of every verdict of a run, oldest first."""
    ledger = Ledger(foundry.store)
    records = [record for model in ledger.models() for record in ledger.state(model).records]
    return [(record.model, record.event) for record in records if record.event != "registered"]


def tried(foundry, conf, kind):
    for number, keys in enumerate(PLANS[kind]):
        results = foundry.train(f"{number}", conf | keys, until="promote")
        if kind == "null eraser":
            erase_null(foundry, results)
    return [event for _, event in events(foundry)]


def erase_null(foundry, results):
    """Store a null of enough refits, and then one of a single refit in its place."""
    recipe = recipe_of(results[stage].config for stage in ("prices", "features", "labels", "ensemble", "models"))
    for refits in (MIN_REFITS, 1):
        null = RefittedNull({"auc": (0.6,) * refits}, tuple(range(300, 300 + refits)), "2026-06-30")
        store_null(foundry.store, "us", 1, recipe, null)


@pytest.mark.parametrize("kind", PLANS)
def test_with_an_edge_that_passes_every_gate_only_the_first_look_promotes(kind, tmp_path):
    foundry, conf, _ = foundry_with(tmp_path, seed=11, signal=0.4)
    if kind == "market renamer":
        for name in ("fresh", "newer"):
            foundry.agree(conf | {"market": name})
    happened = tried(foundry, conf, kind)
    assert happened.count("promoted") == (kind in MAY_PROMOTE), happened
    assert "challenger" in happened


def test_twenty_adversaries_on_noise_promote_at_most_once(tmp_path):
    won = {}
    for number in range(20):
        kind = list(PLANS)[number % len(PLANS)]
        foundry, conf, _ = foundry_with(tmp_path / f"{number}", seed=number, drift=0.0005)
        won[number] = kind if "promoted" in tried(foundry, conf, kind) else ""
    assert sum(map(bool, won.values())) <= 1, won
