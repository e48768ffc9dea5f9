# Everything that there is to know: `make help`.

PYTHON ?= python3
VENV := venv/bin
SANDBOX := $(VENV)/python -m sandbox

.PHONY: help up test check mutation bench preview destroy smoke-test doctor env down wipe template venv

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | sed 's/\$$\$$/$$/' | expand -t 20

up: venv ## bring up everything in the sandbox, ending with a smoke test and the login line
	@$(SANDBOX) up

test: check ## test everything: lint, types, unit tests, and a sandbox of the tests' own
	$(VENV)/pytest tests/sandbox

check: venv ## the fast part of it: lint, types, unit tests
	$(VENV)/ruff format --check --quiet .
	$(VENV)/ruff check --quiet .
	$(VENV)/mypy .
	$(VENV)/pytest tests/unit

mutation: venv ## change the program in one place at a time; the unit tests must notice (BASE=<revision>: files changed since)
	@$(VENV)/pip install --quiet --disable-pip-version-check --requirement tests/mutation/requirements.txt
	@$(VENV)/python -m tests.mutation $(if $(BASE),--base=$(BASE))

bench: venv ## measure the figures in docs/performance.md, in a sandbox of its own
	@$(VENV)/python -m bench

preview: venv ## show what `pulumi up` would change in the sandbox
	@$(SANDBOX) preview

destroy: venv ## destroy the registry in the sandbox, as `pulumi destroy` does anywhere
	@$(SANDBOX) destroy

smoke-test: venv ## test the sandbox's registry from this machine
	@$(SANDBOX) smoke-test

doctor: venv ## show what has changed behind Pulumi's back in the sandbox, and what fixes it
	@$(SANDBOX) doctor

# `false`, so that the eval fails where there is no sandbox; an empty output would let it succeed.
env: ## print what a shell needs to use the sandbox: eval "$$(make -s env)"
	@$(MAKE) --silent venv && $(SANDBOX) env || { echo false; exit 1; }

down: venv ## stop the sandbox; images and state are kept
	@$(SANDBOX) down

wipe: venv ## stop the sandbox and delete all that it kept, but for the built tools
	@$(SANDBOX) wipe

# .gitattributes says what is left out.
template: ## write what users get to dist/template: pulumi new dist/template
	@rm -rf dist/template && mkdir -p dist/template
	@git archive HEAD | tar --extract --directory=dist/template

# Compiled at once: the engine runs the program several times, and starts plugins for each run.
venv: venv/.installed

venv/.installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@echo "installing Python packages into venv" >&2
	@$(PYTHON) -m venv venv
	@$(VENV)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt >&2
	@$(VENV)/python -m compileall -q venv/lib
	@touch venv/.installed
