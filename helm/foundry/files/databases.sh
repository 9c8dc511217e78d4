#!/bin/sh
# Runs once, on a new server: creates a database and a user for Airflow, and for MLflow.
set -eu
for owner in airflow mlflow; do
  psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set "owner=$owner" --set "password=$(cat "/run/secrets/${owner}_db_password")" <<'SQL'
create role :"owner" login password :'password';
create database :"owner" owner :"owner";
revoke connect on database :"owner" from public;
SQL
done
