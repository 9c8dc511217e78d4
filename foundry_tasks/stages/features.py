"""features: wide matrices of what is known at the close of each session, the last ones where no model is fitted on them."""

import numpy as np

from foundry_tasks.contract.config import FeaturesConfig
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.data.profile import profile_features
from foundry_tasks.data.tables import read_prices, write_features
from foundry_tasks.features import build_features
from foundry_tasks.features.labels import above, forward_returns


def run(config: FeaturesConfig, io: StageIO) -> None:
    """prices.parquet → features.parquet, features.json; the suite sees one row a feature, its likeness to labels included."""
    with io.step("read"):
        prices = read_prices(io.path("prices", "prices.parquet"))
    with io.step("compute"):
        built = build_features(prices, config.feature_set, threads=config.threads)
        panel = built.panel.last(io.recent_sessions or len(prices.sessions))
    io.expectations.warm_up()  # beside writing, which lets it; beside computing it takes more than it gives
    with io.step("write"):
        path = io.workspace / "features.parquet"
        write_features(path, panel)
    with io.step("profile"):
        answers: dict[str, FloatArray] = {}
        for horizon in config.horizons:
            returns = forward_returns(prices, horizon, "close").astype(np.float32)
            answers |= {f"return_{horizon}d": returns, f"up_{horizon}d": above(returns, 0.0).astype(np.float32)}
        covered = slice(len(prices.sessions) - len(panel.sessions), None)
        answers = {name: values[covered] for name, values in answers.items()}
        profile = profile_features(panel, prices.member[covered], answers)
    import pandas as pd  # noqa: PLC0415 - great_expectations, which loads beside, brings it

    io.guard("features", pd.DataFrame(profile), {})
    with io.step("publish"):
        io.publish("features.parquet", path)
    left_out = dict(built.left_out)
    about = {
        "feature_set": config.feature_set,
        "names": panel.names,
        "left_out": left_out,
        "sessions": len(panel.sessions),
        "first_session": str(panel.sessions[0]),
    }
    io.publish_json("features.json", about)
    io.metrics |= {"features": len(panel.names), "left_out": len(left_out)}
    if left_out:
        io.warn(f"{len(left_out)} features left out: {_by_reason(left_out)}")


def _by_reason(left_out: dict[str, str]) -> str:
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
