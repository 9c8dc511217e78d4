"""Keras ships no types: what its layers and losses take and give, written down once."""

from typing import Any, TypedDict

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
from pydantic import JsonValue

Tensor = Any
"""A tensor of whichever backend Keras has."""

SavedConfig = dict[str, JsonValue]
"""The arguments that make an equal layer or loss, as Keras saves them."""


class LossOptions(TypedDict, total=False):
    """What every loss of Keras takes."""

    name: str
    reduction: str
    dtype: str | keras.DTypePolicy


class LayerOptions(TypedDict, total=False):
    """What every layer of Keras takes."""

    name: str
    trainable: bool
    dtype: str | keras.DTypePolicy
