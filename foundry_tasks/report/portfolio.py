"""What a backtest found, as the report tells it: its figures, the curves that are drawn, and the sentence on top."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation.performance import drawdown, equity
from foundry_tasks.report import wording
from foundry_tasks.report.figures import numbers
from foundry_tasks.report.material import Material, by_horizon


def portfolio_section(material: Material) -> dict[str, Any] | None:
    """`portfolio` of the document; None where the run has no portfolio stage, or that published nothing."""
    portfolio = material.documents.portfolio
    if portfolio is None:
        return None
    horizons = {}
    for horizon, item in by_horizon(portfolio).items():
        stops = list(accumulate(fold["sessions"] for fold in item["folds"]))
        horizons[horizon] = {
            **item,
            "said": earned(horizon, item),
            "curves": {**_curves(material.daily[int(horizon)]), "fold_stops": stops},
            "trades_page": f"trades-{horizon}d.csv",
        }
    return {
        "rules": portfolio["rules"],
        "confidence": portfolio["confidence"],
        "replay": replay(material.documents.simulate),
        "horizons": horizons,
    }


def earned(horizon: str, item: Mapping[str, Any]) -> str:
    """What one horizon earned, however sobering: "1 day: −1.3 bp a day after costs [−3.0, 0.4]; break-even cost 1.1 bp."."""
    net = item["net_bp"]
    if net["value"] is None or item["break_even_bp"] is None:
        return f"{wording.horizon_name(horizon)}: nothing was traded."
    bounds = wording.interval(net["lower"], net["upper"], wording.bp) or "(too few sessions for an interval)"
    broken_even = f"break-even cost {wording.bp(item['break_even_bp'])} bp"
    left = broken_even if item["break_even_bp"] > 0 else "it loses before any cost"
    return f"{wording.horizon_name(horizon)}: {wording.bp(net['value'])} bp a day after costs {bounds}; {left}."


def _curves(daily: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Per cent by session: compounded gains, drawdown below zero, and what was held as a share of the capital."""
    per_cent = {
        "net": 100 * (equity(daily["net"]) - 1),
        "gross": 100 * (equity(daily["gross"]) - 1),
        "benchmark": 100 * (equity(daily["benchmark"]) - 1),
        "buy_and_hold": 100 * (equity(daily["buy_and_hold"]) - 1),
        "drawdown": -100 * drawdown(daily["net"]),
        "gross_exposure": 100 * daily["gross_exposure"],
        "net_exposure": 100 * daily["net_exposure"],
    }
    sessions = [str(day) for day in daily["date"].astype("datetime64[D]")]
    return {"sessions": sessions, **{name: numbers(values, 3) for name, values in per_cent.items()}}


def replay(simulation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Whether the forward simulation came to the same figures and forecasts, and a sentence that says it."""
    if simulation is None:
        return None
    items, most = by_horizon(simulation), simulation["tolerance"]
    again = {horizon: item["retrained"] for horizon, item in items.items() if "retrained" in item}
    apart = [
        f"{wording.horizon_name(horizon)} ({item['figure']} at {item['session']})"
        for horizon, item in items.items()
        if not item["agrees"]
    ] + [
        f"{wording.horizon_name(horizon)} (forecasts fitted anew)"
        for horizon, item in again.items()
        if item["as_the_folds"] and item["forecasts_apart"] > most
    ]
    if apart:
        where = wording.listed(apart)
        text = f"The forward simulation came to other figures at {where}: one of the two sees what it cannot. Believe neither."
        return {"agrees": False, "text": text}
    largest = max(item["value"] for item in items.values())
    text = f"A forward simulation, session by session, came to the same figures within {largest:.1g}."
    return {"agrees": True, "text": " ".join([text, *map(_retrained, again, again.values())])}


def _retrained(horizon: str, item: Mapping[str, Any]) -> str:
    how = f"{wording.horizon_name(horizon)}, fitted anew every {item['every_sessions']} sessions from what there was"
    if item["as_the_folds"]:
        return f"{how}: the folds' forecasts within {item['forecasts_apart']:.1g}."
    return f"{how}: {wording.bp(item['net_bp'])} bp a day after costs."
