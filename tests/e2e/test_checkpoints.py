"""A stopped stage continues after its last checkpoint. A checkpoint is used for exactly the same work only."""

import pytest

from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(7)

RUN, AGAIN = "manual__2026-07-01T12:00:00+00:00", "manual__2026-07-01T13:00:00+00:00"


class Stopping:
    """A Progress that records its calls and stops the stage after a number of steps, like SIGTERM."""

    def __init__(self, after=None):
        self.left, self.notes = after, []

    def start(self, _label, total):
        self.total = total

    def advance(self, note=""):
        self.notes.append(note)
        if self.left is not None and len(self.notes) == self.left:
            raise SystemExit(143)


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    market = simulated_market(sessions=320, tickers=12, seed=5)
    return (
        TINY
        | write_market(tmp_path_factory.mktemp("market"), market)
        | {"models": ["logistic", "lightgbm"], "seeds": 2}
    )


def prepared(folder, conf):
    foundry = Foundry(folder)
    for stage in ("prices", "features", "labels"):
        foundry.stage(stage, RUN, conf)
    return foundry


@pytest.fixture(scope="module")
def undisturbed(conf, tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("undisturbed"), conf).stage("models", RUN, conf)


@pytest.mark.parametrize("after", [1, 3, 5])
def test_what_was_finished_is_not_done_again_and_the_result_is_the_same(conf, undisturbed, tmp_path, after):
    foundry = prepared(tmp_path, conf)
    with pytest.raises(SystemExit):
        foundry.stage("models", RUN, conf, progress=Stopping(after))
    second = Stopping()
    result = foundry.stage("models", RUN, conf, progress=second)
    kept = [note for note in second.notes if "kept" in note]
    assert len(kept) == after - 1, "the piece that was being published is not yet kept"
    assert len(second.notes) == second.total == 6
    assert result.outputs_digest == undisturbed.outputs_digest
    assert result.warnings == undisturbed.warnings
    assert result.reused_from is None


def test_another_config_shares_nothing_that_was_kept(conf, tmp_path):
    foundry = prepared(tmp_path, conf)
    with pytest.raises(SystemExit):
        foundry.stage("models", RUN, conf, progress=Stopping(4))
    other = Stopping()
    foundry.stage("models", RUN, conf | {"seed": 8}, progress=other)
    assert not [note for note in other.notes if "kept" in note]


def test_what_is_kept_and_damaged_is_computed_again(conf, undisturbed, tmp_path):
    foundry = prepared(tmp_path, conf)
    with pytest.raises(SystemExit):
        foundry.stage("models", RUN, conf, progress=Stopping(4))
    scores = [key for key in foundry.store.keys("checkpoints/") if key.endswith(".json")]
    assert len(scores) == 3
    for path in (foundry.store.root / "objects").iterdir():
        if b"score" in path.read_bytes():
            path.unlink()
    result = foundry.stage("models", RUN, conf, progress=Stopping())
    assert result.outputs_digest == undisturbed.outputs_digest
