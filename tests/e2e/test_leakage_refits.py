"""The leakage stage refits base models among poison; on clean data only those whose scores differ from the published ones."""

import json
from dataclasses import replace

import pytest

from foundry_tasks.audit import refits
from foundry_tasks.data.tables import Matrices
from foundry_tasks.inputs import dated_scores
from foundry_tasks.models.training import WindowTrainer
from tests.e2e.foundry_here import TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(5)

CONF = TINY | {"models": ["logistic", "lightgbm"]}
TRANSFORMS = {"logistic": "rank", "lightgbm": "raw"}


@pytest.fixture
def designs(monkeypatch):
    """The transform of every design that the stage fits on."""
    built = []
    build = refits.build_design

    def recording(source, transform):
        built.append(transform)
        return build(source, transform)

    monkeypatch.setattr(refits, "build_design", recording)
    return built


def trained(folder):
    """A run up to the stage ensemble."""
    foundry = Foundry(folder)
    foundry.conf = CONF | write_market(folder, simulated_market(sessions=330, tickers=12, seed=5, signal=0.4))
    foundry.train("train", foundry.conf, until="ensemble")
    return foundry


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("healthy"))


def audited(foundry, **conf):
    """conf: keys that make this audit differ from others of the same run, so that no result is reused."""
    result = foundry.stage("leakage", "train", foundry.conf | conf)
    assert result.reused_from is None
    return json.loads(foundry.document(result, "leakage.json"))


def test_a_healthy_run_is_refitted_among_poison_alone(healthy, designs):
    assert audited(healthy, audit_dates=2)["leaks"] == []
    assert sorted(designs) == ["rank", "raw"]


def test_seed_and_shards_do_not_choose_what_is_audited(healthy):
    """A user who dislikes a draw cannot have another one."""
    once, again = (audited(healthy, audit_dates=3, seed=seed, threads=threads) for seed, threads in ((1, 1), (2, 2)))
    assert again == once


@pytest.mark.parametrize("name", TRANSFORMS)
def test_published_scores_that_no_refit_gives_are_found_by_a_refit_of_that_model_alone(
    name, healthy, designs, monkeypatch
):
    read = dated_scores.read_matrices

    def changed(path):
        file = read(path)
        return (
            file if path not in of_the_model else Matrices(file.sessions, file.tickers, {"score": file["score"] + 1e-6})
        )

    result = healthy.stage("models", "train", healthy.conf)
    of_the_model = [
        healthy.store.object_path(artifact.sha256)
        for output, artifact in result.outputs.items()
        if output.startswith(f"scores/1d/{name}/")
    ]
    monkeypatch.setattr(dated_scores, "read_matrices", changed)
    leaks = audited(healthy, audit_dates=4 + list(TRANSFORMS).index(name))["leaks"]
    assert leaks
    for leak in leaks:
        assert leak.startswith(f"{name} 1d fold")
        assert leak.endswith(": the published scores are not those of a refit on the fit window")
    assert sorted(designs) == sorted(["rank", "raw", TRANSFORMS[name]])


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
    leaks = audited(trained(tmp_path))["leaks"]
    assert {leak.split()[0] for leak in leaks} == set(TRANSFORMS)
    assert all(leak.endswith(": scores change when data after the fit window are poisoned") for leak in leaks)
    assert sorted(designs) == ["rank", "rank", "raw", "raw"]
