"""A bundle as MLflow's pyfunc model: signature, requirements, loader code and input example."""

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from foundry_tasks.contract.ports import Registration

PACKAGE = Path(__file__).resolve().parents[1]
LOADER = "foundry_tasks.adapters.served_model"
"""Module with `_load_pyfunc(path)`."""
BUNDLE_FILE = "bundle.zip"
PREDICTION_PACKAGES = (
    "bottleneck",
    "exchange_calendars",
    "mlflow",
    "numpy",
    "pandas",
    "pydantic",
    "scikit-learn",
    "scipy",
    "threadpoolctl",
    "xgboost",
)
"""Packages that prediction needs besides those of the base models. A test loads a model in a clean process and checks its imports
against this list."""


def save_pyfunc(folder: Path, wanted: Registration, *, run_id: str, logged: Any) -> Path:
    """Write the model to `folder` in MLflow's layout. Returns `folder`."""
    from mlflow import pyfunc  # noqa: PLC0415
    from mlflow.models import Model  # noqa: PLC0415

    from foundry_tasks.models.base_models import PACKAGES  # noqa: PLC0415 - it loads NumPy, which MLflow has loaded too

    bundle = folder.with_name(BUNDLE_FILE)
    shutil.copyfile(wanted.bundle, bundle)
    pyfunc.save_model(
        path=str(folder),
        loader_module=LOADER,
        data_path=str(bundle),
        code_paths=[str(PACKAGE)],
        mlflow_model=Model(
            artifact_path=logged.artifact_location,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            run_id=run_id,
            metadata={"sha256": wanted.sha256, "horizon": wanted.horizon, **wanted.tags},
        ),
        signature=_signature(wanted.features) if wanted.features else None,
        input_example=_example(wanted) if wanted.example else None,
        pip_requirements=[f"{name}=={metadata.version(name)}" for name in sorted({*PREDICTION_PACKAGES, *PACKAGES})],
    )
    return folder


def write_evidence(folder: Path, wanted: Registration) -> Path:
    """Write one JSON file per document. Returns `folder`."""
    folder.mkdir()
    for name, document in wanted.evidence.items():
        (folder / f"{name}.json").write_text(json.dumps(document, indent=2, sort_keys=True))
    return folder


def input_schema(features: tuple[str, ...]) -> Any:
    """Input columns: date, ticker, features.

    date and ticker have type `any`, so that the bundle receives them as sent. With `datetime` MLflow reads epoch milliseconds
    as nanoseconds; with `string` it turns a missing ticker into "None".
    """
    from mlflow.types import ColSpec, Schema  # noqa: PLC0415
    from mlflow.types.schema import AnyType  # noqa: PLC0415

    keys = [ColSpec(AnyType(), "date"), ColSpec(AnyType(), "ticker")]
    return Schema([*keys, *(ColSpec("double", name) for name in features)])


def _signature(features: tuple[str, ...]) -> Any:
    """Input: date, ticker, features. Output: date, ticker, horizon, p_up."""
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import ColSpec, Schema  # noqa: PLC0415

    given = [("datetime", "date"), ("string", "ticker"), ("long", "horizon"), ("double", "p_up")]
    return ModelSignature(inputs=input_schema(features), outputs=Schema([ColSpec(kind, name) for kind, name in given]))


def _example(wanted: Registration) -> Any:
    import pandas as pd  # noqa: PLC0415

    frame = pd.DataFrame(list(wanted.example), columns=["date", "ticker", *wanted.features])
    frame["date"] = pd.to_datetime(frame["date"])
    return frame.astype(dict.fromkeys(wanted.features, "float64"))
