"""The timetable fires on sessions only, in New York's local time, and Airflow can serialise it."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.timetables.base import DataInterval, TimeRestriction

from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.identity import last_completed_session
from foundry_tasks.data.sessions import latest_session, sessions_between

pytestmark = pytest.mark.slow(13)

NEW_YORK = ZoneInfo("America/New_York")
YEARS = range(2000, 2031)


@pytest.fixture(scope="module")
def sessions_timetable(load):
    return load("exchange_sessions")


@pytest.fixture(scope="module")
def daily(sessions_timetable):
    return sessions_timetable.ExchangeSessions("XNYS", at="08:15", timezone="America/New_York")


@pytest.fixture(scope="module")
def weekly(sessions_timetable):
    return sessions_timetable.ExchangeSessions("XNYS", at="02:00", timezone="America/New_York", weekly=True)


@pytest.fixture(scope="module")
def fired(sessions_timetable):
    """All daily firings of 31 years."""
    return [
        moment
        for year in YEARS
        for moment in sessions_timetable.firings("XNYS", "08:15", "America/New_York", False, year)
    ]


def in_new_york(*when):
    return datetime(*when, tzinfo=NEW_YORK)


# ------------------------------------------------------------------ when
def test_it_fires_once_on_each_session_of_thirty_one_years_and_on_no_other_day(fired):
    days = [moment.astimezone(NEW_YORK).date() for moment in fired]
    assert days == sessions_between("XNYS", date(2000, 1, 1), date(2030, 12, 31)).tolist()
    assert len(days) == len(set(days)) > 7700


def test_it_fires_by_new_yorks_clocks_summer_and_winter(fired):
    assert {moment.astimezone(NEW_YORK).time() for moment in fired} == {time(8, 15)}
    assert {moment.hour for moment in fired} == {12, 13}
    by_day = {moment.date(): moment.hour for moment in fired}
    assert (by_day[date(2026, 3, 6)], by_day[date(2026, 3, 9)]) == (13, 12), "clocks go forward on 8 March 2026"
    assert (by_day[date(2026, 10, 30)], by_day[date(2026, 11, 2)]) == (12, 13), "and back on 1 November"
    assert (by_day[date(2006, 3, 31)], by_day[date(2006, 4, 3)]) == (13, 12), "before 2007 the rule was another"


@pytest.mark.parametrize(
    "closed",
    [
        (2001, 9, 11), (2001, 9, 14), (2004, 6, 11), (2012, 10, 29), (2018, 12, 5), (2021, 4, 2), (2022, 6, 20),
        (2023, 11, 23), (2025, 1, 9), (2026, 7, 3), (2027, 12, 24), (2028, 1, 17), (2030, 12, 25),
    ],
)  # fmt: skip
def test_holidays_and_days_of_mourning_are_left_out(fired, closed):
    assert date(*closed) not in {moment.date() for moment in fired}


@pytest.mark.parametrize("half", [(2023, 7, 3), (2023, 11, 24), (2025, 12, 24), (2026, 11, 27), (2028, 7, 3)])
def test_half_days_are_sessions(fired, half):
    assert date(*half) in {moment.date() for moment in fired}


def test_weekly_is_the_first_session_of_a_week_also_after_a_holiday_and_over_new_year(weekly):
    start, days = in_new_york(2024, 1, 1), []
    while start.year < 2027:
        start = weekly.following(start)
        days.append(start.astimezone(NEW_YORK).date())
    weeks = {}
    for day in sessions_between("XNYS", date(2024, 1, 1), days[-1]).tolist():
        weeks.setdefault(day.isocalendar()[:2], day)
    assert days == list(weeks.values())
    assert date(2026, 1, 20) in days, "the Monday before is a holiday"
    assert date(2025, 12, 29) in days
    assert date(2026, 1, 2) not in days, "the same week"


def test_a_run_of_monday_morning_predicts_from_friday_and_one_after_a_holiday_from_before_it(daily):
    for fires, expected in (((2026, 11, 23), date(2026, 11, 20)), ((2026, 11, 27), date(2026, 11, 25))):
        moment = daily.following(in_new_york(*fires))
        assert moment == in_new_york(*fires, 8, 15)
        assert latest_session("XNYS", last_completed_session(moment)) == expected


# ------------------------------------------------------------------ which run is next
MONDAY = in_new_york(2026, 11, 23, 8, 15)
FREE = TimeRestriction(earliest=None, latest=None, catchup=False)


def at(monkeypatch, timetable_module, moment):
    monkeypatch.setattr(timetable_module, "utcnow", lambda: pendulum.instance(moment.astimezone(UTC)))


def after(moment):
    return DataInterval.exact(pendulum.instance(moment))


def next_run(timetable, last, restriction=FREE):
    info = timetable.next_dagrun_info(
        last_automated_data_interval=after(last) if last else None, restriction=restriction
    )
    return info and info.run_after


def test_the_first_run_is_the_next_session_and_nothing_of_the_past(daily, sessions_timetable, monkeypatch):
    at(monkeypatch, sessions_timetable, in_new_york(2026, 11, 21, 12))
    assert next_run(daily, None) == MONDAY


def test_after_a_run_comes_the_next_session(daily, sessions_timetable, monkeypatch):
    at(monkeypatch, sessions_timetable, MONDAY + timedelta(minutes=1))
    assert next_run(daily, MONDAY) == in_new_york(2026, 11, 24, 8, 15)
    assert next_run(daily, in_new_york(2026, 11, 25, 8, 15)) == in_new_york(2026, 11, 27, 8, 15), "Thanksgiving"


def test_of_missed_runs_the_newest_is_made_good_and_no_other(daily, sessions_timetable, monkeypatch):
    at(monkeypatch, sessions_timetable, MONDAY + timedelta(hours=3))
    assert next_run(daily, in_new_york(2026, 11, 10, 8, 15)) == MONDAY


def test_a_dag_that_catches_up_runs_each_session(daily, sessions_timetable, monkeypatch):
    at(monkeypatch, sessions_timetable, MONDAY)
    start = pendulum.instance(in_new_york(2026, 11, 10))
    restriction = TimeRestriction(earliest=start, latest=None, catchup=True)
    assert next_run(daily, None, restriction) == in_new_york(2026, 11, 10, 8, 15)
    assert next_run(daily, in_new_york(2026, 11, 10, 8, 15), restriction) == in_new_york(2026, 11, 11, 8, 15)


def test_start_and_end_of_the_dag_are_kept(daily, sessions_timetable, monkeypatch):
    at(monkeypatch, sessions_timetable, MONDAY)
    start, end = pendulum.instance(in_new_york(2026, 12, 25)), pendulum.instance(in_new_york(2026, 12, 26))
    assert next_run(daily, None, TimeRestriction(start, None, catchup=False)) == in_new_york(2026, 12, 28, 8, 15)
    assert next_run(daily, None, TimeRestriction(start, end, catchup=False)) is None


def test_a_manual_run_is_of_its_own_moment(daily):
    moment = pendulum.instance(in_new_york(2026, 11, 22, 15))
    assert daily.infer_manual_data_interval(run_after=moment) == DataInterval(moment, moment)


# ------------------------------------------------------------------ Airflow
READ_BACK = """
import json
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(%r)
assert not bag.import_errors, bag.import_errors
found = {}
for name, dag in bag.dags.items():
    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    timetable = DagSerialization.from_dict(stored).timetable
    found[name] = [timetable.summary, timetable.serialize()]
print(json.dumps(found))
"""


def airflow(plugins, folder):
    environment = os.environ | {
        "AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "PYTHONPATH": str(REPOSITORY / "dags"),
    }  # fmt: skip
    script = READ_BACK % str(REPOSITORY / "dags")
    command = [sys.executable, "-W", "ignore", "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_airflow_keeps_the_dags_in_its_database_and_reads_them_back(tmp_path):
    ran = airflow(REPOSITORY / "dags" / "plugins", tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    daily = {"calendar": "XNYS", "at": "08:15", "timezone": "America/New_York", "weekly": False}
    assert found["foundry_daily"] == ["08:15 on sessions of XNYS", daily]
    assert found["foundry_train"][1]["weekly"]
    assert set(found) >= {"foundry_daily", "foundry_train", "foundry_promote"}


def test_without_the_plugins_folder_airflow_says_which_module_is_missing(tmp_path):
    ran = airflow(tmp_path, tmp_path)
    assert ran.returncode != 0
    assert "ModuleNotFoundError" in ran.stderr
    assert "exchange_sessions" in ran.stderr
