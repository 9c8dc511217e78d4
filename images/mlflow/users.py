"""Create MLflow's users: `stage` may read, `promote` owns what it registers. Run it after each start; it is idempotent.

The passwords of the admin and of both users are files in FOUNDRY_SECRETS: mlflow_<user>_password.
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SECRETS = Path(os.environ.get("FOUNDRY_SECRETS", "/run/secrets"))
SERVER = os.environ.get("MLFLOW_SERVER", "http://mlflow:5000")
USERS = ("stage", "promote")


def password(user: str) -> str:
    """The content of a user's secret file. Raises OSError if it cannot be read."""
    return (SECRETS / f"mlflow_{user}_password").read_text().strip()


def call(method: str, path: str, body: dict[str, Any]) -> int:
    """Call MLflow's REST API as the admin. Returns the HTTP status."""
    login = base64.b64encode(f"admin:{password('admin')}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the operator sets the address
        f"{SERVER}/api/2.0/mlflow/{path}",
        method=method,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            status: int = answer.status
    except urllib.error.HTTPError as refusal:
        status = refusal.code
    return status


for user in USERS:
    known = {"username": user, "password": password(user)}
    created = call("POST", "users/create", known)
    if created != 200 and call("PATCH", "users/update-password", known) != 200:
        sys.exit(f"MLflow at {SERVER} refuses to create user {user!r} (HTTP {created}). Look at its log.")
