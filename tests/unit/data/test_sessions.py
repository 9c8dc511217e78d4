"""Sessions: one calendar per market, which is extended on demand and has an end."""

from datetime import date

import exchange_calendars
import pytest

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data import sessions
from foundry_tasks.data.sessions import is_session, latest_session, session_before, sessions_between


@pytest.fixture
def loaded(monkeypatch):
    """Names and ranges of the calendars that are loaded from here on."""
    asked = []
    load = exchange_calendars.get_calendar

    def get_calendar(name, **bounds):
        asked.append((name, *bounds.values()))
        return load(name, **bounds)

    monkeypatch.setattr(exchange_calendars, "get_calendar", get_calendar)
    monkeypatch.setattr(sessions, "_known", {})
    return asked


def test_a_calendar_is_loaded_once_for_all_that_lies_within_it(loaded):
    assert len(sessions_between("XNYS", date(2020, 1, 1), date(2024, 3, 8))) == 1053
    assert latest_session("XNYS", date(2024, 3, 10)) == date(2024, 3, 8)
    assert session_before("XNYS", date(2024, 3, 8), 3) == date(2024, 3, 5)
    assert not is_session("XNYS", date(2024, 2, 19))
    assert loaded == [("XNYS", None, None)]


def test_a_calendar_grows_to_the_past_and_says_of_later_days_what_it_said(loaded):
    before = sessions_between("XNYS", date(2023, 1, 1), date(2023, 12, 31))
    assert latest_session("XNYS", date(1999, 12, 31)) == date(1999, 12, 31)
    assert (sessions_between("XNYS", date(2023, 1, 1), date(2023, 12, 31)) == before).all()
    assert len(sessions_between("XNYS", date(2000, 1, 1), date(2023, 12, 31))) == 6037
    assert len(loaded) == 2


def test_beside_the_last_day_that_is_known_of_a_calendar_there_need_be_no_other(loaded):
    last = date(2029, 12, 31)
    assert latest_session("XSAU", last) == last
    assert latest_session("XSAU", last) == last
    assert [name for name, *_ in loaded] == ["XSAU", "XSAU"]


@pytest.mark.parametrize(("first", "last"), [((2020, 12, 31), (2024, 3, 8)), ((2024, 3, 8), (2030, 1, 1))])
def test_days_that_a_calendar_does_not_know_are_an_error_and_not_days_without_a_session(first, last):
    with pytest.raises(
        ConfigError, match=r"'XSAU' is known from 2021-01-01 to 2029-12-31; .* Set start and end within it"
    ):
        sessions_between("XSAU", date(*first), date(*last))


def test_calendars_are_kept_apart_by_their_names(loaded):
    assert not is_session("XNYS", date(2024, 7, 4))
    assert is_session("XLON", date(2024, 7, 4))
    assert [name for name, *_ in loaded] == ["XNYS", "XLON"]


def test_an_unknown_calendar_names_the_setting_and_what_it_takes():
    with pytest.raises(ConfigError, match="calendar='NYSE!' is no exchange calendar"):
        is_session("NYSE!", date(2024, 7, 4))
