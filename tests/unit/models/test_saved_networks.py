"""Deep models saved by Keras are scored without Keras, with the log-odds of TensorFlow."""

import json
import subprocess
import sys

import numpy as np
import pytest

from foundry_tasks.models.deep import scoring
from tests.unit.models.saved_networks import FILE, ROWS, SAVED, SCORE, model_of

each = pytest.mark.parametrize(
    "saved", SAVED["networks"], ids=lambda one: one["model"]["kind"] + one["model"]["denoise"] * " denoised"
)


@each
def test_a_saved_network_says_what_keras_said_of_it(saved):
    np.testing.assert_allclose(model_of(saved).score(ROWS), saved["log_odds"], rtol=0, atol=1e-5)


@each
def test_sessions_in_several_threads_have_the_same_bits(saved):
    model = model_of(saved)
    np.testing.assert_array_equal(model.score(ROWS, threads=3), model.score(ROWS))


@each
def test_a_session_alone_has_the_same_bits_in_chunks_too(saved, monkeypatch):
    monkeypatch.setattr(scoring, "_CHUNK_STEPS", 4 * saved["model"]["steps"])
    model = model_of(saved)
    np.testing.assert_array_equal(model.score(ROWS[ROWS.session == 9]), model.score(ROWS)[ROWS.session == 9])
    np.testing.assert_allclose(model.score(ROWS), saved["log_odds"], rtol=0, atol=1e-5)


def test_scoring_imports_nothing_that_trains_networks():
    done = subprocess.run([sys.executable, "-c", SCORE, FILE], capture_output=True, text=True, check=True)
    scores, modules = json.loads(done.stdout)
    assert not {"keras", "jax", "tensorflow", "torch"} & set(modules)
    assert scores == [model_of(saved).score(ROWS).tolist() for saved in SAVED["networks"]]
