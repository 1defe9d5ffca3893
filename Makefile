# make run    starts Pushbell          make test   runs every test
# make check  what has to pass before a change is merged (.ci/run calls it)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
FUZZ_SECONDS ?= 600
TOOLS := target/tools

.PHONY: help run test bench figures check format lint docs deny windows macos app advisories fuzz sounds

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

figures: ## the same, all of it, and puts what it prints into docs/performance.md
	@.ci/packages test
	$(CARGO) bench --locked --bench bench | tee target/figures.md
	sed -i -e '/^<!-- figures -->/,/^<!-- end of figures -->/{//!d}' -e '/^<!-- figures -->/r target/figures.md' docs/performance.md

check: format lint docs test deny windows macos ## every test, format, lints, documentation, dependency policy, other systems

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

windows: ## builds, lints and tests for Windows, on Debian: docs/systems.md
	CARGO=$(CARGO) .ci/cross windows

macos: ## checks and lints for macOS, on Debian: docs/systems.md
	.ci/cross macos

app: ## on macOS: makes target/Pushbell.app
	assets/macos/bundle

advisories: deny ## known vulnerabilities of all dependencies (reads the RustSec database from GitHub)
	PATH="$$PATH:$$PWD/$(TOOLS)/bin" cargo-deny --locked check advisories

# The sanitizer is not stable yet: RUSTC_BOOTSTRAP lets the compiler that we have use it.
fuzz: ## fuzzes what strangers can send, FUZZ_SECONDS (600) for each target: docs/hostile-input.md
	@.ci/packages fuzz
	@command -v cargo-fuzz >/dev/null || [ -x $(TOOLS)/bin/cargo-fuzz ] || \
		CARGO_TARGET_DIR=$(TOOLS)/build $(CARGO) install cargo-fuzz --locked --version $(CARGO_FUZZ_VERSION) --root $(TOOLS)
	@rm -rf $(TOOLS)/build
	@for target in body config sound text; do \
		mkdir -p fuzz/corpus/$$target; \
		PATH="$$PATH:$$PWD/$(TOOLS)/bin" RUSTC_BOOTSTRAP=1 cargo-fuzz fuzz run $$target \
			fuzz/corpus/$$target fuzz/seeds/$$target $$(find fuzz/regressions -name $$target) -- -max_total_time=$(FUZZ_SECONDS) \
			-dict=fuzz/dictionaries/$$target.dict -max_len=65536 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1; \
	done

sounds: ## makes assets/sounds anew
	@.ci/packages sounds
	$(CARGO) run --locked --example synthesise-sounds
