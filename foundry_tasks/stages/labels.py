"""labels: forward returns and labels per horizon, and returns from three entry prices."""

import numpy as np

from foundry_tasks.contract.config import LABEL_ENTRIES, LabelsConfig
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import AnyArray
from foundry_tasks.data.profile import profile_labels
from foundry_tasks.data.tables import Matrices, read_prices, write_matrices
from foundry_tasks.features.labels import build_labels, forward_returns


def run(config: LabelsConfig, io: StageIO) -> None:
    """prices.parquet → labels.parquet.

    Matrices per horizon h: return_{h}d and the labels, up_{h}d, median_{h}d, sector_{h}d, size_{h}d, volatility_{h}d;
    return_{h}d_{entry} for each of LABEL_ENTRIES, for diagnostics; and member.
    """
    io.environment.expectations.warm_up()
    with io.step("read"):
        prices = read_prices(io.path("prices", "prices.parquet"))
    values: dict[str, AnyArray] = {"member": prices.member}
    with io.step("compute"):
        for horizon in config.horizons:
            labels = build_labels(prices, horizon, config.label_entry)
            values |= {
                f"return_{horizon}d": labels.forward_return,
                f"up_{horizon}d": labels.up.astype(np.float32),
                f"median_{horizon}d": labels.median.astype(np.float32),
                f"sector_{horizon}d": labels.sector.astype(np.float32),
                f"size_{horizon}d": labels.size,
                f"volatility_{horizon}d": labels.volatility,
            }
            for entry in LABEL_ENTRIES:
                values[f"return_{horizon}d_{entry}"] = forward_returns(prices, horizon, entry)
            io.outputs.metrics[f"up_share_{horizon}d"] = float(np.nanmean(labels.up))
    with io.step("profile"):
        price = prices.adjusted("open") if config.label_entry == "next_open" else prices.adjusted_close
        profile = profile_labels(
            prices,
            prices.adjusted_close if price is None else price,
            0 if config.label_entry == "close" else 1,
            {h: values[f"return_{h}d"] for h in config.horizons},
            {h: {"up": values[f"up_{h}d"]} for h in config.horizons},
        )
    import pandas as pd  # noqa: PLC0415 - great_expectations loads it on its thread anyway

    io.outputs.guard("labels", pd.DataFrame(profile), {})
    with io.step("write"):
        path = io.outputs.workspace / "labels.parquet"
        write_matrices(path, Matrices(prices.sessions, prices.tickers, values), repeated=("member",))
        io.publish_file("labels.parquet", path)
