"""A registered model in a clean process, in another folder, without the project's sources."""

import ast
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foundry_tasks.contract.config import DEEP_MODELS, ModelsConfig
from foundry_tasks.contract.documents import Refits
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.data.tables import write_features
from foundry_tasks.models.base_models import BASE_MODELS, estimator_for
from foundry_tasks.models.bundle import Bundle
from foundry_tasks.models.calibration import BaseRateSlope
from foundry_tasks.models.design import build_design
from foundry_tasks.models.stack import Stack
from tests.promotion_world import AS_OF, MODEL, REPOSITORY, World

pytestmark = [  # of MLflow
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]

STRANGER = """
import json, sys
sys.path[:] = [entry for entry in sys.path if entry != sys.argv[1]]
sys.modules |= dict.fromkeys(["jax", "keras", "tensorflow"])  # as if they were not installed
import mlflow
import pandas as pd
mlflow.set_tracking_uri(sys.argv[2])
model = mlflow.pyfunc.load_model(sys.argv[3])
frame = pd.read_csv(sys.argv[4], parse_dates=["date"])
model.predict(frame).to_csv(sys.argv[5], index=False)
print(json.dumps({
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
    "files": [module.__file__ for name, module in sorted(sys.modules.items()) if name.startswith("foundry_tasks")],
}))
"""


LIGHT_MODELS = tuple(name for name in BASE_MODELS if name not in DEEP_MODELS)


@pytest.mark.slow(8)
@pytest.mark.parametrize("names", [LIGHT_MODELS, pytest.param(DEEP_MODELS, marks=pytest.mark.deep)])
def test_a_stranger_loads_the_champion_and_predicts_with_the_code_and_the_libraries_that_came_with_it(tmp_path, names):
    world = World(tmp_path)
    panel, bundle = _panel(), _bundle(_panel(), names)
    world.prepare("first")
    refit = world.refit("first").model_copy(update={"features": bundle.features, "models": names})
    write_features(tmp_path / "features.parquet", [panel])
    world.publish("first", "features", {"features.parquet": tmp_path / "features.parquet"})
    world.publish("first", "refit", {"bundle/5d.zip": bundle.to_bytes()}, Refits(horizons={5: refit}))
    world.repeat("first")
    rows = [
        (session, ticker, *panel.values[:, i, j])
        for i, session in enumerate(panel.sessions)
        for j, ticker in enumerate(panel.tickers)
    ]
    pd.DataFrame(rows, columns=["date", "ticker", *panel.names]).to_csv(tmp_path / "rows.csv", index=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    files = [str(tmp_path / "rows.csv"), str(tmp_path / "predicted.csv")]
    command = [sys.executable, "-I", "-c", STRANGER, str(REPOSITORY), world.uri, f"models:/{MODEL}@champion", *files]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    predicted = pd.read_csv(tmp_path / "predicted.csv")
    assert list(predicted.columns) == ["date", "ticker", "horizon", "p_up"]
    assert set(predicted["horizon"]) == {5}
    np.testing.assert_allclose(predicted["p_up"], bundle.p_up(panel).ravel(), rtol=0, atol=1e-12)
    assert predicted["p_up"].nunique() > 100
    seen = json.loads(done.stdout)
    assert all("mlartifacts" in file for file in seen["files"])
    assert not {"airflow", "great_expectations", "boto3", "yfinance"} & set(seen["modules"])
    (requirements,) = tmp_path.glob("mlartifacts/**/requirements.txt")
    required = {line.split("==")[0] for line in requirements.read_text().split()}
    assert required == _imported(seen["files"]) - {"keras"}


def _panel():
    """Five sessions of thirty tickers; two features per ticker and one of the market."""
    generator = np.random.default_rng(7)
    values = generator.standard_normal((3, 5, 30)).astype(np.float32)
    values[2] = values[2, :, :1]
    sessions = np.busday_offset(AS_OF, np.arange(-4, 1))
    names = ("ret_1d", "vol_20d", "market_trend_200d")
    return FeaturePanel(sessions, tuple(f"T{number:02d}" for number in range(30)), names, values)


def _bundle(panel, names):
    """Base models, quickly fitted to whether a row's first input is above its median."""
    rows = build_design(panel, "rank").values[:, 0]
    target = (rows > np.median(rows)).astype(np.float64)
    models = {}
    for name in names:
        estimator = estimator_for(name, ModelsConfig(models=names, sequence_sessions=3, deep_epochs=1))
        design = build_design(panel, estimator.transform)
        (models[name],) = estimator.fit(estimator.prepare(design.values, design.names), target, seeds=[7])
    stack = Stack(tuple(models), None, BaseRateSlope(0.1), "a test")
    return Bundle("us", 5, panel.names, 0.52, models, stack, {}, "24/7", len(panel.tickers))


def _imported(files):
    """Distributions that Foundry's loaded modules import, at the top or in functions."""
    imported = set()
    for file in files:
        for node in ast.walk(ast.parse(Path(file).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split(".")[0] for name in names}
    owners = metadata.packages_distributions()
    distributions = {owner.lower() for name in imported for owner in owners.get(name, ())}
    return distributions - {"foundry-tasks", "mlflow-skinny", "mlflow-tracing"}  # the latter come with mlflow
