"""Where sectors have dates, a session compares tickers by the sectors of that day."""

from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.data.sectors import DatedSectors
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import build_labels

CHANGES = 300
SAME_DAY = ("sector_ret_1d", "sector_ret_20d", "ret_5d_vs_sector", "mom_12_1_vs_sector", "vol_20d_vs_sector",
            "overnight_vs_sector", "intraday_vs_sector")  # fmt: skip


def shuffled(names):
    """The sectors after a reclassification; the first ticker is in none."""
    return ("", *np.random.default_rng(3).permutation(names)[1:].tolist())


def dated(market, before, after):
    names = tuple(sorted({*before, *after}))
    rows = [[names.index(name) for name in sectors] for sectors in (before, after)]
    code = np.repeat(np.array(rows, np.int16), (CHANGES, len(market.sessions) - CHANGES), axis=0)
    return replace(market, sectors=after, dated_sectors=DatedSectors(names, code))


@pytest.fixture(scope="module")
def markets(market):
    """With dated sectors, with those of the beginning throughout, and with those of the end throughout."""
    after = shuffled(market.sectors)
    return dated(market, market.sectors, after), market, replace(market, sectors=after)


def test_features_of_a_session_use_the_sectors_of_that_session(markets):
    changing, before, after = (build_features(one, "extended").panel for one in markets)
    assert changing.names == before.names
    for name in SAME_DAY:
        np.testing.assert_allclose(changing[name][:CHANGES], before[name][:CHANGES], rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(changing[name][CHANGES:], after[name][CHANGES:], rtol=1e-5, atol=1e-8)
        assert not np.allclose(changing[name][CHANGES:], before[name][CHANGES:], equal_nan=True)


def test_features_without_sectors_do_not_move(markets):
    changing, before, _ = (build_features(one, "extended").panel for one in markets)
    moved = {name for name in before.names if not np.array_equal(changing[name], before[name], equal_nan=True)}
    assert moved
    assert all("sector" in name for name in moved)


def test_labels_of_a_session_use_the_sectors_of_that_session(markets):
    changing, before, after = (build_labels(one, 5).sector for one in markets)
    np.testing.assert_array_equal(changing[:CHANGES], before[:CHANGES])
    np.testing.assert_array_equal(changing[CHANGES:], after[CHANGES:])
    assert not np.array_equal(changing, before, equal_nan=True)
