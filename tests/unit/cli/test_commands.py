"""The words of `foundry`: each module's commands are there, and what loads slowly is loaded by its command alone."""

import argparse
import importlib
from pathlib import Path

import pytest

from foundry_tasks import __main__, cli
from foundry_tasks.cli.commands import COMMANDS
from foundry_tasks.contract.errors import ConfigError, DataRejectedError, NothingToDo, TransientError
from foundry_tasks.contract.stages import STAGES
from foundry_tasks.runtime.pipeline import StageFailedError

MODULES = sorted(path.stem for path in Path(cli.__file__).parent.glob("[!_]*.py"))


def test_every_command_of_every_module_is_in_the_list_once():
    found = [
        command
        for module in MODULES
        if module != "commands"
        for command in getattr(importlib.import_module(f"foundry_tasks.cli.{module}"), "COMMANDS", ())
    ]
    assert sorted(one.name for one in found) == sorted({one.name for one in COMMANDS})
    assert len(found) == len(COMMANDS)


def test_every_stage_is_a_command():
    assert set(STAGES) <= {command.name for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.name)
def test_a_command_has_a_line_of_help_and_a_help_of_its_own(command, capsys):
    with pytest.raises(SystemExit) as ended:
        __main__.main([command.name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: foundry {command.name} ")
    with pytest.raises(SystemExit):
        __main__.main(["--help"])
    assert f" {command.name} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("no such key."), 10, "foundry: no such key."),
        (DataRejectedError("bad bars."), 20, "foundry: bad bars."),
        (TransientError("busy."), 30, "foundry: busy."),
        (NothingToDo("closed."), 99, "nothing to do: closed."),
        (
            StageFailedError("gates", 137),
            137,
            "foundry: stage gates failed with exit code 137; the line above says why.",
        ),
    ],
)
def test_a_foreseen_failure_is_one_line_and_its_exit_code(error, code, line, monkeypatch, capsys):
    def fail(_):
        raise error

    parser = argparse.ArgumentParser()
    parser.set_defaults(command=fail)
    monkeypatch.setattr(__main__, "_parser", lambda: parser)
    assert __main__.main([]) == code
    assert capsys.readouterr().err == f"{line}\n"
