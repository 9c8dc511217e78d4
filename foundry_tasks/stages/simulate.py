"""simulate: trades the portfolio's forecasts session by session, with an account that reads past data only."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foundry_tasks.contract.checkpoints import Note
from foundry_tasks.contract.config import (
    BacktestConfig,
    EnsembleConfig,
    FeaturesConfig,
    LabelsConfig,
    SimulateConfig,
)
from foundry_tasks.contract.documents import Portfolio, Simulation
from foundry_tasks.contract.documents.simulate import Retrained, SimulatedHorizon
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.data.tables import read_matrices, read_prices, read_table
from foundry_tasks.evaluation.costs import BP
from foundry_tasks.evaluation.forward_simulator import ForwardSimulator, Strategy
from foundry_tasks.evaluation.replay import TOLERANCE, Difference, ReplayedForecasts, largest_difference
from foundry_tasks.evaluation.simulated_exchange import Day

CHECKPOINT_EVERY = 100
"""Sessions between two checkpoints. A retry continues from the last one."""


def run(config: SimulateConfig, io: StageIO) -> None:
    """Signals and rules of the portfolio stage → simulate.json: largest difference between simulation and backtest."""
    with io.step("read"):
        prices = read_prices(io.path("prices", "prices.parquet"))
        portfolio = io.read(Portfolio)
    found: dict[int, SimulatedHorizon] = {}
    for horizon in portfolio.horizons:
        inputs, retrained = SimulationInputs.of(io, prices, portfolio.rules, horizon), None
        with io.step("replay"):
            difference, sessions = _replay(io, inputs)
        if config.retrain_sessions is not None:
            with io.step("retrain"):
                retrained = _retrain(io, inputs, config.retrain_sessions)
        _judge(io, horizon, difference, retrained)
        found[horizon] = SimulatedHorizon(
            value=difference.value,
            figure=difference.figure,
            session=difference.session,
            agrees=difference.agrees,
            sessions=sessions,
            retrained=retrained,
        )
    io.publish(Simulation(tolerance=TOLERANCE, horizons=found))


class Checkpoint(Note):
    """The state of a simulation, saved for a retry."""

    simulator: str
    """Output of `ForwardSimulator.to_json`."""
    apart: float = 0.0
    """Largest difference of forecasts so far."""


@dataclass(frozen=True)
class SimulationInputs:
    """Inputs of one horizon's simulation.

    prices: up to the session in which the last forecast is traded. p_up: (n_forecasts, n_tickers), of the sessions from
    first_session on.
    """

    prices: PricePanel
    p_up: FloatArray
    first_session: int
    rules: BacktestConfig
    horizon: int

    @classmethod
    def of(cls, io: StageIO, prices: PricePanel, rules: BacktestConfig, horizon: int) -> "SimulationInputs":
        """The inputs from the portfolio's signals of a horizon."""
        signals = read_matrices(io.path("portfolio", f"{horizon}d/signals.parquet"), ("p_up",))
        first = int(np.searchsorted(prices.sessions, signals.sessions[0]))
        return cls(prices.up_to(first + len(signals.sessions) + 1), signals["p_up"], first, rules, horizon)

    def simulator(self, strategy: Strategy, saved: Checkpoint | None, every: int | None) -> ForwardSimulator:
        """A simulator at its first session, or at the checkpoint `saved`. every: sessions between refits; None: no refits."""
        if saved is not None:
            return ForwardSimulator.from_json(saved.simulator, self.prices, strategy)
        return ForwardSimulator(
            self.prices,
            strategy,
            self.rules,
            horizon=self.horizon,
            first_session=self.first_session,
            retrain_every_sessions=every,
        )

    def earning(self, days: list[Day]) -> list[Day]:
        """The days after the first forecast."""
        return days[self.first_session + 1 :]


def _replay(io: StageIO, inputs: SimulationInputs) -> tuple[Difference, int]:
    """Largest difference between a replay of the forecasts and the backtest's daily figures; number of sessions."""
    name = f"{inputs.horizon}d"
    strategy = ReplayedForecasts(inputs.p_up, inputs.first_session, inputs.rules)
    simulator = inputs.simulator(strategy, io.checkpoints.load(name, Checkpoint), None)
    days = inputs.earning(_through(io, name, simulator, inputs, lambda: 0.0))
    daily = read_table(io.path("portfolio", f"{name}/daily.parquet"))
    figures = [name for name in daily if name not in {"date", "benchmark", "buy_and_hold"}]
    return largest_difference(days, daily, figures), len(days)


def _retrain(io: StageIO, inputs: SimulationInputs, every: int) -> Retrained:
    """Simulate with models refitted every `every` sessions, and compare their forecasts with those of the folds."""
    from foundry_tasks.inputs.feature_file import stored_features  # noqa: PLC0415 - loads the features
    from foundry_tasks.inputs.run_inputs import RunInputs  # noqa: PLC0415 - as below
    from foundry_tasks.walk.retraining import RetrainedForecasts, RetrainingRecipe  # noqa: PLC0415 - loads boosters

    models = RunInputs(io.inputs).fitted_config()
    recipe = RetrainingRecipe(
        feature_set=FeaturesConfig.model_validate(io.inputs.result("features").config).feature_set,
        label_entry=LabelsConfig.model_validate(io.inputs.result("labels").config).label_entry,
        models=models,
        ensemble=EnsembleConfig.model_validate(io.inputs.result("ensemble").config),
        first_session=inputs.first_session,
        every_sessions=every,
    )
    name = f"{inputs.horizon}d-retrained-{every}"
    strategy, saved = (
        RetrainedForecasts(recipe, inputs.horizon, inputs.rules, stored_features),
        io.checkpoints.load(name, Checkpoint),
    )
    earlier = 0.0 if saved is None else saved.apart

    def apart() -> float:
        theirs = dict(enumerate(inputs.p_up, start=inputs.first_session))
        forecasts = {session: p_up for session, p_up in strategy.p_up.items() if session in theirs}
        return max([earlier, *(_apart(p_up, theirs[session]) for session, p_up in forecasts.items())])

    days = inputs.earning(_through(io, name, inputs.simulator(strategy, saved, every), inputs, apart))
    return Retrained(
        every_sessions=every,
        as_the_folds=every == models.test_sessions,
        forecasts_apart=apart(),
        net_bp=float(np.mean([day.net for day in days])) / BP,
    )


def _apart(mine: FloatArray, theirs: FloatArray) -> float:
    """Largest difference of two sessions' forecasts; 1 where one of them has a forecast that the other lacks."""
    if (np.isfinite(mine) != np.isfinite(theirs)).any():
        return 1.0
    return float(np.nan_to_num(np.abs(mine - theirs)).max(initial=0.0))


def _through(
    io: StageIO, name: str, simulator: ForwardSimulator, inputs: SimulationInputs, apart: Callable[[], float]
) -> list[Day]:
    """Run the remaining sessions; returns all days. apart: largest difference of forecasts so far, for the checkpoint."""
    n_sessions = len(inputs.prices.sessions)
    io.steps.progress.start(f"simulate {name}", -(-(n_sessions - simulator.session) // CHECKPOINT_EVERY))
    while simulator.session < n_sessions:
        for _ in range(min(CHECKPOINT_EVERY, n_sessions - simulator.session)):
            simulator.step()
        io.checkpoints.save(name, Checkpoint(simulator=simulator.to_json(), apart=apart()))
        io.steps.progress.advance(f"{simulator.session} of {n_sessions} sessions")
    return simulator.days


def _judge(io: StageIO, horizon: int, difference: Difference, again: Retrained | None) -> None:
    """Warn of a difference that rounding cannot cause: a leak or a fault."""
    believed = "one of them uses data that the other lacks. Trust neither"
    agrees = difference.agrees
    if not agrees:
        io.warn(
            f"{horizon}d: forward simulation and backtest differ by {difference.value:.3g} in {difference.figure} at "
            f"{difference.session}, more than {TOLERANCE:g}: {believed}"
        )
    if again is not None and again.as_the_folds and not again.forecasts_apart <= TOLERANCE:
        agrees = False
        io.warn(
            f"{horizon}d: after refits on past data, forecasts differ from the folds' by {again.forecasts_apart:.3g}, "
            f"more than {TOLERANCE:g}: {believed}"
        )
    io.outputs.metrics[f"{horizon}d"] = {"agrees": agrees}
