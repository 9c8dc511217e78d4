"""Figures of a backtest of forecasts, with their intervals.

Every mean over sessions has an interval by blocks of sessions; the holding period sets their length. All figures cover
the sessions in which the forecasts were traded. Basis points are of the capital.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import fsum

import numpy as np

from foundry_tasks.contract import documents
from foundry_tasks.contract.documents.portfolio import (
    BreakEven,
    CostsInBp,
    Earnings,
    Exposure,
    FoldEarnings,
    Ladder,
    LadderMean,
    MarketFigures,
    MonthlyReturns,
)
from foundry_tasks.data.panel import AnyArray, DateArray, FloatArray
from foundry_tasks.evaluation.backtest import Backtest
from foundry_tasks.evaluation.costs import BP
from foundry_tasks.evaluation.edge_decay import EdgeDecay, LadderCell
from foundry_tasks.evaluation.metrics import known_mean
from foundry_tasks.evaluation.overfitting import SharpeSample, probabilistic_sharpe_ratio
from foundry_tasks.evaluation.performance import (
    SESSIONS_PER_YEAR,
    annualised_return,
    annualised_volatility,
    headline_figures,
    max_drawdown,
    monthly_table,
    sharpe_ratio,
)
from foundry_tasks.evaluation.wfe import walk_forward_efficiency
from foundry_tasks.statistics.block_means import BlockRule, Interval, block_length, mean_interval
from foundry_tasks.statistics.bootstrap import Resampling, resampled_means

UNDEFINED = float("nan")
COSTS = ("commission", "spread", "impact", "borrow")


@dataclass(frozen=True)
class FoldAccuracy:
    """Accuracy by session in one fold, (n_sessions,) each, NaN where a session has none.

    number: of the fold. stop: index of the session after its test window. relative: accuracy of the direction against the
    session's median. up: accuracy of P(up) > 0.5 against up/down.
    """

    number: int
    stop: int
    validation_relative: FloatArray
    test_relative: FloatArray
    validation_up: FloatArray
    test_up: FloatArray


def sharpe_interval(pnl: FloatArray, *, horizon: int, resampling: Resampling) -> Interval:
    """Annualised Sharpe ratio of a daily P&L with its two-sided percentile interval.

    pnl: (n_sessions,), decimal. horizon: holding period in sessions; it sets the block length. Mean and mean square come
    from the same resampled blocks; bounds are NaN below resampling.min_blocks blocks. A resample of constant P&L, as of
    blocks without a position, counts as 0.
    """
    value, blocks = sharpe_ratio(pnl), len(pnl) // block_length(horizon)
    if blocks < resampling.min_blocks or not np.isfinite(value):
        return Interval(value, UNDEFINED, UNDEFINED, blocks)
    moments = resampled_means(
        np.column_stack([pnl, pnl**2]),
        block=block_length(horizon),
        resamples=resampling.resamples,
        rng=np.random.default_rng(resampling.seed),
    )
    mean, power = moments.T
    variance = power - mean**2
    moves = variance > 1e-12 * power
    ratios = np.where(moves, mean / np.sqrt(np.where(moves, variance, 1.0)), 0.0) * np.sqrt(SESSIONS_PER_YEAR)
    lower, upper = np.quantile(ratios, resampling.levels)
    return Interval(value, float(lower), float(upper), blocks)


def earnings(backtest: Backtest, window: slice, *, holding_sessions: int, resampling: Resampling) -> Earnings:
    """Figures of the sessions in `window`. holding_sessions: sets the block length of the intervals."""
    net, gross, turnover = backtest.net[window], backtest.gross[window], backtest.holdings.turnover[window]
    benchmark, everything = backtest.benchmark[window], backtest.buy_and_hold[window]
    in_bp = partial(_in_bp, holding_sessions=holding_sessions, rule=resampling)
    return Earnings(
        holding_sessions=holding_sessions,
        sessions=len(net),
        first=str(backtest.sessions[window][0]) if len(net) else None,
        last=str(backtest.sessions[window][-1]) if len(net) else None,
        net_bp=in_bp(net),
        gross_bp=in_bp(gross),
        sharpe=_bounds(sharpe_interval(net, horizon=holding_sessions, resampling=resampling)),
        sharpe_above_zero=probabilistic_sharpe_ratio(SharpeSample.of(net)),
        costs_bp=_costs(backtest, window),
        break_even_bp=float(gross.sum() / turnover.sum() / BP) if turnover.sum() else UNDEFINED,
        figures=headline_figures(net, turnover=turnover, benchmark=benchmark),
        benchmark=_market_figures(benchmark),
        buy_and_hold=_market_figures(everything),
        exposure=Exposure(gross=_mean(backtest.gross_exposure[window]), net=_mean(backtest.net_exposure[window])),
        halted=int(backtest.holdings.halted[window].sum()),
        delisted=int(backtest.holdings.delisted[window].sum()),
        trades=int(np.count_nonzero(backtest.holdings.traded[window])),
        monthly=_monthly(backtest.sessions[window], net),
    )


def ladder_figures(ladder: EdgeDecay, *, resampling: Resampling) -> Ladder:
    """The ladder's cells with their intervals, break-even costs, entries that could not be traded, number of sessions."""
    return Ladder(
        cells=tuple(_ladder_mean(cell, resampling) for cell in ladder.cells),
        break_even_bp=tuple(
            BreakEven(entry=entry, holding_sessions=holding, cost_bp=cost_bp)
            for (entry, holding), cost_bp in ladder.break_even_bp.items()
        ),
        absent=ladder.absent,
        sessions=ladder.window.stop - ladder.window.start,
    )


def fold_figures(folds: Sequence[FoldAccuracy], net: FloatArray, first: int) -> tuple[FoldEarnings, ...]:
    """Accuracy in validation and test, WFE and net P&L of each fold.

    net: (n_sessions,), P&L of all sessions of the prices. first: index of the first tested session. Decisions of t trade at
    t + 1, so a fold's P&L runs from the session after its first tested one to the session after its last.
    """
    found = []
    for fold in folds:
        earned = net[first + 1 : fold.stop + 1]
        relative, up = (
            [known_mean(series) for series in windows]
            for windows in ((fold.validation_relative, fold.test_relative), (fold.validation_up, fold.test_up))
        )
        found.append(
            FoldEarnings(
                fold=fold.number,
                sessions=len(earned),
                validation_relative=relative[0],
                test_relative=relative[1],
                wfe_relative=walk_forward_efficiency(relative[:1], relative[1:]),
                wfe_up=walk_forward_efficiency(up[:1], up[1:]),
                net_bp=_mean(earned) / BP,
                sharpe=sharpe_ratio(earned),
            )
        )
        first = fold.stop
    return tuple(found)


def _costs(backtest: Backtest, window: slice) -> CostsInBp:
    costs = backtest.costs
    commission, spread, impact, borrow = (
        _mean(series[window]) / BP for series in (costs.commission, costs.spread, costs.impact, costs.borrow)
    )
    total = fsum((commission, spread, impact, borrow))
    return CostsInBp(commission=commission, spread=spread, impact=impact, borrow=borrow, total=total)


def _market_figures(returns: FloatArray) -> MarketFigures:
    """Figures of holding the market, without costs."""
    return MarketFigures(
        annualised_return=annualised_return(returns),
        annualised_volatility=annualised_volatility(returns),
        sharpe=sharpe_ratio(returns),
        max_drawdown=max_drawdown(returns),
    )


def _monthly(sessions: DateArray, net: FloatArray) -> MonthlyReturns:
    table = monthly_table(sessions, net)
    return MonthlyReturns(
        years=table.years, months=tuple(map(tuple, table.months.tolist())), totals=tuple(table.totals.tolist())
    )


def _ladder_mean(cell: LadderCell, rule: BlockRule) -> LadderMean:
    mean = _in_bp(cell.net, holding_sessions=cell.holding_sessions, rule=rule)
    return LadderMean(
        entry=cell.entry,
        holding_sessions=cell.holding_sessions,
        cost_bp=cell.cost_bp,
        value=mean.value,
        lower=mean.lower,
        upper=mean.upper,
    )


def _in_bp(series: FloatArray, *, holding_sessions: int, rule: BlockRule) -> documents.Interval:
    return _bounds(mean_interval(series / BP, horizon=holding_sessions, rule=rule))


def _bounds(interval: Interval) -> documents.Interval:
    return documents.Interval(value=interval.value, lower=interval.lower, upper=interval.upper)


def _mean(series: FloatArray) -> float:
    return float(np.mean(series)) if len(series) else UNDEFINED


def daily_columns(backtest: Backtest, window: slice) -> Mapping[str, AnyArray]:
    """Column → daily figures of the window, (n_sessions,) each."""
    return {
        "date": backtest.sessions[window].astype("datetime64[D]"),
        "net": backtest.net[window],
        "gross": backtest.gross[window],
        **{kind: getattr(backtest.costs, kind)[window] for kind in COSTS},
        "turnover": backtest.holdings.turnover[window],
        "gross_exposure": backtest.gross_exposure[window],
        "net_exposure": backtest.net_exposure[window],
        "halted": backtest.holdings.halted[window],
        "delisted": backtest.holdings.delisted[window],
        "benchmark": backtest.benchmark[window],
        "buy_and_hold": backtest.buy_and_hold[window],
    }
