"""Live performance: AUC, Brier score and hit rate of past predictions whose labels have become known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import MonitorConfig
from foundry_tasks.contract.documents import Interval
from foundry_tasks.contract.documents.monitor import LiveFigures
from foundry_tasks.contract.documents.predict import IndexedPrediction
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.data.sessions import next_openings
from foundry_tasks.evaluation import metrics
from foundry_tasks.features.labels import build_labels
from foundry_tasks.statistics.block_means import BlockRule, mean_interval


@dataclass(frozen=True)
class LivePrediction:
    """A version's prediction after one session. entry: its entry in the prediction index. p_up: ticker → P(up)."""

    entry: IndexedPrediction
    p_up: Mapping[str, float]


def live_figures(
    history: Iterable[LivePrediction], prices: PricePanel, horizon: int, calendar: str, config: MonitorConfig
) -> LiveFigures:
    """AUC, Brier score and hit rate of the predictions whose labels are known, one prediction per session.

    history: predictions in order of time. horizon: of the labels, in sessions. calendar: name of the exchange calendar.
    config: its live_sessions is the largest number of sessions; it also sets the intervals. A prediction of a session that
    its version was fitted on is left out and counted as fitted_on. A prediction made after the next session had opened
    is counted as late.
    """
    place = {str(day): row for row, day in enumerate(prices.sessions.astype("datetime64[D]"))}
    known = [prediction for prediction in history if prediction.entry.as_of in place]
    unseen = [prediction for prediction in known if prediction.entry.fitted_until <= prediction.entry.as_of]
    labels = {entry: build_labels(prices, horizon, entry).up for entry in {s.entry.label_entry for s in unseen}}
    scored: list[tuple[LivePrediction, FloatArray, FloatArray]] = []
    for prediction in unseen:
        up = labels[prediction.entry.label_entry][place[prediction.entry.as_of]]
        p_up = np.array([prediction.p_up.get(ticker, np.nan) for ticker in prices.tickers])
        if np.isfinite(up).any():
            scored.append((prediction, p_up, up))
    waiting = len(unseen) - len(scored)
    scored = scored[-config.live_sessions :]
    shape = (len(scored), len(prices.tickers))
    p_up = np.array([one[1] for one in scored]).reshape(shape)
    up = np.where(np.isfinite(p_up), np.array([one[2] for one in scored]).reshape(shape), np.nan)
    base = np.where(np.isfinite(up), np.array([one[0].entry.base_rate for one in scored]).reshape(-1, 1), np.nan)

    def around(series: FloatArray) -> Interval:
        found = mean_interval(series, horizon=horizon, rule=BlockRule(config.confidence, config.min_blocks))
        return Interval(value=found.value, lower=found.lower, upper=found.upper)

    entries = [one[0].entry for one in scored]
    return LiveFigures(
        sessions=len(scored),
        rows=int(np.isfinite(up).sum()),
        first=entries[0].as_of if entries else None,
        last=entries[-1].as_of if entries else None,
        versions=_counted(entries),
        late=_late(entries, calendar),
        waiting=waiting,
        fitted_on=len(known) - len(unseen),
        auc=around(metrics.session_auc(p_up, up)),
        hit_rate=around(metrics.session_accuracy(p_up, up)),
        base_rate=float(np.nanmean(up)) if np.isfinite(up).any() else None,
        brier=around(metrics.session_brier(p_up, up)),
        brier_base_rate=around(metrics.session_brier(base, up)),
    )


def _counted(entries: list[IndexedPrediction]) -> dict[str, int]:
    """Number of sessions of each version: "champion 3" → 41."""
    names = [f"{entry.kind} {entry.version}" for entry in entries]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def _late(entries: list[IndexedPrediction], calendar: str) -> int:
    """Number of predictions made after the session that follows their as-of had opened."""
    if not entries:
        return 0
    days = np.array([entry.as_of for entry in entries], dtype="datetime64[D]")
    made = np.array([entry.made_at.split("+")[0] for entry in entries], dtype="datetime64[s]")
    return int((made >= next_openings(calendar, days)).sum())
