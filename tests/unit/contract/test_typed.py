"""Typed values are accepted or refused: by `--set`, by the variables of `make demo`, and in JSON."""

import json
import os
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from pydantic_core import to_jsonable_python

from foundry_tasks.__main__ import main
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.market import FILE_KEYS, given_conf
from foundry_tasks.contract.stages import STAGES, check_conf, conf_fields
from foundry_tasks.contract.typed import QUICK, conf_of_environment, conf_of_settings

ANYTHING = st.text(st.characters(exclude_characters="\0", exclude_categories=()))
"""Any text of a command line; bytes that are not UTF-8 become lone surrogates."""
# fmt: off
TRAPS = st.sampled_from([
    "", " ", "1E5", "007", "true", "null", "none", "None", "NaN", "Infinity", "-0", "1e999", "1_000", "20200102", "2020-13-01",
    "[", "[1", "[1]", "[[]]", "[null]", "{}", '{"a":1}', "'", '"', ",", ",,", "a,,b", "a,", "1, 5", "a; b", "a\nb",
    "[" * 100_000, "9" * 5000, f"[{'9' * 5000}]",
])
# fmt: on
KEYS = st.sampled_from(sorted(conf_fields()))


def set_(*settings):
    """The conf from `--set` texts, as the key's stage reads it."""
    return check_conf(conf_of_settings(settings), STAGES)


def taken_or_refused(read):
    """Assert that `read()` returns JSON values or raises a ConfigError with one non-empty line."""
    try:
        conf = read()
    except ConfigError as error:
        refusal = str(error)
    else:
        refusal = "none"
        assert json.loads(json.dumps(conf).encode()) == conf
    assert len(refusal.splitlines()) == 1


# ---------------------------------------------------------------- any text
@given(KEYS, ANYTHING | TRAPS)
def test_any_text_for_any_key_is_a_conf_or_one_line_of_refusal(key, text):
    taken_or_refused(lambda: set_(f"{key}={text}"))


@given(st.lists(ANYTHING | st.builds("{}={}".format, KEYS, ANYTHING | TRAPS), max_size=4))
def test_any_settings_are_a_conf_or_one_line_of_refusal(settings):
    taken_or_refused(lambda: given_conf(conf_of_settings(settings), ""))


VARIABLES = ("PRICES", "SECTORS", "BENCHMARK", "VIX", "UNIVERSE", "HORIZONS", "MODELS", "SET", "QUICK")


@given(st.dictionaries(st.sampled_from(VARIABLES), ANYTHING | TRAPS | st.just("1")))
def test_any_variables_are_a_conf_or_one_line_of_refusal(tmp_path_factory, environment):
    cwd = tmp_path_factory.getbasetemp()
    taken_or_refused(lambda: given_conf(conf_of_environment(environment, cwd=cwd), ""))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANYTHING,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANYTHING, inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(KEYS | ANYTHING, JSON, max_size=3))
def test_any_json_is_a_conf_or_one_line_of_refusal(conf):
    taken_or_refused(lambda: given_conf(conf, ""))


@given(ANYTHING | TRAPS | st.builds(json.dumps, st.dictionaries(KEYS, JSON, max_size=2)))
@example('{"folds": ' + "[" * 100_000)
@example('{"folds": ' + "9" * 5000 + "}")
@example('{"folds": 3, "folds": 4}')
def test_any_text_for_config_ends_without_a_traceback(text):
    assert main(["conf", f"--config={text}"]) in {0, 10}


# ---------------------------------------------------------------- there and back
def values(annotation):
    """A strategy for a key's values; the config refuses some of them."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(inside[0])
    if origin in {Union, UnionType}:
        return st.one_of(*(values(one) for one in inside))
    if origin is Literal:
        return st.sampled_from(inside)
    if origin is tuple:
        if inside[-1] is Ellipsis:
            return st.lists(values(inside[0]), max_size=4)
        return st.tuples(*(values(one) for one in inside)).map(list)
    return {
        NoneType: st.none(),
        bool: st.booleans(),
        int: st.integers(0, 400),
        float: st.floats(0, 1) | st.floats(allow_nan=False, allow_infinity=False),
        str: st.text() | TRAPS,
        date: st.dates().map(date.isoformat),
    }[annotation]


def texts(value):
    """Ways to write a value."""
    if value is None:
        return ["null", "none", "None", "", " "]
    if isinstance(value, bool):
        return ["true", "True", " yes", "1"] if value else ["false", "False", "no ", "0"]
    if isinstance(value, list):
        items = [str(item) for item in value]
        plain = not any(item != item.strip() or not item or "," in item for item in items)
        listed = [",".join(items), ", ".join(items)] if plain and not "".join(items).startswith("[") else []
        return [json.dumps(value), *listed]
    if isinstance(value, str) and len(value) == 10 and value[4] == value[7] == "-":
        return [value, *([value.replace("-", "")] if value.replace("-", "").isdigit() else [])]
    return [str(value)]


@settings(max_examples=15, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
@pytest.mark.parametrize("key", sorted(conf_fields()))
def test_every_value_of_every_key_can_be_typed(key, data):
    field = conf_fields()[key]
    value = data.draw(values(field.annotation) | st.just(to_jsonable_python(field.default)))
    try:
        expected = check_conf({key: value}, STAGES)
    except ConfigError:
        assume(False)
    for text in texts(value) if field.annotation is not str else [value]:
        if (key, text) == ("fan_out", "none") and value is None:
            continue  # here the word is itself a value
        assert set_(f"{key}={text}") == expected


# ---------------------------------------------------------------- single cases
@pytest.mark.parametrize(
    ("typed", "conf"),
    [
        ("tickers=700,1E5", {"tickers": ["700", "1E5"]}),
        ("tickers=007, true,null ,NaN", {"tickers": ["007", "true", "null", "NaN"]}),
        ('tickers=["BRK,B", " F "]', {"tickers": ["BRK,B", "F"]}),
        ("tickers=", {"tickers": []}),
        ("reason=1E5", {"reason": "1E5"}),
        ("reason= my words ", {"reason": " my words "}),
        ("validate_only=True", {"validate_only": True}),
        ("validate_only=no", {"validate_only": False}),
        ("start=20200102", {"start": "2020-01-02"}),
        ("start= 2020-01-02 ", {"start": "2020-01-02"}),
        ("start=null", {"start": None}),
        ("learning_rate=1e-3", {"learning_rate": 0.001}),
        ("capital=1_000", {"capital": 1000.0}),
        ("horizons=1, 5", {"horizons": [1, 5]}),
        ("spread_ratio_band=0.5,2", {"spread_ratio_band": [0.5, 2.0]}),
        ("fan_out=none", {"fan_out": "none"}),
        ("label_kind=none", {"label_kind": None}),
        (" folds =3", {"folds": 3}),
    ],
    ids=str,
)
def test_a_text_is_read_by_the_type_of_its_key(typed, conf):
    assert given_conf(conf_of_settings([typed]), "") == conf


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("folds", "--set folds: write it as key=value."),
        ("tickers=a,,b", "tickers=a,,b: item 2 of the list is empty. Leave its comma out."),
        ("tickers=a,", "item 2 of the list is empty"),
        ("tickers=[700]", "tickers.0=700: write it as a text, in quotes"),
        ("tickers=[AAPL]", "a list in brackets is JSON"),
        ("validate_only=maybe", "write true or false; yes, no, on, off, 1 and 0 are taken too"),
        ("start=1577923200", "start='1577923200': write the day as 2020-01-31 or 20200131"),
        ("folds=null", "folds='null'"),
        ("horizon=5", "unknown config key 'horizon': did you mean 'horizons'? `foundry conf --help` lists them"),
        ("Folds=5", "did you mean 'folds'?"),
        ("frobnicate=5", "unknown config key 'frobnicate': `foundry conf --help` lists them"),
        ("market=US", "no market 'US': did you mean 'us'? A market is named in lower case."),
        ("prices=x.csv", "prices='x.csv' is read by source=parquet alone"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(typed, says):
    with pytest.raises(ConfigError) as refusal:
        given_conf(conf_of_settings([typed]), "")
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    "day", [1577923200, 1577923200.0, True, "2020-01-02T00:00:00", "2020", "", ["2020-01-02"]], ids=str
)
def test_a_day_in_json_is_a_day_and_not_seconds_since_1970(day):
    with pytest.raises(ConfigError, match=r"^start=.*: write the day as 2020-01-31 or 20200131$"):
        given_conf({"start": day}, "")


def test_a_market_files_own_dates_are_days_too(tmp_path):
    market = tmp_path / "tw.toml"
    market.write_text("start = 2020-01-02\n")
    assert given_conf({"market": "tw", "folds": 3}, str(market)) == {"market": "tw", "folds": 3}
    for wrong in ("1577923200", "2020-01-02T00:00:00"):
        market.write_text(f"start = {wrong}\n")
        with pytest.raises(ConfigError, match=r"tw.toml: start=.*: write the day as"):
            given_conf({"market": "tw"}, str(market))


def test_a_key_with_two_values_is_refused_and_one_said_twice_is_not():
    assert conf_of_settings(["horizons=1,5", "horizons=1, 5"]) == {"horizons": ["1", "5"]}
    with pytest.raises(
        ConfigError, match=r"^folds is given twice, by --set folds=3 and by --set folds=4. Leave one out.$"
    ):
        conf_of_settings(["folds=3", "folds=4"])


# ---------------------------------------------------------------- the variables of `make demo`
@given(st.binary(min_size=1, max_size=60).filter(lambda name: not {0, ord("/")} & set(name)))
@example(b"my prices.csv")
@example(b"a&b (1).csv")
@example(b"it's $5, ~100 %.csv")
@example(b"two\nlines.csv")
@example(b"~")
@example(b"~nobody here")
@example(b" ")
@example(b"-x")
@example(b"a=b.csv")
@example("Kurse für März.csv".encode())
@example(b"Kurse f\xfcr M\xe4rz.csv")
def test_a_file_of_any_name_is_found_or_its_name_is_no_utf_8(tmp_path_factory, name):
    assume(name not in {b".", b".."})
    cwd = tmp_path_factory.mktemp("any")
    (cwd / os.fsdecode(name)).touch()
    conf = conf_of_environment({"PRICES": f"./{os.fsdecode(name)}"}, cwd=cwd)
    assert os.fsencode(conf["prices"]) == os.fsencode(cwd) + b"/" + name
    try:
        name.decode()
    except UnicodeDecodeError:
        with pytest.raises(ConfigError, match=r"^prices=.*: this is not UTF-8 text. Use a name in UTF-8$"):
            given_conf(conf, "")
    else:
        assert given_conf(conf, "") == conf == {"prices": str(cwd / name.decode()), "source": "parquet"}


def test_files_are_where_make_was_started_at_home_or_in_s3(tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here, tmp_path / "other"):
        folder.mkdir()
        (folder / "p.csv").touch()
    (tmp_path / "beside.csv").touch()
    (here / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(home))

    def prices(text):
        return conf_of_environment({"PRICES": text}, cwd=here)["prices"]

    assert prices("p.csv") == str(here / "p.csv")
    assert prices(str(home / "p.csv")) == str(home / "p.csv")
    assert prices("~/p.csv") == str(home / "p.csv")
    assert prices("s3://bucket/p.csv") == "s3://bucket/p.csv"
    assert prices("../other/p.csv") == str(here / "../other/p.csv")
    assert prices("link/../beside.csv") == str(here / "link/../beside.csv"), (
        "`..` of a link is the folder above what it points to"
    )
    assert conf_of_environment({"SET": "prices=~/p.csv source=parquet"}, cwd=here)["prices"] == str(home / "p.csv")


@pytest.mark.parametrize("key", FILE_KEYS)
def test_a_file_that_is_not_there_is_refused_by_name(key, tmp_path):
    for environment in ({key.upper(): "no such.csv"}, {"SET": f"{key}='no such.csv'"}):
        with pytest.raises(ConfigError) as refusal:
            conf_of_environment(environment, cwd=tmp_path)
        assert (
            f"no such.csv: {tmp_path}/no such.csv: No such file or directory. Give a file, a folder or an s3:// URI."
            in str(refusal.value)
        )


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1, max_size=3))
def test_set_is_split_as_a_shell_splits(tmp_path_factory, reasons):
    quoted = [reason.replace("'", "'\\''") for reason in reasons]
    words = " ".join(f"{key}='{text}'" for key, text in zip(("reason", "calendar", "market"), quoted, strict=False))
    conf = conf_of_environment({"SET": f" {words}  seeds=1"}, cwd=tmp_path_factory.getbasetemp())
    assert conf == dict(zip(("reason", "calendar", "market"), reasons, strict=False)) | {"seeds": "1"}


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"SET": "reason='my words"}, 'SET="reason=\'my words": No closing quotation. Close the quote'),
        ({"SET": "horizons=1, 5"}, "item 2 of the list is empty"),
        ({"SET": "folds=3 5"}, "SET 5: write it as key=value, a value that holds blanks in quotes."),
        ({"HORIZONS": "1,5", "SET": "horizons=1"}, "horizons is given twice, by HORIZONS=1,5 and by SET horizons=1."),
        (
            {"PRICES": "/dev/null", "SET": "source=sample"},
            "source is given twice, by PRICES=/dev/null and by SET source=sample",
        ),
        ({"QUICK": "1", "SET": "seeds=3"}, "seeds is given twice, by QUICK=1 and by SET seeds=3"),
        ({"QUICK": "yes"}, "QUICK='yes': write QUICK=1, or leave it out."),
    ],
    ids=str,
)
def test_variables_that_contradict_or_cannot_be_read_are_refused(environment, says, tmp_path):
    with pytest.raises(ConfigError) as refusal:
        conf_of_environment(environment, cwd=tmp_path)
    assert says in str(refusal.value)


def test_an_empty_variable_is_not_given_and_quick_is_its_keys(tmp_path):
    assert conf_of_environment(dict.fromkeys(VARIABLES, ""), cwd=tmp_path) == {}
    assert conf_of_environment({"QUICK": "1", "HORIZONS": "1, 5"}, cwd=tmp_path) == QUICK | {"horizons": ["1", "5"]}


def test_foundry_conf_prints_what_was_validated(capsys):
    assert main(["conf", "--set", "validate_only=True", "--set", "start=20200102", "--config", '{"folds": "3"}']) == 0
    assert json.loads(capsys.readouterr().out) == {"folds": 3, "validate_only": True, "start": "2020-01-02"}
