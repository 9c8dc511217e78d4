"""Windows: the right sessions in order, missing values stay missing, and never all windows in memory at once."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.design import build_design

SESSIONS, TICKERS, INPUTS = 12, 5, 3


def numbered():
    """Each value encodes its position: session · 100 + ticker · 10 + input."""
    session, ticker, column = np.indices((SESSIONS, TICKERS, INPUTS))
    return (session * 100 + ticker * 10 + column).astype(np.float32)


def rows_of(panel):
    """Every ticker of every session."""
    session, ticker = np.indices(panel.shape[:2]).reshape(2, -1).astype(np.int32)
    return Sequences(panel, session, ticker)


@pytest.fixture
def sequences():
    return rows_of(numbered())


def test_a_window_ends_with_its_rows_own_session_and_holds_the_ones_before_it_in_order(sequences):
    place = 7 * TICKERS + 2
    assert sequences[[place]].windows(3)[0].tolist() == [[520, 521, 522], [620, 621, 622], [720, 721, 722]]


def test_what_lies_before_the_panel_is_missing(sequences):
    window = sequences[[TICKERS]].windows(4)[0]
    assert np.isnan(window[:2]).all()
    assert window[2:].tolist() == [[0, 1, 2], [100, 101, 102]]


@given(st.integers(1, 20), st.integers(0, SESSIONS * TICKERS - 1))
def test_a_longer_window_ends_as_a_shorter_one_does(steps, place):
    row = rows_of(numbered())[[place]]
    np.testing.assert_array_equal(row.windows(steps + 3)[:, 3:], row.windows(steps))


@given(st.integers(1, 20), st.integers(0, SESSIONS - 1))
def test_no_later_session_is_in_a_window(steps, session):
    spoilt = numbered()
    spoilt[session + 1 :] = -1
    rows = rows_of(spoilt)
    assert (rows[rows.session <= session].windows(steps) != -1).all()


@pytest.mark.parametrize(
    "rows", [slice(5, 20, 3), np.arange(60) % 7 == 0, np.array([3, 3, 50])], ids=["slice", "mask", "places"]
)
def test_rows_are_chosen_as_an_arrays_are_and_the_panel_stays_where_it_is(sequences, rows):
    chosen = sequences[rows]
    assert len(chosen) == len(np.arange(60)[rows])
    np.testing.assert_array_equal(chosen.windows(2), sequences.windows(2)[rows])
    assert chosen.panel is sequences.panel


def test_rows_come_back_session_by_session(sequences):
    some = sequences[sequences.session % 2 == 0]
    assert [set(some.session[one].tolist()) for one in some.by_session()] == [{0}, {2}, {4}, {6}, {8}, {10}]
    assert sum(len(some[one]) for one in some.by_session()) == len(some)


def test_an_input_may_be_taken_from_other_tickers_the_others_stay(sequences):
    last = sequences[SESSIONS * TICKERS - TICKERS :]
    swapped = last.with_input_of(1, np.array([4, 0, 1, 2, 3]))
    assert swapped.windows(2)[0].tolist() == [[1000, 1041, 1002], [1100, 1141, 1102]]
    np.testing.assert_array_equal(swapped[1:3].windows(2), swapped.windows(2)[1:3])


# ------------------------------------------------------------------ of a design
def features(n_sessions=SESSIONS, n_tickers=15, n_inputs=INPUTS):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n_inputs, n_sessions, n_tickers)).astype(np.float32)
    sessions = np.datetime64("2020-01-01") + np.arange(n_sessions)
    return FeaturePanel(sessions, tuple(map(str, range(n_tickers))), tuple(f"f{i}" for i in range(n_inputs)), values)


def test_the_last_step_of_a_row_is_what_a_model_of_ranks_sees_of_it():
    panel = features()
    panel.values[:, :4, 2] = np.nan
    panel.values[0, 6, 3] = np.nan
    wide, ranks = build_design(panel, "sequence"), build_design(panel, "rank")
    np.testing.assert_array_equal(wide.values.windows(3)[:, -1], ranks.values)
    np.testing.assert_array_equal(wide.session, ranks.session)


def test_a_ticker_has_no_past_before_its_first_row():
    panel = features()
    panel.values[:, :4, 2] = np.nan
    panel.values[0, 3, 2] = 1.0
    design = build_design(panel, "sequence")
    first = design.values[(design.session == 4) & (design.ticker == 2)].windows(3)[0]
    assert np.isnan(first[:2]).all(), "one input of three is too few for a row"
    assert np.isfinite(first[2]).all()


def test_an_epochs_windows_never_exist_as_one_array():
    """All windows need 144 MB; the panel needs 3 MB, and a batch of 600 rows 3 MB."""
    n_sessions, n_tickers, n_inputs, steps = 250, 100, 30, 48
    rows = rows_of(np.zeros((n_sessions, n_tickers, n_inputs), dtype=np.float32))
    everything = len(rows) * steps * n_inputs * 4
    tracemalloc.start()
    for first in range(0, len(rows), 600):
        rows[first : first + 600].windows(steps)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < everything / 15
