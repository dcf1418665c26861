# make run [FOLDER=~/Pictures]   install, index, and open the window (or work on the command line)
# make test                      lint, types, import contracts and tests
# make test-slow                 the tests marked as slow, too

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test test-slow format clean

run: $(VENV)/.installed
	@packaging/run.sh "$(BIN)" "$(FOLDER)"

test: $(VENV)/.installed-dev
	@packaging/qt-libraries.sh "$(BIN)" || true
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 $(if $(CI),-m 'slow or not slow')

test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 -m "slow or not slow"

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/.installed: pyproject.toml packaging/install.sh
	@packaging/install.sh "$(PYTHON)" "$(VENV)" "."
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@packaging/install.sh "$(PYTHON)" "$(VENV)" ".[dev,samples]"
	@touch $@
