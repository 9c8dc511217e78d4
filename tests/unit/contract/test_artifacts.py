"""Keys of artifacts: addresses from a run's identity, digests from content."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract import artifacts


def test_a_runs_folder_is_readable_and_safe_in_every_store():
    key = artifacts.run_key("manual__2026-07-01T08:15:00+00:00")
    assert key.startswith("manual-2026-07-01t08-15-00-00-00-")


@given(run_id=st.text(min_size=1, max_size=300))
def test_a_run_key_is_short_and_holds_no_sign_that_a_path_or_a_label_refuses(run_id):
    key = artifacts.run_key(run_id)
    assert len(key) <= 49
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert "--" not in key.removeprefix("-")


def test_runs_that_look_alike_have_folders_of_their_own():
    alike = ["run 1", "run+1", "RUN-1", "run:1", "run-1"]
    assert len({artifacts.run_key(run_id) for run_id in alike}) == len(alike)


def test_a_result_lies_under_its_run_stage_and_shard():
    whole = artifacts.result_key("foundry_train", "r", "models", None)
    piece = artifacts.result_key("foundry_train", "r", "models", "h=5,fold=fold3")
    assert whole == f"runs/foundry_train/{artifacts.run_key('r')}/models/-/result.json"
    assert piece == f"runs/foundry_train/{artifacts.run_key('r')}/models/h=5,fold=fold3/result.json"


def test_equal_values_have_equal_digests_whatever_their_order():
    one = {"b": [1, 2], "a": date(2026, 6, 30)}
    other = {"a": "2026-06-30", "b": [1, 2]}
    assert artifacts.digest_of(one) == artifacts.digest_of(other)
    assert artifacts.digest_of(one) != artifacts.digest_of({**other, "b": [2, 1]})


def test_a_document_with_nan_is_refused_rather_than_written_as_no_json():
    with pytest.raises(ValueError, match="JSON"):
        artifacts.canonical_json({"auc": float("nan")})


def test_ledger_records_sort_by_their_number():
    keys = [artifacts.ledger_key("foundry-us-1d", sequence) for sequence in (2, 10, 100)]
    assert keys == sorted(keys)
