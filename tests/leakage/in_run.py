"""A run of the stages from prices to leakage, through the real stages, store and expectations, on a small market."""

import json
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from foundry_tasks.adapters.expectations_gx import GreatExpectations
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.documents import Leakage
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.ports import Registry
from foundry_tasks.data.panel import PricePanel
from foundry_tasks.runtime import runner
from foundry_tasks.runtime.progress import PlainProgress
from tests.leakage.markets import simulated_market

EXPECTATIONS = Path(__file__).parents[2] / "expectations"
AS_OF, NOW = date(2026, 6, 30), datetime(2026, 7, 1, 12, tzinfo=UTC)
AUDITED = ("prices", "features", "labels", "models", "ensemble", "leakage")
CONF = {
    "horizons": [1],
    "models": ["logistic"],
    "seeds": 1,
    "folds": 2,
    "test_sessions": 30,
    "validation_sessions": 20,
    "warmup_blocks": 1,
    "audit_dates": 1,
    "threads": 1,
}
JOINS, LEAVES, DIES, FALLS = 0, 1, 2, 3
"""Columns: a ticker that joins late, one that leaves and is traded on, one whose bars end, and one that falls by 25 %."""
JOINS_AT, LEAVES_AT, DIES_AT, FALLS_AT = 280, 150, 300, (120, 200, 270)


def eventful_market() -> PricePanel:
    """Twelve tickers over 360 sessions; each pays a dividend of 1 % every 60 sessions."""
    whole = simulated_market(sessions=360, tickers=12, seed=1)
    fields = {name: values.copy() for name, values in whole.fields.items()}
    for at in FALLS_AT:
        for name in ("open", "high", "low", "close"):
            fields[name][at:, FALLS] *= 0.75
        fields["open"][at, FALLS] = fields["high"][at, FALLS] = fields["close"][at - 1, FALLS]
    ago = (len(whole.sessions) - 1 - np.arange(len(whole.sessions)))[:, None]
    fields["adj_close"] = fields["close"] * 0.99 ** ((ago + np.arange(12)) // 60)
    for values in fields.values():
        values[DIES_AT:, DIES] = np.nan
    member = whole.member.copy()
    member[:JOINS_AT, JOINS] = member[LEAVES_AT:, LEAVES] = False
    return PricePanel(whole.sessions, whole.tickers, fields, member, whole.sectors, whole.benchmark)


def write_eventful_market(folder: Path, market: PricePanel) -> dict[str, Any]:
    """Write prices, universe, sectors and benchmark to files. Returns the conf that reads them."""
    n_sessions, n_tickers = market.member.shape
    rows = {"date": np.repeat(market.sessions, n_tickers), "ticker": np.tile(np.array(market.tickers), n_sessions)}
    rows |= {name: values.ravel() for name, values in market.fields.items()}
    bars = pd.DataFrame(rows).dropna()
    bars.astype({"date": "datetime64[s]"}).to_parquet(folder / "prices.parquet")
    pd.DataFrame({"date": market.sessions, "close": market.benchmark}).to_csv(folder / "benchmark.csv", index=False)
    pd.DataFrame({"ticker": market.tickers, "sector": market.sectors}).to_csv(folder / "sectors.csv", index=False)
    begin = [str(market.sessions[int(np.argmax(member))]) for member in market.member.T]
    end = [str(market.sessions[LEAVES_AT - 1]) if at == LEAVES else "" for at in range(n_tickers)]
    universe = pd.DataFrame({"ticker": market.tickers, "start_date": begin, "end_date": end})
    universe.to_csv(folder / "universe.csv", index=False)
    names = {"prices": "parquet", "benchmark": "csv", "sectors": "csv", "universe": "csv"}
    return {"source": "parquet"} | {key: str(folder / f"{key}.{suffix}") for key, suffix in names.items()}


def audited_run(folder: Path, **conf: Any) -> Leakage:
    """Run the stages on the eventful market. Returns the findings of the run's own audit."""
    market = folder / "market"
    market.mkdir()
    keys: dict[str, Any] = CONF | write_eventful_market(market, eventful_market()) | conf
    settings = Settings(store=str(folder / "store"))
    store = LocalStore(folder / "store")
    for stage in AUDITED:
        context = runner.RunContext(
            settings=settings,
            store=store,
            expectations=GreatExpectations(EXPECTATIONS),
            registry=cast(Registry, None),
            progress=PlainProgress(),
            now=lambda: NOW,
            started=time.perf_counter(),
        )
        result = runner.execute(Identity("foundry_train", "run", stage, None, AS_OF), keys, context)
    document = store.object_path(result.outputs["leakage.json"].sha256).read_bytes()
    return Leakage.model_validate(json.loads(document))
