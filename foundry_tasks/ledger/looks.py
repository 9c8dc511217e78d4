"""The look of a run: its tested forecasts, appended to the chain of evidence before a verdict can be read.

Trials that a release without looks has recorded become looks at the first append.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from foundry_tasks.contract.artifacts import digest_of
from foundry_tasks.contract.config import GatePolicy, GatesConfig
from foundry_tasks.contract.documents import Prices
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.policy import GATES, built_in, deviations, gate_policy, policy_digest, stricter
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import DateArray, FloatArray
from foundry_tasks.inputs.recipe import configuration, recipe_digest
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.inputs.trial_ledger import Trial, TrialLedger
from foundry_tasks.inputs.trials_of_run import JUDGED
from foundry_tasks.ledger.chain import EvidenceLog, Ledger, check_store
from foundry_tasks.ledger.evidence import WITHHELD, Look, LookFacts, Sample, look_record
from foundry_tasks.ledger.records import model_name
from foundry_tasks.ledger.samples import ROWS, TICKERS, row_sample, ticker_sample

UNCOUNTED = "it was recorded before looks were counted"

_DIGITS = 6
"""Decimals of P(up) in a digest, so that a rounding difference makes no new look."""
_NOTHING: FloatArray = np.empty((0, 0))
_COUNTED_KEY = "checks/earlier-trials-are-looks"


@dataclass(frozen=True)
class PolicyOfRun:
    """The policy by which a run is judged. digest: of the market's policy. seed: of the gates' random draws."""

    gates: GatePolicy
    digest: str
    seed: int


class Looks:
    """The looks at one market, for a run that is about to be judged."""

    def __init__(self, io: StageIO, inputs: RunInputs) -> None:
        """Raises ConfigError if the chain of evidence does not verify, or is not the one that MLflow has seen."""
        check_store(io.store)
        self._io, self._inputs = io, inputs
        self._log = EvidenceLog(io.store)
        self.market = inputs.prices_config.market
        self.sessions = tested_sessions(inputs)
        state, _ = self._log.agreed(io.environment.registry)
        self._policy = state.policy(self.market, [day.item() for day in self.sessions])

    def policy(self, config: GatesConfig) -> PolicyOfRun:
        """The market's policy, with each gate's stricter value from the run's conf.

        Warns of a value that the ledger has and that does not count yet.
        """
        given = {key: getattr(config, key) for key in config.model_fields_set & GATES.keys()}
        judged_by = stricter(self._policy, given)
        for key, value in given.items():
            if gate_policy({**judged_by, key: value}) != gate_policy(judged_by):
                self._io.warn(f"{key}={value} does not count yet: the run is judged by {key}={judged_by[key]}")
        digest = policy_digest(self._policy)
        return PolicyOfRun(gate_policy(judged_by), digest, int(digest[:8], 16))

    def take(self, forecasts: Mapping[int, str]) -> Look:
        """Append this run's look, unless each of its forecasts has been looked at; returns the first look at them.

        forecasts: horizon → digest of the P&L of its P(up).
        """
        if self._io.store.read(_COUNTED_KEY) is None:
            for earlier in _uncounted(self._io, self._run):
                self._append(earlier)
            self._io.store.write(_COUNTED_KEY, b"")
        facts = self._facts(forecasts)
        self._append(facts)
        horizon, digest = next(iter(forecasts.items()))
        found = self._log.state().look_at(horizon, digest)
        if found is None:
            raise ConfigError("the look was appended and is not there. Look at `foundry ledger verify`.")
        return found

    def _append(self, facts: LookFacts) -> None:
        self._log.append(self._io.environment.registry, lambda state: look_record(facts, state))

    @property
    def _run(self) -> str:
        return f"{self._io.identity.dag}/{self._io.identity.run_id}"

    def _facts(self, forecasts: Mapping[int, str]) -> LookFacts:
        differs = list(deviations(self._inputs.configs("labels", "models", "leakage"), self._policy))
        if self._io.read(Prices).withholds:
            differs.append(WITHHELD)
        window = self._policy["promotion_window_sessions"]
        prices = self._inputs.prices
        confs = self._inputs.configs("prices", "features", "labels", "ensemble", "models")
        recipe = digest_of([recipe_digest(configuration(confs)), self._io.environment.code.version])
        return LookFacts(
            market=self.market,
            run=self._run,
            when=self._io.environment.now(),
            forecasts=forecasts,
            sessions=_days(self.sessions),
            rows=row_sample(prices, self.sessions),
            tickers=ticker_sample(prices.tickers),
            recipe=recipe,
            of_champion=recipe in self._recipes_of_champions(forecasts),
            policy=policy_digest(self._policy),
            window=window if isinstance(window, int) else 0,
            deviations=tuple(differs),
        )

    def _recipes_of_champions(self, horizons: Iterable[int]) -> set[str]:
        """Recipes of the market's champions, as far as their looks are known."""
        evidence, ledger = self._log.state(), Ledger(self._io.store)
        found = set()
        for horizon in horizons:
            state = ledger.state(model_name(self.market, horizon))
            if state.champion is not None:
                look = evidence.look_at(horizon, state.versions[state.champion].digests.forecast)
                found |= {look.recipe} if look else set()
        return found


def tested_sessions(inputs: RunInputs) -> DateArray:
    """Sessions that the reported folds test at any horizon, ascending."""
    sessions = inputs.label_grid.sessions
    tested = [slice(folds[0].test.start, folds[-1].test.stop) for folds in inputs.reported_folds.values()]
    return np.unique(np.concatenate([sessions[window] for window in tested]))


def forecast_digest(trial: Trial, p_up: FloatArray = _NOTHING) -> str:
    """Digest of a forecast: its P&L, and mean and deviation of P(up) by session, without conf, code and run.

    p_up: (n_sessions, n_tickers), NaN where there is none. Empty in releases without looks.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        known = np.isfinite(p_up).sum(axis=1)
        mean = np.nansum(p_up, axis=1) / known
        deviation = np.sqrt(np.nansum((p_up - mean[:, None]) ** 2, axis=1) / known)
    level = np.nan_to_num(np.stack([mean, deviation]), nan=-1.0).round(_DIGITS).tolist()
    return digest_of({"sessions": trial.outcome.sessions, "pnl": trial.outcome.pnl, "p_up": level})


def _days(sessions: DateArray) -> tuple[date, ...]:
    return tuple(day.item() for day in sessions.astype("datetime64[D]"))


def _uncounted(io: StageIO, this_run: str) -> Iterable[LookFacts]:
    """The looks of runs of a release without looks, oldest first in each market."""
    trials = TrialLedger(io.store)
    for market in trials.markets():
        by_run: dict[str, dict[int, Trial]] = {}
        for trial in trials.read(market):
            if trial.what.get("scores") == JUDGED and trial.run != this_run:
                by_run.setdefault(trial.run, {})[trial.horizon] = trial
        for run, judged in by_run.items():
            recipe = [{key: trial.what[key] for key in sorted(trial.what)} for trial in judged.values()]
            yield LookFacts(
                market=market,
                run=run,
                when=datetime.fromisoformat(max(trial.recorded for trial in judged.values())),
                forecasts={horizon: forecast_digest(trial) for horizon, trial in judged.items()},
                sessions=_days(np.unique(np.concatenate([trial.daily.sessions for trial in judged.values()]))),
                rows=Sample(size=ROWS),
                tickers=Sample(size=TICKERS),
                recipe=digest_of(recipe),
                policy=policy_digest(built_in()),
                window=0,
                deviations=(UNCOUNTED,),
            )
