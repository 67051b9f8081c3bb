# Two commands on a fresh machine with Python >= 3.11 and git:
#   make demo    install into .venv, train on the embedded digits for at most a minute, leave runs/demo/
#   make test    install into .venv, run the tests
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)

.PHONY: demo test slow check format install

demo: .venv/installed
	rm -rf runs/demo
	$(BIN)/gansmith train r3gan --data digits --out runs/demo --batch-size 256 --images 1M --minutes 1

# One process a core, one thread each: quicker than threads on nets this small.
test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -m "not slow" --durations=8

slow: .venv/installed
	$(BIN)/python -m pytest -m slow

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check src

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("gansmith needs Python >= 3.11; this is " + sys.version.split()[0] + ": make PYTHON=...") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@
