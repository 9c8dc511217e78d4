"""All other known faults of runs, by the command line: one clear line and the right exit code."""

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract import artifacts
from foundry_tasks.contract.environment_variables import REPOSITORY
from tests.e2e.foundry_here import AS_OF, TINY, Foundry, write_market
from tests.leakage.markets import simulated_market

pytestmark = pytest.mark.slow(36)

DAG, RUN = "foundry_train", "prepared"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


@dataclass
class Scene:
    """A finished run in a temporary store, which a case damages, and the command that meets the fault."""

    folder: Path
    conf: dict
    stage: str = "features"
    run_id: str = RUN
    config: str | None = None
    """Instead of `conf` as JSON."""
    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    """Called in the child process before it executes `foundry`."""
    undo: list[Callable[[], object]] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def result(self, stage: str) -> Path:
        return self.store / artifacts.result_key(DAG, RUN, stage, None)

    def output(self, stage: str, name: str) -> Path:
        return self.store / artifacts.object_key(json.loads(self.result(stage).read_text())["outputs"][name]["sha256"])

    def log(self) -> list[dict]:
        path = self.store / artifacts.run_log_key(DAG, self.run_id)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    def command(self) -> list[str]:
        config = json.dumps(self.conf) if self.config is None else self.config
        return [
            sys.executable, "-m", "foundry_tasks", self.stage, "--run-id", self.run_id, "--as-of", AS_OF.isoformat(),
            "--config", config, *self.arguments,
        ]  # fmt: skip

    def start(self) -> subprocess.Popen:
        surroundings = {key: value for key, value in os.environ.items() if not key.startswith("FOUNDRY_")}
        own = {
            "FOUNDRY_STORE": str(self.store),
            "FOUNDRY_MLFLOW_URI": f"sqlite:///{self.folder / 'mlflow.db'}",
            "FOUNDRY_MLFLOW_ARTIFACTS": str(self.folder / "mlartifacts"),
            "TMPDIR": str(self.folder / "tmp"),
        }
        return subprocess.Popen(
            self.command(), cwd=REPOSITORY, env=surroundings | own | self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=self.before,  # noqa: PLW1509 - one thread
        )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A run up to the stage gates, and its conf."""
    folder = tmp_path_factory.mktemp("prepared")
    conf = TINY | write_market(folder / "market", simulated_market(sessions=320, tickers=12, seed=5))
    Foundry(folder).train(RUN, conf, until="refit")
    return folder, conf


@pytest.fixture
def scene(prepared, tmp_path):
    """A copy of the prepared run."""
    folder, conf = prepared
    for name in ("store", "market"):
        shutil.copytree(folder / name, tmp_path / name)
    (tmp_path / "tmp").mkdir()
    own = {
        key: value.replace(str(folder), str(tmp_path)) if isinstance(value, str) else value
        for key, value in conf.items()
    }
    scene = Scene(tmp_path, own)
    yield scene
    for undo in reversed(scene.undo):
        undo()


# ------------------------------------------------------------------ ways to break it
Break = Callable[[Scene], None]


def conf(stage: str = "features", **keys) -> Break:
    def break_it(scene: Scene) -> None:
        scene.stage, scene.conf = stage, scene.conf | keys

    return break_it


def given(config: str | bytes | None, *arguments: str) -> Break:
    """Another --config: text on the command line, bytes as a file, None for a path that does not exist."""

    def break_it(scene: Scene) -> None:
        path = scene.folder / "conf.json"
        if isinstance(config, bytes):
            path.write_bytes(config)
        scene.config = config if isinstance(config, str) else str(path)
        scene.arguments += arguments

    return break_it


def environment(stage: str = "features", **variables: str) -> Break:
    def break_it(scene: Scene) -> None:
        scene.stage = stage
        scene.environment |= {f"FOUNDRY_{key}": value.format(folder=scene.folder) for key, value in variables.items()}

    return break_it


def market_file(text: str, name: str = "us.toml", **keys) -> Break:
    def break_it(scene: Scene) -> None:
        scene.conf |= keys
        (scene.folder / name).write_text(text)
        scene.environment["FOUNDRY_MARKETS"] = str(scene.folder / name)

    return break_it


def shard(stage: str, shard: str) -> Break:
    def break_it(scene: Scene) -> None:
        scene.stage = stage
        scene.arguments += ["--shard", shard]

    return break_it


def too_early(stage: str) -> Break:
    """Run the stage in a run without results."""

    def break_it(scene: Scene) -> None:
        scene.stage, scene.run_id = stage, "another"

    return break_it


def half_a_result(scene: Scene) -> None:
    path = scene.result("prices")
    path.write_bytes(path.read_bytes()[:100])


def an_object_is_gone(scene: Scene) -> None:
    scene.output("prices", "prices.parquet").unlink()
    scene.conf["feature_set"] = "extended"


def a_shard_is_missing(scene: Scene) -> None:
    scene.stage = "ensemble"
    path = scene.result("models")
    result = json.loads(path.read_text())
    result["outputs"] = {name: item for name, item in result["outputs"].items() if "fold2" not in name}
    result["outputs_digest"] = "of what is left"
    path.write_text(json.dumps(result))


def read_only(scene: Scene) -> None:
    """Make the store read-only, also for root: the child drops the capability to ignore modes."""
    scene.stage, scene.conf["min_rank_correlation"] = "refit", 0.7
    places = [scene.store, *(path for path in scene.store.rglob("*") if path.is_dir())]
    for place in places:
        place.chmod(0o555)
    scene.undo.append(lambda: [place.chmod(0o755) for place in places])
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None).prctl  # loaded here: a child that was forked beside threads had better load nothing
        scene.before = lambda: prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def full(scene: Scene) -> None:
    """A full file system if the test may mount one, else a limit on file sizes."""
    scene.stage, scene.conf["min_rank_correlation"] = "refit", 0.7
    small = scene.folder / "small"
    small.mkdir()
    size = sum(path.stat().st_size + 8192 for path in scene.store.rglob("*"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(small)]
    if os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        scene.undo.append(lambda: subprocess.run(["umount", str(small)], check=True))
        shutil.copytree(scene.store, small / "store")
        with suppress(OSError):
            (small / "ballast").write_bytes(b"x" * size)
        scene.environment["FOUNDRY_STORE"] = str(small / "store")
    else:
        scene.before = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


def no_workspace(scene: Scene) -> None:
    scene.conf["feature_set"] = "extended"
    scene.before = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def cut_off_benchmark(scene: Scene) -> None:
    path = Path(scene.conf["benchmark"])
    path.write_bytes(path.read_bytes()[:200])
    scene.stage = "prices"


@dataclass(frozen=True)
class Case:
    """says: parts of the line on stderr."""

    name: str
    exit_code: int
    break_it: Break
    says: tuple[str, ...]


def refused(name: str, break_it: Break, *says: str) -> Case:
    return Case(name, 10, break_it, says)


def rejected(name: str, break_it: Break, *says: str) -> Case:
    return Case(name, 20, break_it, says)


def transient(name: str, break_it: Break, *says: str) -> Case:
    return Case(name, 30, break_it, says)


NO_SERVER = "http://127.0.0.1:9"

# fmt: off
CASES = (
    refused("an unknown config key", conf(sorce="sample"), "unknown config key 'sorce': did you mean 'source'?"),
    refused("a key of another stage that is impossible", conf(folds=1), "folds=1", "greater than or equal to 2"),
    refused("a config that is not JSON", given("{folds: 3}"), "--config is not JSON"),
    refused("a config that is a list", given(b"[1]"), "must be a JSON object", "got list"),
    refused("a config that is no text", given(b"\xff\xfe"), "conf.json cannot be read: not UTF-8 text", "Give JSON or a file"),
    refused("a config file that is not there", given(None), "conf.json cannot be read: No such file", "Give JSON or a file"),
    refused("a config that is a folder", given(str(REPOSITORY)), "cannot be read: Is a directory"),
    refused("a --set without a value", given("{}", "--set", "folds"), "--set folds: write it as key=value"),
    refused("a threshold that is no number", given('{"min_wfe": NaN}'), "min_wfe=nan", "finite number"),
    refused("folds longer than the data", conf("models", folds=50), "50 folds of 30 sessions", "the prices have 320",
            "Lower folds"),
    refused("folds that leave nothing to fit on", conf("models", test_sessions=100), "min_fit_sessions is 100",
            "Bring more sessions"),
    refused("early stopping without room for it", conf("models", early_stopping=True, stopping_sessions=200, models=["lightgbm"]),
            "too few to hold out stopping_sessions=200", "Switch early_stopping"),
    refused("a horizon of nothing", conf(horizons=[0]), "horizons.0=0", "greater than or equal to 1"),
    refused("a horizon beyond sixty", conf(horizons=[61]), "horizons.0=61", "less than or equal to 60"),
    refused("a horizon in words", given("{}", "--set", "horizons=five"), "horizons.0='five'", "valid integer"),
    refused("a horizon twice", conf(horizons=[5, 5]), "horizons must be distinct, got [5, 5]"),
    refused("no horizon", conf(horizons=[]), "horizons=", "at least 1 item"),
    refused("a horizon that the labels lack", conf("models", horizons=[1, 7]), "horizons=[1, 7]", "labels of [1] alone"),
    refused("an unknown model", conf("models", models=["logistic", "prophet"]), "models.1='prophet'", "'xgboost'"),
    refused("an unknown calibration", conf("ensemble", calibration="temperature"), "calibration='temperature'", "'platt'"),
    refused("an unknown source", conf("prices", source="bloomberg"), "source='bloomberg'", "'yfinance'"),
    refused("an unknown market", conf(market="jp"), "no market 'jp'", "Write jp.toml"),
    refused("a market that is no name", conf(market=["us"]), "market=['us']", "give the name of one market"),
    refused("a market name that no model could carry", market_file("folds = 3", "us-x.toml", market="us-x"),
            "market='us-x'", "lower-case letters, digits and _"),
    refused("a broken market file", market_file("folds = ["), "us.toml cannot be read: Invalid value", "Mend it"),
    refused("a market file with an unknown key", market_file("sorce = 1"), "us.toml: unknown config key 'sorce'"),
    refused("a market file that is not there", environment(MARKETS="{folder}/us.toml"), "us.toml, which does not exist"),
    refused("a bad setting", environment(RUNTIME="podman"), "FOUNDRY_RUNTIME='podman'", "'docker'"),
    refused("an unknown setting", environment(STOER="/data"), "FOUNDRY_STOER='/data'", "Known settings: FOUNDRY_STORE"),
    *(refused(f"{stage} before its inputs", too_early(stage), f"stage '{needs}' has published nothing in run 'another'",
              f"Run it first: foundry {needs}")
      for stage, needs in {"features": "prices", "labels": "prices", "models": "labels", "ensemble": "models",
                           "leakage": "prices", "gates": "models", "refit": "gates", "promote": "gates",
                           "predict": "features"}.items()),
    refused("a shard of a stage that has none", shard("features", "h=5"), "stage features is not mapped"),
    refused("a shard that is none", shard("models", "banana"), "shard 'banana' is not in horizons", "Write it as"),
    refused("a shard of another horizon", shard("models", "h=5"), "shard 'h=5' is not in horizons [1]"),
    refused("a shard of an unknown fold", shard("models", "fold=fold9"), "'fold=fold9'", "folds ['warmup1', 'fold1', 'fold2']"),
    refused("a shard that was never run", a_shard_is_missing, "no 1d scores of logistic for fold2", "--shard h=1"),
    transient("MLflow unreachable at promote", environment("promote", MLFLOW_URI=NO_SERVER), "MLflow", NO_SERVER),
    refused("a store that may not be written", read_only, "the store cannot be used: permission denied", "Make it writable"),
    refused("a store on a path that cannot be made", environment(STORE="/proc/foundry"), "the store cannot be used",
            "/proc/foundry", "set FOUNDRY_STORE"),
    refused("a store that is a file", environment(STORE=__file__), "the store cannot be used: file exists", "set FOUNDRY_STORE"),
    refused("a store below a file", environment(STORE=f"{__file__}/x"), "the store cannot be used: not a directory"),
    refused("a store of another kind", environment(STORE="gs://bucket/prefix"), "FOUNDRY_STORE=gs://bucket/prefix"),
    transient("a full store", full, "Free space there"),
    transient("no place for a workspace", no_workspace, "no workspace for the stage: No usable temporary", "set TMPDIR"),
    refused("half a result", half_a_result, "is damaged", "result.json", "Run it again: foundry prices"),
    refused("an object deleted behind its result", an_object_is_gone, "is not in the store", "Run the stage that makes it again"),
    refused("no expectations", environment("prices", EXPECTATIONS="{folder}/none"), "none/prices.json cannot be read",
            "set FOUNDRY_EXPECTATIONS"),
    refused("no vix file", conf("prices", vix="/no/vix.csv"), "vix='/no/vix.csv' cannot be read", "Give the path"),
    refused("no benchmark file", conf("prices", benchmark="/no/spy.csv"), "benchmark='/no/spy.csv' cannot be read"),
    refused("no sectors file", conf("prices", sectors="/no/sectors.csv"), "sectors='/no/sectors.csv' cannot be read"),
    refused("no universe file", conf("prices", universe="/no/members.csv"), "universe='/no/members.csv' cannot be read"),
    rejected("half a benchmark file", cut_off_benchmark, "benchmark.parquet cannot be read as parquet"),
)
# fmt: on


def told(stderr: str) -> list[str]:
    """Lines without those of the progress."""
    return [line for line in stderr.splitlines() if not line.startswith(("progress: ", "warning: ", "done: "))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_run_gives_one_clear_line_and_the_right_exit_code_and_promotes_nothing(case, scene):
    before = {stage: scene.result(stage).read_bytes() for stage in ("features", "labels", "models", "refit")}
    case.break_it(scene)
    broken = scene.result("models").read_bytes()
    process = scene.start()
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == case.exit_code, stderr
    (line,) = told(stderr)
    assert line.startswith("foundry: ")
    for part in case.says:
        assert part in line
    assert not list((scene.store / "ledger").glob("foundry-*/*.json")), "nothing is promoted"
    before["models"] = broken
    for stage, document in before.items():
        assert scene.result(stage).read_bytes() == document, "nothing is lost"
    assert list((scene.folder / "tmp").iterdir()) == [], "no workspace is left"


def test_there_are_thirty_kinds_of_bad_input_and_no_two_of_a_name():
    from tests.e2e import test_bad_prices  # noqa: PLC0415 - only its table

    bad_prices = [case.name for case in test_bad_prices.CASES if case.exit_code]
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len(names) + len(bad_prices) >= 30


def test_a_failed_stage_writes_its_line_into_the_run_log(scene):
    scene.stage, scene.conf["folds"] = "models", 50
    process = scene.start()
    _, stderr = process.communicate(timeout=300)
    line = scene.log()[-1]
    assert (line["stage"], line["status"]) == ("models", "error")
    assert f"foundry: {line['warnings'][0]}\n" == stderr
    assert line["stats"]["elapsed_s"] > 0


# ------------------------------------------------------------------ killed under way
def running(scene: Scene) -> subprocess.Popen:
    """A running models stage with minutes of work."""
    scene.stage, scene.conf = "models", scene.conf | {"models": ["lightgbm"], "seeds": 2000}
    scene.result("models").unlink()
    process = scene.start()
    deadline = time.monotonic() + 120
    while not list((scene.folder / "tmp").glob("foundry-models-*/publish/*")):  # its folds
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(1.0)
    assert process.poll() is None
    return process


def test_a_killed_stage_leaves_no_result_and_a_rerun_completes(scene):
    process = running(scene)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not scene.result("models").exists()
    scene.conf["seeds"] = 1
    again = scene.start()
    _, stderr = again.communicate(timeout=300)
    assert again.returncode == 0, stderr
    assert json.loads(scene.result("models").read_text())["reused_from"] is None
    assert all(
        LocalStore(scene.store).has_object(item["sha256"])
        for item in json.loads(scene.result("models").read_text())["outputs"].values()
    )


def test_a_stage_that_is_told_to_stop_says_so_in_the_run_log_and_leaves_no_workspace(scene):
    process = running(scene)
    process.terminate()
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM, stderr
    line = scene.log()[-1]
    assert (line["stage"], line["status"]) == ("models", "error")
    assert line["warnings"] == ["stopped from outside (exit code 143)"]
    assert list((scene.folder / "tmp").iterdir()) == []
    assert not scene.result("models").exists()
    assert "Traceback" not in stderr
