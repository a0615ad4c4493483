# The one entry, for people and for CI. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build example-images images test-images frozen-images kubernetes demo test test-e2e test-cgroup2 lint deny fmt docs bench chaos fuzz cluster-up cluster-examples cluster-down

CACHE ?= $(or $(TRACKYARD_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/trackyard)
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# One form of the build everywhere: another set of targets or packages would compile the dependencies again.
BUILD := cargo build --workspace --all-targets --all-features --locked
IMAGES := $(CACHE)/example-images
FROZEN := $(CARGO_TARGET_DIR)/frozen-release
NAME ?= yard
DEMO := $(CACHE)/demo
TOOLS := $(or $(TRACKYARD_TOOLS),$(HOME)/.cache/trackyard/tools)

# Jobs run in namespaces and cgroups of their own, which only root can make.
ifneq ($(shell id -u),0)
SUDO := sudo -E
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER := sudo -E
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER := sudo -E
endif

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing (Debian, Ubuntu; else: say what to install)
	@.ci/setup

build: setup ## Compile everything
	$(BUILD)

kubernetes: setup
	@tests/cluster/build.sh
	@tests/cluster/image/build.sh $(CACHE)/cluster-images

example-images: setup
	@examples/build.sh --also-next python $(IMAGES) $(CACHE)

images: setup ## Build Trackyard's own container images with buildah, into target/images
	cargo build --release --workspace --bins --locked
	STRIP=1 tools/images.sh $(CARGO_TARGET_DIR)/release $(CARGO_TARGET_DIR)/images

# What the tests compile anyway, in the same images.
test-images: build frozen-images
	@tools/images.sh $(CARGO_TARGET_DIR)/debug $(CARGO_TARGET_DIR)/test-images

# An earlier release, to upgrade from.
frozen-images: setup
	@mkdir -p $(FROZEN)/programs
	@tar --extract --file tests/fixtures/releases/0/programs.tar.xz --directory $(FROZEN)/programs
	@TAG=frozen tools/images.sh $(FROZEN)/programs $(FROZEN)/images

demo: build ## Build real Ruby and Python tooling from git, and run submissions through it: router, workers, runc
	$(SUDO) rm -rf $(DEMO) && mkdir -p $(DEMO)
	examples/build.sh --also-next python --repositories $(DEMO)/repositories $(CACHE) > $(DEMO)/builds
	$(SUDO) $(CARGO_TARGET_DIR)/debug/trackyard local build --repositories $(DEMO)/repositories \
		--images $(DEMO)/images --driver buildkit --tools $(TOOLS) $$(cat $(DEMO)/builds)
	$(SUDO) $(CARGO_TARGET_DIR)/debug/trackyard local demo --examples examples --images $(DEMO)/images

test: lint build example-images test-images frozen-images kubernetes ## Run every test: unit, property, simulation, integration with the real parts
	TRACKYARD_TEST_IMAGES=$(IMAGES) TRACKYARD_PRODUCT_IMAGES=$(CARGO_TARGET_DIR)/test-images \
		TRACKYARD_FROZEN_IMAGES=$(FROZEN)/images cargo test --workspace --all-features --locked
	examples/check.py

E2E := platform platform_builds platform_scale platform_faults platform_outages platform_life platform_rollout \
	platform_upgrade operator operator_alone cluster charts resources network_policies scenarios
test-e2e: build example-images test-images frozen-images kubernetes ## Run the tests that have a Kubernetes cluster of their own
	TRACKYARD_TEST_IMAGES=$(IMAGES) TRACKYARD_PRODUCT_IMAGES=$(CARGO_TARGET_DIR)/test-images \
		TRACKYARD_FROZEN_IMAGES=$(FROZEN)/images cargo test -p e2e --all-features --locked $(addprefix --test ,$(E2E))

test-cgroup2: setup ## Run the hostile suite, and a worker in a pod, on pure cgroup v2, in a virtual machine
	tests/cgroup2/run.sh

lint: setup deny ## Check format, lints, shell scripts and dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --locked
	shellcheck .ci/run .ci/setup $$(git ls-files '*.sh')

deny:
	cargo deny --locked --log-level error check bans licenses sources

fmt: ## Format the code
	cargo fmt --all

docs: build ## Write the generated parts of the docs anew
	TRACKYARD_WRITE_DOCS=1 cargo test --workspace --all-features --locked --test reference --test command_lines --test generated

cluster-up: kubernetes ## Start a Kubernetes cluster of one node on this machine (NAME=yard)
	@$(SUDO) tests/cluster/up.sh $(NAME)

cluster-examples: build example-images test-images ## Serve the examples to it until Ctrl-C, and say how to install
	$(SUDO) env TRACKYARD_TEST_IMAGES=$(IMAGES) TRACKYARD_PRODUCT_IMAGES=$(CARGO_TARGET_DIR)/test-images \
		$(CARGO_TARGET_DIR)/debug/trackyard-cluster-examples $(NAME) $(CARGO_TARGET_DIR)/cluster-$(NAME)

cluster-down: ## Stop it, and remove all that it left
	@$(SUDO) tests/cluster/down.sh $(NAME)

fuzz: setup ## Fuzz what reads bytes from outside: FUZZ_SECONDS=600 each, FUZZ_JOBS=2 at a time, FUZZ_TARGETS="a b"
	@fuzz/run.sh

bench: setup ## Measure against zmq_proxy, runc and tar; writes docs/benchmarks.md
	cargo build --release --workspace --locked
	tests/bench.sh docs/benchmarks.md

CHAOS_JOBS ?= 20000
CHAOS_SIMULATED_JOBS ?= 1000000
chaos: build ## Kill, freeze, cut and break for half an hour; writes docs/reliability.md (CHAOS_SEED, CHAOS_JOBS to play again)
	CHAOS_SEED=$(CHAOS_SEED) CHAOS_JOBS=$(CHAOS_JOBS) CHAOS_SIMULATED_JOBS=$(CHAOS_SIMULATED_JOBS) \
		tests/chaos.sh docs/reliability.md
