# Everything runs in .venv; PYTHON picks the interpreter that makes it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.DEFAULT_GOAL := help

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY)  ## the whole trip on a sample dataset: prepare, copy, seal, verify, import, compare
	$(BIN)/python -m tests.demo

test: $(READY)  ## the tests
	$(BIN)/python -m tests.tools
	$(BIN)/pytest -n 2 --dist loadgroup

lint: $(READY)  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## everything that CI runs

format: $(READY)  ## put the code in its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(READY)  ## write the golden devices and schemas of manifests/ anew, byte for byte
	$(BIN)/python -m tests.golden.make

.PHONY: help demo test lint check format golden
