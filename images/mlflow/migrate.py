"""Bring MLflow's two schemas, of runs and of logins, to this version's; of several that start at once, one after the other."""

from mlflow.db import commands as runs
from mlflow.server.auth.db.cli import commands as logins
from serve import database
from sqlalchemy import create_engine, text

LOCK = 0xF0D1
"""Of PostgreSQL's advisory locks the one that whoever migrates holds."""

if __name__ == "__main__":
    url = database()
    with create_engine(url).connect() as connection:
        connection.execute(text(f"select pg_advisory_lock({LOCK})"))
        # Called here, not run, since a process list would show the URL with its password. Runs first: MLflow makes its
        # tables in an empty database alone.
        runs.main(["upgrade", url], standalone_mode=False)
        logins.main(["upgrade", "--url", url], standalone_mode=False)
