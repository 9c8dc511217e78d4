"""Adversaries: how often noise becomes champion without a person, if its user tries up to fifty times. Pure.

Looks, standings, policy, the AUC gate and the rules of promotion are those of a run. Prices and scores are simulated, and
nothing is fitted: the tries of a plan have correlated scores and share the outcomes. All other gates count as passed.

The chain of evidence reads no outcome and no score. The standings of a plan's looks are therefore computed once, and the plan
is then tried on many markets of noise.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import numpy as np
from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from foundry_tasks.audit.noise_forecasts import NoiseForecasts
from foundry_tasks.audit.simulated_markets import simulate
from foundry_tasks.audit.size_and_power import wilson_interval
from foundry_tasks.contract.artifacts import digest_of
from foundry_tasks.contract.config import AuditConfig
from foundry_tasks.contract.documents import Gate, HorizonGates, Refit
from foundry_tasks.contract.documents.audit import AdversaryTally
from foundry_tasks.contract.documents.gates import ModelVerdict
from foundry_tasks.contract.policy import GATES, Policy, deviations, gate_policy, policy_digest
from foundry_tasks.ledger.evidence import WITHHELD, EvidenceState, LookFacts, Sample, change_record, look_record
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.ledger.promotion import LookAt, Ruling, kept_ruling, look_at, ruling
from foundry_tasks.ledger.records import Digests, VersionFacts, model_name
from foundry_tasks.ledger.samples import row_sample, ticker_sample

BUDGET = 50
"""Tries of an adversary."""
BAR = 0.05
"""Share of adversaries that may win."""
SIMULATIONS = 10
"""Simulations of each kind of adversary for each simulated market of a kind."""
MARKETS_OF_A_PLAN = 50
"""Markets of noise on which one plan is tried. A plan is an order of tries with its random choices."""
SESSIONS, TESTED, TICKERS = 480, 240, 12
"""A small market: by chance its AUC is above 0.52 in 6 % of forecasts without skill, so that the lower bound decides."""
HORIZONS = (1, 5, 20)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
"""The first look. The simulated prices end the day before."""


@dataclass(frozen=True, slots=True)
class Try:
    """One run of an adversary.

    recipe: tries of one recipe have the same scores. names: first letters of its tickers. tickers: the first that it tests,
    and the one after the last. until: sessions that are left out at the end. length: tested sessions. conf: its keys of the
    policy. withholds: whether the source has the sessions that are left out. promotes: whether it goes on after the gates.
    null: whether a stored null is there, by which noise is refused more often.
    """

    recipe: int
    market: str = "us"
    names: str = "T"
    tickers: tuple[int, int] = (0, TICKERS)
    until: int = 0
    length: int = TESTED
    horizons: tuple[int, ...] = (1,)
    conf: Mapping[str, JsonValue] = field(default_factory=dict)
    withholds: bool = False
    promotes: bool = True
    null: bool = False

    @property
    def tested(self) -> tuple[slice, slice]:
        """The tested sessions and tickers, as indices."""
        return slice(SESSIONS - self.until - self.length, SESSIONS - self.until), slice(*self.tickers)

    def forecast(self, horizon: int) -> str:
        """Digest of its forecast, without the names of market and tickers."""
        return digest_of([self.recipe, self.until, self.length, horizon, *self.tickers])


@dataclass(frozen=True)
class Strategy:
    """What a kind of adversary does.

    likeness: correlation of the scores of two recipes. tries: random generator → its tries. last: the try that promotes the
    recipe that had the highest AUC; None if each try promotes by itself.
    """

    likeness: float
    tries: Callable[[np.random.Generator], Sequence[Try]]
    last: Try | None = None


def adversaries(config: AuditConfig) -> Mapping[str, Callable[[], AdversaryTally]]:
    """Kind of adversary → the function that lets it try on many markets of noise."""
    return {kind: partial(tried, kind, strategy, config) for kind, strategy in STRATEGIES.items()}


def tried(kind: str, strategy: Strategy, config: AuditConfig) -> AdversaryTally:
    """How often a kind of adversary makes noise the champion."""
    simulations = SIMULATIONS * config.simulated_markets
    plans = [Plan(strategy, config, number) for number in range(math.ceil(simulations / MARKETS_OF_A_PLAN))]
    wins = sum(plans[number % len(plans)].wins(_noise(config.seed + number, strategy)) for number in range(simulations))
    lower, upper = wilson_interval(wins, simulations)
    return AdversaryTally(
        kind=kind, tries=BUDGET, simulations=simulations, promoted=wins, lower=lower, upper=upper, bar=BAR
    )


def _noise(seed: int, strategy: Strategy) -> NoiseForecasts:
    return NoiseForecasts(sessions=SESSIONS, tickers=TICKERS, seed=seed, likeness=strategy.likeness)


# ------------------------------------------------------------------ what they do
def _retune(_: np.random.Generator) -> Sequence[Try]:
    return [Try(number) for number in range(BUDGET)]


def _shop_windows(rng: np.random.Generator) -> Sequence[Try]:
    """Windows that end earlier, each with another start, which fits other sessions, or another walk."""

    def one(recipe: int) -> Try:
        until, length = int(rng.integers(20, 61)), TESTED + int(rng.integers(-60, 61)) * (recipe % 2)
        conf: dict[str, JsonValue] = {"test_sessions": length} if recipe % 2 else {}
        return Try(recipe, until=until, length=length, conf=conf, withholds=True, promotes=False)

    return [one(recipe) for recipe in range(BUDGET - 1)]


def _peek(_: np.random.Generator) -> Sequence[Try]:
    return [Try(number, promotes=False) for number in range(BUDGET - 1)]


def _erase_nulls(_: np.random.Generator) -> Sequence[Try]:
    """The null is there at the first look, and is replaced before the next; then each recipe differs a little, and has none."""
    return [Try(0, promotes=False, null=True), Try(0), *(Try(number) for number in range(1, BUDGET - 1))]


def _shop_horizons(rng: np.random.Generator) -> Sequence[Try]:
    """All planned horizons first, then one other horizon after the other."""
    others = [int(days) for days in rng.integers(1, 21, BUDGET - 1)]
    return [
        Try(0, horizons=HORIZONS),
        *(Try(number, horizons=(h,), conf={"horizons": [h]}) for number, h in enumerate(others, 1)),
    ]


def _rename(_: np.random.Generator) -> Sequence[Try]:
    """A new market for each try, with new names of its tickers; every other try repeats the forecast before."""
    return [Try(number // 2, market=f"m{number}", names=f"M{number}X") for number in range(BUDGET)]


STRATEGIES: Mapping[str, Strategy] = {
    "retune": Strategy(0.5, _retune),
    "reseed": Strategy(0.9, _retune),
    "window shopper": Strategy(0.5, _shop_windows, last=Try(0)),
    "validate-only peeker": Strategy(0.5, _peek, last=Try(0)),
    "null eraser": Strategy(0.9, _erase_nulls),
    "horizon shopper": Strategy(0.9, _shop_horizons),
    "market renamer": Strategy(0.5, _rename),
}
"""Kind → what it does."""


# ------------------------------------------------------------------ its looks
@dataclass(frozen=True)
class Looked:
    """A try and its look. hopeful: horizons at which it is promoted without a person if its gates pass."""

    one: Try
    looks: Mapping[int, LookAt]
    hopeful: tuple[int, ...]


class Plan:
    """The tries of an adversary, with the chain of evidence that they make."""

    def __init__(self, strategy: Strategy, config: AuditConfig, number: int = 0) -> None:
        """Takes the looks. number: a plan of another number has other prices and random choices."""
        self._strategy = strategy
        self._prices = simulate(sessions=SESSIONS, tickers=TICKERS, seed=number, volume=False).prices
        self._samples: dict[tuple[int, int, tuple[int, int], str], tuple[Sample, Sample]] = {}
        self.state = _agreed(config)
        self.tries: list[Looked] = []
        for one in strategy.tries(np.random.default_rng([config.seed, number])):
            record = look_record(self._facts(one), self.state)
            if record is not None:
                self.state = EvidenceState((*self.state.records, record))
            self.tries.append(self._looked(one, self.state))
        last, recipes = strategy.last, {looked.one.recipe for looked in self.tries}
        finals = [self._final(last, recipe) for recipe in sorted(recipes)] if last else []
        self._finals = [looked for looked in finals if looked.hopeful]

    def wins(self, noise: NoiseForecasts) -> bool:
        """Whether a version is promoted without a person."""
        if self._promoted([looked for looked in self.tries if looked.one.promotes and looked.hopeful], noise):
            return True
        if len(self._finals) <= 1 and not self._promoted(self._finals, noise):
            return False  # whatever recipe is best; the gate of one try is faster than the AUC of all
        best = max(self.tries, key=lambda looked: noise.mean_auc(looked.one.recipe, looked.one.tested)).one.recipe
        return self._promoted([final for final in self._finals if final.one.recipe == best], noise)

    def _final(self, last: Try, recipe: int) -> Looked:
        """The last try, if this recipe is the best."""
        one = replace(last, recipe=recipe)
        record = look_record(self._facts(one), self.state)
        return self._looked(one, EvidenceState((*self.state.records, *([record] if record else []))))

    def _looked(self, one: Try, state: EvidenceState) -> Looked:
        policy = policy_digest(self._policy(one))
        passed = {horizon: _gates("passed", (), one.forecast(horizon)) for horizon in one.horizons}
        looks = {
            h: look_at(state, h, one.forecast(h), market=one.market, policy=policy, refit={}) for h in one.horizons
        }
        hopeful = tuple(h for h, gates in passed.items() if ruling(gates, _REFIT, None, looks[h]).event == "promoted")
        return Looked(one, looks, hopeful)

    def _promoted(self, tries: Sequence[Looked], noise: NoiseForecasts) -> bool:
        """Whether one of these tries is promoted, if a promoted one ends the adversary's work."""
        versions: dict[str, list[VersionFacts]] = {}
        for looked in tries:
            for horizon in looked.hopeful:
                earlier = versions.setdefault(model_name(looked.one.market, horizon), [])
                ruled, forecast = self._ruled(looked, horizon, noise), looked.one.forecast(horizon)
                kept = kept_ruling(ruled, forecast, earlier)
                if kept.event == "promoted":
                    return True
                earlier.append(VersionFacts(sha256="", verdict=kept.event, digests=Digests(forecast=forecast)))
        return False

    def _ruled(self, looked: Looked, horizon: int, noise: NoiseForecasts) -> Ruling:
        one, policy = looked.one, gate_policy(self._policy(looked.one))
        verdict, gate = noise.auc_gate(one.recipe, one.tested, horizon=horizon, policy=policy, null=one.null)
        return ruling(_gates(verdict, (gate,), one.forecast(horizon)), _REFIT, None, looked.looks[horizon])

    def _policy(self, one: Try) -> Policy:
        return self.state.policy(one.market, self._days(one))

    def _facts(self, one: Try) -> LookFacts:
        policy, number = self._policy(one), len(self.state.looks)
        differs = (*deviations([one.conf], policy), *([WITHHELD] if one.withholds else []))
        rows, tickers = self._sampled(one)
        window = policy["promotion_window_sessions"]
        return LookFacts(
            market=one.market,
            run=f"foundry_train/{number}",
            when=NOON + timedelta(hours=number),
            forecasts={horizon: one.forecast(horizon) for horizon in one.horizons},
            sessions=self._days(one),
            rows=rows,
            tickers=tickers,
            recipe=digest_of(one.recipe),
            policy=policy_digest(policy),
            window=window if isinstance(window, int) else 0,
            deviations=differs,
        )

    def _sampled(self, one: Try) -> tuple[Sample, Sample]:
        """Samples of its ticker-sessions and of its tickers."""
        window, columns = one.tested
        key = (one.until, one.length, one.tickers, one.names)
        if key not in self._samples:
            tickers = tuple(f"{one.names}{number:03d}" for number in range(TICKERS))[columns]
            fields = {name: values[:, columns] for name, values in self._prices.fields.items()}
            prices = replace(self._prices, tickers=tickers, fields=fields, member=self._prices.member[:, columns])
            self._samples[key] = row_sample(prices, prices.sessions[window]), ticker_sample(tickers)
        return self._samples[key]

    def _days(self, one: Try) -> tuple[date, ...]:
        return tuple(day.item() for day in self._prices.sessions[one.tested[0]])


_REFIT = Refit(horizon=1, kind="refit", accepted=True)


def _gates(verdict: ModelVerdict, gates: tuple[Gate, ...], forecast: str) -> HorizonGates:
    """What `ruling` reads of a horizon's gates, in a market without a champion."""
    return HorizonGates.model_construct(verdict=verdict, gates=gates, forecast=forecast, champion_version=None)


def _agreed(config: AuditConfig) -> EvidenceState:
    """The chain after a person has made the config the policy of the market `us`."""
    wanted = {key: to_jsonable_python(getattr(config, key)) for key in GATES}
    record = change_record("us", wanted, SignOff("auditor", "the policy that is audited", NOON), EvidenceState())
    return EvidenceState((record,) if record else ())
