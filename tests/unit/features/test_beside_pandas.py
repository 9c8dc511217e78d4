"""What `make bench` compares is the same: pandas, written by itself, on bars of its own."""

import sys
from pathlib import Path

from benchmarks.features import assert_equal


def test_features_of_every_kind_equal_those_that_pandas_makes_of_long_bars(make_market, tmp_path):
    assert_equal(make_market(missing=0), Path(sys.executable), "pandas", tmp_path)
