# make run    starts Pushbell          make test   runs every test
# make check  what has to pass before a change is merged (.ci/run calls it)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
TOOLS := target/tools

.PHONY: help run test bench check format lint docs deny advisories sounds

help: ## lists the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

run: ## installs missing system packages (asks first), builds, starts (ARGS="…" are handed on)
	@.ci/packages run
	$(CARGO) build --release --locked
	exec target/release/pushbell $(ARGS)

test: ## the same for what the tests need, then runs every test
	@.ci/packages test
	$(CARGO) test --locked

bench: ## measures speed, memory and wake-ups against the limit; a part: ARGS="throughput steady desktop many popups badge start idle"
	@.ci/packages test
	$(CARGO) bench --locked --bench bench -- $(ARGS)

check: format lint docs test deny ## every test, format, lints, documentation, dependency policy

format:
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	$(CARGO) fmt --check

lint:
	@.ci/packages build
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
	$(CARGO) clippy --locked --all-targets -- -D warnings

docs:
	@.ci/packages build
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

deny: ## licences, duplicates and sources of all dependencies
	@command -v cargo-deny >/dev/null || [ -x $(TOOLS)/bin/cargo-deny ] || \
		CARGO_TARGET_DIR=$(TOOLS)/build $(CARGO) install cargo-deny --locked --version $(CARGO_DENY_VERSION) --root $(TOOLS)
	@rm -rf $(TOOLS)/build
	PATH="$$PATH:$$PWD/$(TOOLS)/bin" cargo-deny --locked check bans licenses sources

advisories: deny ## known vulnerabilities of all dependencies (reads the RustSec database from GitHub)
	PATH="$$PATH:$$PWD/$(TOOLS)/bin" cargo-deny --locked check advisories

sounds: ## makes assets/sounds anew
	@.ci/packages sounds
	$(CARGO) run --locked --example synthesise-sounds
