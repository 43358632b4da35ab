# Works with git, make and Python 3.11 or newer alone; uses uv when it is there, because it is faster.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
WORKERS ?= 2
ARGS ?=

BIN := .venv/bin
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)

ifdef UV
install = test -x $(BIN)/python || uv venv --quiet .venv; uv pip install --quiet --python $(BIN)/python --editable
else
install = test -x $(BIN)/python || $(PYTHON) -m venv .venv; $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable
endif

RUN := .venv/.installed-run
LIVE := .venv/.installed-serve
DEV := .venv/.installed-dev

.PHONY: help simulate fit targeting serve test check format bench soak docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(RUN): pyproject.toml
	@echo "Setting up .venv (once; a few minutes on a slow line)"
	@$(install) '.[journey,fidelity]'
	@touch $@

$(LIVE): pyproject.toml
	@echo "Setting up .venv with the live engine (once; a few minutes on a slow line)"
	@$(install) '.[journey,serve,postgres]'
	@touch $@

$(DEV): pyproject.toml
	@echo "Setting up .venv with the development tools (once; a few minutes on a slow line)"
	@$(install) '.[journey,fidelity,serve,dev]'
	@touch $@ $(RUN) $(LIVE)

simulate: $(RUN) ## rehearse policies on the default world; ARGS="--help" shows the options
	$(BIN)/regulars simulate $(ARGS)

fit: $(RUN) ## fit a population to real purchases; ARGS="--help" shows the options
	$(BIN)/regulars fit $(ARGS)

targeting: $(RUN) ## what predicts customers, and what their baskets give away
	$(BIN)/regulars targeting $(ARGS)

serve: $(LIVE) ## the live engine with a demo shop on this machine; ARGS="--help" shows the options
	$(BIN)/regulars serve --demo $(ARGS)

test: $(DEV) ## run every test; WORKERS=2, ARGS go to pytest
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: $(DEV) ## format, lint, types, layers and the fast tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" $(ARGS)

format: $(DEV) ## format the code and mend what can be mended
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(DEV) ## run every benchmark, one after the other
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script $(ARGS); done

soak: $(DEV) ## run every test with thousands of examples for each property; takes hours
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -n $(WORKERS) --timeout=0 $(ARGS)

docs: $(DEV) ## build the pages into site/
	$(BIN)/mkdocs build --strict

clean: ## remove what was built; keeps runs/ and .venv
	rm -rf build dist site .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache $(RUN) $(LIVE) $(DEV)
	find src tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
