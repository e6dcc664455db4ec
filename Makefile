# Everything here needs Python 3.11 or newer, make and a package index; nothing else is assumed.
# `make` alone lists what it can do.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
KAFKA_JARS := .cache/kafka-jars
# Tests wait for servers much of the time: three at once keep two cores busy. Each of the three
# starts servers of its own (about 1 GB) when it first needs them.
TESTS_AT_ONCE ?= 3
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install --no-deps
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	--custom-compile-command "make lock"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test replays check bench bench-fleet bench-detection \
	soak soak-faults soak-worker soak-decoder \
	fuzz lock kafka-jars clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  PYTHON=/path/to/python3.12 make ... chooses the Python (3.11 or newer)"

install: $(INSTALLED) ## Make .venv from the lock file and this checkout (the others do it too)

demo: $(INSTALLED) ## Nine months of flights through Kafka and Postgres, and the alerts they raise
	$(BIN)/calmon demo $(ARGS)

test: $(INSTALLED) ## Run the tests; real servers take part where they are installed
	$(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder $(ARGS)

replays: $(INSTALLED) ## Alerts that whole real streams send to Slack, as text and pictures in REPLAYS (replays)
	CALMON_REPLAYS=$${REPLAYS:-replays} $(BIN)/python -m pytest -q -k told_day_by_day \
		tests/acceptance/test_real_backtests.py tests/demo/test_flights.py $(ARGS)

check: $(INSTALLED) ## Lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pip check

bench: $(INSTALLED) ## Run the benchmarks (tests/benchmarks/bench_*.py)
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' -s $(ARGS)

bench-fleet: $(INSTALLED) ## Measure a fleet of 500 series: alarms and ticks; ARGS=--write for the docs
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_fleet $(ARGS)

# One thread each: the matrices are small, and threads would change no sum but the time.
bench-detection: $(INSTALLED) ## Measure false alarms and delays against rivals; ARGS="--runs 200" for all
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.detection.run $(ARGS)

soak: $(INSTALLED) ## All of soak-faults, soak-worker and soak-decoder; FAULT_SEED=n repeats a run
	$(MAKE) --no-print-directory soak-faults
	$(MAKE) --no-print-directory soak-worker
	$(MAKE) --no-print-directory soak-decoder

soak-faults: $(INSTALLED) ## Faults on real servers: SOAK_KILLS (200) kills, and the others for long
	SOAK=1 SOAK_KILLS=$${SOAK_KILLS:-200} $(BIN)/python -m pytest tests/faults -s -o timeout=0 $(ARGS)

soak-worker: $(INSTALLED) ## Random interleavings for SOAK_MINUTES (30)
	SOAK=1 $(BIN)/python -m pytest tests/ingest/test_worker_stateful.py -s -o timeout=0 $(ARGS)

soak-decoder: $(INSTALLED) ## Any bytes: SOAK_EXAMPLES (2000) for each law, and FUZZ_SECONDS (300) by coverage
	seed=$${FAULT_SEED:-$$(date +%s)} && echo "FAULT_SEED=$$seed" && \
		$(BIN)/python -m pytest tests/ingest/test_formats_fuzz.py -s -o timeout=0 \
		--hypothesis-profile=soak --hypothesis-seed=$$seed $(ARGS)
	FUZZ_SECONDS=$${FUZZ_SECONDS:-300} $(BIN)/python -m tests.fuzz.fuzz_formats

fuzz: $(INSTALLED) ## Feed the decoder bytes chosen by coverage, for FUZZ_SECONDS (60)
	$(BIN)/python -m tests.fuzz.fuzz_formats

lock: $(INSTALLED) ## Pin what pyproject.toml asks for again; UPGRADE=--upgrade takes newer versions
	$(LOCK) $(UPGRADE) pyproject.toml --output-file requirements.lock
	$(LOCK) $(UPGRADE) pyproject.toml --extra demo --group dev --constraints requirements.lock \
		--output-file requirements-dev.lock
	$(LOCK) --group build --constraints requirements-dev.lock --output-file requirements-build.lock

kafka-jars: $(KAFKA_JARS)/complete ## Fetch the jars of the tests' real Kafka (needs Java 17 and Maven)

clean: ## Remove what these commands made
	rm -rf $(VENV) .cache build dist demo-out replays *.egg-info \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip refuses anything whose version or hash is not the lock's, build tools included. The stamp
# comes last, so that an interrupted installation is done again.
$(INSTALLED): requirements-build.lock requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo >&2 \
		"calmon needs Python 3.11 or newer, and PYTHON=$(PYTHON) is not:" \
		"name one that is, as in  make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo >&2 \
		"$(PYTHON) cannot make virtual environments: install its venv module" \
		"(on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --only-binary :all: -r requirements-build.lock
	$(PIP) --require-hashes --no-build-isolation -r requirements-dev.lock
	$(PIP) --no-build-isolation --editable .
	@touch $@

# Fetched aside and moved, so that two at once or an interruption leave no half of a class path.
$(KAFKA_JARS)/complete: tests/kafka_jars/pom.xml
	@mkdir -p $(dir $(KAFKA_JARS))
	rm -rf $(KAFKA_JARS).new.$$PPID && mvn -q -B -f $< dependency:copy-dependencies \
		-DoutputDirectory=$(abspath $(KAFKA_JARS)).new.$$PPID
	touch $(KAFKA_JARS).new.$$PPID/complete
	rm -rf $(KAFKA_JARS) && mv $(KAFKA_JARS).new.$$PPID $(KAFKA_JARS)
