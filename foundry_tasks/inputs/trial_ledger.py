"""The trial ledger: every configuration that was ever evaluated on a market, and what it would have earned.

Who tries often enough finds a fine Sharpe ratio in noise, so a Sharpe ratio says nothing without the number of trials
behind it. Nobody is asked for that number: each evaluation writes down its trials by itself, in `trials/<market>/`, and they
are kept for ever.

A trial is a configuration at a horizon under a version of the code: other data, labels, walks, seeds, models, stacks or gates
are other trials. What is evaluated again on more sessions stays the one trial that it was, with its newest P&L. An edit of
the code that changes no P&L adds nothing, nor does a run that is repeated. Trials count by market and not by source
of prices, since whoever chose on one source has chosen for every other of the same tickers; simulated prices want a market
of their own name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import JsonValue

from foundry_tasks.contract.artifacts import canonical_json, digest_of, trial_key, trials_prefix
from foundry_tasks.contract.documents.base import Part
from foundry_tasks.contract.documents.trials import TrialOutcome, TrialRecord
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ports import Store
from foundry_tasks.evaluation.standard_portfolio import DailyPnl

_DIGITS = 10
"""Of a P&L: a millionth of a basis point, so that a product's last bit makes no other trial."""
_NO_PART_OF_A_TRIAL = {
    "market",
    "horizons",
    "threads",
    "overlap_sessions",
    "skip_closed",
    "validate_only",
    "skip_gates",
}
"""Keys of a conf that move no figure, or that the trial names by itself."""


@dataclass(frozen=True)
class Trial:
    """One configuration, evaluated.

    what: the conf that made it, flat, and `scores`, which of a run's scores were traded. daily: what the standard
    portfolio earned by them. code: version of the package. run: `<dag>/<run_id>` that was first. recorded: when, ISO 8601.
    """

    what: Mapping[str, JsonValue]
    horizon: int
    daily: DailyPnl
    code: str
    run: str
    recorded: str

    @cached_property
    def outcome(self) -> TrialOutcome:
        """Everything but who found it and when."""
        return TrialOutcome(
            what=self.what,
            horizon=self.horizon,
            sessions=tuple(str(day) for day in self.daily.sessions.astype("datetime64[D]")),
            pnl=tuple(round(float(value), _DIGITS) for value in self.daily.pnl),
        )

    @property
    def digest(self) -> str:
        """Its name in the ledger: equal configurations with equal outcomes are one."""
        return digest_of(self.outcome.model_dump(mode="json"))

    def document(self) -> bytes:
        """As it is kept."""
        record = TrialRecord(
            what=self.outcome.what,
            horizon=self.horizon,
            sessions=self.outcome.sessions,
            pnl=self.outcome.pnl,
            code=self.code,
            run=self.run,
            recorded=self.recorded,
            sharpe=self.daily.sharpe,
        )
        return canonical_json(record.model_dump(mode="json"))

    @classmethod
    def of(cls, document: bytes) -> "Trial":
        """What `document` wrote. Raises ValueError for anything else."""
        found = TrialRecord.model_validate_json(document)
        daily = DailyPnl(np.array(found.sessions, "datetime64[D]"), np.array(found.pnl, dtype=np.float64))
        return cls(found.what, found.horizon, daily, found.code, found.run, found.recorded)


class TrialLedger:
    """The trials of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def record(self, market: str, trial: Trial) -> bool:
        """Write a trial down; False, and nothing changes, where it is there already."""
        return self.store.create(trial_key(market, trial.digest), trial.document())

    def read(self, market: str) -> tuple[Trial, ...]:
        """Every evaluation, the first recorded first. Raises ConfigError for a document that is damaged."""
        found = [self._trial(key) for key in self.store.keys(trials_prefix(market))]
        return tuple(sorted(found, key=lambda trial: (trial.recorded, trial.horizon, trial.digest)))

    def markets(self) -> tuple[str, ...]:
        """Every market that has a trial."""
        return tuple(sorted({key.split("/")[1] for key in self.store.keys("trials/")}))

    def _trial(self, key: str) -> Trial:
        try:
            return Trial.of(self.store.read(key) or b"")
        except ValueError as error:
            raise ConfigError(
                f"the trial {self.store.locate(key)} is damaged, and the number of trials hangs on it. Restore it from a "
                "backup."
            ) from error


def distinct(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Each trial once, by its evaluation on the latest sessions: how many there are is the number N of trials."""
    newest: dict[str, Trial] = {}
    for trial in trials:
        key = digest_of([trial.what, trial.horizon, trial.code])
        known = newest.get(key)
        if known is None or trial.daily.sessions[-1] >= known.daily.sessions[-1]:
            newest[key] = trial
    return tuple(newest.values())


def configuration(configs: Iterable[Mapping[str, JsonValue]]) -> dict[str, JsonValue]:
    """The configs of a run's stages as one flat document, without what moves no figure."""
    merged = {key: value for config in configs for key, value in config.items()}
    return {key: merged[key] for key in sorted(merged.keys() - _NO_PART_OF_A_TRIAL)}


class TrialRow(Part):
    """A trial as `foundry trials` prints it. n: its number among those of its market. mean_net_bp: per session."""

    market: str
    n: int
    scores: JsonValue
    horizon: int
    sharpe_per_session: float
    mean_net_bp: float
    sessions: int
    first: str
    last: str
    recorded: str
    run: str
    digest: str
    what: Mapping[str, JsonValue]

    @classmethod
    def of(cls, market: str, number: int, trial: Trial) -> "TrialRow":
        """The row of a market's trial."""
        sessions = trial.daily.sessions
        return cls(
            market=market,
            n=number,
            scores=trial.what.get("scores"),
            horizon=trial.horizon,
            sharpe_per_session=round(trial.daily.sharpe, 4),
            mean_net_bp=round(1e4 * float(trial.daily.pnl.mean()), 2),
            sessions=len(sessions),
            first=str(sessions[0]),
            last=str(sessions[-1]),
            recorded=trial.recorded,
            run=trial.run,
            digest=trial.digest[:12],
            what=trial.what,
        )


def show(store: Store, market: str | None = None) -> list[TrialRow]:
    """One row a trial, market by market and the first recorded first."""
    ledger = TrialLedger(store)
    known = ledger.markets()
    if market is not None and market not in known:
        raise ConfigError(f"no trial was ever made on market {market!r}; there are {', '.join(known) or 'none'}.")
    return [
        TrialRow.of(name, number, trial)
        for name in (known if market is None else (market,))
        for number, trial in enumerate(distinct(ledger.read(name)), start=1)
    ]
