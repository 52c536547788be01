# Everything one does with this project. `make` alone lists it.
#
# Each target does its own set-up, once: the virtual environment and its packages are renewed when a lock file changes.

SHELL := bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.is-made
RUNTIME := $(VENV)/.runtime-is-installed
DEV := $(VENV)/.dev-is-installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
SOURCES := schemas streams agents dashboards tests

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  ARGS=... is handed on:  make demo ARGS='--seconds 30 --lang ja'   make test ARGS=tests/streams"

.PHONY: setup
setup: $(DEV) servers ## Install everything that tests and benchmarks need

.PHONY: demo
demo: $(RUNTIME) ## Show a living contact centre in this terminal: needs only Python 3.11 or newer
	@$(BIN)/queuelight demo $(ARGS)

.PHONY: test
test: setup ## Run all tests, with a real Kafka and Redis
	@$(BIN)/pytest $(ARGS)

.PHONY: check
check: $(DEV) ## Check style, types and the direction of imports
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --quiet --check $(SOURCES)
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports

.PHONY: bench
bench: setup ## Measure throughput beside other engines, latency, cost and restart; ARGS=--quick for a short look
	@$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: soak
soak: setup ## Run the long fault and endurance tests
	@$(BIN)/pytest -m soak --timeout 3600 $(ARGS)

.PHONY: kafka
kafka: $(RUNTIME) servers ## Run Apache Kafka on this machine until Ctrl-C, without Docker
	@$(BIN)/python -m tests.system.local_kafka $(ARGS)

COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/python -m piptools compile --quiet --strip-extras \
	--generate-hashes --allow-unsafe --build-deps-for editable \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

.PHONY: lock
lock: $(DEV) ## Renew the lock files after a change of pyproject.toml; ARGS=--upgrade takes new versions
	@$(COMPILE) $(ARGS) --output-file requirements.lock pyproject.toml
	@$(COMPILE) $(ARGS) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

.PHONY: clean
clean: ## Remove everything that was made here
	@rm -rf $(VENV) .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up -----------------------------------------------------------------------------------------------------------
# Written for the make of 2006 that macOS still has: no .ONESHELL.

# Installs Debian packages when it may, and says how when it may not: $(call install,packages)
install = if ! command -v apt-get > /dev/null; then \
	    echo "missing on this machine:" $(1) "(as Debian names them)" >&2; exit 1; \
	  elif [ "$$(id -u)" != 0 ]; then \
	    echo "missing on this machine; install, then try again:  sudo apt-get update && sudo apt-get install -y" $(1) >&2; exit 1; \
	  else \
	    echo "installing" $(1); \
	    apt-get update -qq > /dev/null; \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) > /dev/null; \
	  fi

$(MADE):
	@set -eu; \
	if ! command -v "$(PYTHON)" > /dev/null; then \
	  echo "$(PYTHON) was not found: expected Python 3.11 or newer; name yours with  make PYTHON=..." >&2; exit 1; \
	fi; \
	if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  echo "$(PYTHON) is $$("$(PYTHON)" --version): expected 3.11 or newer; name yours with  make PYTHON=..." >&2; exit 1; \
	fi; \
	if $(BIN)/python -m pip --version > /dev/null 2>&1; then touch $@; exit 0; fi; \
	if ! "$(PYTHON)" -c 'import ensurepip, venv' 2> /dev/null; then \
	  package="$$("$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
	  $(call install,$$package); \
	fi; \
	echo "making the virtual environment $(VENV)"; \
	"$(PYTHON)" -m venv --clear $(VENV); \
	touch $@

$(RUNTIME): requirements.lock pyproject.toml | $(MADE)
	@echo "installing the packages of requirements.lock"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock requirements.lock pyproject.toml | $(MADE)
	@echo "installing the packages of requirements-dev.lock"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(RUNTIME)

# Kafka 4 needs Java 17; a Debian that no longer has that one has a newer default.
.PHONY: servers
servers: $(RUNTIME)
	@set -eu; missing=""; \
	java=openjdk-17-jre-headless; \
	apt-cache show $$java > /dev/null 2>&1 || java=default-jre-headless; \
	have="$$(java -version 2>&1 | awk -F '[".]' '/version/ { print $$2; exit }')"; \
	[ "$${have:-0}" -ge 17 ] 2> /dev/null || missing="$$missing $$java"; \
	command -v mvn > /dev/null || missing="$$missing maven"; \
	command -v redis-server > /dev/null || missing="$$missing redis-server"; \
	if [ -n "$$missing" ]; then $(call install,$$missing); fi; \
	$(BIN)/python -c 'from tests.system.local_kafka import jars; jars()'
