"""MLflow's registry on a real sqlite database and local files."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tasks.adapters.registry_mlflow import MlflowRegistry
from foundry_tasks.contract.artifacts import sha256_of
from foundry_tasks.contract.errors import ConfigError, TransientError
from foundry_tasks.contract.ports import Registration

pytestmark = [
    pytest.mark.slow(8),
    # of MLflow
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]

MODEL = "foundry-us-5d"


def registration(folder, content=b"bundle", **changes):
    bundle = folder / f"{sha256_of(content)[:8]}.zip"
    bundle.write_bytes(content)
    values = {
        "model": MODEL,
        "bundle": bundle,
        "sha256": sha256_of(content),
        "horizon": 5,
        "features": ("ret_1d", "vol_20d"),
        "example": [{"date": "2022-12-28", "ticker": "AAPL", "ret_1d": 0.01, "vol_20d": float("nan")}],
        "evidence": {"gates": {"verdict": "passed"}, "labels": {"label_entry": "close"}},
        "tags": {"foundry.run": "foundry_train/manual__1"},
        "metrics": {"auc": 0.53},
    }
    return Registration(**(values | changes))


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    return MlflowRegistry(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"))


def files_of(registry, version):
    location = registry._client.get_model_version_download_uri(version.model, str(version.version))
    return Path(location)


def test_a_version_holds_all_that_a_stranger_needs(registry, tmp_path):
    version = registry.register(registration(tmp_path, model="foundry-eu-5d"))
    model = files_of(registry, version)
    described = (model / "MLmodel").read_text()
    assert "loader_module: foundry_tasks.adapters.served_model" in described
    assert f"sha256: {version.sha256}" in described
    assert (model / "code" / "foundry_tasks" / "ledger" / "records.py").is_file()
    assert not list(model.rglob("__pycache__"))
    assert json.loads((model / "input_example.json").read_text())["columns"] == ["date", "ticker", "ret_1d", "vol_20d"]
    requirements = (model / "requirements.txt").read_text().split()
    assert all("==" in line for line in requirements)
    assert not any(line.startswith(("apache-airflow", "great", "jax", "keras", "tensorflow")) for line in requirements)
    run = registry._client.get_run(registry._client.get_model_version("foundry-eu-5d", "1").run_id)
    evidence = Path(run.info.artifact_uri) / "evidence"
    assert json.loads((evidence / "gates.json").read_text()) == {"verdict": "passed"}
    assert (run.data.metrics["auc"], run.data.tags["foundry.run"]) == (0.53, "foundry_train/manual__1")
    assert run.info.status == "FINISHED"


def test_the_bundle_that_comes_back_is_the_one_that_went_in(registry, tmp_path):
    version = registry.register(registration(tmp_path, b"abc"))
    assert registry.bundle(version).read_bytes() == b"abc"


def test_the_same_bundle_with_the_same_evidence_is_the_same_version(registry, tmp_path):
    wanted = registration(tmp_path, b"same")
    first = registry.register(wanted)
    again = registry.register(replace(wanted, tags={"foundry.run": "foundry_train/manual__2"}))
    assert again.version == first.version


def test_other_evidence_or_another_bundle_is_another_version(registry, tmp_path):
    wanted = registration(tmp_path, b"one")
    other_evidence = replace(wanted, evidence={"gates": {"verdict": "refused"}})
    versions = {registry.register(item).version for item in (wanted, other_evidence, registration(tmp_path, b"two"))}
    assert len(versions) == 3


def test_one_registration_made_by_many_at_once_is_one_version(registry, tmp_path):
    wanted = registration(tmp_path, b"crowd", model="foundry-crowd-5d")

    def one(_):
        return MlflowRegistry(registry.uri, registry._artifacts).register(wanted).version

    with ThreadPoolExecutor(4) as pool:
        versions = set(pool.map(one, range(4)))
    assert versions == {1}
    assert [version.version for version in registry.versions("foundry-crowd-5d")] == [1]


def test_an_alias_is_set_moved_and_taken_away(registry, tmp_path):
    one, two = (
        registry.register(registration(tmp_path, content, model="foundry-alias-5d")) for content in (b"1", b"2")
    )
    for version in (one, two):
        registry.set_alias(one.model, "champion", version.version)
        assert registry.alias(one.model, "champion").version == version.version
    assert registry.versions(one.model)[1].aliases == ("champion",)
    registry.set_alias(one.model, "champion", None)
    assert registry.alias(one.model, "champion") is None


def test_a_model_that_nobody_registered_has_no_alias_no_version_and_no_witness(registry):
    assert registry.alias("foundry-none-1d", "champion") is None
    assert list(registry.versions("foundry-none-1d")) == []
    assert registry.ledger_head("foundry-none-1d") is None


def test_an_alias_on_a_version_that_is_not_there_is_refused(registry, tmp_path):
    registry.register(registration(tmp_path))
    with pytest.raises(ConfigError, match=r"refused \(RESOURCE_DOES_NOT_EXIST\)"):
        registry.set_alias(MODEL, "champion", 99)


def test_a_server_that_does_not_answer_is_transient_and_soon_known():
    started = time.perf_counter()
    registry = MlflowRegistry("http://127.0.0.1:9", "")
    with pytest.raises(TransientError, match=r"^MLflow at http://127.0.0.1:9 does not answer: [^\n]*$"):
        registry.alias(MODEL, "champion")
    assert time.perf_counter() - started < 90, "MLflow's own patience is four minutes"


def test_a_database_that_cannot_be_made_is_a_fault_of_the_configuration(tmp_path):
    (tmp_path / "file").write_text("")
    registry = MlflowRegistry(f"sqlite:///{tmp_path}/file/mlflow.db", str(tmp_path))
    with pytest.raises(ConfigError, match=r"MLflow's database cannot be used: .*FOUNDRY_MLFLOW_URI"):
        registry.alias(MODEL, "champion")


def test_a_database_that_is_none_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    registry = MlflowRegistry(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path))
    with pytest.raises((ConfigError, TransientError), match=r"MLflow at sqlite:.*mlflow.db"):
        registry.alias(MODEL, "champion")
