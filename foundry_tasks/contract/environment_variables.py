"""Settings of an installation, read from the `FOUNDRY_*` variables."""

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
    """One field per `FOUNDRY_*` variable. An empty variable counts as unset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str = str(REPOSITORY / ".foundry" / "store")
    """Artifact store: a folder, or an `s3://bucket/prefix`."""
    s3_endpoint: str = ""
    """URL of the S3 server; empty: AWS."""
    secrets: str = ""
    """Folder of secret files, one value each: s3_access_key, s3_secret_key, mlflow_username, mlflow_password, tiingo_api_key.
    Without a file the SDK searches for that credential itself; the price source Tiingo requires its file."""
    mlflow_uri: str = f"sqlite:///{REPOSITORY / '.foundry' / 'mlflow.db'}"
    """MLflow's tracking and registry URI."""
    mlflow_artifacts: str = str(REPOSITORY / ".foundry" / "mlartifacts")
    """Location of files of new MLflow experiments. A tracking server uses its own setting."""
    markets: str = ""
    """Market files (TOML), or folders of them, separated as in PATH. Empty: the built-in sample market."""
    expectations: str = str(REPOSITORY / "expectations")
    """Folder of the expectation suites."""
    notify: str = Field(default="log", pattern=r"^(log|https?://\S+|mailto:\S+@\S+)$")
    """Where failures are reported: `log`, a webhook's https://…, or mailto:… over Airflow's connection `smtp_default`. A
    secret file `notify` takes precedence."""
    reports_url: str = ""
    """URL of the store's `pages/` for browsers; empty: Airflow shows no link."""
    mlflow_url: str = ""
    """URL of MLflow for browsers; empty: `mlflow_uri`."""
    runtime: Runtime = "process"
    """What a stage runs in: a local process, a Docker container, a Kubernetes pod."""
    image_cpu: str = ""
    """Container image of the cpu tasks, as an ID or a digest, so that no outdated image is run."""
    image_cuda: str = ""
    """Container image of the tasks that fit deep models, as an ID or a digest."""
    pod_gpus: NonNegativeInt = 1
    """GPUs that a pod with deep models requests; 0 for a cluster without GPUs: training then uses CPUs. Docker detects
    GPUs itself."""
    stage_network: str = "foundry-stages"
    """Docker network of the stages. It reaches the store and MLflow only."""
    outside_network: str = "foundry-outside"
    """Docker network of the stages that fetch prices. It reaches the store and the internet."""
    stage_files: str = "foundry-stage"
    """Docker volume or Kubernetes secret, mounted read-only, with the files that `secrets` and `markets` name."""
    promote_files: str = "foundry-promote"
    """The same for the stages that write registry and ledger."""
    pod_templates: str = ""
    """Folder of `cpu.yaml` and `cuda.yaml`, the cluster's settings of stage pods (namespace, service account, pool, market
    files); empty: none, pods run where Airflow runs."""
    image_digest: str = ""
    """Digest of the image that this process runs in. It is set when the container is started."""

    def secret(self, name: str) -> str | None:
        """The value of a secret file, None where there is no file. Raises ConfigError where it cannot be read."""
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
