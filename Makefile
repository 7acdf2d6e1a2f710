# `make` explains the targets.
.DEFAULT_GOAL := help
.PHONY: help setup run play demo check audit test test-browser test-builder test-setup test-server-setup test-arm test-faults test-day \
        test-import test-hostile test-clients test-real checklist lock bench apt-contents clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'

# One environment for running and one step further for developing; each is made anew when its lock changes.
$(VENV)/run.stamp: requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "piwheels needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "Installing what the farm needs into $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/run.txt
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	@echo "Installing the tools of the tests (once) ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/dev.stamp ## install what the farm and its tests need into .venv

run: $(VENV)/run.stamp ## run a whole farm on this machine; PORT=8000, PACKAGES="a b" adds packages
	@PORT=$${PORT:-8000} exec $(BIN)/python -m deploy.farm $(PACKAGES)

play: $(VENV)/run.stamp ## a made-up farm that moves, to look at every page; PORT=8000, PLAY="--packages 500 --seed 2"
	@PORT=$${PORT:-8000} exec $(BIN)/python -m deploy.play $(PLAY)

demo: $(VENV)/run.stamp ## build three packages from PyPI in a scratch farm and install two of them
	@exec $(BIN)/python -m deploy.demo

check: $(VENV)/dev.stamp ## format, lint, types, import contracts, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

audit: $(VENV)/dev.stamp ## the locks against known vulnerabilities; ends with Error 3 where nobody could be asked
	@$(BIN)/python -m tests.vulnerabilities

# Who has no network, or an index without advisories, can test all the same, and is told.
test: check ## check, audit, then every everyday test, on PostgreSQL and Redis and on the embedded default
	@$(BIN)/python -m tests.vulnerabilities --offline-passes
	$(BIN)/python -m tests.run

test-browser: $(VENV)/dev.stamp ## the pages in Chromium; screenshots are in var/screenshots
	$(BIN)/python -m tests.run tests/test_browser.py tests/test_live_pages.py tests/test_hostile_text.py

test-builder: $(VENV)/dev.stamp ## the builder's tests in an environment without Django
	$(BIN)/python -m tests.alone

test-setup: $(VENV)/dev.stamp ## deploy/builder-setup in a fresh Debian root, twice; needs root, Debian's archive and PyPI
	$(BIN)/python -m tests.fresh_machine

test-server-setup: $(VENV)/dev.stamp ## deploy/server-setup in a fresh Debian that boots, its whole life; as root, a quarter of an hour
	$(BIN)/python -m tests.fresh_server

test-arm: $(VENV)/dev.stamp ## a builder on an emulated 32-bit ARM, from PyPI to pip; as root, in minutes
	$(BIN)/python -m tests.arm

test-hostile: $(VENV)/dev.stamp ## every hostile package at every level of the sandbox; takes an hour
	$(BIN)/python -m tests.run tests/hostile -m hostile --durations=10

test-faults: $(VENV)/dev.stamp ## every numbered fault, and what holds meanwhile, into docs/faults.md; as root, in an hour or two
	$(BIN)/python -m tests.run -p tests.faults.table -m "faults or not faults" -vv

test-day: $(VENV)/dev.stamp ## follow a synthetic PyPI for a day of 100,000 events; takes an hour or so
	$(BIN)/python -m tests.run tests/test_day.py tests/test_sync_properties.py -m day -s

test-import: $(VENV)/dev.stamp ## take over a farm of piwheels.org's software with 100,000 files; takes half an hour
	$(BIN)/python -m tests.run tests/test_import_large.py -m imports -s

checklist: $(VENV)/dev.stamp ## test the index on both of its servers, line by line, and write docs/index-checklist.md
	MIRRORED_PROJECTS=1000 $(BIN)/python -m tests.run simple/tests -p tests.checklist

test-clients: $(VENV)/dev.stamp ## what a dozen real clients do with the index, into docs/clients.md; needs PyPI, half an hour
	rm -f var/clients/notes.json
	$(BIN)/python -m tests.run tests/clients -m clients -p tests.clients.table --durations=10

test-real: $(VENV)/dev.stamp ## build twenty real packages from PyPI and print what became of each
	$(BIN)/python -m tests.real_packages --write

bench: $(VENV)/dev.stamp ## the measurements of benchmarks/README.md
	$(BIN)/python -m benchmarks

lock: $(VENV)/dev.stamp ## resolve the dependencies anew and write requirements/*.txt
	for part in builder:builder run:miniature dev:dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate --no-emit-index-url --no-config --upgrade --extra $${part#*:} pyproject.toml \
	    -o requirements/$${part%:*}.txt; done

apt-contents: $(VENV)/dev.stamp ## read anew from Debian which package has which header, library and program
	$(BIN)/python -m deploy.apt_contents

clean: ## remove the environment and the state of the farm
	rm -rf $(VENV) var
