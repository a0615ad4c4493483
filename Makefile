# The commands of the project, for people and for CI. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: announce help setup build builders example-images images test-images stripped-images frozen-images kubernetes demo test test-e2e test-cgroup2 lint deny fmt docs bench chaos fuzz cluster-up cluster-examples cluster-down

CACHE ?= $(or $(TRACKYARD_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/trackyard)
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# Everything builds in this form, because other targets or packages would compile the dependencies again.
BUILD := cargo build --workspace --all-targets --all-features --locked
PROGRAM_CRATES := trackyard trackyard-router trackyard-operator trackyard-worker
IMAGES := $(CACHE)/example-images
FROZEN := $(CARGO_TARGET_DIR)/frozen-release
NAME ?= try
# PROGRAMS: a directory with the compiled programs. If it is set, nothing is compiled, and the environment names the
# images.
BINARIES := $(or $(PROGRAMS),$(CARGO_TARGET_DIR)/debug)
TOOLS := $(or $(TRACKYARD_TOOLS),$(HOME)/.cache/trackyard/tools)

# Only root can make the namespaces and cgroups in which jobs run.
ifneq ($(shell id -u),0)
SUDO := sudo -E
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER := sudo -E
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER := sudo -E
endif

help: ## List the targets
	@echo 'Times are for two processors; "again" is the time of a second run.'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Build tooling images from git, and run 34 submissions in runc (3 min; again 40 s)
	@examples/demo.sh

setup: ## Install the packages for building and testing (3 min); .ci/setup PART installs a part
	@.ci/setup test lint bench

build: ## Compile everything, tests included (10 min; again 1 min)
	@.ci/setup build
	$(BUILD)

builders: ## Compile the image builders that the tests use, with Go (3 min; again at once)
	@tools/builders.sh $(TOOLS)

kubernetes: ## Compile Kubernetes for the throw-away cluster, with Go (8 min; again at once)
	@.ci/setup cluster
	@tests/cluster/build.sh
	@tests/cluster/image/build.sh $(CACHE)/cluster-images

example-images:
	@examples/build.sh --also-next python $(IMAGES) $(CACHE)

images: ## Build the release's container images with buildah, into target/images (20 min)
ifdef PROGRAMS
	tools/images.sh $(PROGRAMS) $(CARGO_TARGET_DIR)/images
else
	@.ci/setup images
	@tools/builders.sh $(TOOLS)
	cargo build --release --locked $(addprefix -p ,$(PROGRAM_CRATES)) --bins
	STRIP=1 tools/images.sh $(CARGO_TARGET_DIR)/release $(CARGO_TARGET_DIR)/images
endif

# Images of the debug programs, which the tests compile anyway.
test-images: build builders frozen-images
	@tools/images.sh $(CARGO_TARGET_DIR)/debug $(CARGO_TARGET_DIR)/test-images

# An earlier release, to upgrade from.
frozen-images: builders
	@mkdir -p $(FROZEN)/programs
	@tar --extract --file tests/fixtures/releases/0/programs.tar.xz --directory $(FROZEN)/programs
	@TAG=frozen tools/images.sh $(FROZEN)/programs $(FROZEN)/images

test: announce lint build example-images test-images frozen-images kubernetes ## Run all tests, with the real programs (75 min; again 40 min)
	TRACKYARD_TEST_IMAGES=$(IMAGES) TRACKYARD_PRODUCT_IMAGES=$(CARGO_TARGET_DIR)/test-images \
		TRACKYARD_FROZEN_IMAGES=$(FROZEN)/images cargo test --workspace --all-features --locked
	examples/check.py

# Installs what the tests need, and prints how much disk and time they take.
PARTS := test
test: PARTS := test lint
announce:
	@.ci/setup $(PARTS)

E2E := platform platform_groups platform_builds platform_scale platform_faults platform_outages platform_life platform_rollout \
	platform_upgrade operator operator_alone cluster charts resources network_policies scenarios docs_console
test-e2e: announce build example-images test-images frozen-images kubernetes ## Run the tests that start a Kubernetes cluster of their own (15 min)
	TRACKYARD_TEST_IMAGES=$(IMAGES) TRACKYARD_PRODUCT_IMAGES=$(CARGO_TARGET_DIR)/test-images \
		TRACKYARD_FROZEN_IMAGES=$(FROZEN)/images cargo test -p e2e --all-features --locked $(addprefix --test ,$(E2E))

# Without debug symbols, which an emulated machine reads slowly.
stripped-images: build builders
	@STRIP=1 tools/images.sh $(CARGO_TARGET_DIR)/debug $(CARGO_TARGET_DIR)/stripped-images

CGROUP2_PARTS ?= sandbox cluster
test-cgroup2: announce stripped-images kubernetes ## Run the hostile suite and a Kubernetes cluster on cgroup v2 alone, in a virtual machine (30 min)
	TRACKYARD_PRODUCT_IMAGES=$(CARGO_TARGET_DIR)/stripped-images tests/cgroup2/run.sh "$(CGROUP2_PARTS)"

lint: ## Check formatting, lints, shell scripts and dependencies (4 min; again 1 min)
	@.ci/setup lint
	@$(MAKE) --no-print-directory deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --locked
	@# The form in which `make demo` compiles the programs.
	cargo clippy --workspace --exclude fuzz-targets --exclude e2e --no-default-features --lib --bins --locked
	shellcheck .ci/run .ci/setup $$(git ls-files '*.sh')

deny:
	cargo deny --locked --log-level error check bans licenses sources

fmt: ## Format the code (1 s)
	cargo fmt --all

docs: announce build example-images ## Regenerate the generated parts of the docs (3 min)
	TRACKYARD_TEST_IMAGES=$(IMAGES) TRACKYARD_WRITE_DOCS=1 cargo test --workspace --all-features --locked --test reference --test command_lines --test generated --test recording

cluster-up: kubernetes ## Start a Kubernetes cluster of one node on this machine (NAME=try; 10 s)
	@$(SUDO) tests/cluster/up.sh $(NAME)

cluster-examples: $(if $(PROGRAMS),,announce build example-images test-images) ## Serve the examples to that cluster until Ctrl-C, and print how to install (10 s)
	$(SUDO) env TRACKYARD_TEST_IMAGES=$(or $(and $(PROGRAMS),$(TRACKYARD_TEST_IMAGES)),$(IMAGES)) \
		TRACKYARD_PRODUCT_IMAGES=$(or $(and $(PROGRAMS),$(TRACKYARD_PRODUCT_IMAGES)),$(CARGO_TARGET_DIR)/test-images) \
		$(BINARIES)/trackyard-cluster-examples $(NAME) $(CARGO_TARGET_DIR)/cluster-$(NAME)

cluster-down: ## Stop that cluster, and remove all that it made (3 s)
	@$(SUDO) tests/cluster/down.sh $(NAME)

fuzz: ## Fuzz the parsers of untrusted bytes: FUZZ_SECONDS=600 each, FUZZ_JOBS=2 at a time, FUZZ_TARGETS="a b"
	@.ci/setup build
	@fuzz/run.sh

bench: ## Measure against zmq_proxy, runc and tar; writes docs/benchmarks.md (40 min)
	@.ci/setup bench
	cargo build --release --locked $(addprefix --bin ,trackyard-bench trackyard trackyard-router trackyard-worker)
	tests/bench.sh docs/benchmarks.md

CHAOS_JOBS ?= 20000
CHAOS_SIMULATED_JOBS ?= 1000000
chaos: announce build ## Kill, freeze and disconnect processes (30 min); writes docs/reliability.md (CHAOS_SEED, CHAOS_JOBS to repeat a run)
	CHAOS_SEED=$(CHAOS_SEED) CHAOS_JOBS=$(CHAOS_JOBS) CHAOS_SIMULATED_JOBS=$(CHAOS_SIMULATED_JOBS) \
		tests/chaos.sh docs/reliability.md
