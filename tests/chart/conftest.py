"""The fixture of Helm."""

import shutil

import pytest

from tests.chart.helm import REPOSITORY, Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    own = REPOSITORY / ".tools" / "bin" / "helm"
    program = str(own) if own.is_file() else shutil.which("helm")
    if program is None:
        pytest.skip("no helm: install Go, and `make test` compiles it")
    return Helm(program, tmp_path_factory.mktemp("helm"))
