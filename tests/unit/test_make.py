"""Variables on make's command line reach the recipes unchanged, and unknown variables are refused."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

REPOSITORY = Path(__file__).parents[2]
ARRIVED = "--eval=arrived: ; @env --null"
CONF = f"--eval=arrived: ; @{sys.executable} -m foundry_tasks conf --from-make"
TEXT = st.binary(min_size=1, max_size=40).filter(lambda text: 0 not in text).map(os.fsdecode)
"""Any argument of a Linux process."""
AWKWARD = (
    "my prices.csv",
    "a&b (1).csv",
    "it's $5, $(shell id) $$ `id` #1 %.csv",
    "x\\ y\\",
    "two\nlines\tand a tab",
    "~/p.csv",
)


def make(*arguments, **environment):
    """Run `make` as from a shell, without variables of the tests' make."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "GNUMAKE"))
    }
    return subprocess.run(
        ["make", "--silent", "--no-print-directory", *arguments],
        cwd=REPOSITORY,
        env=inherited | environment,
        capture_output=True,
        check=False,
        timeout=60,
    )  # fmt: skip


def arrived(name, *arguments, **environment):
    """The value of an environment variable in a recipe."""
    done = make(ARRIVED, "arrived", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in os.fsdecode(done.stdout).split("\0") if line)
    return found.get(name)


def given_variables():
    """The value of GIVEN in make."""
    return set(make("--eval=given: ; @echo $(GIVEN)", "given").stdout.decode().split())


# ---------------------------------------------------------------- values
@settings(max_examples=40)
@given(TEXT)
@example(AWKWARD[0])
@example(AWKWARD[1])
@example(AWKWARD[2])
@example(AWKWARD[3])
@example(AWKWARD[4])
@example(AWKWARD[5])
def test_a_value_arrives_as_it_was_typed_but_for_blanks_before_it(text):
    """make drops blanks between `=` and a value."""
    assert arrived("PRICES", f"PRICES={text}") == text.lstrip(" \t\n\v\f\r")


@settings(max_examples=20)
@given(TEXT)
@example(AWKWARD[2])
def test_a_value_of_the_environment_arrives_as_it_is(text):
    assert arrived("PRICES", PRICES=text) == text


@pytest.mark.parametrize("text", AWKWARD)
def test_a_value_arrives_in_a_make_that_make_starts_too(text):
    inner = (
        "--eval=outer: ; @$(MAKE) --silent --no-print-directory " + shlex.quote(ARRIVED).replace("$", "$$") + " arrived"
    )
    done = make(inner, "outer", f"PRICES={text}")
    assert f"\0PRICES={text}\0" in f"\0{done.stdout.decode()}\0"


@pytest.mark.parametrize(
    ("typed", "python"), [("~/my env/bin/python", "/h/my env/bin/python"), ("python3.12", "python3.12"), ("", None)]
)
def test_the_python_of_the_environment_is_the_one_that_was_given(typed, python):
    done = make("--eval=arrived: ; @printf %s $(THIS_PYTHON)", "arrived", f"PYTHON={typed}", HOME="/h")
    assert done.stdout.decode() == python or (python is None and Path(done.stdout.decode()).is_file())


def test_what_was_not_typed_is_empty_or_its_default():
    assert (arrived("PRICES"), arrived("KEEP_DAYS"), arrived("DOCKER_SOCKET")) == ("", "90", "/var/run/docker.sock")


@pytest.mark.parametrize("makefile", ["Makefile", "images/images.mk"])
def test_no_recipe_pastes_a_value_into_a_shell_line(makefile):
    pasted = re.findall(rf"(?<!\$)\$[({{]({'|'.join(given_variables())})[)}}]", (REPOSITORY / makefile).read_text())
    assert pasted == []


@settings(max_examples=8)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=4))
@example(["rollback", "foundry-us-5d", "--why", 'it\'s $HOME; `id` "now"'])
@example(["", "*"])
def test_args_are_split_as_a_shell_splits_and_evaluated_by_none(tmp_path_factory, words):
    folder = tmp_path_factory.getbasetemp()
    compose = folder / "compose"
    compose.write_text("#!/bin/bash\nprintf '%s\\0' \"$@\"\n")
    compose.chmod(0o755)
    done = make(
        "-o", ".images.env", "foundry", f"COMPOSE={compose}", "DOCKER_SOCKET=/dev/null", f"ARGS={shlex.join(words)}"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split("\0foundry\0")[1].split("\0")[:-1] == words


def test_args_with_an_open_quote_are_refused_before_anything_runs():
    done = make("-o", ".images.env", "foundry", "COMPOSE=/bin/false", "DOCKER_SOCKET=/dev/null", "ARGS=ledger 'verify")
    assert done.stderr.decode().splitlines()[0] == "ARGS: No closing quotation"


@pytest.mark.parametrize("text", AWKWARD)
def test_an_images_build_gets_its_arguments_by_the_environment(text):
    build = "--eval=arrived: ; @$(BUILD)"
    done = make(
        build,
        "arrived",
        r"BUILDX=printf '%s\0'",
        "BASE=b",
        f"EXTRA_CA_BUNDLE={text}",
        f"IMAGE_SOURCE={text}",
        HOME="/h",
    )
    words = done.stdout.decode().split("\0")
    assert words[words.index("--build-arg") + 1] == "BASE"
    assert f"org.opencontainers.image.source={text}" in words
    assert words[words.index("--secret") + 1] == 'id=ca,"src={}"'.format(text.replace("~", "/h"))


# ---------------------------------------------------------------- conf
@pytest.mark.parametrize("name", AWKWARD[:5])
def test_prices_in_a_file_of_any_name_are_what_make_demo_reads(tmp_path, name):
    (tmp_path / name).touch()
    done = make(CONF, "arrived", f"PRICES={tmp_path / name}")
    assert json.loads(done.stdout) == {"prices": str(tmp_path / name), "source": "parquet"}


def test_the_variables_of_make_demo_become_its_conf(tmp_path):
    (tmp_path / "p.csv").touch()
    typed = [
        "PRICES=~/p.csv",
        "BENCHMARK=s3://bucket/b.csv",
        "HORIZONS=1, 5",
        "QUICK=1",
        "SET=tickers=700,1E5 reason='my words'",
    ]
    done = make(CONF, "arrived", *typed, HOME=str(tmp_path))
    assert json.loads(done.stdout) == {
        "prices": str(tmp_path / "p.csv"),
        "source": "parquet",
        "benchmark": "s3://bucket/b.csv",
        "horizons": [1, 5],
        "seeds": 1,
        "tickers": ["700", "1E5"],
        "reason": "my words",
    }


def test_prices_that_are_not_there_are_refused_in_one_line():
    done = make(CONF, "arrived", "PRICES=no such.csv")
    assert done.returncode != 0
    said = done.stderr.decode().splitlines()[0]
    assert said.startswith("foundry: PRICES=no such.csv: ")
    assert said.endswith("/no such.csv: No such file or directory. Give a file, a folder or an s3:// URI.")


# ---------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("PRICE", "PRICES"),
        ("prices", "PRICES"),
        ("HORIZON", "HORIZONS"),
        ("universe", "UNIVERSE"),
        ("KEEPDAYS", "KEEP_DAYS"),
        ("MARKETDATA", "MARKET_DATA"),
        ("AIRFLOW_PROT", "AIRFLOW_PORT"),
        ("PR'ICES", "PRICES"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_known_one(typed, nearest):
    done = make("demo", f"{typed}=x.csv")
    assert done.returncode != 0
    assert f"unknown variable {typed}: did you mean {nearest}? Known: ARGS " in done.stderr.decode()


@pytest.mark.parametrize("goal", [["-n", "demo"], ["help"], []], ids=" ".join)
def test_whatever_is_made_an_unknown_variable_is_refused_before_it(goal):
    done = make(*goal, "PRICE=x.csv")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"unknown variable PRICE: did you mean PRICES?" in done.stderr


@settings(max_examples=10)
@given(st.from_regex(r"[a-z][a-zA-Z0-9_.'\"&;|<>(){}/-]{0,12}", fullmatch=True))
def test_any_name_that_is_not_known_is_refused(name):
    done = make("help", f"{name}=x")
    assert done.returncode != 0
    assert f"unknown variable {name}" in done.stderr.decode()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("demo", "QUICK"), ("help", "PYTHON"), ("up", "PYTHON"), ("demo", "COMPOSE"), ("restore", "DOCKER_SOCKET"),
        ("ui", "AIRFLOW_HOME"), ("up", "AIRFLOW_PORT"), ("markets", "REPORTS_PORT"), ("up", "FOUNDRY_NOTIFY"),
        ("demo", "FOUNDRY_NOTIFY"), ("demo", "FOUNDRY_MARKETS"), ("up", "TASK_HEARTBEAT_TIMEOUT_S"),
        ("demo", "AIRFLOW__CORE__PARALLELISM"), ("test-fast", "TESTS_MARKET_DATA"), ("audit", "SET"), ("trigger", "SET"),
        ("image-s3", "BASE"), ("closed-network-images", "PACKAGE_INDEX"), ("up", "DEBIAN_MIRROR"), ("backup", "TO"),
    ],
)  # fmt: skip
def test_a_command_takes_what_it_compose_or_the_settings_read(command, name):
    done = make("--question", command, f"{name}=x")
    assert b"***" not in done.stderr, done.stderr


def test_make_up_takes_what_the_example_of_an_env_file_sets():
    names = re.findall(r"^([A-Z_]+)=", (REPOSITORY / ".env.example").read_text(), re.MULTILINE)
    assert names
    assert b"***" not in make("--question", "up", *(f"{name}=x" for name in names)).stderr


# ---------------------------------------------------------------- whose it is
def commands():
    """Every command, except those named after an image, and the variables that it takes."""
    lines = make(
        "--eval=takes: ; @$(foreach command,$(COMMANDS),echo '$(command) $(call takes,$(command))';)",
        "takes",
        "PYTHON=",
    )
    return {command: set(taken) for command, *taken in map(str.split, lines.stdout.decode().splitlines())}


COMMANDS = commands()
OTHERS = [
    (command, name)
    for command, taken in sorted(COMMANDS.items())
    for name in sorted(set.union(*COMMANDS.values()) - taken)
    if "%" not in name and not (name.startswith("FOUNDRY_") and "FOUNDRY_%" in taken)
]


@settings(max_examples=30)
@given(st.sampled_from(OTHERS))
@example(("audit", "PRICES"))
@example(("up", "PRICES"))
@example(("demo", "FROM"))
@example(("closed-network-images", "BASE"))
def test_a_command_refuses_what_only_another_one_reads_and_names_that_one(other):
    command, name = other
    done = make(command, f"{name}=x")
    assert (done.returncode, done.stdout) == (2, b"")
    [said] = done.stderr.decode().splitlines()
    found = re.search(
        rf"make {command} takes no {name}\. It is for `make [a-z0-9-]+`(, `make [a-z0-9-]+`){{0,3}}\. +Stop\.$", said
    )
    assert found, said
    for taker in re.findall(r"`make (\S+)`", said):
        assert name in COMMANDS[taker] or (name.startswith("FOUNDRY_") and "FOUNDRY_%" in COMMANDS[taker])


@pytest.mark.parametrize(
    ("command", "name"), [("up", "FOUNDRY_NULLS"), ("up", "AIRFLOW__CORE__PARALLELISM"), ("demo", "TESTS_MARKET_DATA")]
)
def test_a_setting_that_a_command_does_not_read_is_refused(command, name):
    assert f"make {command} takes no {name}. It is for `make " in make(command, f"{name}=x").stderr.decode()


@pytest.mark.parametrize("goals", [["setup", "demo"], ["demo", "report"]], ids=" ".join)
def test_several_commands_take_what_one_of_them_reads(goals):
    assert b"***" not in make("--question", *goals, "PRICES=x").stderr


def test_what_is_no_command_is_told_so_whatever_is_typed_behind_it():
    assert make("dmo", "PRICES=x").stderr.decode().strip() == "make: *** No rule to make target 'dmo'.  Stop."


def test_a_make_that_a_recipe_starts_inherits_what_its_own_command_would_refuse():
    done = make("--eval=outer: ; @$(MAKE) --silent --no-print-directory help", "outer", "FROM=x")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow(4)
def test_a_command_takes_every_variable_that_its_recipe_reads():
    """Read from make's dry run, with prerequisites."""
    for command, taken in COMMANDS.items():
        planned = make("--dry-run", "--always-make", "-o", ".images.env", command).stdout.decode()
        read = set(re.findall(r"\$\{?([A-Z_]+)\b", planned)) & given_variables()
        given = {"BASE"} if command.startswith("closed-network-image") else set()
        assert read - given <= taken, command
