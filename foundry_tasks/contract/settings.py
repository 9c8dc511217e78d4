"""Where things are: the `FOUNDRY_*` environment, read once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

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
    """Folder of secret files, one value each: s3_access_key, s3_secret_key, mlflow_username, mlflow_password. A file that
    is not there leaves that credential to the SDK's own search."""
    mlflow_uri: str = f"sqlite:///{REPOSITORY / '.foundry' / 'mlflow.db'}"
    """MLflow's tracking and registry URI."""
    mlflow_artifacts: str = str(REPOSITORY / ".foundry" / "mlartifacts")
    """Where a new MLflow experiment keeps its files; a tracking server decides that itself."""
    markets: str = ""
    """Market files (TOML), or folders of them, separated as in PATH. Empty: the built-in sample market."""
    expectations: str = str(REPOSITORY / "expectations")
    """Folder of the expectation suites."""
    runtime: Runtime = "process"
    """What a stage runs in: a local process, a Docker container, a Kubernetes pod."""
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
            raise ConfigError(f"secret file {path} cannot be read. Mend it, or point FOUNDRY_SECRETS elsewhere.") from error

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
            wrong = "; ".join(
                f"{PREFIX}{str(part['loc'][0]).upper()}={part.get('input')!r}: {part['msg'].lower()}"
                for part in error.errors()
            )
            known = ", ".join(PREFIX + name.upper() for name in cls.model_fields)
            raise ConfigError(f"{wrong}. Known settings: {known}.") from error
