"""A champion as an Airflow asset, one a registered model: DAGs can be scheduled on it, or on all of them by the alias."""

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
    """Emit an event for every champion that a stage has moved, and none otherwise; result: the task's XCom."""
    for moved in _moved(result["metrics"]):
        extra = {key: moved[key] for key in ("model", "version", "event", "record")}
        context["outlet_events"][CHAMPIONS].add(champion(moved["model"]), extra=extra | {"result": result["result"]})


def _moved(metrics: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in metrics.values():
        if item["event"] in _MOVES and item["champion_after"] == item["version"]:
            yield item
