"""The proxy in front of the real engine, and in front of a recorder."""

import contextlib
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

from tests.containers.docker_proxy.surroundings import (
    ENGINE,
    FILES,
    GOVERNING,
    IMAGE,
    NETWORK,
    TMP,
    WORKSPACE,
    Proxy,
    Recorder,
    busybox,
    running_proxy,
)


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.APIClient]:
    """The real engine, without the proxy."""
    if not Path(ENGINE).exists():
        pytest.skip(f"no Docker engine at {ENGINE}")
    client = docker.APIClient(base_url=f"unix://{ENGINE}", version="auto")
    yield client
    client.close()


@pytest.fixture(scope="session")
def image(engine: docker.APIClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """ID of an image with a shell only. It stays in the engine for later runs."""
    if not engine.images(name=IMAGE):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as root:
            root.add(busybox(tmp_path_factory.mktemp("busybox")), "bin/busybox")
            for folder in (TMP[1:], "run/foundry", "etc", "proc", "sys", "dev"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                root.addfile(entry)
        engine.import_image_from_data(
            archive.getvalue(), repository=IMAGE, tag="latest", changes=['ENTRYPOINT ["/bin/busybox"]']
        )
    found: str = engine.inspect_image(IMAGE)["Id"]
    return found


@pytest.fixture(scope="session")
def network(engine: docker.APIClient) -> Iterator[str]:
    made = engine.create_network(NETWORK, internal=True)["Id"]
    yield NETWORK
    engine.remove_network(made)
    for volume in (FILES, GOVERNING, WORKSPACE):
        with contextlib.suppress(APIError):
            engine.remove_volume(volume)


@pytest.fixture(scope="session")
def proxy(image: str) -> Iterator[Proxy]:
    """A proxy in front of the real engine."""
    with running_proxy(ENGINE, image) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy, network: str) -> Iterator[docker.APIClient]:
    made = proxy.client()
    yield made
    made.close()


@pytest.fixture
def stranger(engine: docker.APIClient, image: str) -> Iterator[str]:
    """A running container that is not Foundry's."""
    made = engine.create_container(image, ["sleep", "600"], name="foundry-test-stranger")["Id"]
    engine.start(made)
    yield made
    engine.remove_container(made, v=True, force=True)


@pytest.fixture(scope="session")
def _recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Recorder, Proxy]]:
    path = tmp_path_factory.mktemp("engine") / "docker.sock"
    with Recorder(path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with running_proxy(str(path), "sha256:cafe,foundry/stage-cpu") as running:
            yield server, running
        server.shutdown()


@pytest.fixture
def recorder(_recorder: tuple[Recorder, Proxy]) -> Recorder:
    _recorder[0].calls.clear()
    return _recorder[0]


@pytest.fixture
def recording(_recorder: tuple[Recorder, Proxy]) -> Proxy:
    """A proxy in front of a recorder."""
    return _recorder[1]
