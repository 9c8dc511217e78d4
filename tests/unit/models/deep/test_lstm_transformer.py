"""LSTM–Transformer on TensorFlow: initial weights, and that it learns."""

import keras
import numpy as np

from foundry_tasks.models.deep.lstm_transformer import build_lstm_transformer

STEPS = 7
RNG = np.random.default_rng(0)


def build(**changed):
    keras.utils.set_random_seed(0)
    arguments = {"steps": STEPS, "inputs": 1, "width": 16, "blocks": 1} | changed
    return build_lstm_transformer(**arguments)


def scores(model, sequences, **how):
    return model(sequences, **how)["sign"].numpy()


def test_the_first_scores_of_an_untrained_network_spread_about_as_an_honest_ones_do():
    model = build(steps=20, inputs=60, width=32, blocks=2)
    assert 0.02 < scores(model, RNG.normal(size=(200, 20, 60)).astype(np.float32)).std() < 0.3


def test_dropout_is_for_training_alone():
    model, sequences = build(dropout=0.5), RNG.normal(size=(6, STEPS, 1)).astype(np.float32)
    assert np.array_equal(scores(model, sequences), scores(model, sequences))
    trained = [scores(model, sequences, training=True) for _ in range(2)]
    assert np.abs(trained[0] - trained[1]).max() > 1e-4


def test_xla_may_compile_it():
    assert all(layer.supports_jit for layer in build()._flatten_layers())


def test_it_learns_which_of_two_steps_was_higher():
    model = build()
    sequences = RNG.normal(size=(512, STEPS, 1)).astype(np.float32)
    target = (sequences[:, 2] > sequences[:, 4]).astype(np.float32)
    model.compile(keras.optimizers.Adam(1e-2), {"sign": keras.losses.BinaryCrossentropy(from_logits=True)})
    model.fit(sequences, {"sign": target}, epochs=15, batch_size=64, verbose=0)
    right = (scores(model, sequences) > 0) == (target > 0)
    assert right.mean() > 0.9
