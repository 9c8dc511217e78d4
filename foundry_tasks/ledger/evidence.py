"""The evidence chain: every look at a market's outcomes and every change of a policy, as one hash chain per store. Pure.

A look is a distinct evaluated forecast, named by a digest of its P&L and P(up). The first look at some data may promote a
version by itself. So may a later look of the same recipe, or of the champion's, once in promotion_window_sessions new sessions:
nothing was chosen in between. Every other look needs a person's approval: the best of many looks at one noise passes.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from foundry_tasks.contract.policy import RULES, Policy, built_in, looser, policy_digest
from foundry_tasks.ledger.links import (
    GENESIS,
    Authenticated,
    Closed,
    Link,
    Moment,
    Proof,
    Sha256,
    SignOff,
    hash_before,
    head_of,
    prove_links,
    sealed,
    signature,
)

CHAIN = "evidence"
"""Name of the chain in the store."""
WITHHELD = "it leaves out the newest sessions of its source"
"""A deviation of a look."""
COINCIDES = 0.5
"""Share of a look's ticker-sessions, or of its tickers, that an earlier look has, from which on both look at the same data."""


class Sample(Closed):
    """The smallest hashes of a set, from which its overlap with another set is estimated. Empty: the set is unknown."""

    hashes: tuple[str, ...] = ()
    """Hexadecimal, ascending, distinct, all of one length."""
    size: int
    """Largest number of hashes that is kept. With fewer, the sample is the whole set."""

    def share_in(self, other: "Sample") -> float:
        """Share of this set's elements that the other set has; 0 if one is unknown.

        Both samples are cut at the smaller of their largest hashes: below it both are complete.
        """
        if not self.hashes or not other.hashes:
            return 0.0
        cuts = [sample.hashes[-1] for sample in (self, other) if len(sample.hashes) >= sample.size]
        mine = self.hashes[: bisect_right(self.hashes, min(cuts))] if cuts else self.hashes
        return len({*mine}.intersection(other.hashes)) / len(mine) if mine else 0.0


class LookFacts(Closed):
    """What a run has looked at: the tested forecasts and the data that they were tested on."""

    market: str
    run: str
    """`<dag>/<run_id>`."""
    when: Moment
    forecasts: Mapping[int, Sha256] = Field(min_length=1)
    """Horizon → digest of the P&L of its P(up)."""
    sessions: tuple[date, ...] = Field(min_length=1)
    """Tested sessions, ascending."""
    rows: Sample
    """Tested ticker-sessions, named by their session and returns, so that another name of a ticker changes nothing."""
    tickers: Sample
    recipe: Sha256
    """Digest of all that decides what is learned: the conf of the stages before the gates without `end`, and the code."""
    of_champion: bool = False
    """Whether a champion of the market has this recipe."""
    policy: Sha256
    """Digest of the market's policy that judged it."""
    window: int = Field(ge=0)
    """The policy's promotion_window_sessions."""
    deviations: tuple[str, ...] = ()
    """How the run differs from a run as the policy plans it, one phrase each."""


class EvidenceRecord(Link):
    """One link of the chain."""

    event: str
    market: str
    when: Moment

    @property
    def sentence(self) -> str:
        """What it records."""
        raise NotImplementedError


class Look(LookFacts, EvidenceRecord):
    """A look in the chain."""

    event: Literal["look"] = "look"
    number: int
    """Its number among the looks at the same data, from 1."""
    because: str
    """Why it cannot promote by itself; empty if it can."""

    @property
    def sentence(self) -> str:
        """Who looked at what, and whether it may promote."""
        horizons = ", ".join(map(str, sorted(self.forecasts)))
        tested = f"{self.sessions[0]} to {self.sessions[-1]} by {self.run}, horizons {horizons}"
        return f"{tested}: look {self.number} at these data" + (f"; {self.because}" if self.because else "")


class ChangeFacts(Closed):
    """A person's change of a market's policy."""

    market: str
    who: str = Field(min_length=1)
    authenticated: Authenticated = False
    why: str = Field(min_length=1)
    when: Moment
    changes: Mapping[str, JsonValue]
    old: Sha256
    """Digest of the policy before, with its pending changes."""
    new: Sha256
    looked_until: date | None
    """Newest session that a look of the market had tested. Looser values count some sessions later."""


class PolicyChange(ChangeFacts, EvidenceRecord):
    """A change of a policy in the chain."""

    event: Literal["policy"] = "policy"

    @property
    def sentence(self) -> str:
        """The change, and from when it counts."""
        values = ", ".join(f"{key}={value}" for key, value in self.changes.items())
        later = f"; a looser value counts once enough sessions after {self.looked_until} are tested"
        who = signature(self.who, authenticated=self.authenticated)
        return f"{values}, by {who}: {self.why}" + (later if self.looked_until else "")


_RECORD: TypeAdapter[Look | PolicyChange] = TypeAdapter(Annotated[Look | PolicyChange, Field(discriminator="event")])


@dataclass(frozen=True)
class EvidenceState:
    """State that follows from the chain."""

    records: tuple[EvidenceRecord, ...] = ()

    @property
    def head(self) -> str:
        """Sequence and hash of the last record."""
        return head_of(self.records)

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """All looks, oldest first."""
        return tuple(record for record in self.records if isinstance(record, Look))

    def look_at(self, horizon: int, forecast: str) -> Look | None:
        """The first look with a forecast; None if there is none. forecast: digest of its P&L."""
        return next((look for look in self.looks if look.forecasts.get(horizon) == forecast), None)

    def last_change(self, market: str) -> PolicyChange | None:
        """The newest change of a market's policy."""
        changes = (record for record in reversed(self.records) if isinstance(record, PolicyChange))
        return next((change for change in changes if change.market == market), None)

    def looked_until(self, market: str) -> date | None:
        """The newest session that a look of the market has tested."""
        return max((look.sessions[-1] for look in self.looks if look.market == market), default=None)

    def policy(self, market: str, sessions: Sequence[date] = ()) -> Policy:
        """The policy of a market for a run that tests `sessions`.

        A stricter value counts at once. A looser or another one counts for runs that test promotion_window_sessions
        sessions after the newest session that a look had tested when the value was set.
        """
        return self._policy(market, sessions, pending=False)

    def pending_policy(self, market: str) -> Policy:
        """The policy of a market once all changes count."""
        return self._policy(market, (), pending=True)

    def _policy(self, market: str, sessions: Sequence[date], *, pending: bool) -> Policy:
        policy = dict(built_in())
        for change in self.records:
            if not isinstance(change, PolicyChange) or change.market != market:
                continue
            window, until = policy["promotion_window_sessions"], change.looked_until
            later = sum(session > until for session in sessions) if until else 0
            counts = pending or until is None or (isinstance(window, int) and later >= window)
            for key, value in change.changes.items():
                if key in RULES and (counts or not looser(key, value, policy[key])):
                    policy[key] = value
        return policy


def same_universe(look: LookFacts, other: LookFacts) -> bool:
    """Whether two looks are at one market, or have at least half of the tickers in common."""
    return look.market == other.market or look.tickers.share_in(other.tickers) >= COINCIDES


def same_data(look: LookFacts, earlier: LookFacts) -> bool:
    """Whether an earlier look has tested the data of a look.

    It has if at least half of the ticker-sessions coincide, whatever the names of market and tickers; or if they are of one
    universe, by name, and have a tested session in common.
    """
    if look.rows.share_in(earlier.rows) >= COINCIDES:
        return True
    return same_universe(look, earlier) and not set(look.sessions).isdisjoint(earlier.sessions)


def standing(look: LookFacts, earlier: Sequence[Look]) -> tuple[int, str]:
    """A look's number among the looks at its data, and why it cannot promote by itself (empty if it can).

    earlier: all looks before it.
    """
    same = [one for one in earlier if same_data(look, one)]
    number = 1 + sum(len(one.forecasts) for one in same)
    if look.deviations:
        return number, f"it is not a run as the policy plans it: {'; '.join(look.deviations)}"
    later = next((one for one in earlier if same_universe(look, one) and one.sessions[-1] > look.sessions[-1]), None)
    if later is not None:
        return number, f"run {later.run} has tested later sessions, until {later.sessions[-1]}"
    return number, _chosen(look, same, number) if same else ""


def _chosen(look: LookFacts, same: Sequence[Look], number: int) -> str:
    """Why a look at data that were looked at cannot promote by itself; empty if nothing was chosen and enough time passed.

    Sessions are new if they are later than the day of the last look that counts: a file that held back its newest sessions
    then does not make them new.
    """
    before = "1 forecast was" if number == 2 else f"{number - 1} forecasts were"
    recipes = [one for one in same if (one.market, one.recipe) == (look.market, look.recipe)]
    counted = [one for one in recipes if not one.because] or (recipes[:1] if look.of_champion else [])
    if not counted:
        return f"{before} tested on these data before it, by other recipes"
    since = max(counted[-1].sessions[-1], counted[-1].when.date())
    fresh = sum(day > since for day in look.sessions)
    if fresh >= look.window:
        return ""
    return (
        f"{before} tested on these data before it, and {fresh} sessions are later than {since}; its recipe promotes by itself "
        f"once there are {look.window}"
    )


def look_record(facts: LookFacts, state: EvidenceState) -> Look | None:
    """The record that appends a look; None if each of its forecasts has been looked at: a retry is no look."""
    if all(state.look_at(horizon, digest) for horizon, digest in facts.forecasts.items()):
        return None
    number, because = standing(facts, state.looks)
    return sealed(
        Look(
            **dict(facts),
            number=number,
            because=because,
            sequence=len(state.records) + 1,
            previous=hash_before(state.records),
            hash=GENESIS,
        )
    )


def change_record(
    market: str, changes: Mapping[str, JsonValue], signed: SignOff, state: EvidenceState
) -> PolicyChange | None:
    """The record that appends a change of a policy; None if the policy has these values."""
    before = state.pending_policy(market)
    if all(before[key] == value for key, value in changes.items()):
        return None
    return sealed(
        PolicyChange(
            market=market,
            who=signed.who,
            authenticated=signed.authenticated,
            why=signed.why,
            when=signed.when,
            changes=changes,
            old=policy_digest(before),
            new=policy_digest({**before, **changes}),
            looked_until=state.looked_until(market),
            sequence=len(state.records) + 1,
            previous=hash_before(state.records),
            hash=GENESIS,
        )
    )


def prove_evidence(
    objects: Sequence[tuple[str, bytes]], *, thorough: bool = True
) -> tuple[EvidenceState, tuple[str, ...]]:
    """Read the chain and check it; returns its state and its faults, one line each.

    objects: as in `prove_links`. thorough: also compute each look's standing again, in time that grows with the square of
    the number of looks.
    """
    contradictions = _contradictions if thorough else _none
    proof: Proof[EvidenceRecord] = prove_links(CHAIN, objects, _RECORD.validate_json, contradictions)
    return EvidenceState(proof.records), proof.findings


def _none(_: EvidenceRecord, __: Sequence[EvidenceRecord]) -> Iterable[str]:
    return ()


def _contradictions(record: EvidenceRecord, before: Sequence[EvidenceRecord]) -> Iterable[str]:
    state = EvidenceState(tuple(before))
    if isinstance(record, PolicyChange) and record.looked_until != state.looked_until(record.market):
        yield "forged: it says that the market's looks ended on another session"
    if isinstance(record, Look):
        number, because = found = standing(record, state.looks)
        if found != (record.number, record.because):
            yield f"forged: it is look {number} at its data" + (f", and {because}" if because else "")
