"""Calls to the engine that a running stage needs, through the proxy."""

import contextlib
import http.client
import socket
import threading

import docker
import pytest
from docker.errors import APIError
from docker.types import DeviceRequest

from tests.containers.docker_proxy.surroundings import IMAGE, NAME, a_container, host_config, make, running_proxy

pytestmark = pytest.mark.containers


def test_a_stage_is_made_followed_waited_for_and_removed(client, engine, image):
    container = make(client, image, ["sh", "-c", "echo one; id -u; touch /etc/x || echo held; exit 7"])
    try:
        client.start(container)
        assert client.wait(container)["StatusCode"] == 7
        assert client.logs(container, stderr=False).decode().splitlines() == ["one", "10001", "held"]
        inspected = client.inspect_container(container)["HostConfig"]
        assert inspected["ReadonlyRootfs"]
        assert inspected["CapDrop"] == ["ALL"]
        assert inspected["PidsLimit"] == 32
    finally:
        client.remove_container(container, v=True, force=True)
    assert not engine.containers(all=True, filters={"name": NAME})


def test_a_log_is_followed_line_by_line_while_the_stage_runs(client, image):
    """The stage says its last line once it is told to stop, which is after its first was seen."""
    script = "trap 'echo last; exit 0' TERM; echo first; while :; do sleep 0.1; done"
    container = make(client, image, ["sh", "-c", script])
    try:
        client.start(container)
        log = client.logs(container, stream=True, follow=True)
        assert next(log).decode().strip() == "first"
        assert client.inspect_container(container)["State"]["Running"]
        client.stop(container, timeout=60)
        assert [piece.decode().strip() for piece in log] == ["last"]
    finally:
        client.remove_container(container, v=True, force=True)


def test_a_stage_is_stopped_and_killed(client, image):
    container = make(client, image, ["sleep", "600"])
    try:
        client.start(container)
        client.stop(container, timeout=1)
        assert not client.inspect_container(container)["State"]["Running"]
        client.start(container)
        client.kill(container)
        assert client.wait(container)["StatusCode"] == 137
    finally:
        client.remove_container(container, v=True, force=True)


def test_twenty_stages_are_waited_for_at_once(client, image, proxy):
    container = make(client, image, ["sleep", "4"])
    codes: list[int] = []

    def wait() -> None:
        with contextlib.closing(proxy.client()) as mine:
            codes.append(mine.wait(container)["StatusCode"])

    try:
        client.start(container)
        waiting = [threading.Thread(target=wait) for _ in range(20)]
        for thread in waiting:
            thread.start()
        assert client.ping()
        for thread in waiting:
            thread.join()
        assert codes == [0] * 20
    finally:
        client.remove_container(container, v=True, force=True)


def test_a_name_that_is_taken_is_the_engines_own_conflict(client, image):
    container = make(client, image, ["sleep", "1"])
    try:
        with pytest.raises(APIError) as raised:
            make(client, image, ["sleep", "1"])
        assert raised.value.status_code == 409
    finally:
        client.remove_container(container, v=True, force=True)


def test_a_container_that_is_gone_is_the_engines_own_not_found(client):
    with pytest.raises(docker.errors.NotFound):
        client.inspect_container("foundry_train-manual-0123abcd-gone")


def test_an_image_of_foundrys_is_looked_up_and_no_other(client, proxy, image):
    assert client.inspect_image(image)["Id"] == image
    assert proxy.call("GET", f"/images/{IMAGE}/json")[0] == 403


def test_what_docker_py_sends_with_a_gpu_reaches_the_engine_as_it_was_meant(recording, recorder):
    asked = host_config(device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])])
    assert (
        recording.call("POST", f"/v1.41/containers/create?name={NAME}", a_container() | {"HostConfig": asked})[0] == 201
    )
    (method, path, body), *others = recorder.calls
    assert (method, path, others) == ("POST", f"/v1.41/containers/create?name={NAME}", [])
    assert body == a_container() | {"HostConfig": asked}


def test_a_caller_who_leaves_frees_the_engine(recording, recorder):
    connection = http.client.HTTPConnection("127.0.0.1", recording.port, timeout=120)
    connection.request("POST", f"/v1.41/containers/{NAME}/wait")
    connection.getresponse()
    assert not recorder.left.is_set()
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    assert recorder.left.wait(60)


def test_an_engine_that_breaks_off_is_never_taken_for_the_end(recording):
    connection = http.client.HTTPConnection("127.0.0.1", recording.port, timeout=120)
    with contextlib.closing(connection):
        connection.request("GET", f"/v1.41/containers/{NAME}/logs?follow=1")
        answer = connection.getresponse()
        with pytest.raises(http.client.IncompleteRead) as raised:
            answer.read()
    assert raised.value.partial == b"first"


def test_an_engine_that_does_not_answer_is_one_line(tmp_path):
    with running_proxy(str(tmp_path / "nobody.sock"), "sha256:cafe") as alone:
        assert alone.call("GET", "/_ping") == (
            502,
            {"message": "docker-proxy: the Docker engine does not answer. Is it running?"},
        )
