"""A market file: defaults for a run's conf, and their precedence."""

import os
from pathlib import Path

import pytest

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.market import with_market


@pytest.fixture
def market_file(tmp_path):
    """market_file(text, name): write a market file. Returns its path."""

    def write(text, name="tw.toml"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(tmp_path / name)

    return write


def test_the_default_market_needs_no_file():
    assert with_market({"folds": 3}, "") == {"folds": 3, "market": "us"}


def test_the_conf_wins_over_the_markets_defaults(market_file):
    path = market_file('source = "parquet"\nprices = "tw.parquet"\nfolds = 7\ncalendar = "XTAI"\n')
    merged = with_market({"market": "tw", "folds": 3}, path)
    prices = str(Path(path).parent / "tw.parquet")
    assert merged == {"market": "tw", "source": "parquet", "prices": prices, "folds": 3, "calendar": "XTAI"}


@pytest.mark.parametrize("prices", ["/data/tw.parquet", "s3://prices/tw.parquet"])
def test_files_lie_beside_the_market_file_unless_it_says_where(market_file, prices):
    path = market_file(f'source = "parquet"\nprices = "{prices}"\nsectors = "sectors/tw.csv"\n')
    merged = with_market({"market": "tw"}, path)
    assert merged["prices"] == prices
    assert merged["sectors"] == str(Path(path).parent / "sectors" / "tw.csv")


def test_a_file_at_home_is_at_home(market_file, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    path = market_file('source = "parquet"\nprices = "~/tw.parquet"\n')
    assert with_market({"market": "tw"}, path)["prices"] == "/home/me/tw.parquet"


def test_a_file_in_the_conf_is_where_the_conf_says(market_file):
    path = market_file('source = "parquet"\nprices = "tw.parquet"\n')
    merged = with_market({"market": "tw", "prices": "mine.parquet"}, path)
    assert merged["prices"] == "mine.parquet"


def test_a_file_named_like_the_default_market_moves_its_defaults(market_file):
    assert with_market({}, market_file("folds = 7\n", "us.toml"))["folds"] == 7


def test_folders_and_files_are_listed_as_in_a_path_and_the_later_wins(market_file, tmp_path):
    market_file("folds = 7\n")
    (tmp_path / "own").mkdir()
    own = market_file("folds = 8\n", "own/tw.toml")
    assert with_market({"market": "tw"}, os.pathsep.join([str(tmp_path), "", own]))["folds"] == 8


@pytest.mark.parametrize("name", [["us"], 5, None, {}], ids=str)
def test_a_market_is_one_name(name):
    with pytest.raises(ConfigError, match="give the name of one market"):
        with_market({"market": name}, "")


def test_an_unknown_market_is_told_what_to_write(market_file):
    with pytest.raises(ConfigError, match=r"no market 'jp': FOUNDRY_MARKETS names \['tw'\]. Write jp.toml"):
        with_market({"market": "jp"}, market_file("folds = 3\n"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("folds = [", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        ('sorce = "sample"', "unknown config key 'sorce'"),
        ("folds = 1", "folds=1"),
    ],
    ids=["broken TOML", "no text", "an unknown key", "an impossible value"],
)
def test_what_is_wrong_with_a_market_file_is_said_with_its_path(market_file, text, says):
    path = market_file(text)
    with pytest.raises(ConfigError) as error:
        with_market({"market": "tw"}, path)
    assert path in str(error.value)
    assert says in str(error.value)


def test_a_market_file_that_is_not_there_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"names /no/such.toml, which does not exist. Give"):
        with_market({}, "/no/such.toml")
