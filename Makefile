# Spark Studio. `make run` starts it, `make test` proves it, `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
# A laptop without an NVIDIA GPU can name PyTorch's CPU index here and save several GB.
TORCH_INDEX_URL ?=
# More words for the command that a target ends in, for example ARGS="-k queue" with `make test`.
ARGS ?=

BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install --disable-pip-version-check --no-input \
      --constraint constraints.txt $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL))
SOURCES = $(wildcard app.py backend ui tests benchmarks tools)

.DEFAULT_GOAL := help
.PHONY: run install install-dev test check format bench lock clean help

run: install  ## Start the studio at http://127.0.0.1:7860
	@exec $(BIN)/python app.py serve $(ARGS)

install: $(VENV)/.installed  ## Create the environment and install what running needs

install-dev: $(VENV)/.installed-dev  ## The same with what tests and checks need

$(BIN)/python:
	@for candidate in "$(PYTHON)" python3.12 python3.11 python3.10; do \
	    if "$$candidate" -c 'import sys, ensurepip, venv; \
	            sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then \
	        echo "Creating $(VENV) with $$("$$candidate" --version)"; \
	        exec "$$candidate" -m venv "$(VENV)"; \
	    fi; \
	done; \
	echo 'Spark Studio needs Python 3.10, 3.11 or 3.12 with its venv module, and found none.' >&2; \
	echo 'Install one (Debian, Ubuntu: apt-get install python3 python3-venv),' >&2; \
	echo 'or name it: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.12' >&2; \
	exit 1

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $(VENV)/.installed $@

test: install-dev  ## Run every check and every test
	@sh tests/install_programs.sh $(BIN)/python
	@$(MAKE) --no-print-directory check
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest $(ARGS)

check: install-dev  ## Lint, formatting, types, container files
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/hadolint Dockerfile

format: install-dev  ## Rewrite the sources as the formatter and the safe lint fixes want them
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: install-dev  ## Measure; every figure is a ratio within one run
	$(BIN)/python -m benchmarks $(ARGS)

lock: $(BIN)/python  ## Resolve constraints.txt anew for every supported Python
	$(BIN)/python -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	{ grep '^#' constraints.txt; \
	  build/lock/bin/uv pip compile pyproject.toml --universal --python-version 3.10 --upgrade \
	      --extra dev --extra datasets --no-header --no-annotate --quiet \
	  | grep -Ev '^(cuda-|triton=|nvidia-(cu|nccl|nv))'; } > build/constraints.txt
	mv build/constraints.txt constraints.txt

clean:  ## Remove the environment, caches and build leftovers
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14
