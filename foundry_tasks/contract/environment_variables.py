"""Where things are: the `FOUNDRY_*` environment, read once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from foundry_tasks.contract.errors import ConfigError

PREFIX = "FOUNDRY_"
REPOSITORY = Path(__file__).resolve().parents[2]

Runtime = Literal["process", "docker", "kubernetes"]


class Settings(BaseModel):
    """One field a `FOUNDRY_*` variable; an empty variable counts as unset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str = str(REPOSITORY / ".foundry" / "store")
    """Artifact store: a folder, or an `s3://bucket/prefix`."""
    s3_endpoint: str = ""
    """URL of the S3 server; empty: AWS."""
    secrets: str = ""
    """Folder of secret files, one value each: s3_access_key, s3_secret_key, mlflow_username, mlflow_password, tiingo_api_key. A
    file that is not there leaves that credential to the SDK's own search; the price source Tiingo needs its file."""
    mlflow_uri: str = f"sqlite:///{REPOSITORY / '.foundry' / 'mlflow.db'}"
    """MLflow's tracking and registry URI."""
    mlflow_artifacts: str = str(REPOSITORY / ".foundry" / "mlartifacts")
    """Where a new MLflow experiment keeps its files; a tracking server decides that itself."""
    markets: str = ""
    """Market files (TOML), or folders of them, separated as in PATH. Empty: the built-in sample market."""
    expectations: str = str(REPOSITORY / "expectations")
    """Folder of the expectation suites."""
    notify: str = Field(default="log", pattern=r"^(log|https?://\S+|mailto:\S+@\S+)$")
    """Who is told of failures: `log`, a webhook's https://…, or mailto:… over Airflow's connection `smtp_default`. A secret
    file `notify` goes before it."""
    reports_url: str = ""
    """Where people's browsers find the store's `pages/`; empty: nowhere, and Airflow shows no link."""
    mlflow_url: str = ""
    """Where people's browsers find MLflow; empty: at `mlflow_uri`."""
    runtime: Runtime = "process"
    """What a stage runs in: a local process, a Docker container, a Kubernetes pod."""
    image_cpu: str = ""
    """Image of the cpu stages where they run in containers: an ID or a digest, so that nothing stale is run."""
    image_cuda: str = ""
    """Image of the tasks that fit deep models."""
    pod_gpus: NonNegativeInt = 1
    """GPUs that such a task asks Kubernetes for; 0 where the cluster has none, so that they train on its CPUs. Docker finds out
    by itself."""
    stage_network: str = "foundry-stages"
    """Docker network of the stages: the store and MLflow, nothing else."""
    outside_network: str = "foundry-outside"
    """Docker network of the stages that fetch prices: the store and the world."""
    stage_files: str = "foundry-stage"
    """Docker volume or Kubernetes secret, mounted read-only, with the files that `secrets` and `markets` name."""
    promote_files: str = "foundry-promote"
    """The same for the stages that may write registry and ledger."""
    pod_templates: str = ""
    """Folder of `cpu.yaml` and `cuda.yaml`: what a cluster decides of the stages' pods (namespace, service account, pool,
    market files); empty: nothing, they run where Airflow does."""
    image_digest: str = ""
    """Digest of the image this process runs in; whoever starts the container sets it."""

    def secret(self, name: str) -> str | None:
        """The value of a secret file, None where there is none. Raises ConfigError where it cannot be read."""
        if not self.secrets:
            return None
        path = Path(self.secrets) / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"secret file {path} cannot be read. Mend it, or point FOUNDRY_SECRETS elsewhere."
            ) from error

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the `FOUNDRY_*` variables. Raises ConfigError that names every wrong one."""
        values = {
            key.removeprefix(PREFIX).lower(): value
            for key, value in environment.items()
            if key.startswith(PREFIX) and value
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = (
                f"{PREFIX}{str(part['loc'][0]).upper()}={part.get('input')!r}: {part['msg'].lower()}"
                for part in error.errors()
            )
            known = ", ".join(PREFIX + name.upper() for name in cls.model_fields)
            raise ConfigError(*wrong, advice=f"Known settings: {known}.") from error
