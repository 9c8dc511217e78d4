"""What the settings name: the registry, and everything that a stage runs in."""

from datetime import UTC, datetime
from pathlib import Path

from foundry_tasks.adapters.stores import open_store
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.ports import Registry
from foundry_tasks.runtime import progress, runner
from foundry_tasks.runtime.import_clock import PROCESS


def open_registry(settings: Settings) -> Registry:
    """The registry that the settings name."""
    from foundry_tasks.adapters.registry_mlflow import MlflowRegistry  # noqa: PLC0415 - MLflow is slow to import

    return MlflowRegistry(
        settings.mlflow_uri,
        settings.mlflow_artifacts,
        username=settings.secret("mlflow_username"),
        password=settings.secret("mlflow_password"),
    )


def run_context(settings: Settings) -> runner.RunContext:
    """What this process runs a stage in."""
    from foundry_tasks.adapters.expectations_gx import GreatExpectations  # noqa: PLC0415 - only a stage needs it

    return runner.RunContext(
        settings=settings,
        store=open_store(settings),
        expectations=GreatExpectations(Path(settings.expectations)),
        registry=open_registry(settings),
        progress=progress.progress(),
        now=lambda: datetime.now(UTC),
        started=PROCESS.started,
        imports=PROCESS,
    )
