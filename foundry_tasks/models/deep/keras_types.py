"""Types of the arguments and results of Keras' layers and losses; Keras ships no types."""

from typing import Any, TypedDict

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from pydantic import JsonValue

Tensor = Any
"""A tensor of the backend of Keras."""

SavedConfig = dict[str, JsonValue]
"""Constructor arguments of an equal layer or loss, as Keras saves them."""


class LossOptions(TypedDict, total=False):
    """Constructor arguments of every Keras loss."""

    name: str
    reduction: str
    dtype: str | keras.DTypePolicy


class LayerOptions(TypedDict, total=False):
    """Constructor arguments of every Keras layer."""

    name: str
    trainable: bool
    dtype: str | keras.DTypePolicy
