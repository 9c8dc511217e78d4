"""A panel in which one input ranks tickers weakly and the others are noise."""

from collections.abc import Callable

import numpy as np
import pytest

from foundry_tasks.data.panel import FeaturePanel, FloatArray

NAMES = ("ret_1d", "ret_5d", "vol_20d", "zscore_20d", "market_ret_5d", "rank_ret_1d")


def _panel(n_sessions: int = 60, n_tickers: int = 40, seed: int = 0) -> FeaturePanel:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(NAMES), n_sessions, n_tickers)).astype(np.float32)
    values[NAMES.index("market_ret_5d")] = values[NAMES.index("market_ret_5d")][:, :1]
    sessions = np.busday_offset(np.datetime64("2020-01-01"), np.arange(n_sessions))
    return FeaturePanel(sessions, tuple(f"T{i:02}" for i in range(n_tickers)), NAMES, values)


@pytest.fixture
def make_features() -> Callable[..., FeaturePanel]:
    """make_features(n_sessions=…, n_tickers=…, seed=…) → FeaturePanel."""
    return _panel


@pytest.fixture
def features() -> FeaturePanel:
    """A panel with default sizes."""
    return _panel()


@pytest.fixture
def labels(features: FeaturePanel) -> FloatArray:
    """Reversal: a ticker that rose is likelier to have label 0. Shape (n_sessions, n_tickers), 0/1."""
    noise = np.random.default_rng(1).normal(size=features.values.shape[1:])
    return (noise - 1.0 * features["ret_1d"] > 0).astype(float)
