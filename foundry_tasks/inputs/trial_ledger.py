"""The trial ledger: every configuration that was evaluated on a market, with its P&L.

With many trials the best Sharpe ratio is high even on noise, so a Sharpe ratio needs the number of trials. Each evaluation
records its trials in `trials/<market>/`; they are never deleted.

A trial is a configuration at a horizon under a version of the code: other data, labels, walks, seeds, models, stacks or gates
are other trials. A configuration that is evaluated again on more sessions is the same trial, with its newest P&L. A code
change that changes no P&L adds no trial, nor does a repeated run. Trials count by market, not by source of prices, since a
choice made on one source is a choice for all sources of the same tickers. Simulated prices need a market name of their own.
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
"""Decimals of a recorded P&L (a millionth of a basis point), so that a rounding difference makes no new trial."""


@dataclass(frozen=True)
class Trial:
    """One evaluated configuration.

    what: its conf, flat, and `scores`, the name of the traded scores. horizon: in sessions. daily: P&L of the standard
    portfolio, or of the conf's own rules. code: version of the package. run: `<dag>/<run_id>` that recorded it first.
    recorded: time, ISO 8601.
    """

    what: Mapping[str, JsonValue]
    horizon: int
    daily: DailyPnl
    code: str
    run: str
    recorded: str

    @cached_property
    def outcome(self) -> TrialOutcome:
        """Configuration and P&L, without code, run and time."""
        return TrialOutcome(
            what=self.what,
            horizon=self.horizon,
            sessions=tuple(str(day) for day in self.daily.sessions.astype("datetime64[D]")),
            pnl=tuple(round(float(value), _DIGITS) for value in self.daily.pnl),
        )

    @property
    def digest(self) -> str:
        """Name in the ledger. Trials with equal configurations and outcomes have the same digest."""
        return digest_of(self.outcome.model_dump(mode="json"))

    def document(self) -> bytes:
        """The stored form, canonical JSON."""
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
        """The inverse of `document`. Raises ValueError for an invalid document."""
        found = TrialRecord.model_validate_json(document)
        daily = DailyPnl(np.array(found.sessions, "datetime64[D]"), np.array(found.pnl, dtype=np.float64))
        return cls(found.what, found.horizon, daily, found.code, found.run, found.recorded)


class TrialLedger:
    """The trials of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def record(self, market: str, trial: Trial) -> bool:
        """Record a trial; returns False, and changes nothing, if the ledger has it."""
        return self.store.create(trial_key(market, trial.digest), trial.document())

    def read(self, market: str) -> tuple[Trial, ...]:
        """All evaluations, oldest first. Raises ConfigError for a damaged document."""
        found = [self._trial(key) for key in self.store.keys(trials_prefix(market))]
        return tuple(sorted(found, key=lambda trial: (trial.recorded, trial.horizon, trial.digest)))

    def markets(self) -> tuple[str, ...]:
        """All markets with a trial."""
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
    """Each trial once, with its evaluation on the latest sessions. Their number is the number N of trials."""
    newest: dict[str, Trial] = {}
    for trial in trials:
        key = digest_of([trial.what, trial.horizon, trial.code])
        known = newest.get(key)
        if known is None or trial.daily.sessions[-1] >= known.daily.sessions[-1]:
            newest[key] = trial
    return tuple(newest.values())


class TrialRow(Part):
    """A trial as `foundry trials` prints it. n: its number within its market. mean_net_bp: per session."""

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
        """The row of a market's trial. number: from 1."""
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
    """One row per trial, by market and oldest first. Raises ConfigError for a market without trials."""
    ledger = TrialLedger(store)
    known = ledger.markets()
    if market is not None and market not in known:
        raise ConfigError(f"no trial was ever made on market {market!r}; there are {', '.join(known) or 'none'}.")
    return [
        TrialRow.of(name, number, trial)
        for name in (known if market is None else (market,))
        for number, trial in enumerate(distinct(ledger.read(name)), start=1)
    ]
