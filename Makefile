# make demo   set up .venv and run the main job on embedded data
# make test   set up .venv and run every check
# Both skip what is done. PYTHON names the interpreter to start from.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint unit clean
demo: $(VENV)/.train
	$(BIN)/mien demo

test: lint unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two workers with a thread each: most tests wait for a process or run on one thread anyway.
unit: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

$(VENV)/.base:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.train: $(VENV)/.base pyproject.toml constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt -e '.[train]'
	touch $@

$(VENV)/.dev: $(VENV)/.train pyproject.toml constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt -e '.[train,serve,tune,ray,dev]'
	touch $@

clean:
	rm -rf $(VENV)
