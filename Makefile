# Everything that there is to know: `make help`.

PYTHON ?= python3
VENV := venv/bin
SANDBOX := $(VENV)/python -m sandbox
# Files go to the two sandboxes in order: the one that destroys the registry is the last.
SANDBOX_TESTS := $(VENV)/pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder tests/sandbox

.PHONY: help up test test-long check reference mutation actionlint zizmor gitlab checkov dry-run conformance clients browser upgrade gate soak chaos faults images ages align sbom pins bench bench-compare dashboard preview destroy smoke-test doctor live live-clean env down wipe tools-archive template venv

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | sed 's/\$$\$$/$$/' | expand -t 20

up: venv ## bring up everything in the sandbox, ending with a smoke test and the login line (NODES=2: a second node)
	@$(SANDBOX) up $(if $(NODES),--nodes=$(NODES))

test: check ## test everything but what takes long: lint, types, unit tests, a short soak, and two sandboxes
	@$(VENV)/python -m tests.sandbox.tools
	$(VENV)/pytest --numprocesses=2 --dist=loadfile tests/soak tests/browser -m 'not long'
	$(SANDBOX_TESTS) -m 'not long and not chaos'

test-long: venv ## test what takes long, in the same two sandboxes
	@$(VENV)/python -m tests.sandbox.tools
	$(VENV)/pytest tests/browser -m long
	$(SANDBOX_TESTS) -m long

check: venv ## the fast part of it: lint, types, unit tests
	$(VENV)/ruff format --check --quiet .
	$(VENV)/ruff check --quiet .
	$(VENV)/mypy .
	$(VENV)/pytest --numprocesses=2 --dist=loadfile tests/unit

reference: venv ## write README's settings, Pulumi.yaml, the JSON schema and the package's inputs from settings/
	@$(VENV)/python -m reference

mutation: venv ## change the program in one place at a time; the unit tests must notice (BASE=<revision>; ONLY="files or folders")
	@$(VENV)/pip install --quiet --disable-pip-version-check --requirement tests/mutation/requirements.txt
	@$(VENV)/python -m tests.mutation $(if $(BASE),--base=$(BASE)) $(ONLY)

actionlint: venv ## check the workflows' syntax and scripts
	@$(VENV)/pytest tests/gate/test_actionlint.py

zizmor: venv .sandbox/scanners/.installed ## check what attackers could do with the workflows
	@$(VENV)/pytest tests/gate/test_zizmor.py

gitlab: venv .sandbox/scanners/.installed ## check the example pipeline for GitLab: its schema, and its scripts
	@$(VENV)/pytest tests/gate/test_gitlab.py

checkov: venv .sandbox/scanners/.installed ## check the program's objects by rules that others made
	@$(VENV)/pytest tests/gate/test_checkov.py

dry-run: venv ## let the sandbox's API server validate the program's objects, strictly
	@$(VENV)/pytest tests/sandbox/test_manifests.py

conformance: venv ## run the tests of the OCI distribution specification in the sandbox
	@$(VENV)/pytest tests/sandbox/test_conformance.py

clients: venv ## compare what docker, podman and other clients do with what they do with a plain registry; installs them
	@$(VENV)/pytest tests/clients

browser: venv ## try the page in Chromium, which it installs (SCREENSHOTS=1: write those of docs/page.md)
	@$(VENV)/pytest tests/browser $(if $(SCREENSHOTS),--screenshots)

upgrade: venv ## upgrade a sandbox to this commit, from the last release or BASE=<revision>; images must still pull
	@$(VENV)/python -m tests.upgrade $(if $(BASE),--base=$(BASE))

gate: ages actionlint zizmor gitlab checkov mutation test test-long clients upgrade ## everything that a change must pass

soak: venv ## collect beside 10,000 pushes, pulls and deletes, with kills and failures at every step; 100,000 random requests (OPERATIONS=10000)
	@$(VENV)/pytest tests/soak -s --operations=$(or $(OPERATIONS),10000)

chaos: venv ## attack and damage a registry in a sandbox: kills, an API server that is away, 20 rollouts, 10,000 connections; 20 minutes
	@$(VENV)/pytest -s tests/sandbox/test_chaos.py tests/sandbox/test_load.py -m chaos

faults: venv ## kill the engine after every resource, and repair the stack as the documentation says; an hour and a half
	@$(VENV)/python -m tests.faults

bench: venv ## measure the figures in docs/performance.md, in a sandbox of its own
	@$(VENV)/python -m bench

bench-compare: venv ## compare it with the seed's registry and a plain one; a plot, and raw data (ROUNDS=10)
	@$(VENV)/pip install --quiet --disable-pip-version-check --requirement bench/requirements.txt
	@$(VENV)/python -m bench.compare --rounds=$(or $(ROUNDS),10)
	@$(VENV)/python -m bench.plot

dashboard: venv ## draw docs/dashboard.svg from what a sandbox's Prometheus has
	@$(VENV)/pip install --quiet --disable-pip-version-check --requirement bench/requirements.txt
	@$(VENV)/python -m bench.dashboard

images: venv ## compare the tags of the default images with the digests in tests/gate/images.toml
	@$(VENV)/python -m tests.gate.images

ages: venv ## find pins that are more than a year old: default images, and what the sandbox is built from
	@$(VENV)/python -m tests.gate.ages

align: venv ## raise the modules that Kubernetes and CoreDNS share to one version each
	@$(VENV)/python -m tests.gate.align

sbom: venv .sandbox/cyclonedx/.installed ## list all Python packages and Go modules in .sandbox/sbom, as CycloneDX
	@mkdir -p .sandbox/sbom
	@.sandbox/cyclonedx/bin/cyclonedx-py requirements --output-reproducible --output-file .sandbox/sbom/program.json requirements.txt
	@$(VENV)/python -m tests.gate.sbom > .sandbox/sbom/sandbox.json

# A requirement that the other one has keeps its version; delete a line of a .txt file to take a newer one.
pins: .sandbox/scanners/.installed ## lock what the requirements*.in files ask for, with hashes
	@for file in requirements requirements-dev tests/mutation/requirements bench/requirements tests/gate/scanners tests/gate/cyclonedx \
	    $(patsubst %.in,%,$(wildcard sandbox/build/tools/*/requirements.in)); do \
	    .sandbox/scanners/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	        $$file.in --output-file $$file.txt || exit; done

tools-archive: venv ## write the sandbox's built tools to dist/: SANDBOX_TOOLS=... of `make up` takes them
	@$(VENV)/python -m sandbox.build

preview: venv ## show what `pulumi up` would change in the sandbox
	@$(SANDBOX) preview

destroy: venv ## destroy the registry in the sandbox, as `pulumi destroy` does anywhere
	@$(SANDBOX) destroy

smoke-test: venv ## test the sandbox's registry from this machine
	@$(SANDBOX) smoke-test

doctor: venv ## show what is wrong with the registry in the sandbox, and what fixes it
	@$(SANDBOX) doctor

live: venv ## prove it on your DigitalOcean account, for a few cents (KUBECONFIG=<file>: your own cluster; YES=1; LIVE="options")
	@$(VENV)/python -m live run $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig=$(KUBECONFIG)) $(if $(YES),--yes) $(LIVE)

live-clean: venv ## delete what a killed `make live` has left in your account (RUN=<name>)
	@$(VENV)/python -m live clean $(if $(RUN),--run=$(RUN)) $(LIVE)

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

venv/.installed: requirements.txt requirements-dev.txt requirements-policy.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@echo "installing Python packages into venv" >&2
	@$(PYTHON) -m venv venv
	@$(VENV)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt >&2
	@$(VENV)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-policy.txt >&2
	@$(VENV)/python -m compileall -q venv/lib
	@touch venv/.installed

# Tools that pin other versions than the program has: a virtual environment for each of tests/gate/*.txt.
.sandbox/%/.installed: tests/gate/%.txt
	@$(PYTHON) -m venv .sandbox/$*
	@.sandbox/$*/bin/pip install --quiet --disable-pip-version-check --requirement $< >&2
	@touch $@
