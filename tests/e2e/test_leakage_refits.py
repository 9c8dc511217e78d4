"""The leakage stage refits base models with poison; without poison only if the poisoned scores differ from the published."""

import json
from dataclasses import replace

import pytest

from foundry_tasks.models.training import WindowTrainer
from foundry_tasks.stages import leakage
from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(5)

CONF = TINY | {"models": ["logistic", "lightgbm"]}
TRANSFORMS = {"logistic": "rank", "lightgbm": "raw"}


@pytest.fixture
def designs(monkeypatch):
    """(transform, whether it contains poison) of every design matrix that the stage builds."""
    built = []
    build = leakage.build_design

    def recording(source, transform):
        built.append((transform, source.poison.shape[1] > 0))
        return build(source, transform)

    monkeypatch.setattr(leakage, "build_design", recording)
    return built


def trained(folder):
    """A run up to the stage models."""
    foundry = Foundry(folder)
    foundry.conf = CONF | write_market(folder, simulated_market(sessions=330, tickers=12, seed=5, signal=0.4))
    foundry.train("train", foundry.conf, until="models")
    return foundry


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("healthy"))


def leaks(foundry, **conf):
    """conf: keys that make this audit differ from others of the same run, so that no result is reused."""
    result = foundry.stage("leakage", "train", foundry.conf | conf)
    assert result.reused_from is None
    return json.loads(foundry.document(result, "leakage.json"))["leaks"]


def test_a_healthy_run_is_refitted_among_poison_alone(healthy, designs):
    assert leaks(healthy, seed=1) == []
    assert sorted(designs) == [("rank", True), ("raw", True)]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_published_scores_that_no_refit_gives_are_found_by_a_refit_of_that_model_alone(
    name, healthy, designs, monkeypatch
):
    read = leakage.read_matrices

    def changed(path):
        scores = read(path)
        return scores if path != of_the_model else {"score": scores["score"] + 1e-6}

    result = healthy.stage("models", "train", healthy.conf)
    of_the_model = healthy.store.object_path(result.outputs[f"scores/1d/{name}/warmup1.parquet"].sha256)
    monkeypatch.setattr(leakage, "read_matrices", changed)
    assert leaks(healthy, seed=2 + list(TRANSFORMS).index(name)) == [
        f"{name}: the published scores are not those of a refit on the fit window"
    ]
    assert sorted(designs) == sorted([("rank", True), ("raw", True), (TRANSFORMS[name], False)])


def test_a_model_that_learns_from_later_sessions_is_found_as_such(tmp_path, designs, monkeypatch):
    """It uses 30 sessions after the fit window. The clean refit uses them too and gives the published scores."""

    def later(window):
        return replace(window, stop=window.stop + 30)

    start, fit = WindowTrainer.__init__, WindowTrainer.fit
    monkeypatch.setattr(
        WindowTrainer,
        "__init__",
        lambda self, estimator, design, windows, *rest, **keys: start(
            self, estimator, design, [*map(later, windows)], *rest, **keys
        ),
    )
    monkeypatch.setattr(WindowTrainer, "fit", lambda self, labels, window: fit(self, labels, later(window)))
    assert leaks(trained(tmp_path)) == [
        f"{name}: scores change when data after the fit window are poisoned" for name in ("lightgbm", "logistic")
    ]
    assert sorted(designs) == [("rank", False), ("rank", True), ("raw", False), ("raw", True)]
