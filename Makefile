# SPDX-License-Identifier: GPL-3.0-or-later
# One command from a fresh clone: every target first sets up what it needs, in .venv and nowhere else.

PYTHON ?= python3
BIN := .venv/bin
COLLECTION := .collections/ansible_collections/fanout/backup
# Where Go's own archive is unpacked to.
export PATH := $(PATH):/usr/local/go/bin

# make refuses to run two steps at once: the tests share the machine's cores and its ports.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help system setup demo test unit-and-style faults-and-others lint ansible-lint types sanity test-unit test-end-to-end test-faults test-soak soak test-apps build sandbox-up sandbox-down cluster-up cluster-down test-cluster molecule mutants matrix bench docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed-sandbox $(COLLECTION) ## the whole story on this machine: back up, restore, compare, break things
	$(BIN)/python -m tests.sandbox.demo

test: export FANOUT_TEST_TALLY := $(CURDIR)/.cache/tally
test: unit-and-style test-end-to-end faults-and-others test-cluster molecule ## everything below that proves something, offline once set up and once the cluster has been built
	@$(BIN)/python -m tools.tally

# Side by side, what keeps only one core busy, or waits for deadlines. The others' output is shown after the first one's.
unit-and-style: .venv/installed-dev $(COLLECTION)
	@$(BIN)/python -m tools.beside test-unit "lint types sanity"

faults-and-others: .venv/installed-dev $(COLLECTION)
	@$(BIN)/python -m tools.beside test-faults "test-soak test-apps"

lint: .venv/installed-dev $(COLLECTION) types ## style of Python, YAML, changelog and documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@$(MAKE) --no-print-directory ansible-lint
	$(BIN)/antsibull-changelog lint
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/antsibull-docs lint-collection-docs --plugin-docs .

# This one and antsibull-docs call other programs of Ansible by name.
ansible-lint: .venv/installed-dev $(COLLECTION) ## the part of lint that takes longest
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint

# mypy knows nothing of renamed folders, so the package `fanout` is put together from links, anew each time.
types: .venv/installed-dev $(COLLECTION) ## mypy --strict
	rm -rf .typing && mkdir -p .typing/fanout
	ln -s $(CURDIR)/plugins/module_utils/* $(CURDIR)/runner .typing/fanout/
	$(BIN)/mypy

sanity: .venv/primed-sanity ## ansible-test sanity, without containers and without network
	$(BIN)/python -m tools.sanity

test-unit: .venv/installed-dev $(COLLECTION) ## tests/unit, and those of the mutants themselves
	@mkdir -p .cache/coverage
	$(BIN)/python -m pytest tests/unit tests/mutants -n 2 --cov --cov-report=
	@echo "coverage of plugins/ by these tests: $$($(BIN)/python -m coverage report --format=total) %"

test-end-to-end: .venv/installed-dev $(COLLECTION) ## tests/end_to_end and tests/field, against a real PostgreSQL and the sandbox
	$(BIN)/python -m pytest tests/end_to_end tests/field -n 4 --dist loadfile --no-loadscope-reorder

test-faults: .venv/installed-dev $(COLLECTION) ## tests/faults: servers that hang, disks that lie; as root the ones that take a mount, too
	@# One more than the cores that all tests are made for: a good part of the time they wait for a deadline.
	$(BIN)/python -m pytest tests/faults -n 3

test-soak: .venv/installed-dev $(COLLECTION) ## tests/soak: 25 kills of each act, at moments that a seed draws
	$(BIN)/python -m pytest tests/soak -n 3 --dist worksteal

soak: .venv/installed-dev $(COLLECTION) ## the same with 200 kills of each, at other moments each time
	FANOUT_TEST_KILLS=$${FANOUT_TEST_KILLS:-200} FANOUT_TEST_SEED=$${FANOUT_TEST_SEED:-$$(date +%s)} \
	  $(BIN)/python -m pytest tests/soak -n 3 --dist worksteal

test-apps: .venv/installed-dev $(COLLECTION) ## tests/apps, on databases of real applications, where FANOUT_TEST_APPS names a folder with them
	$(BIN)/python -m tests.apps

mutants: .venv/installed-dev $(COLLECTION) ## make deliberate mistakes and demand that the tests notice each; 5 minutes
	$(BIN)/python -m tests.mutants

matrix: .venv/installed-dev $(COLLECTION) ## tests/unit and one end-to-end file with each Python here and each ansible-core, in .matrix; PAIRS=3.13-2.21 for one pair
	$(BIN)/python -m tools.matrix $(PAIRS)

test-cluster: .venv/installed-dev $(COLLECTION) ## tests/cluster, on a real Kubernetes, which is built once
	$(BIN)/python -m tests.sandbox.cluster test

molecule: .venv/installed-dev $(COLLECTION) ## the playbooks as molecule's scenarios, on this machine and on a cluster
	$(BIN)/python -m tools.molecule

bench: .venv/installed-dev $(COLLECTION) ## what backups, drills and roll-outs cost, into docs/benchmarks*.md
	$(BIN)/python -m tests.benchmarks
	$(BIN)/python -m tests.benchmarks.kubernetes

sandbox-up: .venv/installed-sandbox $(COLLECTION) ## start the home lab in .sandbox and leave it running
	$(BIN)/python -m tests.sandbox up

sandbox-down: .venv/installed-sandbox ## stop the home lab and remove it
	$(BIN)/python -m tests.sandbox down

cluster-up: .venv/installed-dev ## start a real Kubernetes of one node, as root, and leave it running
	$(BIN)/python -m tests.sandbox.cluster up

cluster-down: .venv/installed-dev ## stop it and remove it
	$(BIN)/python -m tests.sandbox.cluster down

docs: .venv/installed-dev $(COLLECTION) ## the docs site, in build/docs/html; warnings are errors
	$(BIN)/python -m tools.docs

build: .venv/installed-dev ## the collection and the wheel, in dist/
	rm -rf build dist
	$(BIN)/ansible-galaxy collection build --force --output-path dist
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

setup: .venv/primed-sanity $(COLLECTION) ## everything that needs the network, so that the rest does not; the cluster apart, which its first start builds

clean: ## remove what make created; stop the sandbox first
	rm -rf .venv .matrix .collections .typing .cache .ansible .mypy_cache .pytest_cache .ruff_cache build dist ./*.egg-info

# Before anything else: Debian's Python makes no environment without a package of its own.
system:
	@$(PYTHON) -m tools.system $(MAKECMDGOALS)

.venv/bin/python: | system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed. Remedy: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.venv/installed-sandbox: .venv/bin/python pyproject.toml setup.py
	$(BIN)/pip install --quiet --editable '.[sandbox]'
	touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml setup.py
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@ .venv/installed-sandbox

.venv/primed-sanity: .venv/installed-dev
	@echo "Preparing the environments of ansible-test: about a minute, once"
	@$(BIN)/python -m tools.sanity --prime-venvs > .venv/primed-sanity.log || { cat .venv/primed-sanity.log; exit 1; }
	touch $@

# ansible-playbook, ansible-lint and pytest know a collection by its path.
$(COLLECTION):
	mkdir -p $(@D)
	ln -sfn ../../.. $@
