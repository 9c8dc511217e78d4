"""Progress on the terminal: one line per stage and per warning, one clock, and no redrawing in a pipe."""

import io
import os
import pty
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.contract.stages import STAGES
from foundry_tasks.runtime import progress
from foundry_tasks.runtime.progress import WIDTH, PlainProgress, RunView, StageLine, say

CLOCK = re.compile(r"^\d\d:\d\d:\d\d ")
WARNING = (
    "stale bars, unchanged for more than 9 sessions, are excluded (293 of 166,260: RRC 1990-05-14, RRC 1990-05-15 …)"
)


def shown(run) -> list[str]:
    """The lines that `run(view)` writes to a pipe."""
    stream = io.StringIO()
    view = RunView(stream)
    run(view)
    view.close()
    return stream.getvalue().splitlines()


def two_stages(view):
    view.started("prices")
    view.printed("progress: 1/20 AAPL")
    view.printed(f"warning: prices: {WARNING}")
    view.printed("done: stage=prices seconds=7.51")
    view.ended(0)
    view.started("features")
    view.printed(f"warning: prices: {WARNING}")
    view.ended(0)


def test_a_pipe_gets_one_line_a_stage_and_one_a_warning_each_with_one_clock():
    lines = shown(two_stages)
    assert all(len(re.findall(r"\d\d:\d\d:\d\d", line)) == 1 and CLOCK.match(line) for line in lines)
    assert [line[9:].split()[:2] for line in lines] == [
        ["✓", "prices"],
        ["!", "prices:"],
        ["✓", "features"],
        ["!", "2"],
    ]


def test_a_warning_that_repeats_is_shown_once_and_counted_at_the_end():
    lines = shown(two_stages)
    assert sum(WARNING in line for line in lines) == 2
    assert lines[-1].endswith(f"! 2 times: prices: {WARNING}")


def test_a_line_says_what_its_stage_does_and_for_how_long_it_did(monkeypatch):
    moments = iter([20.0, 22.5])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(moments), strftime=time.strftime))
    (line,) = shown(lambda view: (view.started("models model=light"), view.ended(0)))
    assert re.search(rf"✓ models model=light +2\.5 s  {STAGES['models'].does}$", line)


def test_a_failed_stage_says_its_last_words():
    def run(view):
        view.started("features")
        view.printed("foundry: features rejected: 3 columns are constant. More: quarantine/features.json.")
        view.ended(20)

    (line,) = shown(run)
    assert "✕ features" in line
    assert line.endswith(
        "failed with exit code 20: features rejected: 3 columns are constant. More: quarantine/features.json."
    )


def test_what_a_stage_reused_or_skipped_is_said():
    def run(view):
        view.started("prices")
        view.printed("reused: stage=prices seconds=0.4")
        view.ended(0)
        view.started("features")
        view.printed("nothing to do: the market is closed on 2026-01-01")
        view.ended(99)

    first, second = shown(run)
    assert "reused from an earlier run" in first
    assert "skipped: the market is closed on 2026-01-01" in second


@given(text=st.text())
def test_whatever_a_stage_says_is_one_line_and_comes_back_as_what_it_was(text):
    stream = io.StringIO()
    say("warning", text, stream=stream)
    (line,) = stream.getvalue().split("\n")[:-1]
    assert StageLine.of(line) == StageLine("warning", " ".join(text.split()))


@given(line=st.text())
def test_no_line_that_a_library_prints_can_break_the_view(line):
    def run(view):
        view.started("models")
        view.printed(line)
        view.ended(0)

    assert shown(run)


def test_a_stage_tells_how_far_it_is_at_most_fifty_times_and_at_the_end(capsys):
    progress = PlainProgress()
    progress.start("models", 1260)
    for _ in range(1260):
        progress.advance("xgboost 20d fold3")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 51
    assert lines[-1] == "progress: 1260/1260 xgboost 20d fold3"


ON_A_TERMINAL = """
import os, sys, time
from foundry_tasks.runtime.progress import RunView
view = RunView(sys.stderr)
sys.stdout = open(os.devnull, "w")
view.started("models")
print("what a library prints")
for fit in range(1, 64):
    view.printed(f"progress: {fit}/63 xgboost 20d fold{fit}")
    time.sleep(0.01)
view.printed("warning: " + sys.argv[1])
view.ended(0)
view.close()
"""


@pytest.fixture(scope="module")
def terminal_output() -> str:
    """The output to a terminal of 100 columns."""
    own, theirs = pty.openpty()
    told = os.environ | {"COLUMNS": "100", "LINES": "40", "TERM": "xterm-256color"}
    command = [sys.executable, "-c", ON_A_TERMINAL, WARNING]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=told):
        os.close(theirs)
        sent = b""
        while True:
            try:
                part = os.read(own, 65536)
            except OSError:  # the writer has closed it
                break
            if not part:
                break
            sent += part
    os.close(own)
    return sent.decode()


def test_a_terminal_is_shown_how_far_the_stage_at_work_is_in_a_line_drawn_anew(terminal_output):
    assert re.search(r"models +\d+ s  .*[━╌]{16} \d+/63  xgboost", terminal_output)
    assert "\x1b[2K" in terminal_output, "the line was erased before it was drawn again"


def test_what_a_library_prints_elsewhere_does_not_come_to_the_terminal(terminal_output):
    assert "library" not in terminal_output


def test_what_stays_on_a_terminal_fits_its_columns_and_cuts_no_word(terminal_output):
    stays = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal_output.rpartition("\x1b[2K")[2]).replace("\r", "")
    lines = [line for line in stays.splitlines() if line.strip()]
    assert "✓ models" in lines[0]
    assert all(len(line) <= WIDTH for line in lines)
    assert WARNING in " ".join(" ".join(lines).split())
