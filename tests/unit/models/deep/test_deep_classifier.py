"""A deep model as a base model: it meets an estimator's contract, and its file is read without TensorFlow."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from foundry_tasks.contract.config import DEEP_MODELS, ModelsConfig
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.data.tables import write_features
from foundry_tasks.models.base_models import BASE_MODELS, estimator_for, load_libraries, load_model, score_panel
from foundry_tasks.models.deep import deep_classifier, training
from foundry_tasks.models.deep.deep_classifier import NETWORKS, DeepModel
from foundry_tasks.models.deep.journal import NoJournal
from foundry_tasks.models.deep.scoring import score_sessions
from foundry_tasks.models.design import build_design
from foundry_tasks.models.estimator import DegenerateTargetError
from foundry_tasks.models.importance import LabelledRows, permutation_importance
from foundry_tasks.models.training import FitWindow, WindowTrainer
from tests.unit.models.deep.networks import FLAT, HEADS, noise_panel, remembered, with_moves

PANEL = noise_panel(n_sessions=150)
LABELS = remembered(PANEL, lag=2)
MOVES = with_moves(PANEL, LABELS)
WINDOW = FitWindow(0, 120, purge=1)
ALL = ("sign", "size", "volatility")
THREE_HEADS = "lstm_transformer with three heads"
DENOISED = "xlstm_ts denoised"
both = pytest.mark.parametrize("name", DEEP_MODELS)
each = pytest.mark.parametrize("name", [*DEEP_MODELS, THREE_HEADS, DENOISED])


def config(name, **keys):
    quick = {"deep_size": "small", "deep_epochs": 1, "sequence_sessions": 4, "seeds": 1, "threads": 1}
    return ModelsConfig(models=(name,), **{**quick, **keys})


def fitted(name, panel=PANEL, labels=LABELS, window=WINDOW, **keys):
    settings = config(name, **keys)
    design = build_design(panel, "sequence")
    return WindowTrainer(estimator_for(name, settings), design, [window], settings).fit(labels, window)


@pytest.fixture
def flat(monkeypatch):
    """A network that trains fast, under the name of a slow one."""
    monkeypatch.setitem(NETWORKS, "xlstm_ts", FLAT)
    return "xlstm_ts"


@pytest.fixture(scope="module")
def models():
    """One model of each kind."""
    found = {name: fitted(name) for name in DEEP_MODELS}
    found[THREE_HEADS] = fitted("lstm_transformer", labels=MOVES, deep_tasks=ALL)
    return found | {DENOISED: fitted("xlstm_ts", denoise=True)}


# ------------------------------------------------------------------ an estimator's promises
def test_a_seed_makes_the_model_and_rows_after_the_window_do_not(flat):
    first = fitted(flat, seeds=2)
    spoilt, wrong = noise_panel(n_sessions=150), LABELS.copy()
    spoilt.values[:, 120:] = 9.0
    wrong[120:] = 1 - wrong[120:]
    assert fitted(flat, panel=spoilt, labels=wrong, seeds=2).to_bytes() == first.to_bytes()
    assert first.members[0].to_bytes() != first.members[1].to_bytes()


def test_rows_without_a_target_teach_nothing_but_are_the_past_of_others(flat):
    blank = LABELS.copy()
    blank[40:60] = np.nan
    before = fitted(flat, labels=blank).to_bytes()
    poisoned = noise_panel(n_sessions=150)
    poisoned.values[:, 50] = np.random.default_rng(5).normal(size=poisoned.values[:, 50].shape)
    assert fitted(flat, panel=poisoned, labels=blank).to_bytes() == before, "ranks of no learned window"
    poisoned.values[:, 59] = np.random.default_rng(5).normal(size=poisoned.values[:, 59].shape)
    assert fitted(flat, panel=poisoned, labels=blank).to_bytes() != before


def test_of_several_tasks_none_is_learned_outside_the_window_nor_where_the_sign_is_unknown(monkeypatch):
    monkeypatch.setitem(NETWORKS, "lstm_transformer", HEADS)
    blank, spoilt = MOVES.copy(), MOVES.copy()
    blank[40:60, :, 0] = np.nan
    spoilt[40:60, :, 0] = np.nan
    spoilt[40:60, :, 1:] = 7.0
    spoilt[120:] = 1 - spoilt[120:]
    before, after = (fitted("lstm_transformer", labels=labels, deep_tasks=ALL) for labels in (blank, spoilt))
    assert after.to_bytes() == before.to_bytes()
    spoilt[60:80, :, 1] = 7.0
    assert fitted("lstm_transformer", labels=spoilt, deep_tasks=ALL).to_bytes() != before.to_bytes()


def test_one_class_is_refused(flat):
    with pytest.raises(DegenerateTargetError, match="two classes"):
        fitted(flat, labels=np.ones_like(LABELS))


@each
def test_a_session_alone_scores_as_it_does_among_others_where_its_past_is_there(name, models):
    whole = score_panel(models[name], PANEL)
    past = models[name].lookback_sessions
    assert past == 3
    alone = replace(PANEL, sessions=PANEL.sessions[130 - past : 131], values=PANEL.values[:, 130 - past : 131])
    assert np.array_equal(score_panel(models[name], alone)[-1], whole[130])


@each
def test_the_future_of_a_session_does_not_move_its_score(name, models):
    future = noise_panel(n_sessions=150)
    future.values[:, 131:] = 5.0
    assert np.array_equal(score_panel(models[name], future)[:131], score_panel(models[name], PANEL)[:131])


@both
def test_a_ticker_that_is_missing_now_and_then_is_scored(name, models):
    holed = noise_panel(n_sessions=150)
    holed.values[:, 100:103, 4] = np.nan
    holed.values[:, :140, 5] = np.nan
    scores = score_panel(models[name], holed)
    assert np.isnan(scores[100:103, 4]).all()
    assert np.isfinite(scores[103:, 4]).all()
    assert np.isfinite(scores[140:, 5]).all()


# ------------------------------------------------------------------ saved and read back
@each
def test_a_saved_model_scores_the_same_bit_for_bit(name, models):
    (member,) = models[name].members
    again = load_model(models[name].to_bytes())
    assert isinstance(again.members[0], DeepModel)
    assert np.array_equal(score_panel(again, PANEL), score_panel(models[name], PANEL), equal_nan=True)
    assert again.members[0].gain() == member.gain()
    assert set(json.loads(member.to_bytes())) == {
        "kind", "names", "steps", "width", "blocks", "denoise", "mean", "deviation", "weights",
    }  # fmt: skip


SCORE_ELSEWHERE = """
import sys
sys.modules |= dict.fromkeys(["jax", "keras", "tensorflow"])  # as if they were not installed
import numpy as np
from pathlib import Path
from foundry_tasks.data.tables import read_features
from foundry_tasks.models.base_models import load_model, score_panel
scores = score_panel(load_model(Path(sys.argv[1]).read_bytes()), read_features(Path(sys.argv[2])))
np.save(sys.argv[3], scores)
"""


@each
def test_a_process_without_what_trained_it_scores_the_same_bits(name, models, tmp_path):
    (tmp_path / "model.json").write_bytes(models[name].to_bytes())
    write_features(tmp_path / "features.parquet", [PANEL])
    files = [str(tmp_path / file) for file in ("model.json", "features.parquet", "scores.npy")]
    command = [sys.executable, "-c", SCORE_ELSEWHERE, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(files[2]), score_panel(models[name], PANEL))


def test_what_is_saved_of_three_heads_is_one_and_scores_as_the_network_did_that_learned(models, monkeypatch):
    learned, whole = [], training._scoring_weights
    monkeypatch.setattr(training, "_scoring_weights", lambda network: learned.append(network) or whole(network))
    model = fitted("lstm_transformer", labels=MOVES, deep_tasks=ALL)
    assert set(learned[0].output) == set(ALL)
    sequences = build_design(PANEL, "sequence").values
    says = partial(training._log_odds, learned[0])
    said = score_sessions(says, sequences, model.members[0].scaler, model.members[0].steps)
    np.testing.assert_allclose(model.score(sequences), said, rtol=0, atol=1e-6)
    assert model.to_bytes() == models[THREE_HEADS].to_bytes()
    assert len(model.to_bytes()) == pytest.approx(len(models["lstm_transformer"].to_bytes()), rel=0.01)
    assert not np.array_equal(model.score(sequences), models["lstm_transformer"].score(sequences))


def test_a_network_that_learned_from_denoised_windows_scores_denoised_windows(models):
    member = models[DENOISED].members[0]
    sequences = build_design(PANEL, "sequence").values
    assert member.denoise
    assert not models["xlstm_ts"].members[0].denoise
    assert not np.allclose(replace(member, denoise=False).score(sequences), member.score(sequences), atol=1e-4)


def test_who_cannot_denoise_is_what_it_was(models):
    assert fitted("lstm_transformer", denoise=True).to_bytes() == models["lstm_transformer"].to_bytes()


def test_weights_of_another_shape_are_refused(models):
    saved = json.loads(models["xlstm_ts"].members[0].to_bytes())
    with pytest.raises(ValueError, match=r"a xlstm_ts of this shape has \d+ weights, the saved one has \d+"):
        score_panel(DeepModel.from_dict(saved | {"width": 16}), PANEL)


def test_a_fit_of_other_tasks_has_another_name(monkeypatch):
    """Checkpoints of one are not used for the other, although they share the head of the sign."""
    monkeypatch.setitem(NETWORKS, "lstm_transformer", HEADS)
    names = []

    class Names(NoJournal):
        def save(self, fit, _):
            names.append(fit)

    other = MOVES.copy()
    other[3, 3, 1] += 1
    for labels, tasks in ((LABELS, ("sign",)), (MOVES, ALL), (other, ALL)):
        settings = config("lstm_transformer", deep_tasks=tasks)
        estimator = estimator_for("lstm_transformer", settings, Names())
        WindowTrainer(estimator, build_design(PANEL, "sequence"), [WINDOW], settings).fit(labels, WINDOW)
    assert len(set(names)) == 3


# ------------------------------------------------------------------ what it looks at
@each
def test_gains_are_shares_of_the_weights_that_an_input_enters_by(name, models):
    saved = json.loads(models[name].members[0].to_bytes())
    (member,) = models[name].members
    louder = np.frombuffer(member.weights, "<f4").copy()
    louder[: saved["width"]] *= 100
    gain = replace(member, weights=louder.tobytes()).gain()
    assert max(gain, key=gain.get) == "ret_1d"
    assert sum(gain.values()) == pytest.approx(1)


def test_permutation_importance_shuffles_an_inputs_whole_window(flat):
    model = fitted(flat, deep_epochs=10, learning_rate=1e-2)
    design = build_design(PANEL, "sequence")
    rows = design.rows(121, 150)
    labelled = LabelledRows(design.values[rows], design.from_wide(LABELS, rows), design.session[rows])
    losses = permutation_importance(model, labelled, top=3, seed=1)
    assert next(iter(losses)) == "ret_1d"
    assert losses["ret_1d"] > 0.1
    assert abs(losses["vol_20d"]) < 0.05


# ------------------------------------------------------------------ what it asks for
def test_the_configs_settings_reach_the_network(flat):
    (member,) = fitted(flat, sequence_sessions=7, deep_size="full").members
    assert (member.steps, member.width, member.blocks) == (7, 64, 4)


def test_without_tensorflow_there_is_no_training_and_one_line_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(deep_classifier, "find_spec", lambda _: None)
    with pytest.raises(
        ConfigError, match=r"trained by TensorFlow, which is not installed here\. Install it by `make deep`"
    ):
        load_libraries(["xlstm_ts"])
    load_libraries(["logistic"])


def test_every_deep_model_has_a_network_and_no_other():
    assert (
        set(NETWORKS) == set(DEEP_MODELS) == {name for name, one in BASE_MODELS.items() if one.transform == "sequence"}
    )
