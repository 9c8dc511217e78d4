"""Diagnostics: further figures of the evidence that the gates judge. They refuse no model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents.base import Interval
from foundry_tasks.contract.documents.gates import (
    DeflatedSharpe,
    Diagnostics,
    Efficiencies,
    Efficiency,
    EntryFigures,
    ExpectedFigure,
    FiellerBounds,
    FoldFigures,
    Information,
    TrialFigures,
)
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.overfitting import Deflation
from foundry_tasks.evaluation.selection_bias import SelectionBias
from foundry_tasks.evaluation.wfe import fieller_set, fold_consistency, overfitting_ratio, wfe_interval
from foundry_tasks.features.labels import Labels
from foundry_tasks.gates.expected_figures import expected_against_observed
from foundry_tasks.gates.verdict import interval_of
from foundry_tasks.statistics import block_means
from foundry_tasks.statistics.bootstrap import Resampling
from foundry_tasks.statistics.calibration_error import calibration_error_interval
from foundry_tasks.walk.evidence import Evidence, FoldOutput

Figure = Callable[[FloatArray, FloatArray, slice], FloatArray]
"""P(up), base rate, their sessions → figure by session, (n_sessions,)."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A figure by session in every fold's validation and test window. neutral: its value without skill."""

    validation: Sequence[FloatArray]
    test: Sequence[FloatArray]
    neutral: float


@dataclass(frozen=True, slots=True)
class Edges:
    """The edges whose walk-forward efficiency is computed.

    relative: accuracy of the direction relative to the session's median; the gate uses it. over_base_rate: accuracy −
    accuracy of the base rate, to which drift adds nothing. rank_ic: rank IC.
    """

    relative: Edge
    over_base_rate: Edge
    rank_ic: Edge


def gate_diagnostics(
    evidence: Evidence,
    edges: Edges,
    entry_returns: Mapping[str, FloatArray],
    policy: GatePolicy,
    *,
    seed: int,
) -> Diagnostics:
    """All diagnostics of one horizon.

    edges: from `edges_of`. entry_returns: entry → forward returns from that price, of the evidence's shape, all NaN if the
    prices lack it; it contains `close`. seed: of the bootstrap.
    """

    def figures(series: FloatArray) -> Interval:
        return _bounds(interval_of(series, evidence, policy))

    efficiency = partial(_efficiency, horizon=evidence.horizon, policy=policy, seed=seed)
    p_up, up = evidence.p_up, evidence.up
    rank_ic = metrics.session_rank_ic(p_up, entry_returns["close"])
    auc_median = metrics.session_auc(p_up, evidence.above_median)
    information = metrics.information_coefficient(rank_ic, horizon=evidence.horizon)
    return Diagnostics(
        auc_median=figures(auc_median),
        rank_ic=figures(rank_ic),
        information=Information(mean=information.mean, icir=information.icir, t=information.t, lag=information.lag),
        hit_rate_up=figures(metrics.session_accuracy(p_up, up)),
        brier=figures(metrics.session_brier(p_up, up)),
        brier_base_rate=figures(metrics.session_brier(evidence.base_rate, up)),
        brier_skill=metrics.brier_skill(p_up, evidence.base_rate, up),
        log_loss=figures(metrics.session_log_loss(p_up, up)),
        calibration_error=_bounds(
            calibration_error_interval(p_up, up, horizon=evidence.horizon, resampling=Resampling.of(policy, seed))
        ),
        base_rate=float(np.nanmean(up)),
        entries={
            entry: EntryFigures(
                auc_up=figures(metrics.session_auc(p_up, np.where(np.isfinite(values), values > 0, np.nan))),
                rank_ic=figures(metrics.session_rank_ic(p_up, values)),
            )
            for entry, values in entry_returns.items()
            if np.isfinite(values).any()
        },
        folds=_by_fold(evidence, auc_median, rank_ic),
        efficiency=Efficiencies(
            relative=efficiency(edges.relative),
            over_base_rate=efficiency(edges.over_base_rate),
            rank_ic=efficiency(edges.rank_ic),
        ),
        overfitting_ratio=overfitting_ratio(
            [metrics.known_mean(series) for series in evidence.validation_relative],
            [metrics.known_mean(series) for series in evidence.test_relative],
        ),
        expected=_expected(evidence, policy),
        sessions=len(p_up),
    )


def _bounds(found: block_means.Interval) -> Interval:
    return Interval(value=found.value, lower=found.lower, upper=found.upper)


def edges_of(outputs: Sequence[FoldOutput], labels: Labels, evidence: Evidence) -> Edges:
    """The edges of the evidence. outputs, labels: those of the evidence; outputs from `among_members`."""

    def by_fold(figure: Figure, window: str) -> list[FloatArray]:
        windows = [dict(output.fold.windows())[window] for output in outputs]
        return [
            figure(output.p_up[output.rows(window)], output.base_rate[output.rows(window)], window.slice)
            for output, window in zip(outputs, windows, strict=True)
        ]

    def over_base_rate(p_up: FloatArray, base_rate: FloatArray, sessions: slice) -> FloatArray:
        known = np.where(np.isfinite(p_up), base_rate, np.nan)
        return metrics.session_accuracy(p_up, labels.up[sessions]) - metrics.session_accuracy(
            known, labels.up[sessions]
        )

    def rank_ic(p_up: FloatArray, _: FloatArray, sessions: slice) -> FloatArray:
        return metrics.session_rank_ic(p_up, labels.forward_return[sessions])

    return Edges(
        relative=Edge(evidence.validation_relative, evidence.test_relative, neutral=0.5),
        over_base_rate=Edge(by_fold(over_base_rate, "validation"), by_fold(over_base_rate, "test"), neutral=0.0),
        rank_ic=Edge(by_fold(rank_ic, "validation"), by_fold(rank_ic, "test"), neutral=0.0),
    )


def trial_figures(bias: SelectionBias) -> TrialFigures:
    """Selection bias as a document: the deflated Sharpe ratio and the probability of overfitting."""
    return TrialFigures(
        sharpe=bias.sharpe,
        raw=_deflated(bias.raw),
        clustered=_deflated(bias.clustered),
        aligned=bias.aligned,
        unaligned=bias.unaligned,
        shared_sessions=bias.shared_sessions,
        overfitting=bias.overfitting,
        undefined=bias.undefined,
        deflated=bias.deflated,
    )


def _deflated(found: Deflation) -> DeflatedSharpe:
    return DeflatedSharpe(
        n_trials=found.n_trials,
        variance=found.variance,
        expected_maximum=found.expected_maximum,
        deflated=found.deflated,
    )


def _efficiency(edge: Edge, horizon: int, policy: GatePolicy, seed: int) -> Efficiency:
    """WFE with the bootstrap interval and Fieller's confidence set, which may be unbounded or have a gap."""
    bootstrap = wfe_interval(
        edge.validation, edge.test, horizon=horizon, resampling=Resampling.of(policy, seed), neutral=edge.neutral
    )
    fieller = fieller_set(
        edge.validation, edge.test, horizon=horizon, confidence=policy.confidence, neutral=edge.neutral
    )
    return Efficiency(
        value=bootstrap.value,
        lower=bootstrap.lower,
        upper=bootstrap.upper,
        fieller=FiellerBounds(kind=fieller.kind, lower=fieller.lower, upper=fieller.upper),
        consistency=fold_consistency(edge.test, neutral=edge.neutral),
    )


def _expected(evidence: Evidence, policy: GatePolicy) -> tuple[ExpectedFigure, ...]:
    return expected_against_observed(
        evidence.p_up, evidence.forward_return, validation_relative=evidence.validation_relative,
        test_relative=evidence.test_relative, horizon=evidence.horizon, confidence=policy.confidence,
    )  # fmt: skip


def _by_fold(evidence: Evidence, auc_median: FloatArray, rank_ic: FloatArray) -> tuple[FoldFigures, ...]:
    stops = np.cumsum([len(tested) for tested in evidence.test_up])
    series = (metrics.session_auc(evidence.p_up, evidence.up), auc_median, rank_ic)
    by_fold = zip(*(np.split(values, stops[:-1]) for values in series), strict=True)
    return tuple(
        FoldFigures(
            auc_up=metrics.known_mean(up), auc_median=metrics.known_mean(median), rank_ic=metrics.known_mean(ranked)
        )
        for up, median, ranked in by_fold
    )
