"""From a PricePanel to a FeaturePanel: which features the prices allow, computed, masked and packed."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foundry_tasks.data.panel import FeaturePanel, PricePanel
from foundry_tasks.features.definition import Feature, FeatureSet, Need
from foundry_tasks.features.history import History
from foundry_tasks.features.registry import features_in


@dataclass(frozen=True)
class BuiltFeatures:
    """The features, and by name those that the prices do not allow, each with the reason."""

    panel: FeaturePanel
    left_out: Mapping[str, str]


def build_features(prices: PricePanel, feature_set: FeatureSet, *, threads: int = 1) -> BuiltFeatures:
    """Compute a named set of features.

    The value at session t uses sessions ≤ t only: spoiling later rows leaves it bit-identical, and so does cutting
    them. NaN where a window is not full enough, where the ticker has no bar, and outside membership; what is infinite
    is NaN too. Raises no error for a column that the source lacks: its features are left out by name. However many
    threads compute, the bits are the same.
    """
    wanted = features_in(feature_set)
    reasons = {feature.name: _reason(feature, prices) for feature in wanted}
    panel = compute_features(prices, [feature for feature in wanted if not reasons[feature.name]], threads=threads)
    return BuiltFeatures(panel, {name: reason for name, reason in reasons.items() if reason})


def compute_features(prices: PricePanel, features: Sequence[Feature], *, threads: int = 1) -> FeaturePanel:
    """These features, all of which the prices allow; values as `build_features` has them."""
    history = History(prices)
    hidden = np.flatnonzero(~history.live)
    values = np.empty((len(features), *history.live.shape), dtype=np.float32)

    def fill(feature: Feature, out: npt.NDArray[np.float32]) -> None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            out[...] = feature.compute(history)
        out.reshape(-1)[hidden] = np.nan
        infinite = np.isinf(out)
        if infinite.any():
            out[infinite] = np.nan

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, features, values))
    return FeaturePanel(prices.sessions, prices.tickers, tuple(feature.name for feature in features), values)


def _reason(feature: Feature, prices: PricePanel) -> str:
    missing = [_MISSING[need] for need in feature.needs if not _has(prices, need)]
    return "; ".join(missing)


def _has(prices: PricePanel, need: Need) -> bool:
    match need:
        case "cross_section":
            return len(prices.tickers) > 1
        case "sectors":
            return any(prices.sectors)
        case "benchmark":
            return prices.benchmark is not None
        case "vix":
            return prices.vix is not None
        case _:
            return need in prices.fields


_MISSING: Mapping[Need, str] = {
    "open": "the source has no open",
    "high": "the source has no high",
    "low": "the source has no low",
    "volume": "the source has no volume",
    "vix": "no VIX given",
    "sectors": "no sectors given",
    "benchmark": "no benchmark given",
    "cross_section": "one ticker has no cross-section",
}
