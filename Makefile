# For developers. Users need no make: see README.md. `make help` lists the targets.
PYTHON ?= .venv/bin/python
BIN := $(dir $(PYTHON))

.DEFAULT_GOAL := help
.PHONY: help setup test test-fast lint format docs bench-demo bench-screen bench-watermark bench-provenance bench-audit bench-tampering bench-classify bench-overhead wheel nightly clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

setup:  ## make .venv with everything that tests need
	python3 -m venv .venv && .venv/bin/pip install -e '.[dev,postgres]'

test:  ## all tests; those for PostgreSQL need GUARD_TEST_POSTGRES_URL
	$(PYTHON) -m pytest

test-fast:  ## all tests but the slow ones
	$(PYTHON) -m pytest -m 'not slow' -q

lint:  ## ruff, mypy --strict, import-linter
	$(BIN)ruff check . && $(BIN)ruff format --check . && $(BIN)mypy -p guard -p cli && $(BIN)lint-imports

format:  ## let ruff mend what it can
	$(BIN)ruff check --fix . && $(BIN)ruff format .

docs:  ## write docs/reference and README's help block anew
	$(PYTHON) docs/build_reference.py

bench-demo:  ## does the demo model draw what its captions say?
	$(PYTHON) -m datasets.demo_model.evaluate

bench-screen:  ## prompt screening beside its peers: caught, falsely caught, evaded, speed
	$(PYTHON) tests/benchmarks/bench_screen.py --install-peers

bench-watermark:  ## the mark: survival, false positives, visibility; what binds it to its picture
	$(PYTHON) tests/benchmarks/bench_watermark.py
	$(PYTHON) tests/benchmarks/bench_binding.py

bench-provenance:  ## manifests: signing, verdicts, recovery, beside plain c2pa and its peers
	$(PYTHON) tests/benchmarks/bench_provenance.py
	$(PYTHON) tests/benchmarks/bench_provenance_verify.py
	$(PYTHON) tests/benchmarks/bench_recovery.py

bench-audit:  ## the log: rows a second beside bare inserts, bytes a row, full check, proofs
	$(PYTHON) tests/benchmarks/bench_audit.py

bench-tampering:  ## is every rewriting of the log found, and no false proof accepted?
	$(PYTHON) tests/benchmarks/bench_tampering.py

bench-classify:  ## heads beside float64 references, what ten heads cost, banks of known pictures
	$(PYTHON) tests/benchmarks/bench_classify.py --peer

bench-overhead:  ## what the guard costs a picture, by stage
	$(PYTHON) tests/benchmarks/bench_overhead.py

wheel:  ## sdist and wheel in dist/
	$(PYTHON) -m build

nightly:  ## everything that takes longer than .ci/run may
	GUARD_TEST_FILES=all $(PYTHON) -m pytest tests/fault/test_fault_files.py
	GUARD_TEST_KILLS=500 GUARD_TEST_APPENDS=300 $(PYTHON) -m pytest tests/fault/test_fault_kill.py tests/fault/test_fault_crowd.py
	$(PYTHON) tests/benchmarks/bench_audit.py --rows 10000000
	$(MAKE) lint test bench-demo bench-screen bench-watermark bench-provenance bench-audit bench-tampering bench-overhead

clean:  ## what builds and tests leave behind; .venv stays
	rm -rf build dist *.egg-info .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
