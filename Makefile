# Foundry's commands for people. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Python writes and reads compiled bytecode even if the caller's shell disables it: this halves the start-up time.
unexport PYTHONDONTWRITEBYTECODE

# TAKES.<command>: the variables of a command. A recipe reads them from its environment as "$$NAME", where they have the text
# that was typed (see the end of this file). It reads a path by `$(call path,NAME)`, which replaces ~ by the home folder.
path = "$${$(1)/\#\~\//$$HOME/}"

# The real path of python3: uv does not find interpreters behind shims.
THIS_PYTHON = "$$(given=$(call path,PYTHON); printf %s "$${given:-$$(python3 -c 'import sys; print(sys.executable)')}")"
UV     := .tools/python/bin/uv
VENV   := .venv
BIN    := $(VENV)/bin
GROUPS_LOCKED := tools cpu cuda airflow mlflow docker-proxy reports laptop deep dev dev-deep

# Included first, since make expands prerequisites when it reads them.
include images/images.mk

.PHONY: help
help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# ---------------------------------------------------------------- set-up
$(UV): requirements/tools.txt
	@$(THIS_PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  || { echo 'Foundry needs Python 3.11, 3.12 or 3.13: install one as python3, or name it: PYTHON=/path/to/python3.12'; exit 1; }
	@$(THIS_PYTHON) -m pip --version >/dev/null 2>&1 \
	  || { echo $(THIS_PYTHON)' has no pip: install it (on Debian: apt-get install python3-pip)'; exit 1; }
	@$(THIS_PYTHON) -m pip install --quiet --upgrade --require-hashes --no-deps --target .tools/python -r $< 2>/dev/null \
	  || $(THIS_PYTHON) -m pip install --upgrade --require-hashes --no-deps --target .tools/python -r $<
	@touch $@

# One environment. A stamp per installed group. Groups are added to the environment; dev, deep and dev-deep include laptop.
.venv/%.stamp: requirements/%.txt pyproject.toml | $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(THIS_PYTHON) $(VENV)
	@echo "installing the $* group (hash-pinned) into $(VENV)"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps --compile-bytecode -r $<
	@images/without-tests $(VENV)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# The benchmarks' peers and the site's builder have their own environments.
.venv-peers/peers.stamp: requirements/peers.txt
.venv-docs/docs.stamp: requirements/docs.txt
.venv-peers/peers.stamp .venv-docs/docs.stamp: | $(UV)
	@test -x $(@D)/bin/python || $(UV) venv --quiet --python $(THIS_PYTHON) $(@D)
	@echo "installing the $(basename $(@F)) group (hash-pinned) into $(@D)"
	@$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes --no-deps --compile-bytecode -r $<
	@touch $@

# ---------------------------------------------------------------- use
# The demo writes to .foundry/ only: Airflow's SQLite, the store, MLflow's SQLite and files.
export AIRFLOW_HOME := $(CURDIR)/.foundry/airflow
export AIRFLOW__CORE__DAGS_FOLDER := $(CURDIR)/dags
export AIRFLOW__CORE__PLUGINS_FOLDER := $(CURDIR)/dags/plugins
export AIRFLOW__CORE__LOAD_EXAMPLES := False
export AIRFLOW__CORE__EXECUTOR := LocalExecutor
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED := False
# Log the stages' output, and only warnings of Airflow itself.
export AIRFLOW__LOGGING__LOGGING_LEVEL ?= WARNING
export AIRFLOW__LOGGING__NAMESPACE_LEVELS ?= airflow.task.operators._process_stage=INFO
export FOUNDRY_RUNTIME := process

LAPTOP := $(or $(firstword $(wildcard .venv/dev-deep.stamp .venv/dev.stamp .venv/deep.stamp)),.venv/laptop.stamp)

# make demo PRICES=… SECTORS=… BENCHMARK=… VIX=… UNIVERSE=… HORIZONS=1,5 MODELS=logistic,lightgbm, or any key: SET="seeds=1".
# foundry_tasks/contract/typed.py explains them.
TAKES.demo := PRICES SECTORS BENCHMARK VIX UNIVERSE HORIZONS MODELS SET QUICK

.PHONY: setup
setup: $(LAPTOP)  ## Only the environment: .venv/bin/foundry

.PHONY: deep
deep: .venv/deep.stamp  ## Add TensorFlow, which fits the deep models, to this checkout's environment

.PHONY: demo
demo: $(LAPTOP)  ## From prices to a promoted or a refused model, through Airflow; QUICK=1 fits one seed
	@$(BIN)/python dags/_laptop.py foundry_train

.PHONY: report
report: $(LAPTOP)  ## Open the report of the newest run in a browser
	@$(BIN)/foundry summary --open

.PHONY: ui
ui: $(LAPTOP)  ## Airflow and MLflow on the demo's results
	@trap 'kill 0' EXIT; \
	  $(BIN)/mlflow ui --backend-store-uri sqlite:///$(CURDIR)/.foundry/mlflow.db --port 5000 >.foundry/mlflow.log 2>&1 & \
	  echo "MLflow on http://127.0.0.1:5000; Airflow, once it says that it is ready, on http://127.0.0.1:8080: this machine only, no login"; \
	  PATH="$(CURDIR)/$(BIN):$$PATH" AIRFLOW__API__HOST=127.0.0.1 \
	  AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True airflow standalone

# make audit, or a policy of your own: SET="min_auc=0.53 simulated_markets=20"
TAKES.audit := SET
.PHONY: audit
audit: $(LAPTOP)  ## How often the gates promote noise and find a real edge, on simulated markets
	@$(BIN)/foundry audit --dag foundry_audit --run-id "audit__$$(date -u +%Y-%m-%dT%H:%M:%S)" --from-make \
	  2>&1 | cat  # prints a line per kind of market instead of a progress bar

# ---------------------------------------------------------------- the stack
ON_THE_STACK := up markets down destroy trigger foundry prune backup restore
DOCKER_SOCKET ?= /var/run/docker.sock
STACK = DOCKER_GROUP="$$(stat -c %g $(call path,DOCKER_SOCKET))" DOCKER_SOCKET=$(call path,DOCKER_SOCKET) \
  $(COMPOSE) --env-file .images.env $(if $(wildcard .env),--env-file .env)

.PHONY: up down destroy markets trigger
$(ON_THE_STACK): $(COMPOSE) .images.env
up:  ## Start Airflow, MLflow, the store and the reports on this host, with Docker
	@test -s secrets/postgres_password || ! docker volume inspect foundry_postgres-data >/dev/null 2>&1 || { \
	  echo 'this host keeps the data of a stack whose secrets/ are not here: copy that folder here, or delete the data with `make destroy`'; exit 1; }
	@images/secrets.sh
	@mkdir -p markets
	@$(STACK) up --detach --wait --wait-timeout 600
	@printf '%s\n' '' 'Foundry is up, on this machine only:' \
	  '  Airflow   http://127.0.0.1:8080   user admin, password in secrets/airflow_admin_password' \
	  '  MLflow    http://127.0.0.1:5000   user admin, password in secrets/mlflow_admin_password' \
	  '  reports   http://127.0.0.1:8000   user foundry, password in secrets/reports_password' \
	  'To train on the sample: `make trigger`, or open Airflow, choose foundry_train, click Trigger, leave the form empty.'
markets:  ## Copy the market files of markets/ to the stages of a running stack
	@$(STACK) --progress quiet up --no-deps --no-log-prefix stage-files promote-files
# make trigger DAG=foundry_backtest SET="horizons=1 seeds=1": any DAG, any keys of its conf
TAKES.trigger := DAG SET
DAG ?= foundry_train
trigger:  ## Start a run on the stack and follow it to its report: make trigger DAG=foundry_train SET="horizons=1 seeds=1"
	@STACK='$(STACK)' $(THIS_PYTHON) images/trigger "$$DAG"
# Stages do not belong to Compose. First the scheduler is stopped, since it would restart them; the store is stopped last.
OF_STAGES := docker ps --all --quiet --filter label=foundry.managed=true | xargs --no-run-if-empty docker
down:  ## Stop the stack; its data stays
	@$(STACK) stop --timeout 60 scheduler
	@$(OF_STAGES) stop -t 30 >/dev/null
	@$(OF_STAGES) rm --force --volumes >/dev/null
	@$(STACK) down --timeout 60
destroy:  ## Stop the stack and delete its data, after asking
	@read -r -p 'This deletes the database, the store with every model, and the ledger. Type "destroy" to go on: ' answer; \
	  test "$$answer" = destroy || { echo 'nothing was deleted'; exit 1; }
	@$(STACK) down --timeout 60
	@$(OF_STAGES) rm --force --volumes >/dev/null
	@$(STACK) down --volumes

.PHONY: foundry prune
TAKES.foundry := ARGS
TAKES.prune := KEEP_DAYS
# Runs its arguments plus the words of ARGS, which are split as in a shell but not evaluated.
WITH_ARGS := python3 -c 'import os, shlex, sys; sys.excepthook = lambda *error: print("ARGS:", error[1], file=sys.stderr); \
  os.execvp(sys.argv[1], sys.argv[1:] + shlex.split(os.environ["ARGS"]))'
foundry:  ## A foundry command on the stack's store: make foundry ARGS='ledger verify'
	@$(WITH_ARGS) env $(STACK) --progress quiet run --rm --no-TTY --no-deps foundry
KEEP_DAYS ?= 90
prune:  ## Delete runs older than KEEP_DAYS that led to no model version, and Airflow's records of them
	@$(STACK) --progress quiet run --rm --no-TTY --no-deps foundry gc --keep-days "$$KEEP_DAYS"
	@$(STACK) exec -T scheduler airflow db clean --yes --skip-archive --clean-before-timestamp "$$(date -u -d "-$$KEEP_DAYS days" +%F)"

# make backup [TO=folder], make restore FROM=folder
TAKES.backup := TO
TAKES.restore := FROM
.PHONY: backup restore
backup:  ## Save the databases and the store with its ledger, but not secrets/
	@TO="$${TO:-backups/$$(date -u +%Y%m%dT%H%M%SZ)}"; STACK='$(STACK)' images/backup save $(call path,TO)
restore:  ## Restore a backup; it replaces all present data
	@: "$${FROM:?name the folder of a backup: make restore FROM=backups/…}"; STACK='$(STACK)' images/backup restore $(call path,FROM)
	@$(MAKE) --no-print-directory up

.images.env:
	@echo 'no images yet: `make images` builds them, `make closed-network-images` where no registry is in reach'; exit 1

# ---------------------------------------------------------------- the chart
HELM  := .tools/bin/helm
CHART := helm/foundry
$(HELM): helm/version
	$(call go_tool,helm.sh/helm/v4/cmd/helm,some three minutes)

.PHONY: chart
chart: $(HELM)  ## Lint the chart with every file of values, render it, and pack it into dist/
	@for values in $(CHART)/values*.yaml $(CHART)/ci/*.yaml; do \
	  $(HELM) lint --strict --quiet $(CHART) --values "$$values" && \
	  $(HELM) template foundry $(CHART) --namespace foundry --values "$$values" >/dev/null || { echo "$$values does not render"; exit 1; }; \
	done
	@$(HELM) package $(CHART) --destination dist

# ---------------------------------------------------------------- checks
# Tests of one module run in one process; at most four processes share the modules, fast ones first (tests/conftest.py).
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder --quiet

.PHONY: test test-fast test-tools test-deep test-containers
test: .venv/dev.stamp test-tools  ## All tests that need neither Docker nor TensorFlow: about eight minutes on two cores
	@$(BIN)/pytest $(SIDE_BY_SIDE) -m 'not containers and not stack and not deep'
test-fast: .venv/dev.stamp test-tools  ## The same tests without the slow ones: about 80 seconds on two cores
	@$(BIN)/pytest $(SIDE_BY_SIDE) -m 'not containers and not stack and not deep and not slow' --durations 5 --durations-min 5
test-tools:
	@if command -v go >/dev/null; then $(MAKE) --silent .tools/bin/versitygw $(HELM); \
	  else echo 'no Go here to compile the S3 server and Helm with: the tests of the S3 store and of the chart will be skipped'; fi
test-deep: .venv/dev-deep.stamp  ## The tests of the deep models on TensorFlow, and of their layers on JAX
	@$(BIN)/pytest -m 'deep and not containers and not stack'
	@KERAS_BACKEND=jax $(BIN)/pytest tests/unit/models/deep/layers
test-containers: .venv/dev.stamp  ## The tests of the images and of the stack that `make up` started
	@$(BIN)/pytest -m 'containers or stack'

.PHONY: check
check: format-check lint types imports lock-check test  ## All checks of the code that CI runs

.PHONY: format format-check lint types imports lock-check
format: .venv/dev.stamp  ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .
format-check: .venv/dev.stamp
	@$(BIN)/ruff format --check .
lint: .venv/dev.stamp
	@$(BIN)/ruff check .
types: .venv/dev.stamp
	@$(BIN)/mypy
	@for image in $(sort $(dir $(wildcard images/*/*.py))); do \
	  MYPYPATH=$$image $(BIN)/mypy "$$image" || { echo "in $$image"; exit 1; }; \
	done
imports: .venv/dev.stamp
	@$(BIN)/lint-imports
lock-check: | $(UV)
	@cp -r requirements .tools/requirements-before
	@$(MAKE) --no-print-directory lock
	@diff -r .tools/requirements-before requirements && rm -r .tools/requirements-before \
	  || { rm -rf .tools/requirements-before; echo 'the locks are not current: commit what `make lock` made'; exit 1; }

# make bench MARKET_DATA=folder ONLY="features validation"
TAKES.bench := MARKET_DATA ONLY
TAKES.bench-check := $(TAKES.bench)
MARKET_DATA ?= ../shared/data
BENCH = set -f; $(BIN)/python -m benchmarks $(call path,MARKET_DATA) .venv-peers/bin/python $${ONLY:+--only $$ONLY}
.PHONY: bench bench-check
bench: .venv/dev.stamp .venv-peers/peers.stamp  ## Measure Foundry and its peers; write benchmarks/results and docs/benchmarks.md
	@$(BENCH)
bench-check: .venv/dev.stamp .venv-peers/peers.stamp  ## Repeat the quick measurements; fails if a ratio has fallen
	@$(BENCH) --check

.PHONY: docs
docs: .venv/dev.stamp .venv-docs/docs.stamp  ## Write the generated parts of docs/, and build the site of all pages into .site/html
	@$(BIN)/python -c 'from foundry_tasks.features import feature_table_markdown as table; print("# Features\n\n" + table(), end="")' \
	  > docs/features.md
	@$(BIN)/python -c 'from benchmarks.record import benchmarks_markdown as page; print(page(), end="")' > docs/benchmarks.md
	@$(BIN)/python -c 'from benchmarks.growth_page import write_page; write_page()'
	@.venv-docs/bin/python docs/site/build.py

.PHONY: changelog
# The report of a run says whether its code is a release: whether its sources have the hash in foundry_tasks/RELEASE.
changelog: .venv-docs/docs.stamp .venv/dev.stamp  ## Move the notes of changelog.d/ into CHANGELOG.md, and mark the sources as a release
	@.venv-docs/bin/towncrier build --yes --version $(VERSION)
	@$(BIN)/python -c 'from foundry_tasks.runtime import runner; print(runner.sources_digest(runner.PACKAGE))' >foundry_tasks/RELEASE

# ---------------------------------------------------------------- locks
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
           --no-annotate --custom-compile-command 'make lock'
# 469 MB. XGBoost requires it on every Linux, but uses it with several GPUs only.
WITHOUT_CUDA := --no-emit-package nvidia-nccl-cu12

.PHONY: lock
lock: | $(UV)  ## Resolve pyproject.toml's groups into requirements/*.txt
	@$(COMPILE) $(foreach group,$(GROUPS_LOCKED),--group pyproject.toml:$(group)) -o requirements/all.txt
	@for group in $(GROUPS_LOCKED); do \
	  $(COMPILE) $$(test $$group = cuda || echo $(WITHOUT_CUDA)) \
	    --constraint requirements/all.txt --group pyproject.toml:$$group -o requirements/$$group.txt; done
	@for group in peers docs; do $(COMPILE) --group pyproject.toml:$$group -o requirements/$$group.txt; done

# ---------------------------------------------------------------- variables on the command line
# Variables of make's command line reach the recipes by the environment only, with the typed text: make would expand `$`.
# Known variables: those of TAKES.<command>, of a makefile, of docker-compose.yaml, and settings. Others are refused.
TYPED    := $(strip $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name))))
GIVEN    := PYTHON DOCKER_SOCKET $(sort $(foreach taken,$(filter TAKES.%,$(.VARIABLES)),$($(taken))))
SETTINGS := FOUNDRY_% AIRFLOW__% TESTS_%
ifneq ($(TYPED),)
IN_COMPOSE := $(shell grep -oE '\$$\{[A-Z0-9_]+' docker-compose.yaml | tr -d '$${')
READ     = $(GIVEN) $(IN_COMPOSE) $(shell sed -nE 's/^(export )?([A-Z][A-Z0-9_]*) *[:?]?=.*/\2/p' $(MAKEFILE_LIST))
UNKNOWN := $(filter-out $(GIVEN) $(SETTINGS),$(TYPED))
UNKNOWN := $(if $(UNKNOWN),$(firstword $(filter-out $(READ),$(UNKNOWN))))
NEAREST  = $(shell python3 -c 'import difflib, sys; \
             near = difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], 1); print(f": did you mean {near[0]}?" if near else ".")' \
             '$(subst ','\'',$(UNKNOWN))' $(READ))
ifneq ($(UNKNOWN),)
$(error unknown variable $(UNKNOWN)$(NEAREST) Known: $(sort $(GIVEN)). Any other key of a run goes into SET="key=value", \
  a variable of the environment before `make`)
endif

# A command refuses variables that only other commands read. All commands take PYTHON and variables of the makefiles. A make
# that a recipe starts does not check, since it inherits the variables of another command.
ON_SETTINGS := demo report ui audit bench bench-check
ON_TESTS    := test test-fast test-deep test-containers check
COMMANDS    := $(shell sed -nE 's/^([a-z][a-z-]*):.*/\1/p' $(MAKEFILE_LIST)) $(addprefix image-,$(IMAGES) stage-cuda postgres)
takes        = PYTHON $(foreach taken,$(filter TAKES.$(1),$(.VARIABLES)),$($(taken))) \
               $(if $(filter $(ON_THE_STACK),$(1)),DOCKER_SOCKET DEBIAN_MIRROR $(IN_COMPOSE)) \
               $(if $(filter $(ON_SETTINGS) $(ON_TESTS),$(1)),FOUNDRY_% AIRFLOW__%) $(if $(filter $(ON_TESTS),$(1)),TESTS_%)
GOALS       := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
MISPLACED   := $(firstword $(filter-out $(foreach goal,$(GOALS),$(call takes,$(goal))),\
                 $(filter $(GIVEN) $(IN_COMPOSE) $(SETTINGS),$(TYPED))))
TAKERS       = $(foreach command,$(COMMANDS),$(if $(filter $(call takes,$(command)),$(MISPLACED)),$(command)))
ifeq ($(MAKELEVEL) $(filter-out $(COMMANDS),$(GOALS)),0 )
ifneq ($(MISPLACED),)
$(error make $(GOALS) takes no $(MISPLACED). It is for $(subst ` `,`$(comma) `,$(patsubst %,`make %`,$(wordlist 1,4,$(TAKERS)))))
endif
endif
endif

$(foreach name,$(TYPED),$(eval override export $(name) := $$(value $(name))))
export $(GIVEN)
