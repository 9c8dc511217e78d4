"""Deep models: marks every test `deep`, and sets Keras' backend before a test imports Keras."""

from importlib.util import find_spec
from pathlib import Path

import pytest

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

HERE = Path(__file__).parent
collect_ignore_glob = [] if find_spec("tensorflow") else ["*"]  # `make test` has no TensorFlow and runs none of these


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Do not import these modules unless deep tests are wanted: yfinance's curl fails in a process with TensorFlow."""
    return True if "not deep" in config.option.markexpr else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.deep)
