"""Notices: one line in the log, and the same line to a real webhook or mail server."""

import json
import re
import socketserver
import threading
from email import message_from_string
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import ConfigError

LINE = "foundry_daily: task prices failed in run manual__1 (try 3): exit 30: foundry: the source does not answer"


@pytest.fixture(scope="module")
def notices(load):
    return load("_notices")


@pytest.fixture
def context():
    ti = SimpleNamespace(dag_id="foundry_daily", run_id="manual__1", task_id="prices", try_number=3)
    error = RuntimeError("exit 30: foundry: the source does not answer\nsecond line")
    return {"ti": ti, "exception": error, "task": SimpleNamespace(subject="approve foundry-us-5d version 3")}


@pytest.fixture
def log(capsys):
    """(level, text) of each line in Airflow's log."""
    pattern = re.compile(r"\S+ \[(\w+) *\] (.*?) *\[_notices\.")

    def lines():
        plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        return pattern.findall(plain)

    return lines


@pytest.fixture
def webhook():
    """A server that records POST requests: (url, posts)."""
    posts = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            posts.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, *_): ...

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", posts
        server.shutdown()


class Mailbox(socketserver.StreamRequestHandler):
    """A server with the part of RFC 5321 that receives a message."""

    def handle(self):
        self.say("220 mailbox")
        data = False
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            self.server.heard.append(line)
            if data:
                data = line != "."
                if not data:
                    self.say("250 kept")
            elif line.upper() == "DATA":
                data = True
                self.say("354 go on")
            elif line.upper() == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def mailbox():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.heard = []
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_failure_is_one_line_in_the_log(notices, context, log):
    notices.FailureNotice()(context)
    assert log() == [("error", LINE)]


def test_a_decision_that_waits_is_a_line_too(notices, context, log):
    notices.ApprovalNotice()(context)
    assert log() == [("warning", "foundry_daily: approve foundry-us-5d version 3 waits for approval in run manual__1")]


def test_a_webhook_gets_the_line_as_json(notices, context, log, webhook, monkeypatch):
    url, posts = webhook
    monkeypatch.setenv("FOUNDRY_NOTIFY", url)
    notices.FailureNotice()(context)
    facts = {"dag": "foundry_daily", "run_id": "manual__1", "task": "prices", "try": 3}
    assert [(kind, json.loads(body)) for kind, body in posts] == [
        ("application/json", {"event": "failed", "text": LINE, **facts})
    ]
    assert log() == [("error", LINE)]


def test_a_webhook_that_is_a_secret_lies_in_a_file(notices, context, webhook, monkeypatch, tmp_path):
    url, posts = webhook
    (tmp_path / "notify").write_text(f"{url}/token\n")
    monkeypatch.setenv("FOUNDRY_SECRETS", str(tmp_path))
    notices.FailureNotice()(context)
    assert len(posts) == 1


@pytest.mark.parametrize("broken", ["/broken", None])
def test_a_webhook_that_fails_is_said_and_changes_nothing(notices, context, log, webhook, monkeypatch, broken):
    url = f"{webhook[0]}{broken}" if broken else "http://127.0.0.1:9"
    monkeypatch.setenv("FOUNDRY_NOTIFY", url)
    notices.FailureNotice()(context)
    said = log()
    assert said[0] == ("error", LINE)
    assert said[1][1].startswith("notice not sent, FOUNDRY_NOTIFY failed: ")


def test_a_mailbox_gets_the_line(notices, context, mailbox, monkeypatch):
    port = mailbox.server_address[1]
    monkeypatch.setenv("FOUNDRY_NOTIFY", "mailto:desk@example.org,ops@example.org")
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", f"smtp://127.0.0.1:{port}?disable_ssl=true&disable_tls=true")
    notices.FailureNotice()(context)
    heard = mailbox.heard
    assert [line.lower() for line in heard if line.startswith("rcpt")] == [  # "TO" before Python 3.13
        "rcpt to:<desk@example.org>",
        "rcpt to:<ops@example.org>",
    ]
    message = message_from_string("\n".join(heard[heard.index("data") + 1 : heard.index(".")]))
    assert message["Subject"] == "Foundry: foundry_daily prices"
    assert message.get_payload(0).get_payload(decode=True).decode() == f"<p>{LINE}</p>"


@pytest.mark.parametrize("wrong", ["ftp://example.org", "mailto:nobody", "slack", "file:///etc/passwd"])
def test_an_address_that_nothing_can_be_sent_to_is_refused(wrong):
    with pytest.raises(ConfigError, match="FOUNDRY_NOTIFY"):
        Settings.from_environment({"FOUNDRY_NOTIFY": wrong})
