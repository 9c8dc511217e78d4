"""What a report is made of: the run's artifacts, read by the stage and handed over whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from foundry_tasks.contract.documents import (
    Comparison,
    Features,
    Gates,
    Importance,
    Leakage,
    Monitor,
    Portfolio,
    Predictions,
    Prices,
    Promotions,
    Refits,
    Simulation,
    TrialFigures,
)
from foundry_tasks.contract.results import RunLogLine, StageResult
from foundry_tasks.data.panel import AnyArray, DateArray, FloatArray


@dataclass(frozen=True)
class Forecasts:
    """P(up) of one horizon on the reported test windows, and what came true.

    sessions: (n_sessions,). p_up, base_rate, up: (n_sessions, n_tickers), NaN where there is none. returns: entry →
    forward returns of the same shape. fold_stops: the row after each fold's last, in the order of time.
    """

    sessions: DateArray
    p_up: FloatArray
    base_rate: FloatArray
    up: FloatArray
    returns: Mapping[str, FloatArray]
    fold_stops: Sequence[int]


@dataclass(frozen=True)
class Documents:
    """The documents that the stages of the run have published; None where one has not."""

    prices: Prices | None = None
    features: Features | None = None
    importance: Importance | None = None
    comparison: Comparison | None = None
    leakage: Leakage | None = None
    gates: Gates | None = None
    portfolio: Portfolio | None = None
    simulation: Simulation | None = None
    refit: Refits | None = None
    promotion: Promotions | None = None
    predictions: Predictions | None = None
    monitor: Monitor | None = None


@dataclass(frozen=True)
class ReportInputs:
    """A run as the report sees it. What a stage did not publish is simply not there."""

    dag: str
    run_id: str
    market: str
    as_of: date
    made_at: str
    top: int
    """Tickers in the lists of top and bottom predictions."""
    upstream: tuple[str, ...]
    """The stages that this DAG runs before the report."""
    results: Sequence[StageResult] = ()
    """In the order of the pipeline, mapped stages by shard."""
    documents: Documents = field(default_factory=Documents)
    trials: Mapping[int, TrialFigures] = field(default_factory=dict)
    """Horizon → what the gates stage said of the trials; empty without that stage."""
    forecasts: Mapping[int, Forecasts] = field(default_factory=dict)
    daily: Mapping[int, Mapping[str, AnyArray]] = field(default_factory=dict)
    """Horizon → columns of the portfolio's daily.parquet."""
    predictions: Mapping[str, AnyArray] | None = None
    """Columns of predictions.parquet."""
    run_log: Sequence[RunLogLine] = ()
    """One line a stage, the newest last; it knows why a stage published nothing."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """Pages of this run beside the report: name relative to the report → where it lies."""
    locations: Mapping[str, str] = field(default_factory=dict)
    """Where the report's own pages will lie: name → path or URI."""
    trades: Mapping[str, str] = field(default_factory=dict)
    """Where every trade can be read, as csv: name relative to the report → path or URI."""
