"""The labels stage publishes exactly the labels that a study computes in memory from the same prices."""

import numpy as np
import pytest

from foundry_tasks.data.tables import read_prices
from foundry_tasks.features.labels import build_labels
from foundry_tasks.inputs.label_file import TargetFile, read_labels
from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(4)


@pytest.mark.parametrize("entry", ["close", "next_open"])
def test_published_labels_are_those_of_memory_bit_for_bit(tmp_path, entry):
    foundry = Foundry(tmp_path)
    conf = TINY | write_market(tmp_path / "market", simulated_market(sessions=320, tickers=12))
    conf |= {"horizons": [1, 5], "label_entry": entry}
    prices, labels = (foundry.stage(stage, "run", conf) for stage in ("prices", "labels"))
    panel = read_prices(foundry.store.object_path(prices.outputs["prices.parquet"].sha256))
    path = foundry.store.object_path(labels.outputs["labels.parquet"].sha256)
    for horizon in conf["horizons"]:
        made = vars(build_labels(panel, horizon, entry))
        assert np.isfinite(made["volatility"]).any()
        for name, published in vars(read_labels(path, horizon)).items():
            np.testing.assert_array_equal(published, made[name], err_msg=name)
        np.testing.assert_array_equal(TargetFile(path).wide(horizon, "size"), made["size"])
