# Everything that is done with this project, by name. `make help` lists it.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: fuzz help setup demo study test test-bluez test-chaos test-round-trip check bench services format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1|/' | column -t -s '|'

setup: $(STAMP) ## make .venv with everything in it

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Chevet needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m processors.warm_up
	@touch $@

demo: setup ## run the whole system on this machine with a recorded person
	$(BIN)/chevet demo

services: setup ## install Apache Kafka, InfluxDB, nginx, Prometheus and Chromium on Debian
	sh deploy/install_services.sh

test: setup ## run all tests but test-bluez; installs the services first where it may
	@if [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then \
		sh deploy/install_services.sh || echo "services incomplete: tests that need them will say so"; \
	else \
		echo "not root: run 'make services' for the tests on real servers; they are skipped now, with a reason each"; \
	fi
	$(BIN)/python -m processors.warm_up
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -p no:benchmark

test-bluez: setup ## run the agent on the stock BlueZ, in a virtual machine
	sh deploy/install_bluez.sh
	CHEVET_REQUIRE_SERVICES=1 $(BIN)/python -m pytest -s tests/bluez/vm_bluez.py

test-chaos: setup ## ten long runs in which everything is killed, stopped and sent twice; half an hour
	$(BIN)/python -m tests.chaos

test-round-trip: setup ## every recording of CHEVET_DATA: replay, Kafka, archive, WFDB and EDF+, identical
	$(BIN)/python -m tests.round_trip

check: setup ## ruff, mypy, pyright, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: setup ## benchmarks: a table with medians, and ratios against a peer in the same run
	$(BIN)/python -m pytest tests/benchmarks/bench_*.py --benchmark-only --benchmark-group-by=group --benchmark-columns=median,iqr,ops,rounds --benchmark-sort=name
	$(BIN)/python -m tests.benchmarks

study: setup ## run the worked study on all recordings, and write docs/study.md
	$(BIN)/python -m tests.study

fuzz: setup ## a million random and mutated payloads for every decoder
	$(BIN)/python -m tests.devices.decoders

format: setup ## put the code into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what the targets have made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks var
