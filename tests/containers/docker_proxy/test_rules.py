"""The proxy's rules from the environment."""

import os
import subprocess
import sys

import pytest

from foundry_tasks.contract.environment_variables import REPOSITORY
from tests.containers.docker_proxy.surroundings import RULES


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"FOUNDRY_PROXY_IMAGES": ""}, "FOUNDRY_PROXY_IMAGES: field required"),
        ({"FOUNDRY_PROXY_NETWORKS": "host"}, "host would not keep stages apart"),
        ({"FOUNDRY_PROXY_RESERVED": "foundry-promote"}, "give name=stage|stage"),
        ({"FOUNDRY_PROXY_IMAGE": "x"}, "FOUNDRY_PROXY_IMAGE: extra inputs are not permitted"),
    ],
)
def test_it_does_not_start_on_rules_that_are_missing_or_wrong(changes, said):
    done = subprocess.run(
        [sys.executable, "-c", "import app"],
        cwd=REPOSITORY / "images" / "docker-proxy",
        env=os.environ | RULES | {"FOUNDRY_PROXY_IMAGES": "sha256:cafe"} | changes,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("docker-proxy does not start: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
