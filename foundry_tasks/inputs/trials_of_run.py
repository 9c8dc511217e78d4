"""The trials of a run.

They are each base model, the reference blend, the stack, the P(up) that the gates judge, and each backtest of P(up) with
rules from a conf.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from pydantic import JsonValue

from foundry_tasks.contract.config import BacktestConfig, GatePolicy
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import FloatArray
from foundry_tasks.evaluation.selection_bias import SelectionBias, selection_bias
from foundry_tasks.evaluation.standard_portfolio import DailyPnl, standard_pnl
from foundry_tasks.inputs.recipe import configuration
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.inputs.trial_ledger import Trial, TrialLedger, distinct

JUDGED = "p_up"
TRADED = "p_up, traded by rules of its own"


def record_run(
    io: StageIO, inputs: RunInputs, market: str, policy: GatePolicy
) -> dict[int, tuple[Trial, SelectionBias]]:
    """Record every trial of this run. Returns horizon → trial of the P(up) that the gates judge, with its selection bias."""
    ledger = TrialLedger(io.store)
    judged = {}
    for horizon in inputs.reported_folds:
        for trial in _trials(io, inputs, horizon, policy):
            ledger.record(market, trial)
            if trial.what["scores"] == JUDGED:
                judged[horizon] = trial
    everything = [trial.daily for trial in distinct(ledger.read(market))]
    return {horizon: (trial, selection_bias(trial.daily, everything)) for horizon, trial in judged.items()}


def record_portfolio(io: StageIO, inputs: RunInputs, rules: BacktestConfig, horizon: int, daily: DailyPnl) -> None:
    """Record the P&L of the run's P(up) under the rules of a conf; other rules are another trial."""
    what = configuration(inputs.configs("prices", "features", "labels", "ensemble", "models"))
    traded = rules.model_dump(mode="json") | {"scores": TRADED}
    TrialLedger(io.store).record(inputs.prices_config.market, _trial(io, what | traded, horizon, daily))


def _trial(io: StageIO, what: Mapping[str, JsonValue], horizon: int, daily: DailyPnl) -> Trial:
    run, recorded = f"{io.identity.dag}/{io.identity.run_id}", io.environment.now().isoformat(timespec="seconds")
    return Trial(what, horizon, daily, io.environment.code.version, run, recorded)


def _trials(io: StageIO, inputs: RunInputs, horizon: int, policy: GatePolicy) -> Iterator[Trial]:
    prices, folds = inputs.prices, inputs.reported_folds[horizon]
    first = folds[0].test.start

    def trial(what: Mapping[str, JsonValue], values: FloatArray) -> Trial:
        return _trial(io, what, horizon, standard_pnl(prices, values, first_session=first, horizon=horizon))

    fitted = inputs.configs("prices", "features", "labels", "models")
    learned = configuration(fitted)
    alone = {key: value for key, value in learned.items() if key != "models"}
    for name, values in inputs.scores.tested(horizon, folds).items():
        yield trial(alone | {"scores": name}, values)
    stacked = configuration([*fitted, *inputs.configs("ensemble")])
    files = [inputs.forecast_file(horizon, fold, ("score", JUDGED)) for fold in folds]
    tested = {
        name: np.concatenate([file[name][-len(fold.test) :] for fold, file in zip(folds, files, strict=True)])
        for name in ("score", JUDGED)
    }
    yield trial(stacked | {"scores": "stack"}, tested["score"])
    judged = stacked | configuration([policy.model_dump(mode="json")])
    yield trial(judged | {"scores": JUDGED}, tested[JUDGED])
