"""Puts the folders of DAG files and plugins on the import path, like Airflow."""

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from foundry_tasks.contract.environment_variables import REPOSITORY


@pytest.fixture(scope="module")
def load() -> Iterator[Callable[[str], ModuleType]]:
    """load(name) → a module of dags/ or of the plugins in it."""
    folders = [str(REPOSITORY / "dags"), str(REPOSITORY / "dags" / "plugins")]
    sys.path[:0] = folders
    yield importlib.import_module
    for folder in folders:
        sys.path.remove(folder)
