# Everything starts from a bare python3: `make run` and `make test` create .venv and install into it what they need.
# Works with the make of macOS (3.81): no .ONESHELL, no grouped targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --log $(VENV)/pip.log -c constraints.txt
PIP_FAILED := { echo "the installation failed; all that pip said is in $(VENV)/pip.log" >&2; exit 1; }
PINS := pyproject.toml constraints.txt hatch_build.py
# Four workers at most: each imports torch, and a large machine would otherwise run out of memory.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadgroup

.DELETE_ON_ERROR:
.PHONY: help run test lint types clean anew

help:
	@echo "make run     train megnet under the cluster split and build the leaderboard page"
	@echo "make test    run the whole test suite; ARGS='-k splits' selects"
	@echo "make lint    ruff: rules and format"
	@echo "make types   mypy and pyright"
	@echo "make clean   remove .venv, caches and the built page; results stay"
	@echo "PYTHON=...   the interpreter that makes .venv (now: $(PYTHON); 3.11 is the one with DGL wheels)"

run: $(VENV)/.installed
	@$(BIN)/gbench run --model megnet --split cluster
	@$(BIN)/gbench leaderboard build

test: $(VENV)/.installed-dev
	@OMP_NUM_THREADS=1 $(PYTEST) $(ARGS)

lint: $(VENV)/.installed-dev
	@status=0; $(BIN)/ruff check . || status=1; $(BIN)/ruff format --check . || status=1; exit $$status

# The links put the content folders where __path__ puts them at run time: gbench.baselines.<name>.model
types: $(VENV)/.installed-dev
	@mkdir -p typings/gbench && ln -sfn ../../baselines typings/gbench/baselines && ln -sfn ../../datasets typings/gbench/datasets
	@status=0; $(BIN)/mypy || status=1; PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright || status=1; exit $$status

clean:
	@rm -rf $(VENV) dist build site typings .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src baselines datasets benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: $(VENV)/.made $(PINS)
	@echo "installing gbench into $(VENV) (a few minutes the first time)"
	@$(PIP) --editable '.[all]' || $(PIP_FAILED)
	@touch $@

# Holds all that `make run` needs, so a later `make run` installs nothing.
$(VENV)/.installed-dev: $(VENV)/.made $(PINS)
	@echo "installing gbench and its test tools into $(VENV) (a few minutes the first time)"
	@$(PIP) --editable '.[all,dev]' || $(PIP_FAILED)
	@touch $(VENV)/.installed $@

# Checked at every start: an interpreter that was removed or upgraded leaves a dead link, an interruption half a .venv.
ALIVE := $(shell $(BIN)/python -c 'import pip, sys; print(sys.version_info >= (3, 11))' 2>/dev/null | grep True)

$(VENV)/.made: $(if $(ALIVE),,anew)
ifeq ($(ALIVE),)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  found=$$($(PYTHON) --version 2>/dev/null | grep '^Python [0-9]'); \
	  echo "gbench needs Python 3.11 or newer, but $(PYTHON) is $${found:-no Python that runs};" \
	       "name another: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments (no venv or ensurepip);" \
	       "install them (Debian, Ubuntu: apt install python3-venv) and try again" >&2; exit 1; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
endif
	@touch $@
