"""Migrate MLflow's two schemas, runs and logins. Several processes that start at once migrate one after the other."""

from mlflow.db import commands as runs
from mlflow.server.auth.db.cli import commands as logins
from serve import database
from sqlalchemy import create_engine, text

LOCK = 0xF0D1
"""PostgreSQL advisory lock, held during the migration."""

if __name__ == "__main__":
    url = database()
    with create_engine(url).connect() as connection:
        connection.execute(text(f"select pg_advisory_lock({LOCK})"))
        # Called in this process: a command line would show the URL with its password. The schema of runs comes first,
        # since MLflow creates its tables in an empty database only.
        runs.main(["upgrade", url], standalone_mode=False)
        logins.main(["upgrade", "--url", url], standalone_mode=False)
