"""`foundry check` end to end: the verdict of a run on a file; only the page is written."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from foundry_tasks import __main__
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.report.terminal_style import WIDTH
from foundry_tasks.runtime import runner
from foundry_tasks.runtime.progress import WIDTH as TERMINAL
from tests.market_bars import FIRST, LAST, sound_bars

pytestmark = pytest.mark.slow(12)

PRICES = ["open", "high", "low", "close"]
N = len(sound_bars(("AAA",)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's working directory; store and temporary folder are next to it."""
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for name in [name for name in os.environ if name.startswith("FOUNDRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FOUNDRY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("FOUNDRY_MLFLOW_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path / "here"


@pytest.fixture
def check(folder, capsys):
    """check(*arguments): exit code, stdout and stderr."""

    def run(*arguments):
        code = __main__.main(["check", *arguments, "--page", "page.html"])
        out, err = capsys.readouterr()
        assert max(map(len, out.splitlines())) <= max(WIDTH, len(str(folder)) + 30)
        return code, out, err

    return run


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder.parent)) for path in folder.parent.rglob("*")}


def bad_bars():
    """A reverse split of BBB, three sessions of CCC in pence, a crash of DDD that its day confirms, an untraded bar."""
    bars = sound_bars()
    bars.loc[N + 200 : 2 * N - 1, PRICES] *= 20
    bars.loc[2 * N + 250 : 2 * N + 252, PRICES] *= 100
    bars.loc[3 * N + 300 : 4 * N - 1, PRICES] *= 0.4
    bars.loc[3 * N + 300, ["high", "volume"]] *= [2.0, 30]
    bars.loc[20, "volume"] = 0
    return bars


def two_scales():
    bars = sound_bars()
    bars.loc[bars["date"] >= "2021-01-01", PRICES] *= 4 / 3
    bars.loc[30, "low"] *= 2
    return bars


def test_a_file_with_faults_is_accepted_and_what_was_made_of_them_is_said(check, folder):
    bad_bars().to_parquet(folder / "my prices.parquet")
    before = files(folder)
    code, out, err = check("my prices.parquet")
    assert (code, err) == (0, "")
    day = dict(enumerate(sound_bars(("AAA",))["date"].dt.date.astype(str)))
    said = " ".join(out.split())
    assert f"sessions {N}, {FIRST} to {LAST} as of {LAST}" in said
    assert "columns open, high, low, close, volume absent adj_close" in said
    assert f"volume of zero: 1 bar of 1 ticker: AAA ({day[20]})" in said
    assert f"between a jump and its return: 3 bars of 1 ticker: CCC ({day[250]} to {day[252]})" in said
    assert re.search(rf'BBB {day[200]} \+\d+\.\d % \S+( times)? keep = \["BBB {day[200]}"\]', said)
    assert re.search(rf"1: kept DDD {day[300]} −\d\d\.\d %", said)
    assert said.endswith((folder / "page.html").as_uri())
    assert files(folder) - before == {"here/page.html"}


def test_what_is_said_is_what_the_stage_says(check, folder, run_prices):
    bad_bars().to_csv(folder / "bars.csv", index=False)
    warnings = run_prices(source="parquet", prices="bars.csv").outputs.warnings
    _, out, _ = check("bars.csv")
    for warning in warnings:
        assert " ".join(out.split()).count(warning.removeprefix("prices: ")) == 1


def test_a_sound_file_has_no_case_and_a_page_that_is_there_is_replaced(check, folder):
    sound_bars().to_parquet(folder / "bars.parquet")
    (folder / "page.html").write_text("an older page")
    code, out, _ = check("bars.parquet")
    assert code == 0
    assert "Large moves: none" in out
    page = (folder / "page.html").read_text()
    assert "<figure" not in page
    assert "Accepted" in page


def test_a_file_that_is_rejected_ends_with_the_line_of_the_stage_and_what_was_found_before(check, folder):
    two_scales().to_parquet(folder / "bars.parquet")
    before = files(folder)
    code, out, err = check("bars.parquet")
    assert code == 20
    assert len(err.splitlines()) == 1
    assert err.startswith(
        "foundry: prices rejected: most tickers step by one factor on one session, so two scales meet"
    )
    assert "/" not in err  # no path of the temporary store
    assert "bars whose open or close lies outside [low, high] are excluded (1 of" in " ".join(out.split())
    assert f"{8 * N:,}, {FIRST} to {LAST}" in out
    page = (folder / "page.html").read_text()
    assert "Rejected" in page
    assert page.count("<figure") == 8
    assert files(folder) - before == {"here/page.html"}


def test_a_file_that_cannot_be_read_as_prices_is_rejected_with_a_page_that_says_so(check, folder):
    (folder / "bars.parquet").write_bytes(b"PAR1 and no more")
    code, _, err = check("bars.parquet")
    assert code == 20
    assert len(err.splitlines()) == 1
    assert "Rejected" in (folder / "page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing here.parquet"], "cannot be read: no such file"),
        ([""], "needs prices"),
        (["bars.parquet", "--set", "calendar=XXXX"], "no exchange calendar"),
        (["bars.parquet", "--set", "nonsense=1"], "nonsense"),
        (["bars.parquet", "--set", "prices=other.parquet"], "Leave prices out"),
        (["bars.parquet", "--config", '{"source": "sample"}'], "Leave source out"),
    ],
)
def test_what_cannot_be_asked_is_one_line_with_exit_code_10_and_no_page(check, folder, arguments, says):
    sound_bars(("AAA", "BBB")).to_parquet(folder / "bars.parquet")
    before = files(folder)
    code = __main__.main(["check", *arguments, "--page", "page.html"])
    assert code == 10
    assert files(folder) == before


def test_the_line_of_a_wrong_request_says_what_to_do(folder, capsys):
    assert __main__.main(["check", "bars.parquet", "--set", "prices=other.parquet"]) == 10
    assert capsys.readouterr().err == (
        "foundry: prices is 'other.parquet' in the conf, and `foundry check` reads 'bars.parquet'. Leave prices out.\n"
    )


@pytest.mark.parametrize("page", ["bars.parquet", "page", "nowhere\0.html"])
def test_a_page_is_never_written_over_a_file_that_is_no_page(folder, capsys, page):
    sound_bars(("AAA", "BBB")).to_parquet(folder / "bars.parquet")
    content = (folder / "bars.parquet").read_bytes()
    assert __main__.main(["check", "bars.parquet", "--page", page]) == 10
    assert (folder / "bars.parquet").read_bytes() == content
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_page_that_cannot_be_written_hides_no_rejection(folder, capsys):
    two_scales().to_parquet(folder / "bars.parquet")
    (folder / "page.html").mkdir()
    assert __main__.main(["check", "bars.parquet", "--page", "page.html"]) == 20
    assert re.search(r"two scales meet.*--page page.html cannot be written: is a directory", capsys.readouterr().err)


def test_a_folder_below_home_is_read_by_its_tilde(check, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    (folder / "my market").mkdir()
    for ticker, bars in sound_bars().groupby("ticker"):
        bars.drop(columns="ticker").to_csv(folder / "my market" / f"{ticker}.csv", index=False)
    code, out, _ = check("~/my market")
    assert code == 0
    assert "tickers    8\n" in out


def test_an_address_of_an_object_store_is_read_as_the_stage_reads_it(check, folder, monkeypatch):
    def fetch(settings, uri, to):
        assert uri == "s3://market/bars.parquet"
        to.mkdir(parents=True)
        sound_bars().to_parquet(to / "bars.parquet")
        return to / "bars.parquet"

    monkeypatch.setattr(runner, "fetch", fetch)
    code, out, _ = check("s3://market/bars.parquet")
    assert code == 0
    assert "s3://market/bars.parquet" in out


def test_as_of_and_the_keys_of_a_conf_are_those_of_a_run(check, folder):
    bars = bad_bars()
    bars.to_parquet(folder / "bars.parquet")
    day = str(bars["date"].dt.date[200])
    code, out, _ = check(
        "bars.parquet", "--as-of", "2021-03-07", "--set", f"keep=BBB {day}", "--set", "tickers=AAA,BBB"
    )
    assert code == 0
    assert "as of      2021-03-05" in out
    assert "Large moves: none" in out


def test_neither_mlflow_nor_airflow_nor_a_model_is_loaded(folder):
    sound_bars().to_parquet(folder / "bars.parquet")
    program = (
        "import sys; from foundry_tasks.__main__ import main; code = main(['check', 'bars.parquet', '--page', 'page.html']); "
        "print({'mlflow', 'airflow', 'lightgbm', 'xgboost', 'sklearn', 'tensorflow'} & set(sys.modules)); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_real_market_of_five_years_has_its_ten_worst_cases_on_the_page(check, folder, market_data):
    code, out, _ = check(str(market_data / "sp500_2013_2018.parquet"))
    assert code == 0
    page = (folder / "page.html").read_text()
    assert page.count("<figure") == 10
    assert "NI 2015-07-02: −62.6 %" in page
    assert np.all([len(line) <= TERMINAL for line in out.splitlines() if "/" not in line])
