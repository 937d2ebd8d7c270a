# make run    install into .venv and open the app
# make test   install into .venv, static checks, all tests (at most 8 minutes on 2 cores)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

CUDA_OUT ?= cuda.json

.PHONY: run test proofs slow pictures cuda lint check clean figures recipes screenshots docs

run: $(VENV)/.app
	@$(BIN)/ift-tui

test: $(VENV)/.dev lint
	@$(BIN)/python -m pytest -n 3 --dist loadgroup

# Text, ids and masks of every chat template that trl and unsloth carry, against transformers and unsloth.
proofs: $(VENV)/.dev
	@$(BIN)/python -m pytest -m proof -rA

# The slow part of the tests: thirty kills, every fault, each recipe, real walks: an hour on two cores.
slow: $(VENV)/.dev
	@$(BIN)/python -m pytest -m long -rA

# On a CUDA device: proofs and speed of the whole path into one file; CUDA_OUT=FILE, MINUTES=10 for a lent one.
cuda: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.cuda --out $(CUDA_OUT) $(if $(MINUTES),--minutes $(MINUTES))

# Every screen at three sizes, in light and in 16 colours too; contrast, signs, palette and sizes of each.
pictures: $(VENV)/.dev
	@$(BIN)/python -m pytest -m pictures -n 3

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# The figures of the README: trains the default recipe and scores base and tuned on the held-out test rows.
figures: $(VENV)/.app
	@$(BIN)/python benchmarks/default_recipe.py

# Every bundled recipe trained to its end and measured, with a page about each in docs/recipes: half an hour.
recipes: $(VENV)/.app
	@$(BIN)/python -m scripts.recipe_reports

# The pages that are written from the program: every key of a recipe, settings by model and GPU, every error.
docs: $(VENV)/.dev
	@$(BIN)/python scripts/recipe_page.py
	@$(BIN)/python scripts/presets.py
	@$(BIN)/python scripts/troubleshooting.py

# The pictures in README and docs, drawn by the app itself on a real run.
screenshots: $(VENV)/.dev
	@$(BIN)/python scripts/screenshots.py

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.app: pyproject.toml constraints.txt requirements-unsloth.txt scripts/install.sh
	@PYTHON=$(PYTHON) scripts/install.sh $(VENV)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt requirements-unsloth.txt scripts/install.sh
	@PYTHON=$(PYTHON) scripts/install.sh $(VENV) dev
	@touch $@ $(VENV)/.app
