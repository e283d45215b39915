# k8gentai: deploy and orchestrate AI agents of any framework on Kubernetes.
SHELL := /usr/bin/env bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

DIR ?= config/samples/quickstart
PORT ?= 8321
NAMESPACE ?= default
# Where everything for the cluster goes: hack/cluster/cluster.sh prints the kubeconfig of its own.
CLUSTER ?= auto
export CLUSTER
# Where it is set, each of the many processes below compiles the same two thousand modules anew.
unexport PYTHONDONTWRITEBYTECODE

dev = python=$$(hack/env.sh dev)
controller = python=$$(hack/env.sh controller controller) && PYTHONPATH=$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH} exec "$$python" -P
cli = $(controller) -m controller.cli
cluster = hack/cluster/cluster.sh
kube = export KUBECONFIG=$$($(cluster) kubeconfig) PATH="$$($(cluster) path):$$PATH"

##@ Try it

.PHONY: help
help: ## show what there is
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*##/ {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: quickstart
quickstart: ## one question through REST, queue, agent and tool; then everything stops
	@$(cli) up -f config/samples/quickstart --port 0 --ask

.PHONY: up
up: ## the same, kept running: DIR=… (default config/samples/quickstart), PORT=… (8321); Ctrl-C ends it
	@$(cli) up -f $(DIR) --port $(PORT) $(if $(STATE),--state $(STATE))

.PHONY: dead
dead: ## the dead letters of what runs: STATE=… (as `make up` says), LETTER=… shows one of them
	@$(cli) dead $(if $(LETTER),show $(LETTER),list) $(if $(STATE),--state $(STATE))

##@ Develop

.PHONY: setup
setup: ## make .venv with everything for tests and tools
	@hack/env.sh dev

.PHONY: fmt
fmt: ## format, and mend what can be mended safely
	@$(dev) && $$python -m ruff format . && $$python -m ruff check --fix .

.PHONY: crds
crds: ## write crds/ anew from controller/api
	@$(dev) && $$python hack/gen_crds.py

.PHONY: api
api: ## write docs/api.md anew from the routes of the API server
	@$(dev) && $$python hack/gen_api.py

.PHONY: check
check: ## format, lint, types, import rules, drift, pure tests
	@$(dev) && hack/check.sh $$python

.PHONY: test
test: ## check, and the tests with real servers in the same run
	@$(dev) && hack/check.sh $$python -n 3 -m "not cluster"

.PHONY: test-apart
test-apart: ## the tests of what needs an environment of its own: CrewAI, BeeAI, the API on OGX, and Keycloak
	@hack/frameworks.sh

.PHONY: conformance
conformance: ## ask every operation of the API much of what its document allows and forbids: EXAMPLES=… (300)
	@$(dev) && K8GENTAI_EXAMPLES=$(or $(EXAMPLES),300) $$python -m pytest -n 3 -m integration runtime/tests/amf/test_conformance.py

.PHONY: ogx
ogx: ## every test of the API on OGX, of which `make test-apart` runs a few
	@hack/ogx.sh

.PHONY: faults
faults: ## which fault is shown by which test, and how its last run ended
	@$(dev) && $$python -m hack.faults

.PHONY: frameworks
frameworks: ## what each framework can do, found out anew; writes docs/frameworks.*
	@$(dev) && $$python -m hack.frameworks

.PHONY: bench
bench: ## measure side by side in one run; writes docs/bench.md and the figures of the README
	@$(dev) && KUBECTL="$(cluster) kubectl" $$python hack/bench/run.py --cluster "$(MAKE) cluster images deploy"

.PHONY: bench-serving
bench-serving: ## what the API servers carry and what a request costs them; into docs/bench.md and the README
	@$(dev) && $$python hack/bench/serving.py

.PHONY: bench-images
bench-images: ## what a worker of each framework costs beside the bare framework; writes docs/images.md
	@$(dev) && $$python hack/bench/images.py

.PHONY: bench-tokens
bench-tokens: ## transaction tokens minted a second on one core, beside bare signatures
	@$(dev) && $$python hack/bench/tokens.py

##@ Cluster

.PHONY: cluster
cluster: ## a cluster here: CLUSTER=kind where a container engine answers, else CLUSTER=source
	@$(cluster) up

.PHONY: cluster-down
cluster-down: ## take it away
	@$(cluster) down

.PHONY: spire
spire: ## SPIRE in the cluster, and the operator told of it; for policies that ask for SVIDs
	@hack/spire.sh

.PHONY: images
images: ## build the images and load them into the cluster
	@hack/images/images.sh

.PHONY: deploy
deploy: ## install the operator and the trust plane into the cluster
	@$(kube) && hack/deploy.sh

.PHONY: undeploy
undeploy: ## take them away again, custom resources first
	@$(kube) && hack/undeploy.sh

.PHONY: e2e
e2e: ## every test of e2e/ on the cluster, made and deployed to if need be
	@$(cluster) up && $(MAKE) spire && hack/images/images.sh && $(MAKE) deploy && $(kube) && $(dev) && $$python -m pytest -m cluster e2e hack/tests/cluster
