# Needs make and Python 3.11 or newer, nothing else: every target sets up .venv by itself.

PYTHON ?= python3
# More arguments for pytest: make test PYTEST_ARGS="-k floors"
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools
# One thread per worker: two workers with all threads each are slower than one.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow reliability fuzz mutants coverage lint docs cora movielens clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## Attack two small built-in graphs, about a minute, pages in demo/
	$(BIN)/graphpoison demo --out demo
	$(BIN)/graphpoison demo --dataset synthetic-citation --out demo

test: $(READY) ## Run the tests, without the slow ones
	$(PYTEST) $(PYTEST_ARGS)

test-slow: $(READY) ## Run only the slow tests
	$(PYTEST) -m slow $(PYTEST_ARGS)

# With the figures of make mutants and make coverage, which take longer, where they are there.
reliability: $(READY) ## Write docs/reliability.md: hostile input, kills, damage
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python tests/reliability.py

fuzz: $(TOOLS) ## Fuzz everything that reads text or files, a minute each
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz.py

mutants: $(TOOLS) ## Change an expression at a time: does a test fail?
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants.py

coverage: $(READY) ## Run the tests with line and branch coverage
	$(PYTEST) --cov --cov-report=json:out/coverage.json --cov-report=term:skip-covered $(PYTEST_ARGS)

lint: $(READY) ## Check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Warnings are errors, broken references too; the notebooks run.
docs: $(READY) ## Build the pages in site/html
	$(BIN)/sphinx-build -M html docs site -W -n --keep-going

cora: $(READY) ## Attack a GCN on Cora
	$(BIN)/python examples/cora_metattack.py

movielens: $(READY) ## Attack a recommender on MovieLens-100K
	$(BIN)/python examples/movielens_meta_attack.py

clean: ## Remove caches and results; .venv stays
	rm -rf build dist demo out results site .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

# The constraints hold for the isolated build environment too: pip 25.3 and newer read
# PIP_BUILD_CONSTRAINT for it, older ones PIP_CONSTRAINT.
$(READY): pyproject.toml constraints.txt setup.py graphpoison/training/tower.cpp graphpoison/training/tower.h
	@test -x $(BIN)/python || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "graphpoison needs Python 3.11 or newer and '$(PYTHON)' is not;" \
	      "name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
	  $(PYTHON) -m venv $(VENV); }
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	  $(BIN)/python -m pip install -c constraints.txt -e ".[dev,docs]"
	@touch $@

$(TOOLS): $(READY)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install -c constraints.txt -e ".[reliability]"
	@touch $@
