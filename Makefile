# The commands of the project. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help run test check pytest ui bench notebooks lock format clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: .venv/.run ## Materialize everything for the sample organisation and show the headline KPIs
	@$(BIN)/kpi run

ui: .venv/.run ## Start the Dagster UI on http://127.0.0.1:3000, on the same instance
	@$(BIN)/kpi ui

test: check pytest ## Everything that checks the project: lint, types, imports, unit, property, integration, end to end

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pytest: .venv/.bench .venv/.npm
	@scripts/install-system-packages
	@scripts/run-tests

bench: .venv/.bench ## Measure the engine against others, bills, logs and the nightly run; writes docs/performance.md
	@$(BIN)/python -m benchmarks

notebooks: .venv/.dev ## Execute the notebooks on the sample organisation, and keep what they show in them
	$(BIN)/python scripts/notebooks.py

format: .venv/.dev ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## Work out the lock files anew from pyproject.toml
	@scripts/lock

clean: ## Remove the virtual environment and caches; data stays: the landing zone can't be made again
	rm -rf .venv kpi_pipeline_tests/npm/node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Versions and hashes come from the lock files; where packages are fetched from is the machine's affair.
.venv/.run: requirements.lock pyproject.toml
	@echo "Installing into .venv (about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.lock
	@echo "Installing what the tests need into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.bench: .venv/.dev requirements-bench.lock
	@echo "Installing what the engine is compared with into .venv ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@

.venv/.npm: .venv/.run kpi_pipeline_tests/npm/package-lock.json
	@echo "Installing what the tests need from npm ..."
	@npm ci --prefix kpi_pipeline_tests/npm --silent --no-audit --no-fund --ignore-scripts
	@touch $@
