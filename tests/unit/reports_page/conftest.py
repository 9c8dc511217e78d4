"""The fixture of a running reports page."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unit.reports_page.served import PASSWORD, Page, running_page


@pytest.fixture
def secret_files(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "reports_password").write_text(PASSWORD + "\n")
    return folder


@pytest.fixture
def serve(secret_files: Path) -> Iterator[Callable[..., Page]]:
    """Serve a store folder. Further arguments are environment variables."""
    with ExitStack() as running:

        def start(store: Path, **environment: str) -> Page:
            told = {"FOUNDRY_STORE": str(store), "FOUNDRY_SECRETS": str(secret_files)}
            return running.enter_context(running_page(told | environment))

        yield start
