"""The images of `make images` or `make closed-network-images`: their contents, and that they run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import botocore
import certifi
import docker
import numpy as np
import pytest

from foundry_tasks.runtime.runner import code_version
from tests.containers.stack import REPOSITORY
from tests.unit.models import saved_networks

pytestmark = pytest.mark.containers

OURS = ("stage-cpu", "stage-cuda", "airflow", "mlflow", "docker-proxy", "reports", "s3")
WITH_OUR_CODE = ("stage-cpu", "stage-cuda", "airflow", "reports")
SERVERS = ("mlflow", "docker-proxy", "reports", "s3")
MOST_BYTES = {"stage-cpu": 1.4e9, "stage-cuda": 8.5e9, "airflow": 1.2e9}
SBOM = REPOSITORY / ".foundry" / "sbom"
HARDENED = ("--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp")
AS_ROOT = ("--user=0", "--network=none")


@pytest.fixture(scope="session")
def engine():
    return docker.from_env(timeout=120)


class ImageIds(dict[str, str]):
    """Image ID by name. Skips the test if the image was not built."""

    def __missing__(self, name: str) -> str:
        pytest.skip(f"no {name} image: `make image-cuda` builds the one that `make images` leaves out")


@pytest.fixture(scope="session")
def image_ids() -> ImageIds:
    """IDs of the images that were built."""
    path = REPOSITORY / ".images.env"
    if not path.is_file():
        pytest.skip("no images: `make images`")
    lines = [line.split("=", 1) for line in path.read_text().splitlines()]
    return ImageIds((key.removeprefix("FOUNDRY_IMAGE_").lower().replace("_", "-"), image_id) for key, image_id in lines)


@pytest.fixture
def ended(image_ids):
    """Run a command in a container with a stage's hardening: `ended("airflow", "id", "-u").stdout`."""

    def run(name: str, *command: str, how: tuple[str, ...] = HARDENED) -> subprocess.CompletedProcess[str]:
        words = ["docker", "run", "--rm", *how, f"--entrypoint={command[0]}", image_ids[name], *command[1:]]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def inside(ended):
    """Output of such a command, which must succeed."""

    def run(name: str, *command: str, how: tuple[str, ...] = HARDENED) -> str:
        end = ended(name, *command, how=how)
        assert end.returncode == 0, end.stderr
        return end.stdout

    return run


@pytest.fixture
def config(engine, image_ids):
    return lambda name: engine.images.get(image_ids[name]).attrs["Config"]


# ---------------------------------------------------------------- what is in them
@pytest.mark.parametrize("name", OURS)
def test_nobody_is_root_in_an_image(name, inside, config):
    assert config(name)["User"] == "10001:10001"
    assert inside(name, "id", "-u").strip() == "10001"


@pytest.mark.parametrize("name", OURS)
def test_nothing_that_builds_or_installs_is_left(name, inside):
    tools = "gcc cc g++ clang make go pip pip3 uv python3-config"
    assert inside(name, "sh", "-c", f"for tool in {tools}; do command -v $tool; done; true") == ""
    left = r"-path '*/site-packages/pip' -o -path '*/site-packages/uv' -o -name 'pip-*.whl' -o -name ensurepip -o -name '.cache'"
    assert inside(name, "sh", "-c", f"find / -xdev \\( {left} \\) 2>/dev/null; true") == ""


@pytest.mark.parametrize("name", OURS)
def test_no_package_list_and_no_setuid_program_is_left(name, inside):
    assert inside(name, "find", "/var/lib/apt/lists", "/var/cache/apt", "-type", "f", "-size", "+0", how=AS_ROOT) == ""
    assert inside(name, "find", "/", "-xdev", "-type", "f", "-perm", "/6000", how=AS_ROOT) == ""


@pytest.mark.parametrize("name", OURS)
def test_labels_say_what_an_image_was_made_from(name, config):
    labels = config(name)["Labels"]
    told = {key: labels[f"org.opencontainers.image.{key}"] for key in ("title", "version", "revision", "source")}
    assert told["title"] == f"foundry-{name}"
    assert told["version"] == code_version().split("+")[0]
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", told["revision"])
    assert told["source"]
    assert "@" not in told["source"], "a login in a label"


@pytest.mark.parametrize("name", SERVERS)
def test_what_serves_says_whether_it_is_healthy(name, config):
    assert config(name)["Healthcheck"]["Test"][0] == "CMD"


@pytest.mark.parametrize("name", MOST_BYTES)
def test_an_image_is_no_bigger_than_it_may_be(name, engine, image_ids):
    assert engine.images.get(image_ids[name]).attrs["Size"] <= MOST_BYTES[name]


@pytest.mark.parametrize("name", WITH_OUR_CODE)
def test_the_code_in_an_image_is_the_checkouts(name, inside):
    ask = "from foundry_tasks.runtime.runner import code_version; print(code_version())"
    assert inside(name, "python", "-c", ask).strip() == code_version(), "`make images` builds them anew"


@pytest.mark.parametrize("name", [name for name in OURS if name != "s3"])
def test_packages_start_from_compiled_code(name, inside):
    """With a read-only root, Python would compile at each start and could not store the result."""
    ask = (
        "from pathlib import Path; from importlib.util import MAGIC_NUMBER as magic, cache_from_source as cached\n"
        "import sysconfig\n"
        "for source in Path(sysconfig.get_path('purelib')).rglob('*.py'):\n"
        "    compiled = Path(cached(str(source)))\n"
        "    head = compiled.read_bytes()[:12] if compiled.exists() else b''\n"
        "    mtime = int(source.stat().st_mtime).to_bytes(4, 'little')\n"
        "    print(source, head[:4] == magic and head[8:12] == mtime)"
    )
    files = [line.rsplit(" ", 1) for line in inside(name, "python", "-c", ask).splitlines()]
    stale = [source for source, fresh in files if fresh != "True"]
    assert len(files) > 100
    assert len(stale) <= 0.01 * len(files), stale[:10]  # templates that are not valid Python have no bytecode


# ---------------------------------------------------------------- what is not in them
def layers_with(image_id: str, needles: Path) -> int:
    """Number of lines in the saved image, layers and description, that contain one of the strings."""
    with subprocess.Popen(["docker", "save", image_id], stdout=subprocess.PIPE) as saved:
        found = subprocess.run(
            ["grep", "--text", "--count", "--fixed-strings", "--file", str(needles)],
            stdin=saved.stdout,
            env={"PATH": os.defpath, "LC_ALL": "C"},  # compares bytes: several times faster
            capture_output=True,
            text=True,
            check=False,
        )
    assert saved.returncode == 0
    assert found.returncode in {0, 1}, found.stderr
    return int(found.stdout)


def test_no_layer_keeps_a_secret_or_the_builders_certificates(inside, image_ids, tmp_path):
    """Certificates that this machine trusts but neither Debian nor a package contains, and every value in secrets/."""
    brought = inside("stage-cpu", "cat", "/etc/ssl/certs/ca-certificates.crt").splitlines()
    for package in (botocore, certifi):
        brought += (Path(package.__file__).parent / "cacert.pem").read_text().splitlines()
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    trusted = {line for line in bundle.read_text().splitlines() if len(line) == 64} if bundle.is_file() else set()
    values = {path.read_text() for path in (REPOSITORY / "secrets").glob("[!.]*")}
    needles = (trusted - set(brought)) | {value for value in values if len(value) >= 32}
    if not needles:
        pytest.skip("this machine trusts what everybody does, and there is no secret yet: nothing that could leak")
    sought = tmp_path / "needles"
    sought.write_text("\n".join(needles))
    known = tmp_path / "known"
    known.write_text("org.opencontainers.image.revision")
    assert layers_with(image_ids["s3"], known) > 0, "the search would find nothing"
    assert {name: layers_with(image_id, sought) for name, image_id in image_ids.items()} == dict.fromkeys(image_ids, 0)


@pytest.mark.parametrize("name", WITH_OUR_CODE + SERVERS[:2])
def test_no_tools_cache_of_the_checkout_is_taken_along(name, inside):
    hidden = inside(name, "find", "/opt", "-path", "/opt/venv", "-prune", "-o", "-name", ".*", "-print").split()
    assert set(hidden) <= {"/opt/airflow/dags/.airflowignore"}


@pytest.mark.parametrize("name", OURS)
def test_no_image_tells_anyone_that_it_runs(name, config):
    environment = dict(line.split("=", 1) for line in config(name)["Env"])
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["DO_NOT_TRACK"] == "true"
    assert environment["GX_ANALYTICS_ENABLED"] == "False"
    assert "PYTHONDONTWRITEBYTECODE" not in environment


# ---------------------------------------------------------------- that they run
def test_the_stage_image_answers_without_network_or_a_place_to_write(inside, config):
    assert config("stage-cpu")["Entrypoint"] == ["foundry"]
    no_tmp = tuple(option for option in HARDENED if option != "--tmpfs=/tmp")
    assert inside("stage-cpu", "foundry", "--help", how=no_tmp).startswith("usage: foundry")


@pytest.mark.parametrize(("name", "trains"), [("stage-cpu", False), ("stage-cuda", True)])
def test_every_stage_image_scores_deep_models_and_only_one_of_them_trains_them(name, trains, inside):
    ask = "from importlib.util import find_spec; print([name for name in ('jax', 'keras', 'tensorflow') if find_spec(name)])"
    assert inside(name, "python", "-c", ask).strip() == str(["keras", "tensorflow"] if trains else [])
    how = (*HARDENED, f"--volume={saved_networks.FILE}:/saved.json:ro")
    scores, _ = json.loads(inside(name, "python", "-c", saved_networks.SCORE, "/saved.json", how=how))
    for saved, said in zip(saved_networks.SAVED["networks"], scores, strict=True):
        np.testing.assert_allclose(said, saved["log_odds"], rtol=0, atol=1e-5)


def test_a_stage_runs_on_a_read_only_root(inside):
    script = (
        "foundry prices --dag d --run-id r --as-of 2022-12-28 >&2 && foundry features --dag d --run-id r --as-of 2022-12-28 >&2"
        " && cat /tmp/store/runs/d/r*/features/*/result.json"
    )
    told = inside("stage-cpu", "sh", "-euc", script, how=(*HARDENED, "--env=FOUNDRY_STORE=/tmp/store"))
    result = json.loads(told)
    assert result["status"] in {"ok", "warn"}
    assert result["code_version"] == code_version()
    assert result["outputs"]


@pytest.mark.parametrize("command", ["scheduler", "api-server", "dag-processor", "triggerer"])
def test_one_airflow_image_is_every_component(command, inside):
    assert f"airflow {command}" in inside("airflow", "airflow", command, "--help")


def test_airflow_writes_no_configuration_of_its_own(inside):
    assert inside("airflow", "airflow", "config", "get-value", "core", "dags_folder").strip() == "/opt/airflow/dags"


@pytest.mark.parametrize(("name", "command"), [("mlflow", ("python", "/opt/mlflow/serve.py")), ("s3", ("entrypoint",))])
def test_a_server_without_its_secrets_says_which_is_missing(name, command, ended):
    end = ended(name, *command)
    assert end.returncode != 0
    assert len(end.stderr.splitlines()) == 1
    assert "/run/secrets/" in end.stderr


# ---------------------------------------------------------------- how they are built
def build(name: str) -> str:
    """Run `make image-NAME` on the images' base. Returns the image's ID."""
    closed = subprocess.run(
        ["docker", "image", "inspect", "foundry/base:trixie"], capture_output=True, check=False
    ).returncode  # fmt: skip
    base = [] if closed else ["BASE=foundry/base:trixie"]
    subprocess.run(["make", *base, f"image-{name}"], cwd=REPOSITORY, check=True, capture_output=True)
    return docker.from_env().images.get(f"foundry/{name}").id


@pytest.mark.parametrize("name", ["stage-cpu", "airflow"])
def test_a_second_build_of_the_same_checkout_does_nothing(name, image_ids):
    """A repeated step would change file times, and so the image's ID."""
    assert build(name) == build(name)


def test_the_bill_of_materials_names_what_the_locks_and_debian_brought(image_ids):
    subprocess.run([sys.executable, "images/sbom.py"], cwd=REPOSITORY, check=True, capture_output=True)
    documents = {path.name.removesuffix(".cdx.json"): json.loads(path.read_text()) for path in SBOM.glob("*.cdx.json")}
    assert set(image_ids) <= set(documents)
    stage = {component["name"]: component for component in documents["stage-cpu"]["components"]}
    lock = (REPOSITORY / "requirements" / "cpu.txt").read_text()
    assert f"\npandas=={stage['pandas']['version']} " in lock
    assert stage["libgomp1"]["purl"].startswith("pkg:deb/debian/libgomp1@")
    assert documents["stage-cpu"]["metadata"]["component"]["version"] == image_ids["stage-cpu"]
