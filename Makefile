# Needs Python 3.11 or newer with its venv module; everything else is installed into $(VENV).

PYTHON ?= python3
VENV ?= .venv
# One pinned build for everybody, installed first, so that the package's range cannot make pip choose another.
# On Linux the default index serves the build with CUDA, several gigabytes; without a GPU give
# TORCH_FLAGS="--index-url https://download.pytorch.org/whl/cpu".
TORCH_VERSION ?= 2.13.0
TORCH_FLAGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TORCH := $(VENV)/torch-$(TORCH_VERSION).stamp
PACKAGE := $(VENV)/package.stamp
TOOLS := $(VENV)/tools.stamp

.DEFAULT_GOAL := help
.PHONY: demo test soak clean help

demo: $(PACKAGE)  ## restyle a short clip into ./out, with a side-by-side
	$(BIN)/sidestream demo --output-dir out

test soak: export HF_HUB_OFFLINE := 1

test: $(TOOLS)  ## what CI runs: format, lint, types, import layers, tests with coverage
	scripts/browser
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/pytest --cov -m "not gpu and not weights and not slow"

soak: $(TOOLS)  ## the tests that are too long for every change
	$(BIN)/pytest -m "slow and not gpu and not weights"

clean:  ## remove everything that make made, the environment included
	rm -rf "$(VENV)" out dist build htmlcov .coverage .pytest_cache .ruff_cache .hypothesis .import_linter_cache

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

$(TORCH):
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("sidestream needs Python 3.11 or newer, not %s: try make PYTHON=python3.11" % sys.version.split()[0])'
	$(PYTHON) -m venv "$(VENV)"
	$(PIP) install --upgrade "pip>=25.1"  # the first to read dependency groups
	$(PIP) install "torch==$(TORCH_VERSION)" $(TORCH_FLAGS)
	touch "$@"

$(PACKAGE): pyproject.toml $(TORCH)
	$(PIP) install "torch==$(TORCH_VERSION)" --editable ".[server]"
	touch "$@"

$(TOOLS): $(PACKAGE)
	$(PIP) install "torch==$(TORCH_VERSION)" --group dev
	touch "$@"
