# Everything here works on a fresh clone with Python 3.13 or later, pip, make and git; the first target
# that is made sets up the rest: uv in .tools, and the packages of uv.lock in .venv. Nothing else is
# touched. `make PYTHON=/path/to/python3.13 ...` picks the Python.

UV_VERSION := 0.13.8
CANDIDATES := python3.13 python3 python python3.14
ifndef PYTHON
PYTHON := $(shell for name in $(CANDIDATES); do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null && command -v "$$name" && break; done)
endif

UV := .tools/bin/uv
UV_READY := .tools/.uv-$(UV_VERSION)
READY := .venv/.ready
BIN := .venv/bin

# uv takes the Python found above and fetches none.
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON := $(PYTHON)
export UV_PROJECT_ENVIRONMENT := .venv
# Modules are compiled once, not by every process that imports them: at installation, ours when first used.
export UV_COMPILE_BYTECODE := 1
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test slow lint docs docs-check check wheel-check recording schemas clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

setup: $(READY) ## set up .venv (every other target does this first)

demo: $(READY) ## the tour: record, list, replay and verify a real model server
	$(BIN)/harness demo $(ARGS)

# More workers than cores, since the dearest files wait for most of their time (tests/plugins/order.py).
test: $(READY) ## all tests but the slow ones, with coverage
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered $(ARGS)

slow: $(READY) ## the tests that need another tool's heavy environment
	$(BIN)/pytest -m slow $(ARGS)

lint: $(READY) ## ruff, mypy, and the layers of the packages
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy loadtests
	$(BIN)/mypy --python-version 3.12 $(addprefix -p harness.,authority cli client convert core kernel_stamps probe project pytest_plugin replay report store testing verify)
	$(BIN)/lint-imports

docs: $(READY) ## write the pages of docs/ that say what the code says
	$(BIN)/python docs/generate.py

docs-check: $(READY) ## fail where one of those pages is not current
	$(BIN)/python docs/generate.py --check

check: lint test docs-check ## lint, test and docs-check

wheel-check: $(READY) ## build the wheel and try what users install
	UV=$(UV) UV_COMPILE_BYTECODE=0 $(BIN)/python tests/packaging/check_wheel.py

recording: $(READY) ## make recordings/tiny-llama.db anew
	$(BIN)/python -m harness.demo.recording recordings/tiny-llama.db

schemas: $(READY) ## add to schemas/ what the installed SDKs say
	$(BIN)/python -m harness.validate.generate schemas

clean: ## remove what the other targets made
	rm -rf .venv .tools build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(READY): $(UV_READY) pyproject.toml uv.lock
	@echo "Setting up .venv: some 300 MB of packages, a minute or two where they must be fetched"
	$(UV) sync --locked --all-extras --quiet
	@touch $@

# With --target, pip needs no virtual environment and leaves the Python it belongs to alone.
$(UV_READY):
	@test -n "$(PYTHON)" || { echo "make: no Python 3.13 or later among: $(CANDIDATES); name one: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 13))' || { echo "make: '$(PYTHON)' is no Python 3.13 or later" >&2; exit 1; }
	PIP_USER=0 "$(PYTHON)" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade --target .tools "uv==$(UV_VERSION)"
	@touch $@
