"""Calls that the proxy refuses."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import docker
import pytest
from docker.errors import APIError

from tests.containers.docker_proxy.surroundings import NAME, OUTSIDE, TMP, a_container, make

pytestmark = pytest.mark.containers

CALLS = [
    ("GET", "/info"),
    ("GET", "/events"),
    ("GET", "/images/json"),
    ("POST", "/images/create?fromImage=alpine"),
    ("POST", "/build"),
    ("POST", "/commit?container=x"),
    ("GET", "/volumes"),
    ("POST", "/volumes/create"),
    ("GET", "/networks"),
    ("POST", "/networks/create"),
    ("POST", f"/networks/{OUTSIDE}/connect"),
    ("GET", "/secrets"),
    ("POST", "/swarm/init"),
    ("POST", "/plugins/pull"),
    ("GET", "/system/df"),
    ("POST", "/session"),
    ("POST", "/grpc"),
    ("POST", f"/containers/{NAME}/exec"),
    ("POST", "/exec/f00d/start"),
    ("POST", f"/containers/{NAME}/attach"),
    ("GET", f"/containers/{NAME}/attach/ws"),
    ("GET", f"/containers/{NAME}/archive?path=/"),
    ("PUT", f"/containers/{NAME}/archive?path=/"),
    ("GET", f"/containers/{NAME}/export"),
    ("POST", f"/containers/{NAME}/update"),
    ("POST", f"/containers/{NAME}/rename?name=mlflow"),
    ("POST", "/containers/prune"),
    ("POST", f"/containers/{NAME}/start?checkpoint=x"),
    ("GET", f"/containers/{NAME}/logs?follow=1&follow=0"),
    ("POST", f"/containers/create?name={NAME}&platform=linux/arm64"),
    ("POST", "/v1.24/containers/create"),
    ("POST", "/v1.41/../containers/create"),
    ("POST", "//containers/create"),
    ("POST", "/v1.41//containers/create"),
    ("POST", "/v1.41/v1.41/containers/create"),
    ("POST", "/containers%2fcreate"),
    ("POST", "/%63ontainers/create"),
    ("POST", "/containers/create/"),
    ("POST", "/containers/./create"),
    ("POST", "/containers/create%0a"),
    ("POST", "/Containers/Create"),
    ("POST", "/containers/create;x"),
    ("POST", f"/containers/{NAME}%2f..%2f..%2fexec/start"),
    ("GET", "/containers/../images/json"),
    ("GET", "/images/sha256:cafe/../../info/json"),
    ("GET", "/images/foundry/stage-cpu/../../../containers/json"),
    ("GET", "http://docker/info"),
    ("OPTIONS", "/containers/json"),
    ("GET", "/_ping/../info"),
    ("GET", "/version/"),
    ("GET", f"/containers/{NAME}/json/../../events"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_call_that_stages_do_not_need_never_reaches_the_engine(recording, recorder, method, path):
    if "create" in path and "?" not in path:
        path += f"?name={NAME}"  # with an allowed body and name
    status, answer = recording.call(method, path, a_container() if method == "POST" else None)
    assert (status, recorder.calls) == (403, [])
    assert answer["message"].startswith("docker-proxy: ")


@pytest.mark.parametrize(
    "call",
    [
        lambda client, other: client.stop(other),
        lambda client, other: client.kill(other),
        lambda client, other: client.start(other),
        lambda client, other: client.wait(other),
        lambda client, other: client.logs(other),
        lambda client, other: client.inspect_container(other),
        lambda client, other: client.remove_container(other, force=True),
        lambda client, other: client.exec_create(other, ["true"]),
        lambda client, other: client.get_archive(other, "/")[1],
    ],
    ids=["stop", "kill", "start", "wait", "logs", "inspect", "remove", "exec", "archive"],
)
@pytest.mark.parametrize("by", ["name", "id", "short id"])
def test_a_container_that_is_not_foundrys_is_out_of_reach(
    client, engine, stranger, call: Callable[[docker.APIClient, str], Any], by
):
    with pytest.raises(APIError) as raised:
        call(client, {"name": "foundry-test-stranger", "id": stranger, "short id": stranger[:12]}[by])
    assert raised.value.status_code == 403
    assert engine.inspect_container(stranger)["State"]["Running"]


def test_nobody_gets_a_shell_in_a_stage(client, image):
    container = make(client, image, ["sleep", "600"])
    try:
        client.start(container)
        for call in (
            lambda: client.exec_create(container, ["true"]),
            lambda: client.attach(container),
            lambda: client.put_archive(container, TMP, b""),
        ):
            with pytest.raises(APIError) as raised:
                call()
            assert raised.value.status_code == 403
    finally:
        client.remove_container(container, v=True, force=True)


def test_a_listing_shows_foundrys_own_whatever_is_asked(client, image, stranger):
    container = make(client, image, ["sleep", "600"])
    try:
        for filters in (None, {"label": ["foundry.stage=models"]}, {"name": [""]}):
            listed = {found["Id"]: found["Labels"] for found in client.containers(all=True, filters=filters)}
            assert container in listed
            assert stranger not in listed
            assert all(labels["foundry.managed"] == "true" for labels in listed.values())
        for filters in (
            {"name": ["foundry-test-stranger"]},
            {"label": ["foundry.stage=models", "foundry.managed=false"]},
        ):
            assert client.containers(all=True, filters=filters) == []
    finally:
        client.remove_container(container, v=True, force=True)


@pytest.mark.parametrize("filters", ['{"label":"x"}', "[]", "x", '{"label":["a"],"label":[]}', '{"label":{"x":true}}'])
def test_filters_that_are_none_are_refused(recording, recorder, filters):
    assert recording.call("GET", f"/containers/json?filters={quote(filters)}")[0] == 403
    assert recorder.calls == []
