# Two commands: `make run` and `make test`. Both make the environment in .venv first, through constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
SPEC ?= specs/digits.yaml

.PHONY: run test lint check environment schema bench bench-gpu peers clean help

run: environment  ## run SPEC (specs/digits.yaml unless told otherwise)
	$(BIN)/nnpipe run $(SPEC)

test: lint check  ## linter, type checker, import contracts and tests

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: environment  ## tests, a file at a time on each core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

environment: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "nnpipe needs Python 3.11 or later; found $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

schema: environment  ## write the JSON Schema that editors use
	$(BIN)/nnpipe schema > docs/spec.schema.json

bench: environment  ## measure speed beside others; writes docs/performance.md (BENCH="--only rbm" for one)
	$(BIN)/python -m benchmarks $(BENCH)

bench-gpu: environment  ## the same, of what needs a GPU
	$(BIN)/python -m benchmarks --gpu $(BENCH)

peers: environment  ## install whom `make bench` measures beside nnpipe
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'

clean:  ## remove the environment and caches, not the artifacts
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'
