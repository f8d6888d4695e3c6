# Everything installs into the checkout: `.venv` and `.ratchet`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# How many test files at once; each process has servers of its own, and takes up to 3 GB. More than cores are faster, as
# tests wait: 4 on two cores where there is room for them.
# Files go in their order, so that those of a folder that share a server mostly find it running.
ROOM := $(shell awk '/^MemAvailable/ {print int($$2 / 1048576)}' /proc/meminfo 2>/dev/null)
TEST_JOBS ?= $(shell test "$(ROOM)" -ge 15 2>/dev/null && echo 4 || echo 3)
# Tests write some 100,000 small files, 3 GB in all: into memory where there are 8 GB of it to spare, and kept there
# only of what failed.
SHM := $(shell df --output=avail --block-size=1G /dev/shm 2>/dev/null | tail -n 1)
TEST_TMP ?= $(shell test "$(SHM)" -ge 8 2>/dev/null && test -w /dev/shm && echo /dev/shm || echo "$${TMPDIR:-/tmp}")

# Compiled once and kept, the libraries import a third faster.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-slow test-faults check bench bench-growth screenshots docs clean lock
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/uv || $(PYTHON) -m venv --clear $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync --quiet requirements.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(STAMP)

demo: setup
	$(BIN)/ratchet demo

test: setup
	TMPDIR=$(TEST_TMP) $(BIN)/pytest -q -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder \
		-o tmp_path_retention_policy=failed -m "not slow and not faults"

test-slow: setup
	$(BIN)/pytest -q -m slow

test-faults: setup
	$(BIN)/pytest -q -m faults

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_house.py tests/docs

bench: setup
	for name in $(notdir $(basename $(wildcard benchmarks/bench_*.py))); do $(BIN)/python -m benchmarks.$$name || exit 1; done

bench-growth: setup
	$(BIN)/python -m benchmarks.growth

bench-%: setup
	$(BIN)/python -m benchmarks.bench_$(subst -,_,$*)

screenshots: setup
	RATCHET_SCREENSHOTS=1 $(BIN)/pytest -q -m slow tests/service/page
	RATCHET_SCREENSHOTS=1 $(BIN)/pytest -q tests/service/page/charts

docs: setup
	$(BIN)/python -m flows.reference > docs/configuration.md
	$(BIN)/ratchet deployments

clean:
	rm -rf $(VENV) .ratchet build *.egg-info .mypy_cache .ruff_cache .pytest_cache

lock: setup
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		--extra demo --extra replay --extra texts --extra dask --extra lightgbm --extra xgboost --extra s3 --extra dev pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		--constraint requirements.lock --group serve --output-file requirements-serve.lock
