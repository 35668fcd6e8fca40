# Every target sets up what it needs: Python >= 3.11, make and npm are all a fresh machine must have.
PYTHON ?= python3
# in the order of testpaths, which ends with the short ones: files of a folder share servers
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help venv demo test lint types contracts generate bench bench-engine bench-guard bench-leaks bench-scale bench-kind fuzz schemathesis goose-tasks checkpointer-conformance torture e2e e2e-kind nightly docs lock clean
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

demo: $(STAMP)  ## the main job on this machine: an org chart becomes agents that work together under policy
	@$(BIN)/python -m cadre_local.demo

test: $(STAMP)  ## unit, contract and integration tests on real parts, with coverage bars
	@$(BIN)/python -m tests.support.preflight
	@rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest $(PYTEST_ARGS)
	@$(BIN)/python -m tests.support.coverage_bars

lint: $(STAMP)  ## style, formatting, layer contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)  ## mypy strict
	$(BIN)/mypy

contracts: $(STAMP)  ## only the layer contracts
	$(BIN)/lint-imports

generate: $(STAMP)  ## everything generated and committed: CRDs, golden files, OpenAPI
	$(BIN)/python -m cadre_api.crdgen crds
	$(BIN)/python -m charts.generate
	$(BIN)/python -m cadre_controller.apidocs docs/openapi

bench-guard: $(STAMP)  ## detection: recall, precision and speed against stock presidio on unseen texts
	@$(BIN)/python -m tests.bench.detection

bench-leaks: $(STAMP)  ## the running guard under pii-leak-benchmark: no value leaves, every value comes back (3 minutes)
	@$(BIN)/python -m tests.bench.leaks

bench-scale: $(STAMP)  ## the operator with 1,000 agents on a real API server, against a loop of applies; SCALE_AGENTS=100 for less
	@$(BIN)/python -m tests.bench scale

bench: $(STAMP)  ## benchmarks: absolutes, and ratios to a ceiling measured in the same run
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.engine

bench-engine: $(STAMP)  ## the work engine against pgbench, one transaction per request and its rivals
	@$(BIN)/python -m tests.bench.engine

fuzz: $(STAMP)  ## fuzz what reads strangers' bytes: streams, JSON, detection, restoring (60 s)
	@$(BIN)/python -m tests.fuzz

goose-tasks: $(STAMP)  ## tasks with tools through real goose, masked and not: the same comes out
	GOOSE_TASKS=all $(BIN)/python -m pytest -n 0 tests/integration/guard/test_goose_tasks.py

checkpointer-conformance: $(STAMP)  ## the LangGraph checkpointer under LangGraph's own suite
	@$(BIN)/python -m tests.conformance

schemathesis: $(STAMP)  ## schemathesis over both OpenAPI documents, against a running controller: no 5xx (3 minutes)
	@$(BIN)/python -m tests.openapi

torture: $(STAMP)  ## everything killed at random while it works; KILLS=25 SEED=7 to choose
	@$(BIN)/python -m tests.torture --kills $(or $(KILLS),25) $(if $(SEED),--seed $(SEED))

docs: $(STAMP)  ## check links and generated references
	$(BIN)/python -m tests.support.doclinks

nightly: test bench  ## the long run: everything CI's time does not allow
	$(MAKE) e2e-kind
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest tests/unit
	$(BIN)/python -m tests.fuzz --seconds 600
	API_WALK_ROUNDS=40 API_WALK_SEED=$$(date +%s) $(BIN)/python -m pytest -n 0 tests/integration/controller/test_api_walk.py
	$(MAKE) goose-tasks
	$(MAKE) checkpointer-conformance
	$(MAKE) schemathesis
	$(MAKE) torture KILLS=$(or $(TORTURE_KILLS),100)

e2e: $(STAMP)  ## the examples on this machine, then images, chart, examples and attacks on a cluster (kind)
	@$(BIN)/python -m tests.e2e

e2e-kind: $(STAMP)  ## every test on a cluster, the long ones too; it must be had (root on Debian, or E2E_KUBECONFIG)
	@E2E_REQUIRED=1 $(BIN)/python -m tests.e2e --whole

bench-kind: $(STAMP)  ## on that cluster: an agent's pod beside a bare one, and waking from zero
	$(BIN)/python -m pytest -n 0 -s tests/e2e/kind/test_figures.py

clean:  ## forget caches and the virtual environment
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .coverage .coverage.*
