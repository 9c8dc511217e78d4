"""Panels and small tables in Parquet: round trips, partial reads, and equal bytes for equal content."""

import io
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data import tables
from foundry_tasks.data.panel import PRICE_FIELDS, ROWS_A_GROUP, FeaturePanel, PricePanel, group_sessions
from foundry_tasks.data.tables import (
    FeatureFile,
    Matrices,
    panel_names,
    read_features,
    read_matrices,
    read_prices,
    read_table,
    write_features,
    write_matrices,
    write_prices,
    write_table,
)

TICKERS = ("A", "B", "C")
N_SESSIONS = 2 * group_sessions(3) + 7
SESSIONS = np.arange(N_SESSIONS) + np.datetime64("2020-01-01")


@pytest.fixture
def features() -> FeaturePanel:
    values = np.random.default_rng(0).standard_normal((4, N_SESSIONS, 3)).astype(np.float32)
    values[:, :20] = np.nan
    return FeaturePanel(SESSIONS, TICKERS, ("f0", "f1", "f2", "f3"), values)


@pytest.fixture
def prices() -> PricePanel:
    rng = np.random.default_rng(1)
    shape = (N_SESSIONS, 3)
    fields = {name: np.where(rng.random(shape) < 0.1, np.nan, rng.random(shape)) for name in PRICE_FIELDS}
    return PricePanel(
        SESSIONS, TICKERS, fields, rng.random(shape) < 0.9, ("x", "", "y"), benchmark=rng.random(N_SESSIONS)
    )


def test_features_come_back_whole_and_undefined_cells_stay_undefined(features, tmp_path):
    write_features(tmp_path / "f.parquet", [features])
    back = read_features(tmp_path / "f.parquet")
    assert (back.names, back.tickers) == (features.names, features.tickers)
    assert np.array_equal(back.sessions, features.sessions)
    assert np.array_equal(back.values, features.values, equal_nan=True)


def test_named_features_of_a_range_of_dates_come_in_the_order_asked_for(features, tmp_path):
    write_features(tmp_path / "f.parquet", [features])
    edge = group_sessions(3)
    first, last = SESSIONS[edge - 1].item(), SESSIONS[edge + 1].item()
    back = read_features(tmp_path / "f.parquet", ["f3", "f1"], between=(first, last))
    assert np.array_equal(back.values, features.values[[3, 1], edge - 1 : edge + 2], equal_nan=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, N_SESSIONS), length=st.integers(0, N_SESSIONS), names=st.permutations(["f0", "f1", "f2", "f3"])
)
def test_an_open_file_gives_any_range_of_sessions_of_any_features(features, tmp_path, start, length, names):
    write_features(tmp_path / "f.parquet", [features])
    wanted = slice(start, start + length)
    back = FeatureFile(tmp_path / "f.parquet").panel(names[:3], wanted)
    assert np.array_equal(back.sessions, SESSIONS[wanted])
    rows = [features.names.index(name) for name in names[:3]]
    assert np.array_equal(back.values, features.values[rows, wanted], equal_nan=True)


@given(n_tickers=st.integers(1, 20_000))
def test_a_row_group_is_neither_tiny_nor_huge_whatever_the_number_of_tickers(n_tickers):
    sessions = group_sessions(n_tickers)
    assert 64 <= sessions <= 1344
    assert sessions == 64 or sessions * n_tickers <= ROWS_A_GROUP
    assert sessions == 1344 or sessions * n_tickers > ROWS_A_GROUP / 4


def test_files_of_an_earlier_version_with_small_row_groups_are_read(features, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "group_sessions", lambda _: 64)
    write_features(tmp_path / "f.parquet", [features])
    monkeypatch.undo()
    assert pq.ParquetFile(tmp_path / "f.parquet").metadata.num_row_groups > 40
    between = slice(60, 200)
    back = FeatureFile(tmp_path / "f.parquet").panel(features.names, between)
    assert np.array_equal(back.values, features.values[:, between], equal_nan=True)


@pytest.mark.parametrize("between", [(None, date(2020, 1, 5)), (date(2020, 5, 1), None), (date(2031, 1, 1), None)])
def test_a_range_may_be_open_or_empty(features, tmp_path, between):
    write_features(tmp_path / "f.parquet", [features])
    first, last = (np.datetime64(day) if day else None for day in between)
    wanted = np.ones(N_SESSIONS, bool)
    wanted &= True if first is None else first <= SESSIONS
    wanted &= True if last is None else last >= SESSIONS
    back = read_features(tmp_path / "f.parquet", between=between)
    assert np.array_equal(back.values, features.values[:, wanted], equal_nan=True)
    assert back.tickers == TICKERS


class CountedFile(io.FileIO):
    """A file that counts the bytes read from it."""

    count = 0

    def read(self, size=-1):
        found = super().read(size)
        self.count += len(found)
        return found


@pytest.fixture
def bytes_read(tmp_path, monkeypatch):
    """bytes_read(names, between), and bytes of a full read, for a file of four features, ten row groups and 300 tickers."""
    sessions = np.arange(10 * group_sessions(300)) + np.datetime64("2020-01-01")
    values = np.random.default_rng(0).standard_normal((4, len(sessions), 300)).astype(np.float32)
    panel = FeaturePanel(sessions, tuple(f"T{i:03}" for i in range(300)), ("f0", "f1", "f2", "f3"), values)
    write_features(tmp_path / "f.parquet", [panel])
    opened = pq.ParquetFile

    def count(names=None, between=(None, None)):
        with CountedFile(tmp_path / "f.parquet") as file:
            monkeypatch.setattr(tables.pq, "ParquetFile", lambda *_, **__: opened(file))
            read_features(tmp_path / "f.parquet", names, between)
            return file.count

    return count


def test_a_column_or_a_range_of_dates_reads_its_own_bytes_and_no_others(bytes_read):
    whole = bytes_read()
    length = group_sessions(300)
    third_group = [date(2020, 1, 1) + timedelta(days=days) for days in (2 * length, 3 * length - 1)]
    overhead = 0.03  # footer (last 64 KiB), dates and tickers
    assert bytes_read(["f2"]) < (1 / 4 + overhead) * whole
    assert bytes_read(between=third_group) < (1 / 10 + overhead) * whole
    assert bytes_read(["f2"], third_group) < (1 / 40 + overhead) * whole


def test_prices_come_back_with_membership_sectors_and_series(prices, tmp_path):
    write_prices(tmp_path / "p.parquet", prices)
    back = read_prices(tmp_path / "p.parquet")
    assert set(back.fields) == set(PRICE_FIELDS)
    assert all(np.array_equal(back.fields[name], prices.fields[name], equal_nan=True) for name in PRICE_FIELDS)
    assert np.array_equal(back.member, prices.member)
    assert back.sectors == prices.sectors
    assert np.array_equal(back.benchmark, prices.benchmark)
    assert back.vix is None


def test_equal_panels_are_equal_bytes(prices, tmp_path):
    write_prices(tmp_path / "a.parquet", prices)
    write_prices(tmp_path / "b.parquet", read_prices(tmp_path / "a.parquet"))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_any_tool_sees_a_panel_as_rows_by_session_and_ticker(prices, tmp_path):
    write_prices(tmp_path / "p.parquet", prices)
    frame = pd.read_parquet(tmp_path / "p.parquet")
    assert list(frame.columns) == ["date", "ticker", *PRICE_FIELDS, "member", "sector", "benchmark"]
    assert list(frame["ticker"][:4]) == ["A", "B", "C", "A"]
    assert frame["close"].iloc[4] == prices.fields["close"][1, 1]


def test_matrices_keep_their_types(tmp_path):
    shape = (N_SESSIONS, 3)
    values = {
        "up": np.ones(shape, bool),
        "rank": np.arange(N_SESSIONS * 3).reshape(shape),
        "p": np.ones(shape, np.float32),
    }
    write_matrices(tmp_path / "m.parquet", Matrices(SESSIONS, TICKERS, values))
    back = read_matrices(tmp_path / "m.parquet")
    assert panel_names(tmp_path / "m.parquet") == ("up", "rank", "p")
    assert all(np.array_equal(back[name], values[name]) and back[name].dtype == values[name].dtype for name in values)


def test_a_matrix_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'up' has shape"):
        write_matrices(tmp_path / "m.parquet", Matrices(SESSIONS, TICKERS, {"up": np.ones((3, 2))}))


def test_a_feature_that_the_file_lacks_is_named(features, tmp_path):
    write_features(tmp_path / "f.parquet", [features])
    with pytest.raises(KeyError, match="'g' is not in this panel; it holds f0, f1"):
        read_features(tmp_path / "f.parquet", ["g"])


def test_a_foreign_parquet_file_is_no_panel(tmp_path):
    write_table(tmp_path / "t.parquet", {"date": SESSIONS, "ticker": ["A"] * N_SESSIONS})
    with pytest.raises(DataRejectedError, match="not a panel that Foundry wrote"):
        read_features(tmp_path / "t.parquet")


def test_a_small_table_comes_back_with_text_dates_and_numbers(tmp_path: Path):
    p_up, horizon = np.array([0.1, np.nan, 0.9]), np.array([1, 5, 20])
    columns = {"date": SESSIONS[:3], "ticker": ["B", "A", "B"], "p_up": p_up, "horizon": horizon}
    write_table(tmp_path / "t.parquet", columns)
    back = read_table(tmp_path / "t.parquet")
    assert list(back) == list(columns)
    assert list(back["ticker"]) == columns["ticker"]
    assert np.array_equal(back["date"], columns["date"])
    assert np.array_equal(back["p_up"], columns["p_up"], equal_nan=True)
    assert list(read_table(tmp_path / "t.parquet", ["horizon"])) == ["horizon"]
