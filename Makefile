# Three commands do everything on a fresh machine with Python 3.11 or 3.12, git and make:
#   make video    a talking head from a portrait and a voice of ours, in out/first_light.mp4
#   make test     the whole test suite
#   make app      the studio in the browser, for people with an account
# Each sets up its own .venv first; a second run finds it ready and starts in seconds.

SHELL := /bin/sh
PORTRAIT ?= assets/portraits/mei.png
VOICE ?= assets/voices/english.flac
OUT ?= out/first_light.mp4

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PINS := constraints.txt pyproject.toml

# The first Python that really runs, is new enough for torch and old enough for mediapipe, and can make environments.
PROBE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
FIND_PYTHON = for p in $(PYTHON) python3.11 python3.12 python3 python; do \
	if "$$p" -c '$(PROBE)' >/dev/null 2>&1; then echo "$$p"; break; fi; done

.PHONY: help video test app lab notebooks slides bench lint format assets clean

help:
	@sed -n '1,5s/^# \{0,1\}//p' Makefile
	@echo "also: make lab | notebooks | slides | bench | lint | format | clean"

video: $(VENV)/ready-core
	@$(BIN)/vasa speak $(PORTRAIT) $(VOICE) -o $(OUT)

test: $(VENV)/ready-dev
	@$(BIN)/python -m pytest
	@$(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-sanitize-with notebooks/sanitise.cfg notebooks

bench: $(VENV)/ready-core
	@$(BIN)/vasa bench

lab: $(VENV)/ready-notebooks
	@$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

notebooks: $(VENV)/ready-notebooks
	@$(BIN)/python notebooks/refresh.py

slides: $(VENV)/ready-notebooks
	@$(BIN)/python notebooks/slides.py

app: $(VENV)/ready-app
	@$(BIN)/python -m demo

lint: $(VENV)/ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/ready-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

assets: $(VENV)/ready-core
	@$(BIN)/python assets/refresh.py

clean:
	rm -rf $(VENV) out build *.egg-info

$(VENV)/bin/python:
	@python="$$($(FIND_PYTHON))"; \
	if [ -z "$$python" ]; then \
		echo "No usable Python found: install Python 3.11 or 3.12 with its venv module (Debian: python3-venv)," >&2; \
		echo "or name one: make video PYTHON=/path/to/python3.12" >&2; exit 1; fi; \
	echo "Making $(VENV) with $$("$$python" --version) ..."; \
	"$$python" -m venv --clear $(VENV)

$(VENV)/ready-core: $(PINS) | $(VENV)/bin/python
	@echo "Installing the engine (a few minutes the first time) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/ready-%: $(PINS) | $(VENV)/ready-core
	@echo "Installing what 'make $(MAKECMDGOALS)' needs besides ..."
	@$(PIP) -e '.[$(if $(filter dev,$*),dev$(comma)world$(comma)app$(comma)cluster$(comma)train$(comma)notebooks$(comma)wav2vec,$*)]'
	@touch $@

comma := ,
