"""The chain of evidence: which look stands alone, which policy counts, and which forgery is found."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.artifacts import canonical_json, ledger_key
from foundry_tasks.contract.policy import built_in, looser
from foundry_tasks.ledger.evidence import (
    CHAIN,
    EvidenceState,
    LookFacts,
    Sample,
    change_record,
    look_record,
    prove_evidence,
)
from foundry_tasks.ledger.links import SignOff, contradicts

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
DAYS = tuple(date(2026, 1, 1) + timedelta(days=day) for day in range(120))
ANN = SignOff("ann", "as we agreed", NOON)
WINDOW, LENGTH, TICKERS = 5, 40, 20
WHOLE = 1 << 20
"""A size at which a sample is the whole set."""


def hashed(one, size=8):
    return blake2b(repr(one).encode(), digest_size=size).hexdigest()


def names(elements):
    return tuple(sorted(map(hashed, elements)))


@dataclass(frozen=True)
class Tried:
    """A run: its last session, its tickers, its market, the first letters of its tickers, its horizons and recipe."""

    end: int = LENGTH
    tickers: frozenset[int] = frozenset(range(TICKERS))
    market: str = "us"
    prefix: str = "T"
    horizons: frozenset[int] = frozenset({1})
    recipe: int = 0

    def facts(self, *, window=WINDOW, deviations=()):
        tested = range(self.end - LENGTH, self.end)
        rows = Sample(hashes=names((day, ticker) for day in tested for ticker in self.tickers), size=WHOLE)
        tickers = Sample(hashes=names(f"{self.prefix}{ticker}" for ticker in self.tickers), size=WHOLE)
        known = (self.recipe, self.end, tuple(sorted(self.tickers)))
        forecasts = {horizon: hashed((horizon, known), 32) for horizon in sorted(self.horizons)}
        return LookFacts(
            market=self.market,
            run=f"foundry_train/{self.recipe}",
            when=datetime.combine(DAYS[self.end - 1], time(22), UTC),
            forecasts=forecasts,
            sessions=tuple(DAYS[day] for day in tested),
            rows=rows,
            tickers=tickers,
            recipe=hashed(self.recipe, 32),
            policy="0" * 64,
            window=window,
            deviations=deviations,
        )


TRIES = st.builds(
    Tried,
    end=st.integers(LENGTH, LENGTH + 12),
    tickers=st.frozensets(st.integers(0, TICKERS - 1), min_size=16),
    market=st.sampled_from(["us", "fresh"]),
    prefix=st.sampled_from(["T", "M"]),
    horizons=st.frozensets(st.sampled_from([1, 5, 20]), min_size=1),
    recipe=st.integers(0, 5),
)
"""Runs of which any two have more than half of their ticker-sessions in common."""


def chain(*tried, state=None):
    state = state or EvidenceState()
    for one in tried:
        facts = one.facts() if isinstance(one, Tried) else one
        record = look_record(facts, state)
        state = EvidenceState((*state.records, record)) if record else state
    return state


# ------------------------------------------------------------------ looks
@given(st.lists(TRIES, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_two_looks_at_the_same_data_stand_alone_only_if_the_window_lies_between_them(tried):
    state = chain(*tried)
    alone = [look for look in state.looks if not look.because]
    assert not state.looks[0].because
    for before, after in pairwise(alone):
        assert sum(day > before.sessions[-1] for day in after.sessions) >= WINDOW
        assert (after.market, after.recipe) == (before.market, before.recipe), "another recipe may have been chosen"


@given(st.lists(TRIES, min_size=1, max_size=5), TRIES)
@settings(max_examples=40, deadline=None)
def test_a_retry_is_no_look_and_changes_no_standing(tried, other):
    state = chain(*tried)
    later = chain(other, state=state)
    for one in tried:
        assert look_record(one.facts(), later) is None
        for horizon, forecast in one.facts().forecasts.items():
            assert later.look_at(horizon, forecast) == state.look_at(horizon, forecast)


@given(TRIES)
@settings(max_examples=20, deadline=None)
def test_a_look_that_differs_from_the_plan_never_stands_alone_and_counts_for_the_next(one):
    state = chain(one.facts(deviations=("folds is 5, the policy says 4",)), Tried(end=one.end, recipe=99))
    assert [bool(look.because) for look in state.looks] == [True, True]
    assert state.looks[1].number == 1 + len(one.horizons)


def test_half_of_the_rows_are_the_same_data_and_less_are_other_data():
    half, fewer = frozenset(range(10)), frozenset(range(9))
    for tested, alone in ((half, False), (fewer, True)):
        first = Tried(tickers=tested, market="us", prefix="A")
        state = chain(first, Tried(market="fresh", prefix="B", recipe=1))
        assert (not state.looks[1].because) is alone


@pytest.mark.parametrize(("mine", "theirs"), [(5000, 5000), (5000, 20000), (20000, 5000), (300, 5000), (200, 5000)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_sample_estimates_the_overlap_within_four_standard_errors(mine, theirs, share):
    size, common = 256, min(int(share * mine), theirs)
    for seed in range(20):
        words = np.unique(np.random.default_rng(seed).integers(0, 2**62, mine + theirs))
        np.random.default_rng(seed + 1).shuffle(words)
        a, b = words[:mine], np.concatenate([words[:common], words[mine : mine + theirs - common]])
        samples = [Sample(hashes=tuple(f"{word:016x}" for word in sorted(each)[:size]), size=size) for each in (a, b)]
        cut = min(samples[1].hashes[-1], samples[0].hashes[-1] if mine >= size else "g")
        n = max(1, sum(one <= cut for one in samples[0].hashes))
        p = common / mine
        assert abs(samples[0].share_in(samples[1]) - p) <= 4 * np.sqrt(p * (1 - p) / n) + 1e-9


# ------------------------------------------------------------------ the policy
VALUES = {
    "min_auc": st.floats(0.4, 0.7),
    "max_calibration_gap": st.floats(0.01, 0.2),
    "min_champion_difference": st.floats(-0.1, 0.1),
    "resamples": st.integers(200, 5000),
    "confidence": st.floats(0.6, 0.99),
    "folds": st.integers(2, 9),
    "spread_ratio_band": st.tuples(st.floats(0.5, 0.95), st.floats(1.05, 2)).map(list),
    "audit_dates": st.integers(1, 9),
}
CHANGES = st.sampled_from(sorted(VALUES)).flatmap(lambda key: st.tuples(st.just(key), VALUES[key]))


@given(CHANGES, st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_a_stricter_value_counts_at_once_and_a_looser_one_after_the_window(change, later):
    key, value = change
    state = chain(Tried())
    record = change_record("us", {key: value}, ANN, state)
    old = built_in()[key]
    if record is None:
        assert value == old
        return
    state = EvidenceState((*state.records, record))
    counts = not looser(key, value, old) or later >= built_in()["promotion_window_sessions"]
    sessions = DAYS[later : LENGTH + later]
    assert state.policy("us", sessions)[key] == (value if counts else old)
    assert state.pending_policy("us")[key] == value
    assert state.policy("other", sessions)[key] == old


@given(st.lists(CHANGES, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_no_sequence_of_changes_loosens_the_policy_of_sessions_that_were_looked_at(changes):
    state = chain(Tried())
    for key, value in changes:
        record = change_record("us", {key: value}, ANN, state)
        state = EvidenceState((*state.records, record)) if record else state
    policy = state.policy("us", DAYS[:LENGTH])
    assert not [key for key, value in policy.items() if looser(key, value, built_in()[key])]


def test_before_any_look_every_change_counts():
    record = change_record("us", {"min_auc": 0.4}, ANN, EvidenceState())
    assert EvidenceState((record,)).policy("us", DAYS)["min_auc"] == 0.4


# ------------------------------------------------------------------ forgeries
def a_chain():
    state = chain(Tried(), Tried(recipe=1))
    state = EvidenceState((*state.records, change_record("us", {"min_auc": 0.5}, ANN, state)))
    return chain(Tried(recipe=2), Tried(end=50, recipe=3), state=state)


STATE = a_chain()
LAST = len(STATE.records)


def objects(records):
    return [(ledger_key(CHAIN, number), record.document()) for number, record in enumerate(records, 1)]


def faults(found, witness=STATE.head):
    state, findings = prove_evidence(found)
    against = contradicts(state.records, witness)
    return [*findings, *([against] if against else [])]


def test_an_untouched_chain_has_no_fault():
    assert faults(objects(STATE.records)) == []


@given(st.integers(0, LAST - 1), st.data())
@settings(max_examples=80, deadline=None)
def test_an_altered_record_is_found(index, data):
    stored = objects(STATE.records)
    document = json.loads(stored[index][1])
    key = data.draw(st.sampled_from(sorted(document)))
    value = document[key]
    document[key] = value + 1 if isinstance(value, int) else ["x"] if isinstance(value, list) else f"{value}x"
    stored[index] = (stored[index][0], canonical_json(document))
    assert faults(stored)


@given(st.integers(0, LAST - 1), st.sampled_from(["market", "run", "number", "because", "window", "looked_until"]))
@settings(max_examples=40, deadline=None)
def test_an_altered_record_with_its_new_hash_is_found(index, key):
    record = STATE.records[index]
    if not hasattr(record, key):
        return
    other = {"number": 9, "window": 0, "looked_until": date(2020, 1, 1)}.get(key, "other")
    if getattr(record, key) == other:
        return
    forged = record.model_copy(update={key: other})
    forged = forged.model_copy(update={"hash": forged.true_hash()})
    assert faults(objects([*STATE.records[:index], forged, *STATE.records[index + 1 :]]))


@given(st.integers(0, LAST - 1))
def test_a_removed_record_is_found(index):
    stored = objects(STATE.records)
    assert faults(stored[:index] + stored[index + 1 :])
    renumbered = [*STATE.records[:index], *STATE.records[index + 1 :]]
    assert faults(objects(renumbered))


@given(st.integers(0, LAST - 1), st.integers(0, LAST - 1))
def test_swapped_records_are_found(one, other):
    records = list(STATE.records)
    records[one], records[other] = records[other], records[one]
    assert bool(faults(objects(records))) is (one != other)


@given(st.integers(0, LAST - 1))
def test_an_inserted_record_is_found(index):
    between = EvidenceState(STATE.records[:index])
    inserted = look_record(Tried(recipe=77).facts(), between)
    assert faults(objects([*between.records, inserted, *STATE.records[index:]]))
