"""Inputs of a report: the run's artifacts, which the report stage has read."""

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
from foundry_tasks.contract.documents.report import Oversight
from foundry_tasks.contract.results import RunLogLine, StageResult
from foundry_tasks.data.panel import AnyArray, DateArray, FloatArray


@dataclass(frozen=True)
class Forecasts:
    """P(up) of one horizon on the reported test windows, with the outcomes.

    sessions: (n_sessions,). p_up, base_rate, up: (n_sessions, n_tickers), NaN where there is none. returns: entry →
    forward returns of the same shape, decimal. fold_stops: index of the row after each fold's last, in order of time.
    """

    sessions: DateArray
    p_up: FloatArray
    base_rate: FloatArray
    up: FloatArray
    returns: Mapping[str, FloatArray]
    fold_stops: Sequence[int]


@dataclass(frozen=True)
class Documents:
    """Documents published by the stages of the run; None if a stage has published none."""

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
    """Inputs of the report of a run. Data that no stage published are None or empty."""

    dag: str
    run_id: str
    market: str
    as_of: date
    made_at: str
    top: int
    """Number of tickers in the lists of top and bottom predictions."""
    upstream: tuple[str, ...]
    """The stages that this DAG runs before the report."""
    results: Sequence[StageResult] = ()
    """In the order of the pipeline, mapped stages by shard."""
    documents: Documents = field(default_factory=Documents)
    trials: Mapping[int, TrialFigures] = field(default_factory=dict)
    """Horizon → trial figures of the gates stage; empty without that stage."""
    oversight: Oversight | None = None
    """Policy, look and state of the ledger; None for a run without a market."""
    forecasts: Mapping[int, Forecasts] = field(default_factory=dict)
    daily: Mapping[int, Mapping[str, AnyArray]] = field(default_factory=dict)
    """Horizon → columns of the portfolio's daily.parquet."""
    predictions: Mapping[str, AnyArray] | None = None
    """Columns of predictions.parquet."""
    run_log: Sequence[RunLogLine] = ()
    """One line per stage, the newest last; it contains the reason why a stage published nothing."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """Other pages of this run: name relative to the report → path or URI."""
    locations: Mapping[str, str] = field(default_factory=dict)
    """The report's own pages: name → path or URI to which they will be written."""
    trades: Mapping[str, str] = field(default_factory=dict)
    """CSV files of all trades: name relative to the report → path or URI."""
