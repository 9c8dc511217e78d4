"""A deep model fitted in its stage's container, compared with the same fit in this process."""

import json
import subprocess

import pytest

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - configures TensorFlow before its import
from tests.containers.stack import SMALL, images
from tests.e2e.foundry_here import AS_OF, Foundry

pytestmark = [pytest.mark.containers, pytest.mark.deep, pytest.mark.timeout(600)]

CONF = SMALL | {"models": ["logistic", "xlstm_ts"], "sequence_sessions": 5, "deep_epochs": 1}
SHARD = "model=xlstm_ts"
RUN = "the-same"
LIKE_A_STAGES = (
    "--init", "--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=10001:10001",
    "--cpus=2", "--memory=8192m", "--memory-swap=8192m", "--pids-limit=512",
    "--volume=/tmp",
)  # fmt: skip
SCRIPT = """
for stage in prices features labels "models --shard $SHARD"; do
  foundry $stage --dag foundry_train --run-id the-same --as-of $AS_OF --config "$CONF" >&2
done
cat $FOUNDRY_STORE/runs/foundry_train/the-same*/models/*/result.json
"""


@pytest.fixture(scope="module")
def in_the_container():
    """result.json of the shard."""
    if "FOUNDRY_IMAGE_STAGE_CUDA" not in images():
        pytest.skip("no image of the deep models: `make image-cuda`")
    told = {"FOUNDRY_STORE": "/tmp/store", "SHARD": SHARD, "AS_OF": str(AS_OF), "CONF": json.dumps(CONF)}  # noqa: S108 - inside the container
    environment = [f"--env={name}={value}" for name, value in told.items()]
    image = images()["FOUNDRY_IMAGE_STAGE_CUDA"]
    command = ["docker", "run", "--rm", *LIKE_A_STAGES, *environment, "--entrypoint=sh", image, "-euc", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_a_fit_in_the_container_gives_the_bytes_of_the_fit_in_the_process(in_the_container, tmp_path):
    pytest.importorskip("tensorflow", reason="`make test-deep` installs it")
    foundry = Foundry(tmp_path)
    for stage in ("prices", "features", "labels"):
        foundry.stage(stage, RUN, CONF)
    here = foundry.stage("models", RUN, CONF, shard=SHARD)
    there, _ = in_the_container
    assert there["inputs"] == json.loads(here.model_dump_json())["inputs"], "else they were not asked the same"
    assert {name: item["sha256"] for name, item in there["outputs"].items()} == {
        name: item.sha256 for name, item in here.outputs.items()
    }
    assert any(name.startswith("scores/1d/xlstm_ts/") for name in here.outputs)


def test_without_a_gpu_the_container_says_that_it_trains_on_the_cpu(in_the_container):
    result, log = in_the_container
    assert result["metrics"]["deep"]["device"] == "CPU"
    assert any("GPU" in warning for warning in result["warnings"])
    assert "Traceback" not in log
