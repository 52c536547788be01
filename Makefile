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
COMPILED := build/.is-compiled
# Most tests with servers wait: two processes share the files, those of the longest first (tests/conftest.py).
TWO := --numprocesses 2 --dist loadfile --no-loadscope-reorder
FOLDS := tests/streams tests/scenarios tests/agents/test_host.py tests/agents/test_checkpoint.py

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
	@if [ -n "$(ARGS)" ]; then $(BIN)/pytest $(TWO) $(ARGS); exit; fi; \
	$(BIN)/pytest $(TWO) -m "not soak and not alone" && $(BIN)/pytest -m "alone and not soak"

# `make test` tests the modules as they are: compiled or not, never out of date (tests/conftest.py).
.PHONY: test-compiled
test-compiled: setup compile ## Compile, and run the tests of the folds with compiled modules
	@$(BIN)/pytest $(TWO) $(FOLDS)

.PHONY: check
check: $(DEV) ## Check style, types and the direction of imports
	@$(BIN)/ruff check --quiet $(SOURCES) setup.py
	@$(BIN)/ruff format --quiet --check $(SOURCES) setup.py
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports

.PHONY: bench
bench: setup compile ## Measure throughput beside other engines, latency, cost and restart; ARGS=--quick for a short look
	@$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: compile
compile: $(COMPILED) ## Compile the hot modules of streams/ with mypyc: about a quarter less CPU

.PHONY: pure
pure: ## Take `make compile` back: the same modules in plain Python
	@rm -f streams/*.so streams/journeys/*.so $(COMPILED)

.PHONY: soak
soak: setup ## Run the long fault and endurance tests
	@$(BIN)/pytest -m soak --timeout 3600 $(ARGS)

.PHONY: kafka
kafka: $(RUNTIME) servers ## Run Apache Kafka on this machine until Ctrl-C, without Docker
	@$(BIN)/python -m tests.system.local_kafka $(ARGS)

# Whoever may enter the folder may read them: containers run as users of their own, and are handed single files.
SECRETS ?= secrets
.PHONY: secrets
secrets: ## Make the secrets that docker-compose.yml hands out, where there are none yet
	@mkdir -p -m 700 "$(SECRETS)"; chmod 700 "$(SECRETS)"
	@set -eu; cd "$(SECRETS)"; for name in redis-password pseudonym-key tenant-keys grafana-password; do \
	  test -s $$name || head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > $$name; \
	done; \
	for name in slack-url pagerduty-key; do test -e $$name || : > $$name; done; \
	chmod 444 *

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
	@rm -f streams/*.so streams/journeys/*.so
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up -----------------------------------------------------------------------------------------------------------
# Written for the make of 2006 that macOS still has: no .ONESHELL.

# Installs Debian packages when it may, and says how when it may not: $(call install,packages)
# Their services stay down, now and after a restart of the machine: tests run servers of their own.
install = if ! command -v apt-get > /dev/null; then \
	    echo "missing on this machine:" $(1) "(as Debian names them)" >&2; exit 1; \
	  elif [ "$$(id -u)" != 0 ]; then \
	    echo "missing on this machine; install, then try again:  sudo apt-get update && sudo apt-get install -y" $(1) >&2; exit 1; \
	  else \
	    echo "installing" $(1); \
	    apt-get update -qq > /dev/null; \
	    if [ ! -e /usr/sbin/policy-rc.d ]; then \
	      trap 'rm -f /usr/sbin/policy-rc.d' EXIT; \
	      printf '\#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; \
	    fi; \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) > /dev/null; \
	    for service in $(1); do \
	      test ! -e /lib/systemd/system/$$service.service || systemctl --quiet disable $$service 2> /dev/null || true; \
	    done; \
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

# A compiler, and the headers of this Python: one that is not Debian's brings its own. The results bear the time at which
# compiling began: what is changed meanwhile counts as changed later.
ifeq ($(wildcard streams/*.so),)
.PHONY: $(COMPILED)
endif
$(COMPILED): setup.py pyproject.toml requirements-dev.lock $(wildcard schemas/*.py streams/*.py streams/journeys/*.py) | $(DEV)
	@set -eu; missing=""; \
	command -v "$${CC:-gcc}" > /dev/null || missing="$$missing gcc libc6-dev"; \
	headers="$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')"; \
	test -f "$$headers/Python.h" || missing="$$missing $$(basename "$$headers")-dev"; \
	if [ -n "$$missing" ]; then $(call install,$$missing); fi
	@echo "compiling the hot modules of streams/: a minute or two"
	@rm -rf build streams/*.so streams/journeys/*.so
	@mkdir build
	@touch build/.began
	@set -o pipefail; QUEUELIGHT_COMPILE=1 $(BIN)/python setup.py --quiet build_ext --inplace 2>&1 | sed '/: warning: /d'
	@touch -r build/.began streams/*.so streams/journeys/*.so $@

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
	command -v prometheus > /dev/null || missing="$$missing prometheus"; \
	command -v prometheus-alertmanager > /dev/null || missing="$$missing prometheus-alertmanager"; \
	command -v openssl > /dev/null || missing="$$missing openssl"; \
	command -v wget > /dev/null || missing="$$missing wget"; \
	command -v chromium > /dev/null || missing="$$missing chromium"; \
	fc-list :lang=ja 2> /dev/null | grep -q . || missing="$$missing fontconfig fonts-noto-cjk"; \
	if [ -n "$$missing" ]; then $(call install,$$missing); fi; \
	$(BIN)/python -c 'from tests.system.local_kafka import jars; jars()'; \
	$(BIN)/python -m tests.system.prometheus_programs
