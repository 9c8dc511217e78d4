"""LSTM–Transformer: visible inputs, outputs, and equal outputs after saving, on TensorFlow and on JAX."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from foundry_tasks.models.deep.lstm_transformer import CausalAttentionBlock, build_lstm_transformer

STEPS, INPUTS, WIDTH = 7, 5, 8
TASKS = ("sign", "size", "volatility")
RNG = np.random.default_rng(0)
SEQUENCES = RNG.normal(size=(6, STEPS, INPUTS)).astype(np.float32)


def build(**changed):
    keras.utils.set_random_seed(1)
    arguments = {"steps": STEPS, "inputs": INPUTS, "width": WIDTH, "blocks": 2, "tasks": TASKS} | changed
    model = build_lstm_transformer(**arguments)
    # Gains, biases and heads differ from their initial values, so that a missing layer changes the output.
    model.set_weights([w + 0.3 * RNG.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    """One model, shared by tests that only call it, since JAX compiles each network."""
    return build()


def scores(model, sequences=SEQUENCES):
    return model.predict(sequences, verbose=0)


def same(one, other):
    return one.keys() == other.keys() and all(one[t] == pytest.approx(other[t], abs=1e-5) for t in one)


def test_it_has_a_float32_score_a_sequence_for_each_task(model):
    found = scores(model)
    assert found.keys() == set(TASKS)
    assert {values.shape for values in found.values()} == {(len(SEQUENCES), 1)}
    assert {values.dtype for values in found.values()} == {np.dtype(np.float32)}


def test_a_size_is_a_softplus_while_a_sign_and_a_volatility_are_any_number(model):
    heads = [model.get_layer(task) for task in TASKS]
    before = [head.get_weights() for head in heads]
    for head in heads:
        head.set_weights(before[0])
    found = scores(model)
    for head, weights in zip(heads, before, strict=True):
        head.set_weights(weights)
    assert found["volatility"] == pytest.approx(found["sign"])
    assert found["size"] == pytest.approx(np.log1p(np.exp(found["sign"])), abs=1e-6)


def test_a_head_that_is_switched_off_is_not_there_and_has_no_weights(model):
    sign = build(tasks=("sign",))
    assert list(sign.output) == ["sign"]
    assert model.count_params() - sign.count_params() == 2 * (WIDTH + 1)


def without_steps(model, gone):
    """The same network for sequences that lack the steps `gone`."""
    shorter = build(steps=STEPS - len(gone))
    shorter.set_weights([np.delete(w, gone, axis=0) if w.shape == (STEPS, WIDTH) else w for w in model.get_weights()])
    return shorter


@pytest.mark.parametrize("gone", [[0, 1, 2], [4]])
def test_masked_steps_before_the_others_or_between_them_change_nothing(model, gone):
    masked = SEQUENCES.copy()
    masked[:, gone] = 0.0
    assert same(scores(model, masked), scores(without_steps(model, gone), np.delete(SEQUENCES, gone, axis=1)))


def test_every_step_matters_and_so_does_their_order(model):
    whole = scores(model)["sign"]
    for step in range(STEPS):
        changed = SEQUENCES.copy()
        changed[:, step] += 1.0
        assert np.abs(scores(model, changed)["sign"] - whole).min() > 1e-6
    assert np.abs(scores(model, SEQUENCES[:, [1, 0, *range(2, STEPS)]])["sign"] - whole).max() > 1e-4


def test_no_step_of_a_block_sees_a_later_one():
    block = CausalAttentionBlock(2)
    x = RNG.normal(size=(3, STEPS, WIDTH)).astype(np.float32)
    before = ops.convert_to_numpy(block(x))
    x[:, 5:] += 1.0
    after = ops.convert_to_numpy(block(x))
    assert after[:, :5] == pytest.approx(before[:, :5], abs=1e-6)
    assert np.abs(after[:, 5:] - before[:, 5:]).max() > 1e-2


def test_a_block_that_is_asked_for_the_last_step_alone_gives_what_the_whole_one_has_there():
    whole, last = CausalAttentionBlock(2), CausalAttentionBlock(2, last_step=True)
    x = RNG.normal(size=(3, STEPS, WIDTH)).astype(np.float32)
    mask = np.ones((3, STEPS), dtype=bool)
    mask[:, :2] = False
    known = ops.convert_to_tensor(mask)
    everywhere = ops.convert_to_numpy(whole(x, mask=known))
    last.build(x.shape)
    last.set_weights(whole.get_weights())
    assert ops.convert_to_numpy(last(x, mask=known)) == pytest.approx(everywhere[:, -1:], abs=1e-6)


def test_a_block_and_a_network_are_rebuilt_from_their_config():
    block = CausalAttentionBlock(2, dropout=0.2, last_step=True)
    assert CausalAttentionBlock.from_config(block.get_config()).get_config() == block.get_config()
    model = build(dropout=0.2)
    again = keras.Model.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    assert same(scores(again), scores(model))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="heads must divide the width, got 2 heads and width 9"):
        build(width=9)


NUMPY = """
import sys
sys.modules["tensorflow"] = None  # as if it were not installed
import numpy as np
from foundry_tasks.models.deep.lstm_transformer import build_lstm_transformer
saved = np.load(sys.argv[1])
model = build_lstm_transformer(steps=7, inputs=5, width=8, blocks=2, tasks=("sign", "size", "volatility"))
model.set_weights([saved[f"w{i}"] for i in range(len(model.weights))])
np.savez(sys.argv[2], **{task: np.asarray(values) for task, values in model(saved["sequences"]).items()})
"""


def test_it_scores_on_numpy_as_on_the_backend_that_trained_it(model, tmp_path):
    late = SEQUENCES.copy()
    late[:3, :4] = 0.0
    weights = {f"w{i}": w for i, w in enumerate(model.get_weights())}
    np.savez(tmp_path / "saved.npz", sequences=late, **weights)
    subprocess.run(
        [sys.executable, "-c", NUMPY, tmp_path / "saved.npz", tmp_path / "scores.npz"],
        env=os.environ | {"KERAS_BACKEND": "numpy"},
        check=True,
    )
    assert same(dict(np.load(tmp_path / "scores.npz")), scores(model, late))
