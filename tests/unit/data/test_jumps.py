"""A jump that its day does not confirm is not a return. The ten sessions after it decide how it is handled."""

import numpy as np
import pytest

from foundry_tasks.data.jumps import RESOLVED_SESSIONS, common_steps, find_jumps, log_moves, ratio_of

N = 60
AT = 30
QUIET, WIDE = 0.01, 0.25


def walk(n_tickers=1, seed=5):
    rng = np.random.default_rng(seed)
    close = 80 * np.exp(np.cumsum(rng.normal(0, 0.01, (n_tickers, N)), axis=1)).reshape(-1)
    opened = close * np.exp(rng.normal(0, 0.003, close.shape))
    return {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + QUIET / 2),
        "low": np.minimum(opened, close) * (1 - QUIET / 2),
        "close": close,
        "volume": rng.uniform(0.7, 1.4, close.shape) * 1e5,
    }


def scaled(fields, factor, start=AT, stop=N, *, prices=("open", "high", "low", "close")):
    for name in prices:
        fields[name][start:stop] *= factor
    return fields


def found(fields, price=None, n_tickers=1, known=()):
    ticker, session = np.repeat(np.arange(n_tickers), N), np.tile(np.arange(N), n_tickers)
    price = fields["close"] if price is None else price
    right = np.isin(np.arange(len(price)), known)
    return find_jumps(ticker, session, log_moves(ticker, price), price, fields, right)


def marked(mask):
    return np.flatnonzero(mask).tolist()


def test_a_sound_walk_has_no_jump():
    jumps = found(walk())
    assert not any(mask.any() for mask in vars(jumps).values())


@pytest.mark.parametrize(
    "factor", [4 / 5, 3 / 4, 2 / 3, 1 / 2, 1 / 4, 1 / 20, 1 / 100, 5 / 4, 3 / 2, 2, 20, 100, 0.71, 0.44]
)
def test_a_lasting_jump_on_a_quiet_day_is_an_action_and_ten_sessions_are_withheld(factor):
    jumps = found(scaled(walk(), factor))
    assert marked(jumps.action) == [AT]
    assert marked(jumps.withheld) == list(range(AT, AT + RESOLVED_SESSIONS))
    assert not (jumps.bad | jumps.confirmed).any()


@pytest.mark.parametrize("factor", [1 / 4, 1 / 10, 1 / 20, 1 / 100, 10, 20, 100])
def test_a_volatile_day_does_not_hide_a_change_of_scale(factor):
    fields = scaled(walk(), factor)
    fields["high"][AT] *= 1 + WIDE / 2
    fields["low"][AT] /= 1 + WIDE / 2
    fields["close"][AT] *= 1 + WIDE / 3
    assert marked(found(fields).action) == [AT]


@pytest.mark.parametrize("factor", [10, 1 / 10, 100, 1 / 100])
def test_no_volume_confirms_a_change_of_scale(factor):
    fields = scaled(walk(), factor)
    fields["volume"][AT] *= 200
    assert marked(found(fields).action) == [AT]


@pytest.mark.parametrize("factor", [1 / 100, 1 / 2, 4 / 5, 3])
@pytest.mark.parametrize("length", [1, 2, 5, RESOLVED_SESSIONS])
def test_bars_between_a_jump_and_its_return_are_bad_and_nothing_is_withheld(factor, length):
    jumps = found(scaled(walk(), factor, AT, AT + length))
    assert marked(jumps.bad) == list(range(AT, AT + length))
    assert not (jumps.action | jumps.withheld).any()


def test_a_level_that_returns_later_is_another_action():
    jumps = found(scaled(walk(), 1 / 100, AT, AT + RESOLVED_SESSIONS + 1))
    assert marked(jumps.action) == [AT, AT + RESOLVED_SESSIONS + 1]
    assert not jumps.bad.any()


def test_a_crash_through_the_day_is_a_return():
    fields = scaled(walk(), 0.4)
    fields["open"][AT] /= 0.5
    fields["high"][AT] = fields["open"][AT] * 1.01
    jumps = found(fields)
    assert marked(jumps.confirmed) == [AT]
    assert not (jumps.action | jumps.withheld).any()


@pytest.mark.parametrize(("factor", "times"), [(0.45, 8.0), (0.8, 3.0), (2.0, 8.0)])
def test_a_gap_on_the_volume_of_news_is_a_return(factor, times):
    fields = scaled(walk(), factor)
    fields["volume"][AT] *= times / min(factor, 1)
    jumps = found(fields)
    assert not (jumps.action | jumps.bad).any()


def test_a_split_multiplies_the_shares_and_that_is_no_news():
    fields = scaled(walk(), 1 / 5)
    fields["volume"][AT:] *= 5
    assert marked(found(fields).action) == [AT]


def test_a_gap_that_the_market_shares_is_a_return():
    fields = walk(n_tickers=8)
    for ticker in range(8):
        scaled(fields, 0.84 if ticker == 3 else 0.9, ticker * N + AT, (ticker + 1) * N)
    assert not found(fields, n_tickers=8).action.any()


def test_a_gap_without_volume_is_an_action_only_in_the_ratio_of_a_split():
    for factor, expected in ((4 / 5, [AT]), (0.86, [])):
        fields = scaled(walk(), factor)
        del fields["volume"]
        assert marked(found(fields).action) == expected


@pytest.mark.parametrize(
    ("factor", "expected"), [(1 / 2, [AT]), (10.0, [AT]), (0.43, []), (0.3, [AT]), (1.62, []), (0.7, [])]
)
def test_closes_alone_betray_only_the_ratio_of_a_split_and_what_hardly_ever_happens(factor, expected):
    close = scaled(walk(), factor)["close"]
    close[AT] = close[AT - 1] * factor
    assert marked(found({"close": close}).action) == expected


def test_what_somebody_knows_to_be_right_is_no_jump():
    assert not found(scaled(walk(), 1 / 20), known=[AT]).action.any()


def test_an_adjusted_close_that_goes_on_makes_a_split_none():
    fields = walk()
    adjusted = fields["close"].copy()
    assert not found(scaled(fields, 1 / 4), price=adjusted).action.any()


def test_tickers_do_not_look_at_each_other():
    fields = walk(n_tickers=3)
    jumps = found(scaled(fields, 1 / 20, N + AT, 2 * N), n_tickers=3)
    assert marked(jumps.action) == [N + AT]
    assert marked(jumps.withheld) == list(range(N + AT, N + AT + RESOLVED_SESSIONS))


@pytest.mark.parametrize(("factor", "expected"), [(4 / 3, 4 / 3), (1 / 1.3, 1 / 1.3), (1000, 1000), (1.02, 1)])
def test_one_step_of_most_tickers_is_found_and_no_crash_is(factor, expected):
    fields = walk(n_tickers=8)
    for ticker in range(6):
        scaled(fields, factor, ticker * N + AT, (ticker + 1) * N)
    ticker, session = np.repeat(np.arange(8), N), np.tile(np.arange(N), 8)
    steps = common_steps(session, log_moves(ticker, fields["close"]))
    assert steps[session == AT] == pytest.approx(expected, rel=0.02)
    assert (steps[session != AT] == 1).all()


@pytest.mark.parametrize(("n_tickers", "fall"), [(5, 0.10), (8, 0.12), (60, 0.14)])
def test_a_crash_moves_tickers_apart_and_is_no_common_step(n_tickers, fall):
    fields = walk(n_tickers)
    ticker, session = np.repeat(np.arange(n_tickers), N), np.tile(np.arange(N), n_tickers)
    apart = np.random.default_rng(1).normal(-fall, fall / 3, n_tickers)
    close = fields["close"] * np.exp(apart[ticker] * (session >= AT))
    assert (common_steps(session, log_moves(ticker, close)) == 1).all()


@pytest.mark.parametrize(
    ("factor", "named"),
    [
        (2 / 3, "3:2"),
        (3 / 2, "2:3"),
        (4 / 5, "5:4"),
        (20, "1:20"),
        (1 / 100, "100:1"),
        (1 / 2.005, "2:1"),
        (1 / 5.917, "6:1"),
        (0.86, "0.86 times"),
    ],
)
def test_a_ratio_is_told_as_a_reader_of_splits_writes_it(factor, named):
    assert ratio_of(float(np.log(factor))) == named
