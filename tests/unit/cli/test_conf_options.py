"""The conf of a command, from JSON, a file, and what is typed over it."""

import argparse

import pytest

from foundry_tasks.cli.conf_options import add_conf, conf_of
from foundry_tasks.contract.errors import ConfigError


@pytest.fixture
def conf():
    parser = argparse.ArgumentParser()
    add_conf(parser, ("prices",))
    return lambda *typed: conf_of(parser.parse_args(typed))


def test_what_is_typed_comes_over_the_conf(conf):
    assert conf("--config", '{"market": "us", "horizons": [1]}', "--set", "horizons=5,20") == {
        "market": "us",
        "horizons": ["5", "20"],
    }


def test_the_variables_of_make_demo_come_over_the_conf(conf, monkeypatch):
    monkeypatch.setenv("HORIZONS", "5")
    assert conf("--from-make", "--config", '{"market": "us", "horizons": [1]}') == {"market": "us", "horizons": ["5"]}


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_conf_may_be_a_file(conf, tmp_path, scheme):
    (tmp_path / "conf.json").write_text('{"market": "us"}')
    assert conf("--config", f"{scheme}{tmp_path / 'conf.json'}") == {"market": "us"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nowhere.json", r"--config nowhere.json cannot be read: No such file or directory\."),
        ("{market", r"--config is not JSON: Expecting property name .*"),
        ('{"market": "us", "market": "eu"}', r"--config gives market twice\. Leave one out\."),
        ("{" + '"a": {' * 100_000, r"--config is not JSON: .*"),
    ],
)
def test_a_conf_that_cannot_be_read_says_why(conf, text, fault):
    with pytest.raises(ConfigError, match=fault):
        conf("--config", text)


@pytest.mark.parametrize(("content", "kind"), [("[1]", "list"), ('"us"', "str"), ("null", "NoneType")])
def test_a_conf_that_is_no_object_says_what_it_is(conf, tmp_path, content, kind):
    (tmp_path / "conf.json").write_text(content)
    with pytest.raises(ConfigError, match=f"must be a JSON object of key: value, got {kind}"):
        conf("--config", str(tmp_path / "conf.json"))


def test_a_file_that_is_no_text_says_so(conf, tmp_path):
    (tmp_path / "conf.json").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read: not UTF-8 text"):
        conf("--config", str(tmp_path / "conf.json"))
