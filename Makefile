# Every target does its own set-up: a fresh clone needs Python 3.11 or newer, git and make.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Nothing of the caller's environment may decide what the tests see.
export PYTHONDONTWRITEBYTECODE :=
export PYTEST_ADDOPTS :=

NIGHTLY := nightly-tests nightly-processes nightly-processes-sabotage nightly-containers nightly-containers-sabotage

.PHONY: setup demo test coverage lint bench nightly $(NIGHTLY) sabotage docs images containers clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing pytest-enterprise into .venv"
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group service --group test
	@$(BIN)/python -m pytest_enterprise.engines.obtain
	@touch $(STAMP)

demo: setup
	@$(BIN)/python -m pytest scenarios -m demo --enterprise-runtime=process -v --no-header -p no:cacheprovider

test: setup
	$(BIN)/python -m pytest tests docs scenarios --enterprise-runtime=process -m "not nightly" --durations=60 --durations-min=4

sabotage: setup
	$(BIN)/python -m pytest scenarios --enterprise-sabotage --enterprise-runtime=process -m "not nightly"

containers: setup
	$(BIN)/pytest-enterprise images
	$(BIN)/python -m pytest scenarios -m demo --enterprise-runtime=container

images: setup
	$(BIN)/pytest-enterprise images

# What takes too long for each commit; each part runs whatever became of those before it.
# EVIDENCE: options that sign the runs, such as --enterprise-ledger=reports/ledger; see docs/how-to/verify.md.
nightly: setup
	@$(MAKE) --no-print-directory --keep-going $(NIGHTLY)

nightly-tests: setup
	$(BIN)/python -m pytest tests -m nightly

nightly-processes: setup
	$(BIN)/python -m pytest scenarios --enterprise-runtime=process $(EVIDENCE)

nightly-processes-sabotage: setup
	$(BIN)/python -m pytest scenarios --enterprise-runtime=process --enterprise-sabotage -m "not nightly" $(EVIDENCE)

nightly-containers: images
	$(BIN)/python -m pytest scenarios --enterprise-runtime=container $(EVIDENCE)

nightly-containers-sabotage: images
	$(BIN)/python -m pytest scenarios --enterprise-runtime=container --enterprise-sabotage -m "not nightly" $(EVIDENCE)

bench: setup
	$(BIN)/python benchmarks/run.py $(PART)

coverage: setup
	$(BIN)/python -m coverage erase
	-$(BIN)/python -m coverage run -m pytest tests docs scenarios --enterprise-runtime=process -q -m "not nightly"
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report --skip-covered --fail-under=95

lint: $(STAMP)
	@$(BIN)/python -m pip install --quiet --group lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .engines site
