"""Health check by a real call, with login and database. MLflow's /health returns 200 even if it refuses every call."""

import base64
import os
import urllib.request
from pathlib import Path

SECRETS = Path(os.environ.get("FOUNDRY_SECRETS", "/run/secrets"))

user = os.environ.get("MLFLOW_AUTH_ADMIN_USERNAME", "admin")
password = (SECRETS / "mlflow_admin_password").read_text().strip()
request = urllib.request.Request(
    f"http://127.0.0.1:{os.environ.get('MLFLOW_PORT', '5000')}/api/2.0/mlflow/registered-models/search?max_results=1",
    headers={"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()},
)
urllib.request.urlopen(request, timeout=9)  # noqa: S310
