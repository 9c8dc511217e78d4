from dataclasses import replace

import numpy as np
import pytest

from foundry_tasks.features import FEATURES, build_features, feature_table_markdown

ALL = {feature.name for feature in FEATURES}


def needing(*needs):
    return {feature.name for feature in FEATURES if set(needs) & set(feature.needs)}


def test_there_are_at_least_sixty_features_each_with_a_name_and_a_line_of_its_own():
    assert len(ALL) == len(FEATURES) >= 60
    assert all(feature.doc.endswith(".") and "\n" not in feature.doc for feature in FEATURES)


def test_the_docs_table_has_a_row_for_every_feature():
    table = feature_table_markdown()
    assert all(f"| `{name}` |" in table for name in ALL)


@pytest.mark.parametrize("column", ["open", "high", "low", "volume"])
def test_a_column_that_the_source_lacks_leaves_out_what_needs_it_by_name(market, column):
    fields = {name: values for name, values in market.fields.items() if name != column}
    built = build_features(replace(market, fields=fields), "extended")
    assert set(built.left_out) == needing(column)
    assert set(built.panel.names) == ALL - needing(column)
    assert set(built.left_out.values()) == {f"no {column}"}


def test_closes_alone_are_enough(market):
    bare = replace(market, fields={"close": market.fields["close"]}, benchmark=None, vix=None, sectors=("",) * 12)
    built = build_features(bare, "extended")
    assert set(built.left_out) == needing("open", "high", "low", "volume", "benchmark", "vix", "sectors")


def test_one_ticker_has_its_time_series_features_and_no_others(make_market):
    built = build_features(make_market(n_tickers=1), "extended")
    assert set(built.left_out) == needing("cross_section")
    assert np.isfinite(built.panel.values[:, -1]).all()


def test_a_history_shorter_than_a_window_gives_nan_and_no_error(make_market):
    built = build_features(make_market(n_sessions=30, missing=0), "extended")
    assert np.isnan(built.panel["mom_12_1"]).all()
    assert np.isfinite(built.panel["ret_5d"][5:]).all()


def test_a_price_that_never_moves_gives_no_infinite_feature(make_market):
    market = make_market(missing=0)
    flat = market.mapped(lambda _, values: np.full_like(values, 10.0) if values.ndim == 2 else values)
    values = build_features(flat, "extended").panel.values
    assert not np.isinf(values).any()
