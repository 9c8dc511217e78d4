#!/usr/bin/env bash
# Create the missing files in secrets/, one value per file, without defaults. Existing files are never overwritten.
# Only the owner can open the folder. The files are readable, for the containers that mount them.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
mkdir -p secrets
chmod 700 secrets

keep() {  # keep NAME VALUE
  test -s "secrets/$1" || { printf '%s' "$2" >"secrets/.$1" && mv "secrets/.$1" "secrets/$1"; }
}
random() { head -c 64 /dev/urandom | base64 -w 0 | tr -dc 'A-Za-z0-9' | head -c 40; }

for name in postgres_password airflow_db_password mlflow_db_password \
  airflow_admin_password airflow_jwt_secret airflow_api_secret_key \
  mlflow_admin_password mlflow_stage_password mlflow_promote_password mlflow_flask_secret_key reports_password; do
  keep "$name" "$(random)"
done
for account in root stage promote reports mlflow; do
  keep "s3_${account}_access_key" "foundry-$account"
  keep "s3_${account}_secret_key" "$(random)"
done
keep tiingo_api_key not-given  # write your key here if a market's source is tiingo
keep airflow_fernet_key "$(head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_')"
keep airflow_db_url "postgresql+psycopg2://airflow:$(cat secrets/airflow_db_password)@postgres/airflow"
