# Needs python3 (3.11 or newer, with venv) and make; everything else is set up under .venv.
# `make` alone lists the targets.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
bin    := $(VENV)/bin
pip    := $(bin)/python -m pip install --quiet --disable-pip-version-check
uv     := $(bin)/uv pip compile --quiet --universal --python-version 3.11 \
          --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help run test test-long check bench format lock clean system

help: ## Lists the targets.
	@printf 'make TARGET [ARGS="..."]\n\n'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/.server ## Starts the server on http://127.0.0.1:8008, data in ./data; ARGS go to `posthouse serve`.
	@exec $(bin)/posthouse serve $(ARGS)

test: check ## Runs the checks and the tests, on SQLite and PostgreSQL; ARGS go to pytest.
	@$(bin)/python -m pytest -m 'not long' -n auto $(ARGS)

test-long: $(VENV)/.dev system ## Runs the longer campaigns: kills, thousands of examples, many connections.
	@$(bin)/python -m pytest -m long --timeout 3600 $(ARGS)

check: $(VENV)/.dev system ## Checks format, lint, types and layers.
	@$(bin)/ruff format --check --quiet src tests || { echo 'Not formatted: run "make format".'; exit 1; }
	@$(bin)/ruff check --quiet src tests
	@$(bin)/mypy
	@$(bin)/lint-imports --no-logo

bench: $(VENV)/.dev ## Measures the server against its targets on both engines; ARGS go to the harness.
	@$(bin)/python -m tests.bench $(ARGS)

format: $(VENV)/.dev ## Formats the code, mends what the linter can mend, rewrites generated pages.
	@$(bin)/ruff format src tests
	@$(bin)/ruff check --fix src tests
	@$(bin)/posthouse config reference > docs/reference/configuration.md

lock: $(VENV)/.dev ## Resolves the dependencies anew and locks them with hashes; ARGS="--upgrade" takes newer ones.
	@$(uv) $(ARGS) requirements/dev.in -o requirements/dev.txt
	@$(uv) -c requirements/dev.txt requirements/server.in -o requirements/server.txt
	@$(uv) -c requirements/dev.txt requirements/build.in -o requirements/build.txt

clean: ## Removes the virtual environment and caches; leaves ./data alone.
	@rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What the tests need from the operating system's packages: a command and the Debian package that
# brings it, one `command:package` a word. Root gets them installed, anybody else is told.
SYSTEM_PACKAGES :=

system:
	@missing=; for need in $(SYSTEM_PACKAGES); do \
	    command -v "$${need%%:*}" >/dev/null || missing="$$missing $${need#*:}"; \
	done; \
	if [ -n "$$missing" ]; then \
	    if [ "$$(id -u)" = 0 ]; then \
	        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes $$missing; \
	    else \
	        echo "The tests need these packages:$$missing (sudo apt-get install$$missing)"; exit 1; \
	    fi; \
	fi

# Stamps: a package set is installed again only when its lock file changes.
$(VENV)/.build: requirements/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Posthouse needs Python 3.11 or newer; name one with PYTHON=python3.12")'
	@echo 'Setting up $(VENV) (once)'
	@$(PYTHON) -m venv $(VENV)
	@$(pip) --require-hashes -r requirements/build.txt
	@touch $@

# pyvips comes as source, but is Python alone where there is no compiler; all else is wheels.
$(VENV)/.server: $(VENV)/.build requirements/server.txt pyproject.toml
	@echo 'Installing what the server needs'
	@$(pip) --require-hashes --only-binary :all: --no-binary pyvips --no-build-isolation --use-pep517 \
	    -r requirements/server.txt
	@$(pip) --no-deps --no-build-isolation --editable .
	@touch $@

# Some of these come as source only: they are built with the setuptools locked above, not a newer one.
$(VENV)/.dev: $(VENV)/.server requirements/dev.txt
	@echo 'Installing what the checks and tests need'
	@$(pip) --require-hashes --no-build-isolation --use-pep517 -r requirements/dev.txt
	@touch $@
