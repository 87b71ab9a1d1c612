# Everything runs in .venv; PYTHON picks the interpreter that makes it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready-dev
DEMO := .venv/ready-demo
BENCH := .venv/ready-bench

.DEFAULT_GOAL := help

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(READY): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(DEMO): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(BENCH): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

demo: $(DEMO)  ## the whole trip on a sample dataset: prepare, copy, seal, verify, carry, import, compare
	$(BIN)/transfer demo

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

bench: $(BENCH)  ## side by side with cp, rsync, rclone, tar, restic, bagit, b3sum and s5cmd; writes docs/performance.md
	$(BIN)/python -m tests.benchmarks.bench --full --publish

bench-quick: $(BENCH)  ## the same with small datasets and few rounds, into build/
	$(BIN)/python -m tests.benchmarks.bench --scale 0.05 --rounds 2

scale: $(BENCH)  ## long measurements, run by hand: a million files, growth, the ledger
	$(BIN)/python -m tests.benchmarks.bench --only memory,growth-files,growth-bytes
	$(BIN)/python -m tests.benchmarks.ledger
	$(BIN)/python -m tests.benchmarks.ledger_share

fuzz: $(READY)  ## hostile devices: every parser, some minutes; SECONDS=3600 for as long on each, SEED=1 again
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),20) $(if $(SEED),--seed $(SEED))

golden: $(READY)  ## write the golden devices and schemas of manifests/ anew, byte for byte
	$(BIN)/python -m tests.golden.make

.PHONY: help demo test lint check format bench bench-quick scale fuzz golden
