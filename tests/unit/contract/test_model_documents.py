"""Documents and store layout of an earlier version, written out literally, can be read."""

import json

from foundry_tasks.contract.artifacts import canonical_json
from foundry_tasks.contract.documents import Comparison, Importance, Interval, Nulls, Versions
from foundry_tasks.contract.documents.models import ModelImportance
from foundry_tasks.contract.documents.predict import IndexedPrediction


def read(kind, old):
    return kind.model_validate_json(json.dumps(old))


IMPORTANCE = {
    "5": {"lightgbm": {"gain": {"ret_1d": 0.7}, "permutation": {"ret_1d": 0.004}}},
    "20": {"lightgbm": {"gain": {}, "permutation": {}}},
}


def test_importance_without_a_key_for_its_horizons_is_read():
    found = read(Importance, IMPORTANCE)
    assert found.horizons[5]["lightgbm"] == ModelImportance(gain={"ret_1d": 0.7}, permutation={"ret_1d": 0.004})
    assert list(found.horizons) == [5, 20]


def test_importance_of_several_shards_is_one_document():
    none_yet = read(Importance, {"5": {}})
    logistic = read(Importance, {"5": {"logistic": {"permutation": {"ret_1d": 0.001}}}})
    found = none_yet.merged(read(Importance, IMPORTANCE)).merged(logistic)
    assert {horizon: list(models) for horizon, models in found.horizons.items()} == {
        5: ["lightgbm", "logistic"],
        20: ["lightgbm"],
    }
    assert found.horizons[5]["logistic"].gain == {}


def test_a_comparison_without_a_key_for_its_horizons_is_read():
    figures = {"auc_up": 0.51, "auc_median": 0.52, "rank_ic": None, "pooled_auc_up": 0.505}
    adds = {"value": 0.001, "lower": None, "upper": None}
    found = read(Comparison, {"5": {"logistic": figures | {"adds": adds}, "stack": figures | {"why": "it wins"}}})
    logistic, stack = found.horizons[5]["logistic"], found.horizons[5]["stack"]
    assert (logistic.auc_median, logistic.rank_ic, logistic.adds) == (0.52, None, Interval(value=0.001))
    assert (stack.why, stack.adds) == ("it wins", None)


FITTED = {
    "model": "foundry-us-5d", "version": 3, "kind": "shadow", "trained_in": "foundry_train/monday", "sha256": "a" * 64,
    "fitted_until": "2026-06-01", "label_entry": "next_open", "base_rate": 0.52,
}  # fmt: skip


def test_versions_without_a_key_for_their_horizons_are_read():
    version = read(Versions, {"5": FITTED | {"features": ["ret_1d", "rsi_14"]}}).horizons[5]
    assert (version.version, version.kind, version.features) == (3, "shadow", ("ret_1d", "rsi_14"))


def test_a_prediction_in_the_index_is_read_and_written_as_before():
    made = {"as_of": "2026-06-02", "predictions": "b" * 64, "made_at": "2026-06-03T06:00:00+00:00"}
    old = FITTED | made | {"horizon": 5, "dag": "foundry_daily", "run_id": "tuesday"}
    assert canonical_json(read(IndexedPrediction, old).model_dump(mode="json")) == canonical_json(old)


def test_nulls_without_a_key_for_their_horizons_are_read():
    null = {"recipe": {"seed": 7}, "until": "2018-02-07", "shifts": [250, 300], "figures": {"wfe": [None, 0.2]}}
    found = read(Nulls, {"5": null}).horizons[5]
    assert (found.recipe, found.until, found.shifts) == ({"seed": 7}, "2018-02-07", (250, 300))
    assert found.figures["wfe"] == (None, 0.2)
