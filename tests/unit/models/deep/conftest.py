"""Deep models: every test here is marked `deep`, and Keras has its backend before a test imports it."""

from importlib.util import find_spec
from pathlib import Path

import pytest

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

HERE = Path(__file__).parent
collect_ignore_glob = [] if find_spec("tensorflow") else ["*"]  # `make test` has none, and asks for none of these


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave these modules alone where no deep test is wanted: curl, which yfinance asks by, fails beside TensorFlow."""
    return True if "not deep" in config.option.markexpr else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.deep)
