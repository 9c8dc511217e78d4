"""The trials that a run makes: each base model, the reference blend, the stack, the P(up) that the gates judge, and every
way in which somebody chose to trade it.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pydantic import JsonValue

from foundry_tasks.contract.config import BacktestConfig, GatePolicy, PricesConfig
from foundry_tasks.contract.documents import Fold
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import FloatArray, PricePanel
from foundry_tasks.data.tables import read_matrices, read_prices
from foundry_tasks.evaluation.standard_portfolio import DailyPnl, standard_pnl
from foundry_tasks.inputs.scores import ScoreFiles
from foundry_tasks.trials import Trial, TrialLedger, configuration, distinct
from foundry_tasks.validation.selection_bias import SelectionBias, selection_bias

JUDGED = "p_up"
TRADED = "p_up, traded by rules of its own"


def record_run(
    io: StageIO, market: str, folds: Mapping[int, Sequence[Fold]], policy: GatePolicy
) -> dict[int, SelectionBias]:
    """Write down every trial of this run; horizon → what having tried so often makes of the judged one's Sharpe ratio.

    folds: the reported ones of each horizon.
    """
    ledger = TrialLedger(io.store)
    prices, scores = read_prices(io.path("prices", "prices.parquet")), ScoreFiles(io)
    judged = {}
    for horizon, walk in folds.items():
        for trial in _trials(io, prices, scores, horizon, walk, policy):
            ledger.record(market, trial)
            if trial.what["scores"] == JUDGED:
                judged[horizon] = trial.daily
    everything = [trial.daily for trial in distinct(ledger.read(market))]
    return {horizon: selection_bias(daily, everything) for horizon, daily in judged.items()}


def record_portfolio(io: StageIO, rules: BacktestConfig, horizon: int, daily: DailyPnl) -> None:
    """Write down what the run's P(up) earned under rules that a person chose: another choice is another trial."""
    prices = io.result("prices").config
    what = configuration(
        [prices, *(io.result(stage).config for stage in ("features", "labels", "ensemble")), _models(io)]
    )
    traded = rules.model_dump(mode="json") | {"scores": TRADED}
    market = PricesConfig.model_validate(prices).market
    TrialLedger(io.store).record(market, _trial(io, what | traded, horizon, daily))


def _models(io: StageIO) -> Mapping[str, JsonValue]:
    return io.any_result("models").config


def _trial(io: StageIO, what: Mapping[str, JsonValue], horizon: int, daily: DailyPnl) -> Trial:
    run, recorded = f"{io.identity.dag}/{io.identity.run_id}", io.now().isoformat(timespec="seconds")
    return Trial(what, horizon, daily, io.code_version, run, recorded)


def _trials(
    io: StageIO, prices: PricePanel, scores: ScoreFiles, horizon: int, folds: Sequence[Fold], policy: GatePolicy
) -> Iterator[Trial]:
    first = folds[0].test.start

    def trial(what: Mapping[str, JsonValue], values: FloatArray) -> Trial:
        return _trial(io, what, horizon, standard_pnl(prices, values, first_session=first, horizon=horizon))

    fitted = [io.result(stage).config for stage in ("prices", "features", "labels")] + [_models(io)]
    learned = configuration(fitted)
    alone = {key: value for key, value in learned.items() if key != "models"}
    for name, values in scores.tested(horizon, folds).items():
        yield trial(alone | {"scores": name}, values)
    stacked = configuration([*fitted, io.result("ensemble").config])
    files = [read_matrices(io.path("ensemble", f"{horizon}d/{fold.name}.parquet"), ("score", "p_up")) for fold in folds]
    tested = {
        name: np.concatenate([file[name][-len(fold.test) :] for fold, file in zip(folds, files, strict=True)])
        for name in ("score", JUDGED)
    }
    yield trial(stacked | {"scores": "stack"}, tested["score"])
    yield trial(stacked | policy.model_dump(mode="json") | {"scores": JUDGED}, tested[JUDGED])
