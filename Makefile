# `make demo`, `make test`, `make ui` and `make lint` set up .venv first when it is missing.
# CPU only? export TORCH_INDEX_URL=<the index of PyTorch's CPU wheels> before the first call (README).

VENV      ?= .venv
PYTHON    ?= python3
EXPANSION ?= fashion-flow
PORT      ?= 3000
BIN       := $(VENV)/bin
READY     := $(VENV)/.growset-installed

.PHONY: demo test test-slow ui lint clean-data

demo: $(READY)  ## the main job on real images: prints the verdict
	PATH="$(abspath $(BIN)):$$PATH" growset run $(EXPANSION)

test: $(READY)  ## the default suite
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: $(READY)  ## minutes: a real installation in a clean clone
	$(BIN)/python -m pytest -q -m slow -s

ui: $(READY)  ## the Dagster UI on http://127.0.0.1:3000
	PATH="$(abspath $(BIN)):$$PATH" growset ui --port $(PORT)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch goes first and alone, so that nothing else pulls another build of it.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable ".[dev]"
	touch $@
