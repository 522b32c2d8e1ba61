# Needs Python 3.11 or newer (with venv), git and make; everything else comes hash-checked into .venv.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# 3.12 and 3.11 first: for these there is a Redis on PyPI, should the machine have none.
PYTHON ?= $(shell for python in python3.12 python3.11 python3.13 python3 python3.14; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
PYTEST_FLAGS ?=
# Each process has servers of its own. 0: all in this one, as a debugger wants it.
TEST_PROCESSES ?= 3

.PHONY: setup run test check transcripts decisions chaos bench lock screenshot clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(STAMP): constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Tick needs Python 3.11 or newer, and found none on the PATH (on Debian: apt-get install python3 python3-venv)." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what Tick needs into $(VENV); the first time takes a minute or two."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup  ## the whole program with a stand-in for Meta, in a browser
	@$(BIN)/tick demo

test: setup
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) $(PYTEST_FLAGS)

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

transcripts: setup  ## the transcripts and the charts anew, after a change of what the bot says; then look at git diff
	@$(BIN)/python -m tests.flows.write_transcripts

decisions: setup  ## what each answer and status of Meta's means for a row, after a change that is meant; then look at git diff
	@$(BIN)/python -m tests.bot.delivery.test_decisions

chaos: setup  ## the kill tests for some ten minutes each, workers that stand still, Redis away; CHAOS_SEED=7 for other dice
	@CHAOS_KILLS=$${CHAOS_KILLS:-500} CHAOS_FREEZES=$${CHAOS_FREEZES:-10} CHAOS_SILENCES=$${CHAOS_SILENCES:-5} \
		CHAOS_STILL_SECONDS=$${CHAOS_STILL_SECONDS:-15} $(BIN)/python -m pytest -s tests/system/chaos/test_kill.py \
		tests/system/chaos/test_stillness.py tests/system/chaos/test_redis_away.py

bench: setup  ## how fast it is here, against a bare loop
	@$(BIN)/tick bench

lock:  ## constraints.txt after a change of the dependencies in pyproject.toml; needs uv
	@.ci/lock

screenshot: setup  ## docs/simulator.png anew, after a change of the simulator's page; needs chromium
	@$(BIN)/python -m tests.system.browser.screenshot

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
