"""The reports page over HTTP: shown runs and access."""

import json
import os
import re
import subprocess
from html.parser import HTMLParser

import pytest

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.contract.artifacts import run_key
from tests.e2e.foundry_here import TINY, Foundry
from tests.s3_server import S3Server
from tests.unit.reports_page.served import PASSWORD, command, running_page, write_run


class Links(HTMLParser):
    """Addresses of a page, in order."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if tag == "a" and name == "href"]


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


# ------------------------------------------------------------------ what it shows
@pytest.mark.slow(18)
def test_a_run_of_the_pipeline_is_listed_and_each_of_its_pages_opens(tmp_path, serve):
    foundry = Foundry(tmp_path)
    run_id = "manual__2026-07-01T12:00:00+00:00"
    foundry.train(run_id, TINY)
    page = serve(tmp_path / "store", AIRFLOW_URL="http://127.0.0.1:8080/", MLFLOW_URL="http://127.0.0.1:5000")
    start = page.get("/").text
    assert run_id in start
    assert re.search(r'class="pill refused".*?0\.5\d{3}', start, re.DOTALL)
    report = json.loads(page.get(f"/pages/foundry_train/{run_key(run_id)}/report.json").text)
    assert report["run"]["as_of"] == "2022-12-28", "the sample ends there, years before the run"
    assert '<td class="when">2022-12-28<small>' in start
    links = Links(start).found
    assert links[:2] == ["http://127.0.0.1:8080/", "http://127.0.0.1:5000/#/models"]
    assert "http://127.0.0.1:8080/dags/foundry_train/runs/manual__2026-07-01T12%3A00%3A00%2B00%3A00" in links
    pages = [link for link in links if link.startswith("/")]
    prefix = f"/pages/foundry_train/{run_key(run_id)}"
    suites = {f"{prefix}/data_docs/{suite}/index.html" for suite in ("prices", "features", "labels", "predictions")}
    assert set(pages) == {f"{prefix}/report.html"} | suites
    for link in pages:
        answer = page.get(link)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "<script" not in answer.text
        assert not re.search(r'(src|href)="?https?:', answer.text), "loads or links something from elsewhere"
    inside = [link for link in Links(page.get(f"{prefix}/report.html").text).found if link.startswith("data_docs/")]
    assert {f"{prefix}/{link}" for link in inside} == suites
    for name, kind in (("report.json", "application/json"), ("report.md", "text/markdown")):
        assert page.get(f"{prefix}/{name}").headers["content-type"] == f"{kind}; charset=utf-8"


def test_a_list_of_trades_comes_as_csv(store, serve):
    key = write_run(store, "traded", [{"stage": "report"}], pages=("trades-20d.csv",), dag="foundry_backtest")
    answer = serve(store).get(f"/pages/foundry_backtest/{key}/trades-20d.csv")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")


def test_runs_stand_newest_first_with_verdict_error_and_how_far_they_got(store, serve):
    write_run(
        store, "old", [{"stage": "gates", "timestamp": "2026-07-01T10:00:00+00:00"}],
        {"20d": ("refused", None), "1d": ("passed", 0.5231), "5d": ("challenger", 0.5174)}, ("report.html",),
    )  # fmt: skip
    failed = {"stage": "prices", "timestamp": "2026-07-03T10:00:00+00:00", "status": "error", "warnings": ["<b>3 bars"]}
    write_run(store, "bad", [failed])
    write_run(store, "going", [{"stage": "models", "timestamp": "2026-07-02T10:00:00+00:00"}])
    start = serve(store).get("/").text
    assert re.findall(r'<small title="(\w+)"', start) == ["bad", "going", "old"]
    assert "Failed at prices: &lt;b&gt;3 bars" in start
    assert "No report yet, the last stage was models" in start
    assert re.findall(r"<b>(\d+ days?)</b><span class=\"pill (\w+)\"", start) == [
        ("1 day", "passed"), ("5 days", "challenger"), ("20 days", "refused"),
    ]  # fmt: skip
    assert "0.5231" in start
    assert "undefined" in start


def test_as_of_is_the_last_session_of_a_runs_prices_and_never_the_day_that_it_ran(store, serve):
    ran = {"stage": "gates", "timestamp": "2026-07-01T10:00:00+00:00"}
    write_run(store, "judged", [ran], {"1d": ("passed", 0.53)}, prices_until="2022-12-28")
    write_run(store, "fetched", [ran | {"timestamp": "2026-06-01T10:00:00+00:00"}], prices_until="2021-03-05")
    write_run(store, "started", [ran | {"timestamp": "2026-05-01T10:00:00+00:00"}])
    assert re.findall(r'<td class="when">(.*?)<small>', serve(store).get("/").text) == [
        "2022-12-28", "2021-03-05", "no prices yet",
    ]  # fmt: skip


def test_a_stage_that_failed_and_then_ended_well_is_no_failure(store, serve):
    line = {"stage": "prices", "timestamp": "2026-07-03T10:00:00+00:00"}
    write_run(store, "again", [line | {"status": "error", "warnings": ["the network is down"]}, line])
    assert "the network is down" not in serve(store).get("/").text


def test_a_damaged_log_or_result_hides_no_other_run(store, serve):
    write_run(store, "whole", [{"stage": "prices", "timestamp": "2026-07-03T10:00:00+00:00"}])
    key = write_run(store, "torn", [{"stage": "prices"}], {"1d": ("passed", 0.53)})
    (store / "runs/foundry_train" / key / "run_log.jsonl").write_bytes(b'{"stage": "pri')
    (store / "runs/foundry_train" / key / "gates/-/result.json").write_bytes(b"\xff")
    (store / "runs" / "stray").write_text("x")
    answer = serve(store).get("/")
    assert answer.status == 200
    assert re.findall(r'<small title="([\w-]+)"', answer.text) == ["whole", key]


def test_an_empty_store_says_what_to_do(store, serve):
    assert "No run yet" in serve(store).get("/").text


@pytest.mark.slow(7)
def test_it_reads_from_s3_what_it_reads_from_a_folder_and_says_when_that_is_down(tmp_path):
    server = S3Server(tmp_path / "s3")
    settings = server.settings()
    s3 = open_store(settings)
    write_run(tmp_path / "store", "one", [{"stage": "gates"}], {"1d": ("passed", 0.53)}, ("report.html",))
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            s3.write(path.relative_to(tmp_path / "store").as_posix(), path.read_bytes())
    (server.keys_of("root") / "reports_password").write_text(PASSWORD)
    told = {
        "FOUNDRY_STORE": settings.store,
        "FOUNDRY_S3_ENDPOINT": settings.s3_endpoint,
        "FOUNDRY_SECRETS": settings.secrets,
    }
    with running_page(told) as page:
        assert page.get("/health").status == 200
        links = [link for link in Links(page.get("/").text).found if link.startswith("/")]
        assert page.get(links[0]).text == "<p>page</p>"
        server.kill()
        down = page.ask("/health", {})
        assert down.status == 503
        assert down.text.count("\n") == 1


# ------------------------------------------------------------------ to whom
@pytest.mark.parametrize("path", ["/", "/pages/foundry_train/x-0123abcd/report.html", "/health/", "/nothing"])
@pytest.mark.parametrize(
    ("user", "password"),
    [
        (None, ""),
        ("foundry", ""),
        ("foundry", "wrong"),
        ("", PASSWORD),
        ("root", PASSWORD),
        ("foundry", PASSWORD + " "),
    ],
)
def test_nobody_sees_anything_without_the_password(shared, path, user, password):
    answer = shared.get(path, user, password)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "secret-run" not in answer.text


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Basic Zm91bmRyeQ==", "Bearer x", "Basic é"])
def test_a_header_that_is_no_login_is_refused(shared, header):
    assert shared.ask("/", {"Authorization": header}).status == 401


def test_health_needs_no_password_and_tells_nothing(shared):
    answer = shared.ask("/health", {})
    assert (answer.status, answer.text) == (200, '{"status":"ok"}')


def test_health_is_a_real_look_into_the_store(store, serve):
    page = serve(store)
    (store / "pages").write_text("a file where a folder should be")
    assert page.ask("/health", {}).status == 200
    (store / "pages").unlink()
    (store / "pages" / "health").mkdir(parents=True)
    answer = page.ask("/health", {})
    assert answer.status == 503
    assert "the store" in answer.text


@pytest.mark.parametrize("path", ["/", "/health", "/pages/foundry_train/secret-run-0123abcd/report.html", "/nothing"])
def test_every_answer_lets_nothing_be_loaded_guessed_kept_or_framed(shared, path):
    for answer in (shared.get(path), shared.get(path, user=None)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


# ------------------------------------------------------------------ and no more
@pytest.mark.parametrize(
    "path",
    [
        "/pages/../objects/secret",
        "/pages/foundry_train/../../objects/secret.html",
        "/pages/foundry_train/%2e%2e/%2e%2e/objects/secret.html",
        "/pages/foundry_train/..%2f..%2fobjects/secret.html",
        "/pages//etc/passwd",
        "/pages/%2fetc/hosts.html",
        "/pages/foundry_train/secret-run-0123abcd",
        "/pages/foundry_train/secret-run-0123abcd/",
        "/pages/foundry_train/secret-run-0123abcd/.report.html",
        "/pages/foundry_train/secret-run-0123abcd/report.html%00",
        "/pages/foundry_train/secret-run-0123abcd\\report.html",
        "/pages/foundry_train/secret-run-0123abcd/model.bin",
        "/objects/secret",
        "/runs/foundry_train/secret-run-0123abcd/run_log.jsonl",
        "/ledger/foundry-us-1d/00000001.json",
        "/start_page.html.j2",
        "/pages/foundry_train/other/report.html",
    ],
)
def test_nothing_but_the_pages_of_runs_is_served(shared, path):
    answer = shared.get(path)
    assert answer.status == 404
    assert "secret content" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(shared, method):
    assert shared.get("/pages/foundry_train/secret-run-0123abcd/report.html", method=method).status == 405


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One page, shared by tests that only read it."""
    folder = tmp_path_factory.mktemp("shared")
    store, secret_files = folder / "store", folder / "secrets"
    secret_files.mkdir()
    (secret_files / "reports_password").write_text(PASSWORD)
    write_run(store, "secret-run", [{"stage": "report"}], None, ("report.html", "model.bin", ".report.html"))
    for name in ("objects/secret", "objects/secret.html", "ledger/foundry-us-1d/00000001.json"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_text("secret content")
    with running_page({"FOUNDRY_STORE": str(store), "FOUNDRY_SECRETS": str(secret_files)}) as running:
        yield running


# ------------------------------------------------------------------ its own settings
@pytest.mark.parametrize("content", [None, "", " \n"])
def test_it_does_not_start_without_a_password(tmp_path, content):
    if content is not None:
        (tmp_path / "reports_password").write_text(content)
    for secrets in ("", str(tmp_path)):
        done = subprocess.run(
            command(),
            env=os.environ | {"FOUNDRY_STORE": str(tmp_path), "FOUNDRY_SECRETS": secrets},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("reports does not start: no password: put one into the file reports_password")
        assert done.stderr.count("\n") == 1
