# The two commands of a newcomer are `make demo` and `make test`; `make help` lists the rest.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
# Bytecode now, since some machines forbid Python to write it on import, and then every start compiles all modules.
COMPILE = $(BIN)/python -m compileall -q cli collectors engine kb
BENCH_OUTPUT ?= bench/results
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint types unit bench docs clean

help:
	@echo "make demo   set up .venv and diagnose the founding case in examples/"
	@echo "make test   set up .venv, then lint, types and all tests"
	@echo "make lint | types | unit   one part of it"
	@echo "make bench  cold start, growth with the rules, dumps against crash and drgn: tables in bench/results"
	@echo "make docs   generated pages: reference, index of curated rules, docs/catalogue.html (searchable, all rules)"
	@echo "make clean  remove .venv and caches"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -q -e .
	@$(COMPILE)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -q -e '.[dev]'
	@$(COMPILE)
	@touch $@ $(VENV)/.installed

# A leading "-" would hide a crash of kbmatch: only the two statuses of a diagnosis are let through.
demo: $(VENV)/.installed
	@echo '$$ kbmatch core examples/founding-case/dmesg.log'
	@$(BIN)/kbmatch core examples/founding-case/dmesg.log || test $$? -eq 1
	@echo
	@echo '$$ kbmatch core examples/founding-case/crash-session.txt'
	@$(BIN)/kbmatch core examples/founding-case/crash-session.txt || test $$? -eq 1

test: lint types unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.installed-dev
	$(BIN)/mypy -p kbmatch
	$(BIN)/pyright --warnings

unit: $(VENV)/.installed-dev
	$(BIN)/pytest -n auto

bench: $(VENV)/.installed-dev
	$(BIN)/python bench/run_all.py --output $(BENCH_OUTPUT) $(if $(BENCH_DOCS),--docs $(BENCH_DOCS))

docs: $(VENV)/.installed
	$(BIN)/kbmatch rule schema kb/schema --docs docs
	$(BIN)/kbmatch kb catalogue docs/rules.md
	$(BIN)/kbmatch kb catalogue docs/catalogue.html

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
