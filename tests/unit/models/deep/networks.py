"""Minimal networks for tests of training."""

from dataclasses import replace
from typing import get_args

import keras
import numpy as np

from foundry_tasks.contract.config import DeepTask
from foundry_tasks.data.panel import FeaturePanel, FloatArray
from foundry_tasks.models.deep.deep_classifier import Network
from foundry_tasks.models.deep.numpy_forward.layers import Shapes, Weights, dense

NAMES = ("ret_1d", "ret_5d", "vol_20d")


def build_flat(
    *,
    steps: int,
    inputs: int,
    width: int,
    blocks: int,
    dropout: float = 0.0,
    tasks: tuple[DeepTask, ...] = ("sign",),
) -> keras.Model:
    """A flattened window and one hidden layer; `blocks` is not used."""
    window = keras.Input((steps, inputs))
    x = keras.layers.Dense(width, name="projection")(window)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(dropout)(keras.layers.Dense(width, activation="tanh")(x))
    return keras.Model(window, {task: keras.layers.Dense(1, dtype="float32")(x) for task in tasks})


def build_constant(*, steps: int, inputs: int, width: int, blocks: int, dropout: float = 0.0) -> keras.Model:
    """A network with the same output for every ticker."""
    network = build_flat(steps=steps, inputs=inputs, width=width, blocks=blocks, dropout=dropout)
    zeros = keras.layers.Lambda(lambda window: window * 0.0)
    window = keras.Input((steps, inputs))
    return keras.Model(window, network(zeros(window)))


def flat_shapes(*, steps: int, inputs: int, width: int, blocks: int) -> Shapes:
    """Shapes of build_flat's weights."""
    layers = {"projection": (inputs, width), "hidden": (steps * width, width), "sign": (width, 1)}
    return {name: {"kernel": shape, "kernel_bias": shape[1:]} for name, shape in layers.items()}


def flat_log_odds(windows: FloatArray, weights: Weights) -> FloatArray:
    """build_flat's log-odds of the sign."""
    x = dense(windows, weights["projection"], "kernel").reshape(len(windows), -1)
    return dense(np.tanh(dense(x, weights["hidden"], "kernel")), weights["sign"], "kernel")[:, 0]


FLAT = Network(build_flat, flat_shapes, flat_log_odds, xla=True)
HEADS = replace(FLAT, tasks=get_args(DeepTask))
CONSTANT = replace(FLAT, build=build_constant)


def noise_panel(n_sessions: int = 120, n_tickers: int = 20, seed: int = 0) -> FeaturePanel:
    """Features without information."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(NAMES), n_sessions, n_tickers)).astype(np.float32)
    sessions = np.datetime64("2020-01-01") + np.arange(n_sessions)
    return FeaturePanel(sessions, tuple(f"T{i:02}" for i in range(n_tickers)), NAMES, values)


def with_moves(panel: FeaturePanel, labels: FloatArray, seed: int = 2002) -> FloatArray:
    """Label, size and volatility of a move, (n_sessions, n_tickers, 3). The size equals ret_5d of two sessions ago.

    One in ten sizes and volatilities is unknown, as with a missing price in between.
    """
    rng = np.random.default_rng(seed)
    size = np.exp(np.roll(panel["ret_5d"], 2, axis=0) + 0.5 * rng.normal(size=labels.shape))
    target = np.stack([labels, size, rng.normal(size=labels.shape)], axis=-1)
    target[..., 1:][rng.random((*labels.shape, 2)) < 0.1] = np.nan
    return target


def remembered(panel: FeaturePanel, *, lag: int, noise: float = 0.5, seed: int = 1001) -> FloatArray:
    """Labels (n_sessions, n_tickers) from ret_1d of `lag` sessions ago, which today's features do not show."""
    rng = np.random.default_rng(seed)
    past = np.roll(panel["ret_1d"], lag, axis=0)
    return (past + noise * rng.normal(size=past.shape) > 0).astype(float)
