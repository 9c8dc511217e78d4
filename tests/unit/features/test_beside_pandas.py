"""The peers of `make bench` compute the same values: pandas code on its own bars."""

import sys
from pathlib import Path

from benchmarks.features import assert_equal


def test_features_of_every_kind_equal_those_that_pandas_makes_of_long_bars(make_market, tmp_path):
    assert_equal(make_market(missing=0), Path(sys.executable), "pandas", tmp_path)
