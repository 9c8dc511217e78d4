"""The pipeline on an S3 server: the same bytes and ledger as in a folder, and a clean failure without the server."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.ledger import decisions as governance
from foundry_tasks.ledger.chain import Ledger
from tests.e2e.foundry_here import AS_OF, TINY, Foundry, write_market
from tests.leakage.markets import simulated_market
from tests.s3_server import free_port

pytestmark = pytest.mark.slow(15)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Conf of a small market in files."""
    panel = simulated_market(sessions=330, tickers=14, seed=3, signal=0.4)
    return TINY | write_market(tmp_path_factory.mktemp("market"), panel)


@pytest.fixture(scope="module")
def on_s3(market, s3_server, tmp_path_factory):
    """A run whose store is a bucket."""
    foundry = Foundry(tmp_path_factory.mktemp("s3"), s3_server.settings())
    return foundry, foundry.train("run", market)


def sha256s(results):
    """Stage → output → sha256, without the report, which contains addresses."""
    return {
        stage: {name: item.sha256 for name, item in result.outputs.items()}
        for stage, result in results.items()
        if stage != "report"
    }


def test_a_run_makes_the_same_bytes_in_a_folder_and_on_s3(market, on_s3, tmp_path):
    in_a_folder = Foundry(tmp_path).train("run", market)
    _, results = on_s3
    assert set(results) >= {"prices", "features", "labels", "models", "gates", "promote", "predict", "report"}
    assert sha256s(results) == sha256s(in_a_folder)


def test_its_ledger_verifies(on_s3):
    foundry, results = on_s3
    models = Ledger(foundry.store).models()
    assert models
    assert governance.verify(foundry.store, foundry.registry) == []
    assert all(Ledger(foundry.store).state(model).records for model in models)
    assert results["promote"].metrics


def test_every_stage_wrote_its_line_and_its_pages_lie_there(on_s3):
    foundry, results = on_s3
    keys = list(foundry.store.keys(""))
    (log,) = (key for key in keys if key.endswith("run_log.jsonl"))
    assert len(foundry.store.read(log).splitlines()) == len(results)
    assert any(key.startswith("pages/") and key.endswith(".html") for key in keys)


def test_another_run_of_the_same_reuses_what_is_there(market, on_s3):
    foundry, results = on_s3
    again = foundry.train("again", market, until="models")
    assert {stage: result.reused_from for stage, result in again.items()} == dict.fromkeys(again, "run")
    assert sha256s(again) == {stage: outputs for stage, outputs in sha256s(results).items() if stage in again}


# ------------------------------------------------------------------ prices on S3
FILES = ("prices", "benchmark", "sectors")


@pytest.fixture
def uploaded(market, s3_server, tmp_path):
    """The market's files in a bucket: the conf, and a function that replaces a file."""
    bucket, client = s3_server.bucket(), s3_server.client()
    names = {key: f"some/folder/{Path(market[key]).name}" for key in FILES}
    for key, name in names.items():
        client.upload_file(market[key], bucket, name)
    conf = market | {key: f"s3://{bucket}/{name}" for key, name in names.items()}
    return conf, lambda key, body: client.put_object(Bucket=bucket, Key=names[key], Body=body)


def test_prices_on_s3_are_the_same_prices(market, uploaded, on_s3, s3_server, tmp_path):
    conf, _ = uploaded
    _, results = on_s3
    store_elsewhere = s3_server.settings(str(tmp_path / "store"))  # prices may be elsewhere than results
    made = Foundry(tmp_path, store_elsewhere).stage("prices", "run", conf)
    assert sha256s({"prices": made})["prices"] == sha256s(results)["prices"]
    assert made.config["prices"] == conf["prices"]


def test_a_run_notices_that_a_file_on_s3_has_changed(uploaded, s3_server, tmp_path):
    conf, replace = uploaded
    foundry = Foundry(tmp_path, s3_server.settings())
    first = foundry.stage("prices", "first", conf)
    assert foundry.stage("prices", "second", conf).reused_from == "first"
    replace("sectors", b"ticker,sector\nAAA,Energy\n")
    third = foundry.stage("prices", "third", conf)
    assert third.reused_from is None
    assert third.outputs_digest != first.outputs_digest
    heads = [key for key in foundry.store.keys("markets/") if key.endswith("head.json")]
    assert len(heads) == 1, "one source, wherever its copies lay"


def test_prices_that_are_not_on_s3_are_named(uploaded, s3_server, tmp_path):
    conf, _ = uploaded
    foundry = Foundry(tmp_path, s3_server.settings())
    gone = conf["prices"] + ".parquet"
    with pytest.raises(ConfigError, match=f"there is nothing at {gone}"):
        foundry.stage("prices", "run", conf | {"prices": gone})


# ------------------------------------------------------------------ a server that is gone
@pytest.mark.parametrize("stage", ["prices", "features"])
def test_a_stage_whose_server_is_gone_ends_with_one_line_to_be_tried_again(s3_server, stage):
    settings = s3_server.settings(endpoint=f"http://127.0.0.1:{free_port()}")
    variables = {f"FOUNDRY_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    command = [sys.executable, "-m", "foundry_tasks", stage, "--run-id", "r", "--as-of", AS_OF.isoformat()]
    began = time.monotonic()
    ended = subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 30, ended.stderr
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("foundry: "))
    assert "the S3 server does not answer, " in line
    assert settings.store in line
    assert settings.s3_endpoint in line
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - began < 90
