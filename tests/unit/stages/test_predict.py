"""The table of predictions: positions come from promoted horizons only."""

from datetime import date

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.config import PredictConfig
from foundry_tasks.contract.documents.predict import VersionInUse
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.stages import predict

HORIZONS = (1, 5, 20)
TICKERS = tuple(f"T{number:02}" for number in range(30))
TODAY = FeaturePanel(np.array(["2024-01-31"], "datetime64[D]"), TICKERS, ("a",), np.zeros((1, 1, 30), np.float32))


def version(kind, base_rate=0.52):
    return VersionInUse(
        model="m", version=1, kind=kind, trained_in="d/r", sha256="0", fitted_until=str(date(2024, 1, 1)),
        label_entry="close", base_rate=base_rate, features=("a",),
    )  # fmt: skip


def positions(p_up, kinds):
    """Ticker → position."""
    table = predict._table(p_up, {h: version(kinds[h]) for h in HORIZONS}, TODAY, PredictConfig())
    assert table["position"].dtype == np.float64
    per_horizon = np.split(table["position"], len(HORIZONS))
    assert all(np.array_equal(part, per_horizon[0], equal_nan=True) for part in per_horizon)
    return dict(zip(table["ticker"].tolist(), table["position"].tolist(), strict=True))


def forecasts(seed):
    rng = np.random.default_rng(seed)
    return {horizon: rng.uniform(0.3, 0.7, len(TICKERS)) for horizon in HORIZONS}


@given(st.integers(0, 2**16), st.sets(st.sampled_from(HORIZONS), min_size=1), st.integers(0, 2**16))
def test_a_refused_horizon_has_no_influence_on_positions(seed, promoted, other):
    kinds = {h: "champion" if h in promoted else "shadow" for h in HORIZONS}
    p_up, others = forecasts(seed), forecasts(other)
    changed = {h: p_up[h] if h in promoted else others[h] for h in HORIZONS}
    found = positions(p_up, kinds)
    assert positions(changed, kinds) == found
    for horizon in set(HORIZONS) - promoted:
        changed[horizon] = np.where(np.arange(len(TICKERS)) < 7, np.nan, changed[horizon])
    left = positions(changed, kinds)
    assert left == {ticker: found[ticker] for ticker in left}


@given(st.integers(0, 2**16))
def test_without_a_champion_the_column_is_kept_and_empty(seed):
    assert np.isnan(list(positions(forecasts(seed), dict.fromkeys(HORIZONS, "shadow")).values())).all()
