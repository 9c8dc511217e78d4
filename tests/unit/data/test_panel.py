"""Some sessions of a panel, without a copy."""

import numpy as np
import pytest

from foundry_tasks.data.panel import FeaturePanel


@pytest.fixture
def panel():
    """One feature of two tickers in five sessions; each value is the session's number."""
    values = np.repeat(np.arange(5, dtype=np.float32), 2).reshape(1, 5, 2)
    sessions = np.arange("2026-06-01", "2026-06-06", dtype="datetime64[D]")
    return FeaturePanel(sessions, ("AAPL", "MSFT"), ("ret_1d",), values)


def test_the_last_sessions_and_the_first(panel):
    assert panel.last(2)["ret_1d"][:, 0].tolist() == [3, 4]
    assert panel.last(2).sessions.tolist() == panel.sessions[-2:].tolist()
    assert panel.up_to(3)["ret_1d"][:, 0].tolist() == [0, 1, 2]
    assert panel.up_to(3).last(1)["ret_1d"].tolist() == [[2, 2]]


def test_more_sessions_than_there_are_is_all_of_them(panel):
    assert panel.last(6).sessions.tolist() == panel.up_to(6).sessions.tolist() == panel.sessions.tolist()


def test_nothing_is_copied(panel):
    assert np.shares_memory(panel.last(2).values, panel.values)
    assert np.shares_memory(panel.up_to(2).values, panel.values)
