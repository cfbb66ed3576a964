# make demo    train a small model in ten minutes, from nothing, and write its report
# make test    the tests, but for the slow ones: whole runs, kills, a vLLM server, thousands of hostile inputs
# make test-slow  those; ARGS="-m rebuild" instead makes again what the repository keeps of the demo (minutes)
# make bench   all benchmarks: one JSON object a measure, kept in runs/bench.json
# make faults  500 faults in a run that goes on, and an audit after each run; infra/docs/faults.md (needs KAFKA_HOME)
# make gpu-check  ten minutes on a machine with a GPU: steps against the CPU, utilisation, vLLM in the loop; a table
# ARGS passes options on: make demo ARGS="--seed 1", make test ARGS="tests/unit -k settings"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
ARGS ?=

.PHONY: demo test test-slow bench faults gpu-check lint clean compose-demo

demo: $(INSTALLED)
	@$(BIN)/rewardstream demo $(ARGS)

test: $(INSTALLED)
	@$(BIN)/pytest -m "not slow" $(ARGS)

test-slow: $(INSTALLED)
	@$(BIN)/pytest -m "slow and not rebuild" $(ARGS)

bench: $(INSTALLED)
	@$(BIN)/python tests/bench/run.py $(ARGS)

faults: $(INSTALLED)
	@PYTHONPATH=.:tests $(BIN)/python -m faults.matrix $(ARGS)

gpu-check: $(INSTALLED)
	@PYTHONPATH=tests $(BIN)/python -m bench.gpu_check

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

compose-demo:
	@$(PYTHON) -m infra.compose.demo $(ARGS)

# Runs stay: they are the user's results.
clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made once; again only where what is installed has changed.
$(INSTALLED): pyproject.toml infra/requirements/lock.txt infra/install.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Rewardstream needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1). Install one and name it: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) infra/install.py
