"""What a person reads before the ledger has their decision."""

import pytest

from foundry_tasks.__main__ import main
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.ledger.chain import EvidenceLog, Ledger
from tests.looked_at import add_look, add_version

pytestmark = pytest.mark.slow(8)

MODEL = "foundry-us-5d"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("FOUNDRY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("FOUNDRY_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("FOUNDRY_MLFLOW_ARTIFACTS", str(tmp_path / "artifacts"))
    return LocalStore(tmp_path / "store")


def test_approve_prints_the_look_and_why_the_version_waited_before_it_records(store, capsys):
    add_look(store, "a")
    add_look(store, "b")
    add_version(store, 1, "challenger", forecast="b", why="every gate passed, but it is the second look")
    code = main(["approve", MODEL, "1", "--who", "ann", "--why", "we waited"])
    printed = capsys.readouterr()
    assert "version 1: challenger. every gate passed, but it is the second look." in printed.out
    assert "Look 2 at its data" in printed.out
    assert "1 forecast was tested on these data before it" in printed.out
    assert code == 10, "MLflow lacks the version"
    assert len(Ledger(store).state(MODEL).records) == 2, "what is refused is printed and not recorded"


def test_a_policy_that_is_set_is_printed_with_its_old_value_and_marked_as_typed(store, capsys):
    assert main(["policy", "set", "us", "min_auc=0.53", "--who", "ann", "--why", "as we agreed"]) == 0
    printed = capsys.readouterr().out
    assert "min_auc: 0.52 → 0.53, counts at once." in printed
    assert "by ann (person not authenticated): as we agreed" in printed
    change = EvidenceLog(store).state().last_change("us")
    assert (change.who, change.authenticated) == ("ann", False)
