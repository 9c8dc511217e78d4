"""Champions as Airflow assets, one per registered model. A DAG can be scheduled on one asset, or on all by the alias."""

from collections.abc import Iterator, Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias, Context

CHAMPIONS = AssetAlias("foundry_champions")
_MOVES = {"promoted", "rolled_back"}


def champion(model: str) -> Asset:
    """The asset of a registered model: `foundry-us-5d` is foundry://models/us/5d."""
    market, _, horizon = model.removeprefix("foundry-").rpartition("-")
    return Asset(model, uri=f"foundry://models/{market}/{horizon}")


def announce(context: Context, result: Mapping[str, Any]) -> None:
    """Emit one asset event per champion that the stage moved. result: the task's XCom."""
    for moved in _moved(result["metrics"]):
        extra = {key: moved[key] for key in ("model", "version", "event", "record")}
        context["outlet_events"][CHAMPIONS].add(champion(moved["model"]), extra=extra | {"result": result["result"]})


def _moved(metrics: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in metrics.values():
        if item["event"] in _MOVES and item["champion_after"] == item["version"]:
            yield item
