"""prices.json and price heads of earlier versions can be read."""

import json
from datetime import date

from foundry_tasks.contract.artifacts import canonical_json
from foundry_tasks.contract.documents import Prices
from foundry_tasks.contract.documents.prices import ExcludedBars, LargeMove, PriceHead

HEAD = {"last": "2021-06-30", "snapshot": "a" * 64, "source": "yfinance"}
PRICES = {
    "as_of": "2021-06-30", "benchmark": "none", "calendar": "XNYS", "columns": {"absent": ["volume"], "present": ["close"]},
    "coverage": 0.99, "first_session": "2020-01-02", "last_session": "2021-06-30",
    "large_moves": [{"date": "2020-03-02", "move": -0.5, "overrule": 'keep = ["AAA 2020-03-02"]', "ratio": "2:1",
                     "rule": "a jump", "ticker": "AAA", "until": "2020-03-13", "verdict": "an action"}],
    "restated": ["BBB"], "sectors": 0, "sessions": 376,
    "set_aside": [{"bars": 2, "first": "2020-02-03", "last": "2020-02-04", "reason": "volume of zero", "ticker": "BBB"}],
    "snapshot": "a" * 64, "source": "bars.parquet", "tickers": 2, "universe": "not point in time", "vix": None,
}  # fmt: skip


def test_prices_are_read_as_earlier_versions_wrote_them_and_written_alike():
    read = Prices.model_validate_json(json.dumps(PRICES))
    assert read.excluded == (
        ExcludedBars(reason="volume of zero", ticker="BBB", bars=2, first=date(2020, 2, 3), last=date(2020, 2, 4)),
    )
    assert canonical_json(read.model_dump(mode="json", exclude_unset=True)) == canonical_json(PRICES)


def test_prices_of_versions_that_judged_no_moves_or_did_not_say_how_long_one_lasted_are_read():
    assert (
        Prices.model_validate({name: value for name, value in PRICES.items() if name != "large_moves"}).large_moves
        == ()
    )
    (move,) = PRICES["large_moves"]
    assert LargeMove.model_validate({name: value for name, value in move.items() if name != "until"}).until is None


def test_a_head_is_read_as_earlier_versions_wrote_it_and_written_alike():
    head = PriceHead.model_validate_json(json.dumps(HEAD))
    assert head == PriceHead(snapshot="a" * 64, source="yfinance", last=date(2021, 6, 30))
    assert canonical_json(head.model_dump(mode="json")) == canonical_json(HEAD)


def test_a_head_of_a_snapshot_without_bars_has_no_last_date_however_it_was_written():
    for last in ("NaT", None):
        assert PriceHead.model_validate_json(json.dumps(HEAD | {"last": last})).last is None
