"""portfolio: out-of-fold forecasts → positions → earnings after costs, per horizon."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.config import BacktestConfig, PortfolioConfig
from foundry_tasks.contract.documents import Portfolio
from foundry_tasks.contract.documents.portfolio import TradedHorizon
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.data.tables import Matrices, read_matrices, read_prices, write_matrices, write_table
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.backtest import Backtest, run_backtest
from foundry_tasks.evaluation.costs import require_volume
from foundry_tasks.evaluation.earnings import (
    FoldAccuracy,
    daily_columns,
    earnings,
    fold_figures,
    ladder_figures,
)
from foundry_tasks.evaluation.edge_decay import edge_decay_ladder
from foundry_tasks.evaluation.positions import target_weights
from foundry_tasks.evaluation.standard_portfolio import DailyPnl
from foundry_tasks.evaluation.tranches import execution_at
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.inputs.trials_of_run import record_portfolio
from foundry_tasks.statistics.bootstrap import Resampling
from foundry_tasks.walk.evidence import FoldOutput


def run(config: PortfolioConfig, io: StageIO) -> None:
    """P(up) of the reported tests → portfolio.json; {h}d/signals.parquet, {h}d/daily.parquet and trades-{h}d.csv.

    The P&L goes to the trial ledger, so that every sizing and cost that is tried counts as a trial.
    """
    with io.step("read"):
        prices = read_prices(io.path("prices", "prices.parquet"))
        inputs = RunInputs(io.inputs)
    rules = _rules(config, prices, io)
    resampling = Resampling.of(config, config.seed)
    horizons: dict[int, TradedHorizon] = {}
    for horizon, reported in inputs.reported_folds.items():
        with io.step("read"):
            outputs = inputs.forecasts(horizon, reported)
        with io.step("backtest"):
            traded = Traded.of(outputs, prices, rules, horizon)
        with io.step("figures"):
            accuracies = _accuracies(io, outputs, horizon)
            found = _figures(traded, accuracies, rules.holding_sessions or horizon, resampling)
        with io.step("write"):
            _publish(io, traded, horizon)
            record_portfolio(io, inputs, rules, horizon, traded.daily)
        horizons[horizon] = found
        io.outputs.metrics[f"{horizon}d"] = {"net_bp": found.net_bp.value, "sharpe": found.sharpe.value}
    io.publish(Portfolio(rules=rules, confidence=config.confidence, horizons=horizons))


def _rules(config: PortfolioConfig, prices: PricePanel, io: StageIO) -> BacktestConfig:
    """The rules with their entry resolved. Raises ConfigError for an open or a volume that the prices lack."""
    entry = config.entry or ("next_open" if "open" in prices.fields else "next_close")
    if config.entry is None and entry == "next_close":
        io.warn("the prices hold no open: decisions at the close of t are traded at the close of t+1")
    chosen = {name: getattr(config, name) for name in BacktestConfig.model_fields}
    rules = BacktestConfig(**chosen | {"entry": entry})
    execution_at(rules.entry, prices)
    require_volume(prices, rules)
    return rules


@dataclass(frozen=True)
class Traded:
    """One horizon's forecasts and their backtest.

    prices: up to the session in which the last forecast is traded, if there is one. p_up, weights: (n_forecasts,
    n_tickers), of the tested sessions, the first of which is first_session.
    """

    prices: PricePanel
    p_up: FloatArray
    weights: FloatArray
    first_session: int
    backtest: Backtest

    @classmethod
    def of(cls, outputs: Sequence[FoldOutput], prices: PricePanel, rules: BacktestConfig, horizon: int) -> "Traded":
        """Trade the folds' forecasts on their consecutive test windows."""
        first, stop = outputs[0].fold.test.start, outputs[-1].fold.test.stop
        prices = prices.up_to(stop + 1)
        p_up = np.concatenate([output.p_up[output.rows(output.fold.test)] for output in outputs])
        weights = target_weights(p_up, prices.member[first:stop], rules)
        return cls(
            prices,
            p_up,
            weights,
            first,
            run_backtest(prices, _on_all_sessions(weights, first, prices), rules, horizon=horizon),
        )

    @property
    def targets(self) -> FloatArray:
        """(n_sessions, n_tickers): the weights, 0 in sessions without forecasts."""
        return _on_all_sessions(self.weights, self.first_session, self.prices)

    @property
    def window(self) -> slice:
        """The sessions that earn: from the one after the first forecast on."""
        return slice(self.first_session + 1, None)

    @property
    def daily(self) -> DailyPnl:
        """Daily P&L after costs."""
        return DailyPnl(self.prices.sessions[self.window], self.backtest.net[self.window])


def _on_all_sessions(weights: FloatArray, first: int, prices: PricePanel) -> FloatArray:
    targets = np.zeros(prices.member.shape)
    targets[first : first + len(weights)] = weights
    return targets


def _figures(
    traded: Traded, accuracies: Sequence[FoldAccuracy], holding_sessions: int, resampling: Resampling
) -> TradedHorizon:
    found = earnings(traded.backtest, traded.window, holding_sessions=holding_sessions, resampling=resampling)
    ladder = ladder_figures(edge_decay_ladder(traded.prices, traded.targets), resampling=resampling)
    folds = fold_figures(accuracies, traded.backtest.net, traded.first_session)
    return TradedHorizon(**dict(found), ladder=ladder, folds=folds)


def _accuracies(io: StageIO, outputs: Sequence[FoldOutput], horizon: int) -> list[FoldAccuracy]:
    """Accuracy per session of each fold, in validation and in test."""
    up, median = f"up_{horizon}d", f"median_{horizon}d"
    labels = read_matrices(io.path("labels", "labels.parquet"), (up, median))
    found = []
    for output in outputs:
        fold = output.fold
        series = {
            f"{name}_{kind}": figure(output.p_up[output.rows(window)], labels[label][window.slice].astype(np.float64))
            for name, window in fold.windows()
            if name != "fit"
            for kind, label, figure in (
                ("relative", median, metrics.session_hit_rate),
                ("up", up, metrics.session_accuracy),
            )
        }
        found.append(FoldAccuracy(fold.number, fold.test.stop, **series))
    return found


def _publish(io: StageIO, traded: Traded, horizon: int) -> None:
    """Publish signals and daily figures as Parquet, and every trade as CSV."""
    first, stop = traded.first_session, traded.first_session + len(traded.p_up)
    signals = io.outputs.workspace / f"signals-{horizon}d.parquet"
    values = {"p_up": traded.p_up, "weight": traded.weights}
    write_matrices(signals, Matrices(traded.prices.sessions[first:stop], traded.prices.tickers, values))
    io.publish_file(f"{horizon}d/signals.parquet", signals)
    daily = io.outputs.workspace / f"daily-{horizon}d.parquet"
    write_table(daily, daily_columns(traded.backtest, traded.window))
    io.publish_file(f"{horizon}d/daily.parquet", daily)
    trades = traded.backtest.trades().to_csv(index=False, float_format="%.10g", lineterminator="\n")
    io.publish_file(f"trades-{horizon}d.csv", trades.encode())
