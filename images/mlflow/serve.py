"""Start MLflow's server with secrets from files, so that neither `docker inspect` nor a process list shows them.

Files in FOUNDRY_SECRETS: mlflow_db_password, mlflow_admin_password, mlflow_flask_secret_key, and s3_access_key and
s3_secret_key if MLFLOW_ARTIFACTS_DESTINATION is on S3. MLFLOW_DATABASE is SQLAlchemy's URL without the password.
Arguments are passed on to `mlflow server`.
"""

import os
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

SECRETS = Path(os.environ.get("FOUNDRY_SECRETS", "/run/secrets"))
AUTH_CONFIG = Path(os.environ.get("TMPDIR", "/tmp")) / "mlflow-auth.ini"  # noqa: S108 - the container's tmpfs


def secret(name: str) -> str:
    """The content of a secret file. Exits with a message if it is empty or cannot be read."""
    try:
        value = (SECRETS / name).read_text().strip()
    except OSError as error:
        sys.exit(
            f"mlflow: secret file {SECRETS / name} cannot be read ({error.strerror}). Mount it, readable for uid 10001."
        )
    return value or sys.exit(f"mlflow: secret file {SECRETS / name} is empty. Write the value into it.")


def with_password(url: str, password: str) -> str:
    """SQLAlchemy's URL with the quoted password. Exits if the URL has no user, or already has a password."""
    parts = urlsplit(url)
    if not parts.username or parts.password:
        sys.exit(
            "mlflow: MLFLOW_DATABASE must name a user and no password, as in postgresql+psycopg2://mlflow@postgres/mlflow."
        )
    return parts._replace(netloc=parts.netloc.replace("@", f":{quote(password, safe='')}@")).geturl()


def database() -> str:
    """The database URL with its password."""
    return with_password(
        os.environ.get("MLFLOW_DATABASE", "postgresql+psycopg2://mlflow@postgres/mlflow"), secret("mlflow_db_password")
    )


def environment() -> dict[str, str]:
    """MLflow's environment. MLflow variables that are set already are kept."""
    url = database()
    AUTH_CONFIG.unlink(missing_ok=True)
    AUTH_CONFIG.touch(mode=0o600)
    AUTH_CONFIG.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = {url.replace('%', '%%')}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        # A model has a hundred files, and each password check takes 0.3 s. A changed password takes effect after this time.
        "auth_cache_ttl_seconds = 60\n"
    )
    wanted = {
        "MLFLOW_HOST": "0.0.0.0",  # noqa: S104 - who starts the container decides which ports are published
        "MLFLOW_PORT": "5000",
        "MLFLOW_WORKERS": "2",
        "MLFLOW_ARTIFACTS_DESTINATION": "s3://mlflow",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow:5000,localhost:*,127.0.0.1:*",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
    } | os.environ
    wanted |= {
        "MLFLOW_BACKEND_STORE_URI": url,
        "MLFLOW_AUTH_CONFIG_PATH": str(AUTH_CONFIG),
        "MLFLOW_AUTH_ADMIN_PASSWORD": secret("mlflow_admin_password"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secret("mlflow_flask_secret_key"),
    }
    if wanted["MLFLOW_ARTIFACTS_DESTINATION"].startswith("s3://"):
        wanted |= {"AWS_ACCESS_KEY_ID": secret("s3_access_key"), "AWS_SECRET_ACCESS_KEY": secret("s3_secret_key")}
        wanted.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        if endpoint := os.environ.get("FOUNDRY_S3_ENDPOINT"):
            wanted["MLFLOW_S3_ENDPOINT_URL"] = endpoint
    return wanted


if __name__ == "__main__":
    os.execvpe("mlflow", ["mlflow", "server", "--app-name", "basic-auth", *sys.argv[1:]], environment())  # noqa: S606, S607 - the image's program
