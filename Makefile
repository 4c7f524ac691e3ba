# Every target makes what it needs: a virtual environment in .venv with the dependencies of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-flower check bench install clean

demo: .venv/installed  ## The main job on the embedded data: train five hospitals, erase one, draw all of it
	$(BIN)/fedlethe demo --out demo

test: .venv/installed  ## All tests, warnings as errors; two at a time, each on one core
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal

test-flower: .venv-flower-lowest/installed .venv-flower-highest/installed  ## The same with Flower's oldest and newest
	.venv-flower-lowest/bin/pytest tests/flower
	.venv-flower-highest/bin/pytest tests/flower

check: .venv/installed  ## Style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed  ## Speed and bytes, as ratios within one run; kills, failing disks and flipped bytes
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/kill_and_resume.py
	$(BIN)/python benchmarks/kill_an_erasure.py
	FEDLETHE_EVERY_FAULT=1 FEDLETHE_FLIPS=16000 \
	  $(BIN)/pytest -p no:cacheprovider tests/requests/test_faults.py tests/requests/test_flipped_bytes.py

install: .venv/installed  ## The virtual environment alone

.venv/installed: constraints.txt pyproject.toml
	@echo "Setting up .venv with the pinned dependencies (once; a few minutes) ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,flower,pretrained]'
	@touch $@
	@echo "Done: .venv holds fedlethe and what it needs."

# Flower pins these itself, differently in every release.
FLWR_PINS := ^(flwr|certifi|cryptography|fastapi|protobuf|starlette|uv|uvicorn)==
FLWR_lowest := flwr[simulation]==1.40.0
FLWR_highest := flwr[simulation]

.venv-flower-%/installed: constraints.txt pyproject.toml
	@echo "Setting up .venv-flower-$* ..."
	$(PYTHON) -m venv .venv-flower-$*
	grep -vE '$(FLWR_PINS)' constraints.txt > .venv-flower-$*/constraints.txt
	.venv-flower-$*/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint .venv-flower-$*/constraints.txt --editable '.[dev,flower,pretrained]' '$(FLWR_$*)'
	@touch $@

clean:  ## Remove the virtual environments, so that the next target sets it up anew
	rm -rf .venv .venv-flower-lowest .venv-flower-highest
