"""The S3 server in its image, and the rights that `images/s3/provision.py` gives to accounts."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.ledger.chain import check_store
from tests.s3_server import TOOLS, free_port

pytestmark = pytest.mark.slow(17)

PROVISION = REPOSITORY / "images" / "s3" / "provision.py"
STORE = "s3://foundry"


def provision(server, **variables):
    """Run the script like its container."""
    environment = {"FOUNDRY_S3_ENDPOINT": server.endpoint, "FOUNDRY_SECRETS": str(server.secrets), **variables}
    return subprocess.run(
        [sys.executable, str(PROVISION)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


@pytest.fixture
def server(own_s3_server):
    ended = provision(own_s3_server)
    assert ended.returncode == 0, ended.stderr
    return own_s3_server


@pytest.fixture
def script():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("provision", PROVISION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def store_of(server, account):
    return open_store(server.settings(STORE, account=account))


def refused(act):
    with pytest.raises(ClientError) as caught:
        act()
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


# ------------------------------------------------------------------ rights
def test_a_stage_writes_everything_but_the_ledger(server):
    store = store_of(server, "stage")
    for key in (
        "runs/d/r/prices/-/result.json",
        "objects/abc",
        "pages/d/r/report.html",
        "reuse/x",
        "markets/us/x/head.json",
    ):
        store.write(key, b"1")
        assert store.read(key) == b"1"
        assert store.swap(key, b"1", b"2")
    store.append("runs/d/r/run_log.jsonl", b"line")
    for act in (
        lambda: store.create("ledger/m/00000001.json", b"forged"),
        lambda: store.write("ledger/m/00000001.json", b"forged"),
        lambda: store.append("ledger/m/00000001.json", b"forged"),
    ):
        with pytest.raises(ConfigError, match=r"the S3 server does not allow it, writing s3://foundry/ledger/m/0"):
            act()
    assert list(store.keys("ledger/")) == []


def test_promote_keeps_a_ledger_that_a_stage_reads_and_nobody_deletes(server):
    store = store_of(server, "promote")
    check_store(store)
    assert store.create("ledger/m/00000001.json", b"record")
    assert store_of(server, "stage").read("ledger/m/00000001.json") == b"record"
    for account in ("stage", "promote", "reports", "mlflow"):
        client = server.client(account)
        assert refused(lambda client=client: client.delete_object(Bucket="foundry", Key="ledger/m/00000001.json"))
    assert store.read("ledger/m/00000001.json") == b"record"


def test_the_reports_page_reads_pages_and_results_and_writes_nothing(server):
    written = store_of(server, "stage")
    for key in ("pages/d/r/report.html", "runs/d/r/gates/-/result.json", "objects/abc", "ledger-of-others"):
        written.write(key, b"1")
    store = store_of(server, "reports")
    assert store.read("pages/d/r/report.html") == b"1"
    assert store.read("pages/nothing.html") is None
    assert store.read("runs/d/r/gates/-/result.json") == b"1"
    assert list(store.keys("pages/")) == ["pages/d/r/report.html"]
    assert list(store.keys("runs/")) == ["runs/d/r/gates/-/result.json"]
    for act in (
        lambda: store.read("objects/abc"),
        lambda: store.write("pages/d/r/report.html", b"2"),
        lambda: list(store.keys("")),
        lambda: list(store.keys("objects/")),
    ):
        with pytest.raises(ConfigError, match="the S3 server does not allow it"):
            act()


def test_mlflow_has_a_bucket_of_its_own_and_no_other(server, tmp_path):
    client = server.client("mlflow")
    (tmp_path / "model").write_bytes(os.urandom(20 << 20))
    client.upload_file(str(tmp_path / "model"), "mlflow", "1/model")  # in parts
    assert client.get_object(Bucket="mlflow", Key="1/model")["Body"].read() == (tmp_path / "model").read_bytes()
    client.delete_object(Bucket="mlflow", Key="1/model")
    assert client.list_objects_v2(Bucket="mlflow").get("KeyCount", 0) == 0
    assert refused(lambda: client.list_objects_v2(Bucket="foundry"))
    for account in ("stage", "promote", "reports"):
        other = server.client(account)
        assert refused(lambda other=other: other.list_objects_v2(Bucket="mlflow"))
        assert refused(lambda other=other: other.get_object(Bucket="mlflow", Key="1/model"))


@pytest.mark.parametrize("account", ["stage", "promote", "reports", "mlflow"])
def test_nobody_gives_himself_rights(server, account):
    client = server.client(account)
    everything = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::foundry", "arn:aws:s3:::foundry/*"]}
    ]}  # fmt: skip
    assert refused(lambda: client.put_bucket_policy(Bucket="foundry", Policy=json.dumps(everything)))
    assert refused(lambda: client.delete_bucket_policy(Bucket="foundry"))
    assert refused(lambda: client.create_bucket(Bucket="another"))


def test_who_has_no_keys_gets_nothing(server, script):
    anonymous = script._client(server.endpoint, ("somebody", "nothing"))
    assert refused(lambda: anonymous.list_objects_v2(Bucket="foundry"))
    assert refused(lambda: anonymous.get_object(Bucket="foundry", Key="pages/x"))


# ------------------------------------------------------------------ the script
def test_a_second_run_changes_nothing_and_a_new_secret_replaces_the_old(server):
    before = store_of(server, "stage")
    before.write("objects/abc", b"1")
    assert provision(server).returncode == 0
    assert before.read("objects/abc") == b"1"
    (server.secrets / "s3_stage_secret_key").write_text("another-secret-of-this-account")
    assert provision(server).returncode == 0
    assert store_of(server, "stage").read("objects/abc") == b"1"
    with pytest.raises(ConfigError, match="SignatureDoesNotMatch"):
        before.read("objects/abc")


def test_accounts_and_rights_outlive_a_killed_server(server):
    server.kill()
    server.start()
    store = store_of(server, "stage")
    store.write("objects/abc", b"1")
    with pytest.raises(ConfigError, match="does not allow it"):
        store.write("ledger/m/1", b"forged")


def test_a_store_below_a_prefix_has_the_same_rights(own_s3_server):
    assert provision(own_s3_server, FOUNDRY_STORE="s3://company/teams/foundry").returncode == 0
    store = open_store(own_s3_server.settings("s3://company/teams/foundry", account="stage"))
    store.write("objects/abc", b"1")
    with pytest.raises(ConfigError, match="does not allow it"):
        store.write("ledger/m/1", b"forged")


def test_rights_that_a_server_does_not_keep_are_said(server, script, monkeypatch):
    meant = script.policies

    def without_denials(*given):
        """The policies as a server without Deny reads them."""
        for name, document in meant(*given).items():
            allowing = [one for one in document["Statement"] if one["Effect"] == "Allow"]
            yield name, document | {"Statement": allowing}

    monkeypatch.setattr(script, "policies", lambda *given: dict(without_denials(*given)))
    with pytest.raises(SystemExit) as caught:
        script.provision(server.endpoint, STORE, server.secrets)
    assert "does not keep the rights it was given: stage may put_object foundry/ledger/probe" in str(caught.value)
    assert list(store_of(server, "stage").keys("")) == [], "asking leaves nothing behind"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda server: (server.secrets / "s3_reports_secret_key").unlink(), "s3_reports_secret_key cannot be read"),
        (lambda server: (server.secrets / "s3_stage_access_key").write_text("\n"), "s3_stage_access_key is empty"),
        (lambda server: (server.secrets / "s3_root_secret_key").write_text("wrong"), "refuses the root keys"),
    ],
    ids=["a file is missing", "a file is empty", "the root secret is wrong"],
)
def test_secrets_that_do_not_serve_are_named(own_s3_server, spoil, says):
    spoil(own_s3_server)
    ended = provision(own_s3_server)
    assert ended.returncode != 0
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("provision: ")
    assert says in line


def test_a_server_that_never_comes_is_waited_for_and_named(own_s3_server, script, monkeypatch):
    monkeypatch.setattr(script, "WAIT_S", 1)
    with pytest.raises(SystemExit, match=r"no S3 server at http://127\.0\.0\.1:\d+ in 1 s"):
        script.provision(f"http://127.0.0.1:{free_port()}", STORE, own_s3_server.secrets)


# ------------------------------------------------------------------ the image's two scripts
def health(server):
    environment = {
        "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
        "FOUNDRY_SECRETS": str(server.secrets),
        "VGW_PORT": f":{server.port}",
    }
    script = str(REPOSITORY / "images" / "s3" / "healthcheck")
    return subprocess.run([script], env=environment, capture_output=True, check=False, timeout=60).returncode


def test_the_health_check_asks_the_server_and_its_disk(own_s3_server):
    assert health(own_s3_server) == 0
    own_s3_server.kill()
    assert health(own_s3_server) != 0
    own_s3_server.start()
    assert health(own_s3_server) == 0


def test_no_secret_is_on_the_command_line_of_the_server(own_s3_server):
    line = Path(f"/proc/{own_s3_server.process.pid}/cmdline").read_bytes()
    assert b"versitygw" in line
    for path in own_s3_server.secrets.glob("s3_*_secret_key"):
        assert path.read_bytes().strip() not in line


def test_a_server_without_its_root_keys_does_not_start(tmp_path):
    entrypoint = str(REPOSITORY / "images" / "s3" / "entrypoint")
    environment = {"PATH": os.environ["PATH"], "FOUNDRY_SECRETS": str(tmp_path), "DATA": str(tmp_path / "data")}
    ended = subprocess.run([entrypoint], env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 10
    assert "no secret file" in ended.stderr
    assert not (tmp_path / "data").exists()
