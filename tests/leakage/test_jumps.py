"""Price jumps: values across a jump are NaN, and later bars about a jump change no earlier row."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tasks.data.assembly import build_panel
from foundry_tasks.data.bar_verdicts import bars_of, judge
from foundry_tasks.data.dates import NO_END, NO_START
from foundry_tasks.data.jumps import RESOLVED_SESSIONS
from foundry_tasks.data.sectors import SectorSpan
from foundry_tasks.features.build import build_features
from foundry_tasks.features.labels import build_labels
from foundry_tasks.features.registry import features_in
from tests.market_bars import sound_bars

TICKERS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
BARS = sound_bars(TICKERS)
SESSIONS = BARS["date"].drop_duplicates().to_numpy().astype("datetime64[D]")
N = len(SESSIONS)
PRICES = ["open", "high", "low", "close"]
AT = 300
FACTORS = (1 / 100, 1 / 20, 1 / 4, 1 / 2, 2 / 3, 4 / 5, 5 / 4, 3 / 2, 3, 20, 100)


@dataclass(frozen=True)
class Event:
    """A ticker's prices times `factor` from session `at` on, for `length` sessions or permanently."""

    ticker: int
    at: int
    factor: float
    length: int
    volatile: bool


EVENTS = st.lists(
    st.builds(
        Event,
        ticker=st.integers(0, len(TICKERS) - 1),
        at=st.integers(N - 70, N - 1),
        factor=st.sampled_from(FACTORS),
        length=st.sampled_from([1, 2, 4, RESOLVED_SESSIONS - 1, RESOLVED_SESSIONS, RESOLVED_SESSIONS + 1, 25, N]),
        volatile=st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


def market(events, n_sessions=N):
    """The panel of the first sessions of a market with these events."""
    frame = BARS.copy()
    for event in events:
        first = event.ticker * N + event.at
        last = event.ticker * N + min(event.at + event.length, N) - 1
        frame.loc[first:last, PRICES] *= event.factor
        if event.volatile:
            frame.loc[first, "high"] *= 1.1
            frame.loc[first, "low"] *= 0.9
    frame = frame[frame["date"] <= pd.Timestamp(SESSIONS[n_sessions - 1])]
    bars = bars_of(frame, SESSIONS[:n_sessions])
    sectors = {ticker: (SectorSpan(ticker[:1], NO_START, NO_END, dated=False),) for ticker in TICKERS}
    return build_panel(bars, judge(bars), SESSIONS[:n_sessions], None, sectors)


def features(panel):
    return build_features(panel, "extended").panel.values


def unchanged(later, earlier):
    """Assert equal values where both have one, and NaN in the later where the earlier has NaN."""
    both = np.isfinite(earlier) & np.isfinite(later)
    return np.array_equal(earlier[both], later[both]) and not (np.isfinite(later) & ~np.isfinite(earlier)).any()


@settings(max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck))
@given(events=EVENTS, back=st.integers(1, 30))
def test_later_bars_withhold_an_earlier_row_and_never_change_one(events, back):
    whole, cut = market(events), market(events, N - back)
    assert unchanged(features(whole)[:, : N - back], features(cut))


@pytest.mark.slow(20)
@pytest.mark.parametrize("length", [3, RESOLVED_SESSIONS, N])
@pytest.mark.parametrize("factor", [1 / 100, 3 / 2])
def test_every_session_around_a_jump_has_the_features_that_were_known_then(length, factor):
    events = [Event(2, AT, factor, length, volatile=False)]
    whole = features(market(events))
    for n_sessions in range(AT, AT + RESOLVED_SESSIONS + 3):
        cut = features(market(events, n_sessions))
        assert unchanged(whole[:, :n_sessions], cut), n_sessions
        assert np.isfinite(cut[:, -1, 2]).any() == (
            n_sessions - 1 < AT or n_sessions - 1 >= min(AT + length, AT + RESOLVED_SESSIONS)
        )


@pytest.mark.parametrize("factor", FACTORS)
def test_no_feature_reaches_across_an_action(factor):
    """A ticker's features from the action on do not depend on its prices before."""
    panel = market([Event(2, AT, factor, N, volatile=False)])
    noise = np.random.default_rng(0).uniform(0.5, 2, AT)
    fields = {name: values.copy() for name, values in panel.fields.items()}
    for values in fields.values():
        values[:AT, 2] *= noise
    own = [feature.name for feature in features_in("extended") if not {"cross_section", "sectors"} & set(feature.needs)]
    built, other = (build_features(one, "extended").panel for one in (panel, replace(panel, fields=fields)))
    assert len(own) > 30
    for name in set(own) & set(built.names):
        np.testing.assert_array_equal(built[name][AT:, 2], other[name][AT:, 2], err_msg=name)
    known = np.isfinite(built.values[:, AT:, 2])
    assert not known[:, :RESOLVED_SESSIONS].any()
    assert known[:, RESOLVED_SESSIONS].any()


@pytest.mark.parametrize("entry", ["close", "next_open", "next_close"])
@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_no_label_and_no_return_reaches_across_an_action(horizon, entry):
    panel = market([Event(2, AT, 1 / 20, N, volatile=True)])
    returns = build_labels(panel, horizon, entry).forward_return[:, 2]
    lag = 0 if entry == "close" else 1
    spans = np.arange(AT - lag - horizon, AT - lag)
    assert np.isnan(returns[spans]).all()
    assert np.isfinite(returns[spans[0] - 5 : spans[0]]).all()
    assert (np.abs(returns[np.isfinite(returns)]) < 0.4).all()
    assert np.isnan(panel.returns[AT, 2])


def test_bars_between_a_jump_and_its_return_leave_what_is_before_and_after():
    clean, bent = market([]), market([Event(2, AT, 1 / 100, 4, volatile=False)])
    assert np.isnan(bent.fields["close"][AT : AT + 4, 2]).all()
    np.testing.assert_array_equal(
        np.delete(bent.fields["close"], range(AT, AT + 4), 0), np.delete(clean.fields["close"], range(AT, AT + 4), 0)
    )
    assert bent.breaks is None
