# Foundry: every command a person types. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The project's processes write and read compiled bytecode whatever the caller's shell says: it halves their start-up.
unexport PYTHONDONTWRITEBYTECODE

# What the machine's python3 really is: uv does not see interpreters behind shims.
PYTHON ?= $(shell python3 -c 'import sys; print(sys.executable)')
UV     := .tools/python/bin/uv
VENV   := .venv
BIN    := $(VENV)/bin
GROUPS_LOCKED := tools cpu cuda airflow laptop dev

.PHONY: help
help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# ---------------------------------------------------------------- set-up
$(UV): requirements/tools.txt
	@$(PYTHON) -m pip install --quiet --upgrade --require-hashes --no-deps --target .tools/python -r $< 2>/dev/null \
	  || $(PYTHON) -m pip install --upgrade --require-hashes --no-deps --target .tools/python -r $<
	@touch $@

# One environment; the stamp names the group that is in it, and dev holds laptop.
.venv/%.stamp: requirements/%.txt pyproject.toml | $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@echo "installing the $* group (hash-pinned) into $(VENV)"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r $<
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# ---------------------------------------------------------------- use
# Everything the demo makes lies in .foundry/: Airflow's SQLite, the store, MLflow's SQLite and files.
export AIRFLOW_HOME := $(CURDIR)/.foundry/airflow
export AIRFLOW__CORE__DAGS_FOLDER := $(CURDIR)/dags
export AIRFLOW__CORE__LOAD_EXAMPLES := False
export AIRFLOW__CORE__EXECUTOR := LocalExecutor
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED := False
# What the stages print, and of Airflow's own only warnings.
export AIRFLOW__LOGGING__LOGGING_LEVEL ?= WARNING
export AIRFLOW__LOGGING__NAMESPACE_LEVELS ?= airflow.task.operators._stages=INFO
export FOUNDRY_RUNTIME := process

LAPTOP := $(if $(wildcard .venv/dev.stamp),.venv/dev.stamp,.venv/laptop.stamp)

# make demo PRICES=… SECTORS=… BENCHMARK=… VIX=… UNIVERSE=… HORIZONS=1,5 MODELS=logistic,lightgbm, or any key: SET="seeds=1"
DEMO_CONF = $(if $(PRICES),--set source=parquet --set prices=$(abspath $(PRICES))) \
  $(if $(SECTORS),--set sectors=$(abspath $(SECTORS))) $(if $(BENCHMARK),--set benchmark=$(abspath $(BENCHMARK))) \
  $(if $(VIX),--set vix=$(abspath $(VIX))) $(if $(UNIVERSE),--set universe=$(abspath $(UNIVERSE))) \
  $(if $(HORIZONS),--set horizons=$(HORIZONS)) $(if $(MODELS),--set models=$(MODELS)) $(addprefix --set ,$(SET))

.PHONY: demo
demo: $(LAPTOP)  ## Prices to a promoted model, or an honest refusal, through Airflow
	@$(BIN)/airflow db migrate >/dev/null 2>&1 || $(BIN)/airflow db migrate
	@conf="$$($(BIN)/foundry conf $(DEMO_CONF))"; \
	  PYTHONWARNINGS=ignore $(BIN)/airflow dags test foundry_train --conf "$$conf"; \
	  $(BIN)/foundry summary

.PHONY: ui
ui: $(LAPTOP)  ## Airflow and MLflow on the demo's results
	@trap 'kill 0' EXIT; \
	  $(BIN)/mlflow ui --backend-store-uri sqlite:///$(CURDIR)/.foundry/mlflow.db --port 5000 >.foundry/mlflow.log 2>&1 & \
	  echo "MLflow on http://127.0.0.1:5000; Airflow, once it says that it is ready, on http://127.0.0.1:8080: this machine only, no login"; \
	  PATH="$(CURDIR)/$(BIN):$$PATH" AIRFLOW__API__HOST=127.0.0.1 \
	  AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True airflow standalone

# ---------------------------------------------------------------- checks
.PHONY: test
test: .venv/dev.stamp  ## All tests
	@$(BIN)/pytest

.PHONY: check
check: format-check lint types imports lock-check test  ## All that CI asks of the code

.PHONY: format format-check lint types imports lock-check
format: .venv/dev.stamp  ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .
format-check: .venv/dev.stamp
	@$(BIN)/ruff format --check .
lint: .venv/dev.stamp
	@$(BIN)/ruff check .
types: .venv/dev.stamp
	@$(BIN)/mypy
imports: .venv/dev.stamp
	@$(BIN)/lint-imports
lock-check: | $(UV)
	@cp -r requirements .tools/requirements-before
	@$(MAKE) --no-print-directory lock
	@diff -r .tools/requirements-before requirements && rm -r .tools/requirements-before \
	  || { rm -rf .tools/requirements-before; echo 'the locks are not current: commit what `make lock` made'; exit 1; }

.PHONY: docs
docs: .venv/dev.stamp  ## Write the generated parts of docs/
	@$(BIN)/python -c 'from foundry_tasks.features import feature_table_markdown as table; print("# Features\n\n" + table(), end="")' \
	  > docs/features.md

# ---------------------------------------------------------------- locks
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
           --no-annotate --custom-compile-command 'make lock'

.PHONY: lock
lock: | $(UV)  ## Resolve pyproject.toml's groups into requirements/*.txt
	@$(COMPILE) $(foreach group,$(GROUPS_LOCKED),--group pyproject.toml:$(group)) -o requirements/all.txt
	@for group in $(GROUPS_LOCKED); do \
	  $(COMPILE) --constraint requirements/all.txt --group pyproject.toml:$$group -o requirements/$$group.txt; done
