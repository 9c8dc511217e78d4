from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.data.tables import FeatureFile, write_features
from foundry_tasks.models.design import Designs, build_design, input_names


def test_the_markets_features_and_ready_made_ranks_are_no_inputs(features):
    assert input_names(features) == ("ret_1d", "ret_5d", "vol_20d", "zscore_20d")


def test_a_single_ticker_learns_from_the_markets_features_too_and_is_not_ranked(make_features):
    features = make_features(n_tickers=1)
    design = build_design(features, "rank")
    assert "market_ret_5d" in design.names
    assert np.array_equal(design.values[:, 0], features["ret_1d"][:, 0])


def test_rows_come_by_session_then_ticker(features):
    design = build_design(features, "raw")
    n_tickers = len(features.tickers)
    assert np.array_equal(design.values[n_tickers + 3], features.values[:4, 1, 3])
    assert design.rows(2, 5) == slice(2 * n_tickers, 5 * n_tickers)


def test_taking_a_folds_rows_copies_nothing(features):
    design = build_design(features, "raw")
    assert np.shares_memory(design.values[design.rows(3, 50)], design.values)


@pytest.mark.parametrize("transform", ["raw", "rank", "sequence"])
def test_rows_made_from_a_file_block_by_block_are_those_made_in_memory(make_features, transform, tmp_path):
    features = make_features(n_sessions=150)
    features.values[:, ::7, 3] = np.nan
    write_features(tmp_path / "features.parquet", [features])
    ours, theirs = (build_design(one, transform) for one in (FeatureFile(tmp_path / "features.parquet"), features))
    for name in ("session", "ticker", "volatility"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    wide = transform == "sequence"
    rows = [design.values.panel if wide else design.values for design in (ours, theirs)]
    np.testing.assert_array_equal(*rows)


def test_ranks_are_evenly_spread_around_zero_and_keep_what_is_missing(features):
    values = features.values.copy()
    values[0, 7, 0] = np.nan
    design = build_design(replace(features, values=values), "rank")
    ranks = design.values[design.rows(7, 8), 0]
    assert np.isnan(ranks[0])
    assert np.sort(ranks[1:]) == pytest.approx((np.arange(39) + 0.5) / 39 - 0.5, abs=1e-6)


def test_a_sessions_ranks_depend_on_that_session_alone(features):
    whole = build_design(features, "rank")
    one = build_design(replace(features, sessions=features.sessions[9:10], values=features.values[:, 9:10]), "rank")
    assert np.array_equal(whole.values[whole.rows(9, 10)], one.values)


def test_a_ticker_session_with_too_few_inputs_has_no_row_and_no_rank(features):
    values = features.values.copy()
    values[:3, 7, 0] = np.nan
    design = build_design(replace(features, values=values), "rank")
    rows = design.rows(7, 8)
    assert 0 not in design.ticker[rows]
    assert np.sort(design.values[rows, 3]) == pytest.approx((np.arange(39) + 0.5) / 39 - 0.5, abs=1e-6)


def test_wide_to_rows_and_back_loses_nothing(features, labels):
    design = build_design(features, "raw")
    rows = design.rows(10, 20)
    wide = design.to_wide(design.from_wide(labels, rows), rows)
    assert np.array_equal(wide[10:20], labels[10:20])
    assert np.isnan(wide[:10]).all()
    assert np.isnan(wide[20:]).all()


def test_designs_are_made_once(features):
    designs = Designs(features)
    assert designs["rank"] is designs["rank"]
