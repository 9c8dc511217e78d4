"""Prices on the wrong scale, and prices that end early: handled correctly or refused with one line, from file to model."""

import json

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.tables import read_prices, read_table
from tests.e2e.foundry_here import TINY, Foundry
from tests.market_bars import LAST, sound_bars

pytestmark = pytest.mark.slow(30)

TICKERS = tuple(f"T{number:02}" for number in range(12))
PRICES = ["open", "high", "low", "close"]
DAYS = sound_bars(TICKERS)["date"].drop_duplicates().tolist()
AT = 170


@pytest.fixture
def foundry(tmp_path):
    return Foundry(tmp_path)


def conf_of(foundry, frame, **more):
    frame.to_parquet(foundry.folder / "bars.parquet")
    return TINY | {"source": "parquet", "prices": str(foundry.folder / "bars.parquet")} | more


def published(foundry, conf):
    """The stage's result, its panel and its prices.json."""
    result = foundry.stage("prices", "run", conf)
    panel = read_prices(foundry.store.object_path(result.outputs["prices.parquet"].sha256))
    return result, panel, json.loads(foundry.document(result, "prices.json"))


def scaled(frame, ticker, factor, first=AT, length=None, *, spread=0.0):
    """Prices of a ticker times a factor, from a session on. spread: factor for the range of its first bar."""
    at = frame.index[frame["ticker"] == ticker]
    rows = at[first : None if length is None else first + length]
    frame.loc[rows, PRICES] *= factor
    frame.loc[rows[0], "high"] *= 1 + spread / 2
    frame.loc[rows[0], "low"] /= 1 + spread / 2
    return frame


@pytest.mark.parametrize(
    ("factor", "spread", "ratio"),
    [
        (1 / 100, 0.15, "100:1"),
        (20, 0.25, "1:20"),
        (1 / 4, 0.16, "4:1"),
        (2 / 3, 0.0, "3:2"),
        (3 / 4, 0.0, "4:3"),
        (4 / 5, 0.0, "5:4"),
        (3 / 2, 0.0, "2:3"),
    ],
)
def test_an_unadjusted_action_is_named_and_nothing_reaches_across_it(foundry, factor, spread, ratio):
    frame = scaled(sound_bars(TICKERS), "T03", factor, spread=spread)
    result, panel, about = published(foundry, conf_of(foundry, frame))
    (move,) = about["large_moves"]
    assert (move["ticker"], move["date"]) == ("T03", str(DAYS[AT].date()))
    assert any("T03" in warning and "unadjusted" in warning for warning in result.warnings)
    assert about["set_aside"] == []
    assert np.argwhere(panel.breaks).tolist() == [[AT, 3]]
    assert np.nanmax(np.abs(panel.returns)) < 0.2
    # The ratio contains the day's overnight return, so it is exact within a few per cent only.
    first, second = map(float, ratio.split(":"))
    assert 1 + move["move"] == pytest.approx(second / first, rel=0.1)


def test_a_week_in_another_unit_is_set_aside_by_name_and_the_rest_stays(foundry):
    frame = scaled(sound_bars(TICKERS), "T03", 1 / 100, length=5)
    _, panel, about = published(foundry, conf_of(foundry, frame))
    assert about["set_aside"] == [
        {
            "reason": "between a jump and its return",
            "ticker": "T03",
            "bars": 5,
            "first": str(DAYS[AT].date()),
            "last": str(DAYS[AT + 4].date()),
        }
    ]
    assert panel.breaks is None
    assert np.isnan(panel.fields["close"][:, 3]).sum() == 5


def test_two_files_that_meet_on_two_scales_are_refused_unless_the_currency_changed_its_unit(foundry):
    frame = sound_bars(TICKERS)
    frame.loc[frame["date"] >= DAYS[AT], PRICES] *= 4 / 3
    with pytest.raises(DataRejectedError, match=r"two scales meet.*redenominations"):
        foundry.stage("prices", "run", conf_of(foundry, frame))
    _, panel, _ = published(foundry, conf_of(foundry, frame, redenominations=[str(DAYS[AT].date())]))
    assert panel.breaks[AT].all()
    assert panel.member.all()


def test_a_newest_session_without_closes_moves_as_of_back_for_every_stage(foundry):
    frame = sound_bars(TICKERS)
    frame.loc[frame["date"] == DAYS[-1], PRICES] = np.nan
    results = foundry.train("run", conf_of(foundry, frame))
    assert results["prices"].as_of == DAYS[-2].date()
    assert any("as of 2021-06-29 and not 2021-06-30" in warning for warning in results["prices"].warnings)
    assert {result.as_of for result in results.values()} == {DAYS[-2].date()}
    forecasts = read_table(foundry.store.object_path(results["predict"].outputs["predictions.parquet"].sha256))
    assert set(forecasts["date"].astype(str)) == {str(DAYS[-2].date())}


@pytest.mark.parametrize("sessions", [4, 40])
def test_adjusted_closes_that_end_early_are_stale_whatever_the_closes_do(foundry, sessions):
    frame = sound_bars(TICKERS)
    frame["adj_close"] = frame["close"].where(frame["date"] < DAYS[-sessions])
    newest = str(DAYS[-sessions - 1].date())
    with pytest.raises(DataRejectedError, match=rf"stale.*{newest}.*{LAST}"):
        foundry.stage("prices", "run", conf_of(foundry, frame))


def test_a_ticker_in_its_ten_sessions_has_no_forecast_and_is_said_to_be_withheld(foundry):
    frame = scaled(sound_bars(TICKERS), "T03", 1 / 20, first=len(DAYS) - 4)
    results = foundry.train("run", conf_of(foundry, frame))
    forecasts = read_table(foundry.store.object_path(results["predict"].outputs["predictions.parquet"].sha256))
    assert set(forecasts["ticker"]) == set(TICKERS) - {"T03"}
    assert any("T03" in warning and "withheld" in warning for warning in results["prices"].warnings)


def test_one_ticker_alone_trains_on_its_own_history(foundry):
    results = foundry.train("run", conf_of(foundry, sound_bars(("T03",))))
    assert results["report"].status in ("ok", "warn")
    forecasts = read_table(foundry.store.object_path(results["predict"].outputs["predictions.parquet"].sha256))
    assert set(forecasts["ticker"]) == {"T03"}


def test_a_backtest_neither_gains_nor_loses_by_what_it_cannot_price(foundry):
    frame = scaled(sound_bars(TICKERS), "T03", 20, first=300, spread=0.25)
    conf = conf_of(foundry, frame)
    for stage in ("prices", "features", "labels", "models", "ensemble", "portfolio", "simulate"):
        result = foundry.stage(stage, "run", conf, dag="foundry_backtest")
        if stage == "portfolio":
            daily = json.loads(foundry.document(result, "portfolio.json"))
    returns = np.array(next(value for key, value in _walk(daily) if key == "net"))
    assert np.abs(returns).max() < 0.05


def _walk(document):
    for key, value in document.items() if isinstance(document, dict) else ():
        yield key, value
        yield from _walk(value)


def test_the_frame_of_these_cases_is_sound(foundry):
    result, panel, about = published(foundry, conf_of(foundry, sound_bars(TICKERS)))
    assert (about["large_moves"], about["set_aside"], panel.breaks) == ([], [], None)
    assert pd.Timestamp(panel.sessions[-1]) == DAYS[-1]
    assert not any("jump" in warning for warning in result.warnings)
