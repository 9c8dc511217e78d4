"""The LSTM–Transformer in half precision: no NaN, and a training step changes the weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from foundry_tasks.contract.config import DeepLoss
from foundry_tasks.models.deep.losses import loss_named, losses_of
from foundry_tasks.models.deep.lstm_transformer import build_lstm_transformer

POLICIES = ("mixed_bfloat16", "mixed_float16")
LOSS: DeepLoss = "cross_entropy_correlation"
TASKS = ("sign", "size", "volatility")
ROWS, STEPS, INPUTS = 64, 20, 12
RNG = np.random.default_rng(0)
EXTREME = RNG.choice([-5.0, 0.0, 5.0], size=(ROWS, STEPS, INPUTS)).astype(np.float32)
EXTREME[: ROWS // 4, : STEPS // 2] = 0.0  # sequences that start late
ROWS_OF_SESSIONS = np.stack([RNG.integers(0, 2, ROWS), np.repeat(np.arange(4), ROWS // 4)], axis=1).astype(np.float32)


@pytest.fixture(params=POLICIES)
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def build():
    keras.utils.set_random_seed(5)
    return build_lstm_transformer(steps=STEPS, inputs=INPUTS, width=16, blocks=2, tasks=TASKS)


def test_outputs_are_float32_and_finite_at_extreme_inputs(policy):
    for values in build()(EXTREME).values():
        assert values.dtype == tf.float32
        assert np.isfinite(values).all()


def test_gradients_are_finite_at_extreme_inputs(policy):
    model = build()
    with tf.GradientTape() as tape:
        out = model(EXTREME, training=True)
        loss = loss_named(LOSS)(ROWS_OF_SESSIONS, out["sign"]) + tf.reduce_mean(out["size"] + out["volatility"])
    gradients = tape.gradient(loss, model.trainable_weights)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert all(weight.dtype == "float32" for weight in model.trainable_weights)


def test_lstm_heads_and_last_norm_are_float32_and_products_are_not(policy):
    model = build()
    half = policy.removeprefix("mixed_")
    kept = {
        name: model.get_layer(name).compute_dtype for name in ("encoder", "last_norm", "sign", "size", "volatility")
    }
    assert set(kept.values()) == {"float32"}
    assert {model.get_layer(name).compute_dtype for name in ("input_projection", "block_1", "block_2")} == {half}


def test_a_step_of_training_moves_every_weight_and_leaves_none_nan(policy):
    model = build()
    optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=1.0)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, losses_of(TASKS, LOSS), jit_compile=False)
    before = model.get_weights()
    session = ROWS_OF_SESSIONS[:, 1:]
    size, volatility = RNG.random((ROWS, 1)), RNG.normal(size=(ROWS, 1))
    size[::7] = np.nan
    target = {
        "sign": ROWS_OF_SESSIONS,
        "size": np.hstack([size, session]),
        "volatility": np.hstack([volatility, session]),
    }
    assert np.isfinite(model.train_on_batch(EXTREME, target)).all()
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.isfinite(new).all()
        assert (old != new).any()


def test_half_precision_scores_rank_as_those_of_float32_do(policy):
    half = build()(EXTREME)["sign"].numpy()[:, 0]
    keras.config.set_dtype_policy("float32")
    exact = build()(EXTREME)["sign"].numpy()[:, 0]
    assert np.corrcoef(half, exact)[0, 1] > 0.99
