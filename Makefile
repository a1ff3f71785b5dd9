# The environment lives in .venv/; each stamp in it says what has been installed, so that a second `make` is instant.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --timeout 60 --retries 3 \
       install --no-compile --prefer-binary --constraint Testing/constraints.txt
# Two processes of one thread each: more threads than cores would only wait for each other.
PYTEST_ARGUMENTS ?= --numprocesses 2 --dist loadfile

.PHONY: help demo test lint screenshots clean distclean constraints
.DELETE_ON_ERROR:

help:
	@echo "make demo   enhance a simulated scan and look at the result (demo/index.html)"
	@echo "make test   run all tests"
	@echo "make lint   check style and formatting"
	@echo "make screenshots   draw the panels and slice views into Resources/Screenshots, without Slicer"
	@echo "make clean  remove what the above made, but for .venv and trained networks (build)"

demo: .venv/engine.stamp
	@$(BIN)/synthmri demo --output demo --overwrite

test: .venv/tests.stamp
	@Testing/install_system_packages.sh
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGUMENTS)

lint: .venv/tests.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

screenshots: .venv/tests.stamp
	@Testing/install_system_packages.sh
	@$(BIN)/python Testing/make_screenshots.py

clean:
	rm -rf demo build/lib build/bdist.* .pytest_cache .ruff_cache SynthMRI/*.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv build

# Torch goes first: a package installed before it could bring a build of its own.
.venv/engine.stamp: pyproject.toml Testing/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "SynthMRI needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing the engine into .venv (minutes; once)"
	@$(PYTHON) -m venv .venv
	@$(PIP) torch
	@$(PIP) --editable ".[demo]"
	@touch $@

.venv/tests.stamp: .venv/engine.stamp Testing/requirements.txt
	@echo "Installing the test tools into .venv (minutes; once)"
	@$(PIP) --editable ".[demo,training,cluster,comparison]" --requirement Testing/requirements.txt
	@touch $@

constraints: .venv/tests.stamp
	@sed -n '/^#/p' Testing/constraints.txt > .venv/constraints.txt
	@$(BIN)/python -m pip freeze --exclude-editable | grep -v '^nvidia-\|^cuda-\|^triton' | sed 's/+cpu$$//; s/+cu[0-9]*$$//' >> .venv/constraints.txt
	@mv .venv/constraints.txt Testing/constraints.txt
