"""Containers that the proxy refuses, and those that it creates. Only the latter reach the engine."""

import json
from typing import Any

import pytest

from tests.containers.docker_proxy.surroundings import (
    FILES,
    GOVERNING,
    NAME,
    OUTSIDE,
    TMP,
    WORKSPACE,
    a_container,
)

BINDS = {"Type": "bind", "Source": "/", "Target": "/run/foundry", "ReadOnly": True}
OWN = {"Type": "volume", "Source": FILES, "Target": "/run/foundry", "ReadOnly": True}
DISK = {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}

ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "the host's disk": ({"Binds": ["/:/host"]}, "HostConfig.Binds"),
    "a bind among mounts": ({"Mounts": [OWN, BINDS]}, "HostConfig.Mounts.1.Type"),
    "a volume that is a bind": ({"Mounts": [OWN | {"VolumeOptions": DISK}]}, "HostConfig.Mounts.0.VolumeOptions"),
    "a volume driver": ({"VolumeDriver": "local"}, "HostConfig.VolumeDriver"),
    "an anonymous volume": ({"Volumes": {"/run/foundry": {}}}, "Volumes"),
    "volumes of another container": ({"VolumesFrom": ["postgres"]}, "HostConfig.VolumesFrom"),
    "a volume of somebody else": ({"Mounts": [OWN | {"Source": "postgres"}]}, "not one of Foundry's"),
    "secrets to be written": ({"Mounts": [OWN | {"ReadOnly": False}]}, "read-only"),
    "secrets over the program": ({"Mounts": [OWN | {"Target": "/opt/venv"}]}, "HostConfig.Mounts.0.Target"),
    "a target that climbs": ({"Mounts": [OWN | {"Target": "/run/foundry/../../etc"}]}, "HostConfig.Mounts.0.Target"),
    "the ledger's keys for a model": ({"Mounts": [OWN | {"Source": GOVERNING}]}, "for decide, gates, promote alone"),
    "the world for a model": ({"NetworkMode": OUTSIDE}, "for prices alone"),
    "privileged": ({"Privileged": True}, "HostConfig.Privileged"),
    "privileged in lower case": ({"privileged": True}, "HostConfig.privileged"),
    "a key that folds to another": ({"Privileged".replace("i", "\u0131"): True}, "not on the list"),
    "a host config in lower case": ({"hostconfig": {"Privileged": True}}, "not on the list"),
    "a capability": ({"CapAdd": ["SYS_ADMIN"]}, "HostConfig.CapAdd"),
    "capabilities kept": ({"CapDrop": ...}, "HostConfig.CapDrop"),
    "some capabilities dropped": ({"CapDrop": ["NET_RAW"]}, "HostConfig.CapDrop"),
    "the host's network": ({"NetworkMode": "host"}, "HostConfig.NetworkMode"),
    "another container's network": ({"NetworkMode": "container:postgres"}, "HostConfig.NetworkMode"),
    "a second network": ({"NetworkingConfig": {"EndpointsConfig": {OUTSIDE: {}}}}, "NetworkingConfig"),
    "the host's processes": ({"PidMode": "host"}, "HostConfig.PidMode"),
    "the host's memory": ({"IpcMode": "host"}, "HostConfig.IpcMode"),
    "the host's users": ({"UsernsMode": "host"}, "HostConfig.UsernsMode"),
    "the host's cgroups": ({"CgroupnsMode": "host"}, "HostConfig.CgroupnsMode"),
    "a cgroup of choice": ({"CgroupParent": "/"}, "HostConfig.CgroupParent"),
    "another image": ({"Image": "sha256:beef"}, "Image"),
    "an image by a tag": ({"Image": "foundry/stage-cpu:evil"}, "Image"),
    "root by name": ({"User": "root"}, "User"),
    "root by number": ({"User": "0"}, "User"),
    "root with zeros": ({"User": "00:1"}, "User"),
    "root's group": ({"User": "10001:0"}, "User"),
    "the image's own user": ({"User": ...}, "User"),
    "no memory limit": ({"Memory": ...}, "HostConfig.Memory"),
    "memory without end": ({"Memory": 0}, "HostConfig.Memory"),
    "too much memory": ({"Memory": 513 << 20, "MemorySwap": 513 << 20}, "above 512 MB"),
    "swap without end": ({"MemorySwap": -1}, "HostConfig.MemorySwap"),
    "no quota": ({"NanoCpus": ...}, "HostConfig.NanoCpus"),
    "too many CPUs": ({"NanoCpus": 3 * 10**9}, "above 2 CPUs"),
    "no process limit": ({"PidsLimit": ...}, "HostConfig.PidsLimit"),
    "processes without end": ({"PidsLimit": -1}, "HostConfig.PidsLimit"),
    "a device": ({"Devices": [{"PathOnHost": "/dev/sda"}]}, "HostConfig.Devices"),
    "device rules": ({"DeviceCgroupRules": ["a *:* rwm"]}, "HostConfig.DeviceCgroupRules"),
    "another kind of device": ({"DeviceRequests": [{"Driver": "cdi", "Capabilities": [["gpu"]]}]}, "DeviceRequests"),
    "a device with more rights": ({"DeviceRequests": [{"Capabilities": [["gpu", "all"]]}]}, "DeviceRequests"),
    "another program": ({"Entrypoint": ["/bin/sh"]}, "Entrypoint"),
    "an empty entrypoint": ({"Entrypoint": []}, "Entrypoint"),
    "a runtime": ({"Runtime": "sysbox"}, "Runtime"),
    "no seccomp": ({"SecurityOpt": ["seccomp=unconfined"]}, "HostConfig.SecurityOpt"),
    "no seccomp beside": (
        {"SecurityOpt": ["no-new-privileges:true", "apparmor=unconfined"]},
        "HostConfig.SecurityOpt",
    ),
    "new privileges": ({"SecurityOpt": ["no-new-privileges:false"]}, "HostConfig.SecurityOpt"),
    "paths unmasked": ({"MaskedPaths": []}, "HostConfig.MaskedPaths"),
    "a root to write on": ({"ReadonlyRootfs": False}, "HostConfig.ReadonlyRootfs"),
    "no init": ({"Init": ...}, "HostConfig.Init"),
    "memory for a disk": ({"Tmpfs": {TMP: "rw,size=1m"}}, "HostConfig.Tmpfs"),
    "a /tmp with somebody else's name": ({"Mounts": [OWN | {"Target": TMP}]}, "without a name"),
    "a nameless volume elsewhere": ({"Mounts": [OWN | {"Source": None}]}, "without a name"),
    "a volume over the program": ({"Mounts": [OWN | {"Source": None, "Target": "/opt"}]}, "HostConfig.Mounts.0.Target"),
    "a log without end": ({"LogConfig": {"Type": "json-file", "Config": {}}}, "HostConfig.LogConfig"),
    "a log sent away": ({"LogConfig": {"Type": "syslog", "Config": {}}}, "HostConfig.LogConfig"),
    "a port": ({"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}, "HostConfig.PortBindings"),
    "a restart for ever": ({"RestartPolicy": {"Name": "always"}}, "HostConfig.RestartPolicy"),
    "kernel settings": ({"Sysctls": {"net.ipv4.ip_forward": "1"}}, "HostConfig.Sysctls"),
    "no label": ({"Labels": {}}, "foundry.managed"),
    "the label of another tool": (
        {"Labels": {"foundry.managed": "true", "com.docker.compose.project": "x"}},
        "Labels",
    ),
    "a library to load": ({"Env": ["LD_PRELOAD=/run/foundry/x.so"]}, "LD_PRELOAD"),
    "code to import": ({"Env": ["PYTHONPATH=/run/foundry"]}, "PYTHONPATH"),
    "a password": ({"Env": ["FOUNDRY_S3_SECRET_KEY=hunter2"]}, "holds a secret"),
    "a password in an address": ({"Env": ["FOUNDRY_MLFLOW_URI=http://me:hunter2@mlflow"]}, "holds a secret"),
    "no command": ({"Cmd": []}, "Cmd"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_container_that_asks_for_more_never_reaches_the_engine(recording, recorder, attack):
    changes, said = ATTACKS[attack]
    status, answer = recording.call("POST", f"/v1.41/containers/create?name={NAME}", a_container(**changes))
    assert (status, recorder.calls) == (403, [])
    assert answer["message"].startswith("docker-proxy: ")
    assert said in answer["message"]
    assert "hunter2" not in answer["message"]
    assert "\n" not in answer["message"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Cmd": ["promote"], "Mounts": [OWN | {"Source": GOVERNING}]}, "promote gets the ledger's keys"),
        ({"Cmd": ["prices"], "NetworkMode": OUTSIDE}, "prices gets the world"),
        ({"Mounts": [OWN, {"Type": "volume", "Source": WORKSPACE, "Target": "/var/lib/foundry"}]}, "a store to write"),
        ({"Image": "foundry/stage-cpu"}, "an image by its name"),
    ],
)
def test_a_container_that_asks_for_its_own_is_made(recording, recorder, changes, why):
    assert recording.call("POST", f"/v1.41/containers/create?name={NAME}", a_container(**changes))[0] == 201
    assert [body for _, _, body in recorder.calls] == [a_container(**changes)]


@pytest.mark.parametrize("name", ["mlflow", "docker-proxy", "s3", "", "../x-0123abcd-y"])
def test_a_container_takes_no_services_name(recording, recorder, name):
    assert recording.call("POST", f"/containers/create?name={name}", a_container())[0] == 403
    assert recording.call("POST", "/containers/create", a_container())[0] == 403
    assert recorder.calls == []


GOOD = json.dumps(a_container())
BODIES = {
    "a key repeated": GOOD.replace('"Init": true', '"Init": true, "Init": false'),
    "a host config repeated": GOOD[:-1] + ', "HostConfig": {"Privileged": true}}',
    "not JSON": "Image=x",
    "cut short": GOOD[:-1],
    "a second document": GOOD + '{"HostConfig": {"Privileged": true}}',
    "not a number": GOOD.replace('"PidsLimit": 32', '"PidsLimit": NaN'),
    "infinite": GOOD.replace('"PidsLimit": 32', '"PidsLimit": 1e999'),
    "a fraction": GOOD.replace('"PidsLimit": 32', '"PidsLimit": 32.0'),
    "a number of many digits": GOOD.replace('"PidsLimit": 32', '"PidsLimit": ' + "9" * 5000),
    "nested deep": "[" * 100_000,
    "a list": "[]",
    "null": "null",
    "nothing": "",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_two_readers_may_read_differently_is_refused(recording, recorder, body):
    status, answer = recording.call("POST", f"/v1.41/containers/create?name={NAME}", BODIES[body].encode())
    assert (status, recorder.calls) == (403, [])
    assert answer["message"].startswith("docker-proxy: ")


def test_a_body_in_another_encoding_is_refused(recording, recorder):
    for encoding in ("utf-16", "utf-8-sig"):
        assert recording.call("POST", f"/containers/create?name={NAME}", GOOD.encode(encoding))[0] == 403
    assert recorder.calls == []


def test_a_body_without_end_is_refused(recording, recorder):
    for headers in ({}, {"Transfer-Encoding": "chunked"}):
        body = b'{"Image": "' + b"x" * 400_000 + b'"}'
        if headers:
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body, b""))
        assert recording.call("POST", f"/containers/create?name={NAME}", body, headers)[0] == 413
    assert recorder.calls == []


def test_a_body_in_chunks_is_held_to_the_same_list(recording, recorder):
    for changes, expected in (({}, 201), ({"Privileged": True}, 403)):
        text = json.dumps(a_container(**changes)).encode()
        parts = [text[:7], text[7:90], text[90:], b""]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
        headers = {"Transfer-Encoding": "chunked"}
        assert recording.call("POST", f"/v1.41/containers/create?name={NAME}", body, headers)[0] == expected
    assert [body for _, _, body in recorder.calls] == [a_container()]
