"""Fixtures for tests of containers: the Docker engine, the images, the running stack."""

import pytest

from tests.containers.stack import REPOSITORY, Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The stack that `make up` started."""
    if not (REPOSITORY / ".images.env").is_file():
        pytest.skip("no images: `make images`, then `make up`")
    running = Stack()
    if not any(service.status == "running" for service in running.services()):
        pytest.skip("no stack is up: `make up`")
    running.healthy("api-server", "scheduler", "dag-processor", "mlflow", "reports", "docker-proxy")
    return running
