"""features: wide matrices of data known at the close of each session; the last sessions only in a DAG that fits no model."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from foundry_tasks.contract.config import FeaturesConfig
from foundry_tasks.contract.documents import Features
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.contract.stages import recent_sessions
from foundry_tasks.data.panel import FeaturePanel, FloatArray
from foundry_tasks.data.profile import profile_features
from foundry_tasks.data.tables import FeatureFile, read_prices, write_features
from foundry_tasks.data.temporary_matrices import TemporaryMatrices
from foundry_tasks.features.build import feature_blocks, features_for
from foundry_tasks.features.labels import above, forward_returns


def run(config: FeaturesConfig, io: StageIO) -> None:
    """prices.parquet → features.parquet, features.json.

    The suite checks one row per feature, with its correlation to labels.
    """
    with io.step("read"):
        prices = read_prices(io.path("prices", "prices.parquet"))
    recent = recent_sessions(io.identity.dag)
    since = max(0, len(prices.sessions) - recent) if recent else 0
    wanted, left_out = features_for(prices, config.feature_set)
    path = io.outputs.workspace / "features.parquet"

    def blocks() -> Iterator[FeaturePanel]:
        for block in feature_blocks(prices, wanted, TemporaryMatrices, since=since, threads=config.threads):
            io.environment.expectations.warm_up()  # overlaps with writing; during computation it costs more than it saves
            yield block

    with io.step("compute"):
        write_features(path, blocks())
    with io.step("profile"):
        features = FeatureFile(path)
        answers: dict[str, FloatArray] = {}
        for horizon in config.horizons:
            returns = forward_returns(prices, horizon, "close").astype(np.float32)
            answers |= {f"return_{horizon}d": returns, f"up_{horizon}d": above(returns, 0.0).astype(np.float32)}
        answers = {name: values[since:] for name, values in answers.items()}
        profile = profile_features(features, prices.member[since:], answers)
    import pandas as pd  # noqa: PLC0415 - great_expectations loads it on its thread anyway

    io.outputs.guard("features", pd.DataFrame(profile), {})
    with io.step("publish"):
        io.publish_file("features.parquet", path)
    about = Features(
        feature_set=config.feature_set,
        names=features.names,
        left_out=left_out,
        sessions=len(features.sessions),
        first_session=features.sessions[0].item(),
    )
    io.publish(about)
    io.outputs.metrics |= {"features": len(wanted), "left_out": len(left_out)}
    if left_out:
        io.warn(f"{len(left_out)} of {len(wanted) + len(left_out)} features left out: {_by_reason(left_out)}")


def _by_reason(left_out: dict[str, str]) -> str:
    """Counts by reason, such as `9 (no volume), 5 (no high, no low)`; features.json has the names."""
    return ", ".join(f"{count} ({reason})" for reason, count in Counter(left_out.values()).most_common())
