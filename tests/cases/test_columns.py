"""For all column names and extra columns: prices are equal byte for byte, or the file is refused."""

from contextlib import suppress

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.config import PricesConfig
from foundry_tasks.contract.errors import ConfigError, DataRejectedError
from foundry_tasks.data.column_names import COMPANIES, ROLE_OF, normal
from foundry_tasks.data.price_source import open_source
from foundry_tasks.data.tidy import COLUMNS, tidy
from tests.cases.markets_of_names import extra_columns, irrelevant, market, renamings, synonyms

MARKET = market()
ROWS = len(MARKET)


def same(frame):
    pd.testing.assert_frame_equal(frame, MARKET, check_exact=True)


def read(path, **config):
    source = open_source(PricesConfig(source="parquet", prices=str(path), **config))
    return source.fetch((), None, None), source.notes


@pytest.mark.slow(8)
@given(names=renamings(), order=st.permutations(COLUMNS), extra=extra_columns(ROWS, irrelevant()))
def test_a_column_means_the_same_under_every_name_in_any_order_beside_any_other(names, order, extra):
    raw = MARKET[list(order)].rename(columns=names).assign(**extra)
    same(tidy(raw, where="here"))


@pytest.mark.slow(4)
@settings(max_examples=25)
@given(names=renamings(), extra=extra_columns(ROWS, irrelevant()))
def test_a_csv_says_the_same_as_the_frame_that_it_was_written_from(tmp_path_factory, names, extra):
    path = tmp_path_factory.mktemp("csv") / "bars.csv"
    MARKET.rename(columns=names).assign(**extra).to_csv(path, index=False)
    same(read(path)[0])


@pytest.mark.slow(15)
@settings(max_examples=200)
@given(names=renamings(), extra=extra_columns(ROWS, st.one_of(st.sampled_from(sorted(ROLE_OF)), irrelevant())))
def test_no_column_changes_prices_without_a_word(names, extra):
    assume(normal(names["ticker"]) not in COMPANIES or not any(ROLE_OF.get(normal(name)) == "ticker" for name in extra))
    raw = pd.concat([MARKET.rename(columns=names), pd.DataFrame(extra)], axis=1)
    with suppress(DataRejectedError):
        same(tidy(raw, where="here"))


@pytest.mark.parametrize("role", [role for role in COLUMNS if role != "volume"])
def test_two_different_columns_for_one_role_are_refused_and_one_can_be_declared(tmp_path, role):
    one, other, *_ = synonyms(role)
    raw = MARKET.rename(columns={role: one})
    raw[other] = raw[one].iloc[::-1].to_numpy()
    raw.to_parquet(tmp_path / "bars.parquet")
    with pytest.raises(
        DataRejectedError, match=f"columns {one}, {other} compete for the role {role} and differ"
    ) as refused:
        read(tmp_path / "bars.parquet")
    assert f'columns = {{{role} = "{one}"}} in the market file' in str(refused.value)
    same(read(tmp_path / "bars.parquet", columns=(f"{role}={one}",))[0])


@pytest.mark.parametrize("role", COLUMNS)
def test_equal_columns_for_one_role_are_one_and_that_is_said(role):
    one, other, *_ = synonyms(role)
    raw, said = MARKET.rename(columns={role: one}), []
    raw[other] = raw[one]
    same(tidy(raw, where="here", notes=said))
    assert f"columns {one}, {other} are equal; {one} is used as {role}" in said


@pytest.mark.parametrize("inserted", ["timestamp", "created_at", "updated_at", "insert_time", "ingested"])
@pytest.mark.parametrize("written", [lambda times: times, lambda times: times.astype("str")], ids=["times", "text"])
def test_a_time_of_insertion_is_no_date(inserted, written):
    said = []
    times = MARKET["date"].astype("datetime64[us]") + pd.Timedelta(hours=30, minutes=7)
    raw = pd.concat([written(times).rename(inserted), MARKET.rename(columns={"date": "trade_date"})], axis=1)
    same(tidy(raw, where="here", notes=said))
    assert any(inserted in note for note in said)


def test_a_time_of_day_a_day_of_the_week_and_a_row_number_are_no_dates():
    raw = MARKET.assign(time="00:00:00", day=MARKET["date"].dt.day_of_week, index=range(ROWS), session="regular")
    same(tidy(raw, where="here"))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_repeated_column_is_refused_by_name(tmp_path, kind):
    raw = pd.concat([MARKET, MARKET[["close"]]], axis=1)
    if kind == "csv":
        raw.to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataRejectedError, match=r"close .*2 times"):
        read(tmp_path / "b.csv") if kind == "csv" else tidy(raw, where="here")


@pytest.mark.parametrize("name", ["pre_close", "Bid", "last", "VWAP", "settle", "adjOpen", "close_raw", "PX_MID"])
def test_whatever_else_looks_like_a_price_is_said(name):
    said = []
    same(tidy(MARKET.assign(**{name: 1.0}), where="here", notes=said))
    assert f"column {name} is not used" in said


def test_the_company_is_not_the_ticker_and_an_identifier_that_tells_other_rows_apart_competes():
    raw = MARKET.rename(columns={"ticker": "tic"}).assign(name="Apple Inc.", isin=MARKET["ticker"].map(hash))
    same(tidy(raw, where="here"))
    raw["isin"] = range(ROWS)
    with pytest.raises(DataRejectedError, match="columns tic, isin compete for the role ticker"):
        tidy(raw, where="here")


def test_polygons_letters_are_read_together_and_never_beside_full_names():
    raw = MARKET.drop(columns="adj_close").rename(
        columns={"date": "t", "ticker": "T", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
    )
    pd.testing.assert_frame_equal(tidy(raw.assign(vw=1.0, n=3), where="here"), MARKET.drop(columns="adj_close"))
    without = MARKET.drop(columns=["volume", "high"])
    pd.testing.assert_frame_equal(tidy(without.assign(v=1.0, h=2.0, c=3.0), where="here"), without)


@pytest.mark.parametrize("first_half", [slice(0, 30), slice(0, 15)], ids=["the same dates", "one after the other"])
def test_a_text_column_that_may_be_the_ticker_is_refused_by_name(tmp_path, first_half):
    bars = pd.concat([MARKET[first_half], MARKET[first_half.stop : 60] if first_half.stop == 30 else MARKET[45:60]])
    bars = bars.rename(columns={"ticker": "what"}).reset_index(drop=True)
    bars["what"] = ["007"] * first_half.stop + ["TRUE"] * (len(bars) - first_half.stop)
    bars["what"] = "X" + bars["what"]
    bars.to_csv(tmp_path / "AAPL.csv", index=False)
    with pytest.raises(DataRejectedError, match=r'but what could be it. Write columns = .ticker = "what".'):
        read(tmp_path / "AAPL.csv")
    assert set(read(tmp_path / "AAPL.csv", columns=("ticker=what",))[0]["ticker"]) == {"X007", "XTRUE"}


def test_a_declared_ticker_column_is_read_as_text(tmp_path):
    MARKET.replace({"ticker": {"NA": "NA", "BRK.B": "000001", "VOD.L": "TRUE"}}).rename(
        columns={"ticker": "id"}
    ).to_csv(tmp_path / "bars.csv", index=False)
    with pytest.raises(DataRejectedError, match="no column ticker"):
        read(tmp_path / "bars.csv")
    assert set(read(tmp_path / "bars.csv", columns=("ticker=id",))[0]["ticker"]) == {"NA", "000001", "TRUE"}


def test_several_bars_a_date_without_a_ticker_are_refused():
    with pytest.raises(DataRejectedError, match="no column ticker, and several bars a date, first on 2020-01-02"):
        tidy(MARKET.drop(columns="ticker"), where="here", ticker="AAPL")


def test_irrelevant_text_beside_one_series_is_no_ticker():
    one = MARKET[:30].drop(columns="ticker")
    weekday = one["date"].dt.day_name()
    frame = tidy(one.assign(currency="USD", weekday=weekday, change="1.2%"), where="here", ticker="NA")
    pd.testing.assert_frame_equal(frame, MARKET[:30])


def test_a_declared_column_that_is_absent_is_refused_with_the_nearest(tmp_path):
    MARKET.to_parquet(tmp_path / "bars.parquet")
    with pytest.raises(ConfigError, match=r"columns: date=trade_dat: .* no such column: did you mean 'date'\?"):
        read(tmp_path / "bars.parquet", columns=("date=trade_dat",))


def test_no_adjusted_close_is_wanted_where_that_is_declared(tmp_path):
    MARKET.to_parquet(tmp_path / "bars.parquet")
    frame, notes = read(tmp_path / "bars.parquet", columns=("adj_close=",))
    pd.testing.assert_frame_equal(frame, MARKET.drop(columns="adj_close"))
    assert any("column adj_close is not used" in note for note in notes)


def test_a_date_that_is_declared_bounds_what_is_read(tmp_path):
    raw = MARKET.rename(columns={"date": "known"}).assign(timestamp=MARKET["date"] + pd.Timedelta(days=400))
    raw.to_parquet(tmp_path / "bars.parquet")
    source = open_source(PricesConfig(source="parquet", prices=str(tmp_path / "bars.parquet"), columns=("date=known",)))
    assert source.last_date() == MARKET["date"].max().date()
    since = MARKET["date"][20].date()
    assert source.fetch((), since, None)["date"].min().date() == since


def test_dates_in_an_index_without_a_name_are_dates(tmp_path):
    one = MARKET[:30].drop(columns="ticker")
    unnamed = one.set_index("date").rename_axis(index=None)
    unnamed.to_csv(tmp_path / "NA.csv")
    unnamed.to_parquet(tmp_path / "NA.parquet")
    for name in ("NA.csv", "NA.parquet"):
        pd.testing.assert_frame_equal(read(tmp_path / name)[0], MARKET[:30], check_exact=True)


def test_what_is_declared_is_part_of_what_makes_a_source_that_source(tmp_path):
    MARKET.to_parquet(tmp_path / "bars.parquet")
    plain, declared = (
        open_source(PricesConfig(source="parquet", prices=str(tmp_path / "bars.parquet"), columns=columns)).identity
        for columns in ((), ("date=date",))
    )
    assert plain != declared
    assert set(plain) == {"source", "path"}
