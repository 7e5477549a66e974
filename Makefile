# `make demo`, `make test`, `make ui` and `make lint` set up .venv first when it is missing.
# CPU only? export TORCH_INDEX_URL=<the index of PyTorch's CPU wheels> before the first call (README).

VENV      ?= .venv
PYTHON    ?= python3
EXPANSION ?= fashion-flow
PORT      ?= 3000
BIN       := $(VENV)/bin
READY     := $(VENV)/.growset-installed
BROWSER   := $(VENV)/.browser-installed
CLIP      := $(VENV)/clip
WITH_CLIP := tests/ops/pretrained tests/ops/generators/diffusion
DRIVER    := /usr/bin/chromedriver
SUDO      := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: demo test test-slow test-browser pictures ui lint wheel sbom licences

demo: $(READY)  ## the main job on real images: prints the verdict
	PATH="$(abspath $(BIN)):$$PATH" growset run $(EXPANSION)

# Bytecode is kept: the tests start Growset's commands dozens of times, and pytest rewrites each file of tests.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(READY) $(CLIP)  ## the default suite, a process on each core
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow and not browser" $(WITH_CLIP:%=--ignore=%)
	PYTHONPATH=$(CLIP) $(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow" $(WITH_CLIP)

test-slow: $(READY) $(CLIP)  ## by hand, minutes: kills, an installation in a clean clone, the UI, faults of S3
	$(BIN)/python -m pytest -q -m slow -s $(WITH_CLIP:%=--ignore=%)
	PYTHONPATH=$(CLIP) $(BIN)/python -m pytest -q -m slow -s $(WITH_CLIP)

test-browser: $(BROWSER) | $(DRIVER)  ## our pages and the Dagster UI in Debian's Chromium, which is installed when it is missing
	$(BIN)/python -m pytest -q -m browser tests/browser

pictures: $(BROWSER) | $(DRIVER)  ## docs/pictures, from the demo's report, images and UI
	PATH="$(abspath $(BIN)):$$PATH" growset explore $(EXPANSION)
	$(BIN)/python -m tests.browser.screenshots $(EXPANSION)

ui: $(READY)  ## the Dagster UI on http://127.0.0.1:3000
	PATH="$(abspath $(BIN)):$$PATH" growset ui --port $(PORT)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: sbom  ## dist/growset-*.whl, with recipes, example and docs: pipx install or uv tool install takes it
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

sbom: $(READY)  ## dist/sbom.cdx.json: what this environment consists of, as a CycloneDX document
	$(BIN)/python -m ops.documents.sbom dist/sbom.cdx.json

licences: $(READY) $(CLIP)  ## docs/licences.md; fails if a dependency has a licence that is not on the allow list
	PYTHONPATH=$(CLIP) $(BIN)/python -m ops.documents.licences

# The extras `clip` and `diffusion`, beside the environment and not in it: where transformers is installed, diffusers and
# torch's exporter import it, some six seconds for each run of the chain. Only their own tests see it.
$(CLIP): constraints.txt | $(READY)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $@ -c constraints.txt transformers tokenizers typer shellingham annotated-doc peft accelerate
	touch $@

# torch goes first and alone, so that nothing else pulls another build of it.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable ".[dev]"
	touch $@

# Of axe's wheel only axe.min.js is wanted: it lies beside the environment, without the browser client that it asks for.
$(BROWSER): $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable ".[browser]"
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps --upgrade --target $(VENV)/axe axe-playwright-python
	touch $@

# The driver brings the Chromium of its own version.
$(DRIVER):
	$(SUDO) apt-get update --quiet
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends chromium chromium-driver fonts-liberation
