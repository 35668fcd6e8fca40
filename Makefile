# Every target sets up what it needs: Python >= 3.11, make and npm are all a fresh machine must have.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test lint types contracts generate bench e2e nightly docs lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Cadre needs Python >= 3.11; set PYTHON=python3.x"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip --quiet --disable-pip-version-check install uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

venv: $(STAMP)

lock:  ## resolve pyproject.toml into requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras --group dev --no-emit-index-url --no-header pyproject.toml -o requirements.lock
