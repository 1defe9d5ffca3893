# make run    starts Pushbell          make test   runs every test
# make check  what has to pass before a change is merged (.ci/run calls it)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_DEB_VERSION := 3.8.0
FUZZ_SECONDS ?= 600
TOOLS := target/tools
PREFIX ?= /usr/local
ID := org.pushbell.Pushbell
BINARY := $(or $(CARGO_TARGET_DIR),target)/release/pushbell
STAGE := target/package
# The same commit gives the same bytes, wherever it is built and wherever its dependencies lie: docs/releasing.md
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
export SOURCE_DATE_EPOCH
REMAP := --remap-path-prefix=$(CURDIR)=/pushbell --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo

.PHONY: help run release install uninstall deb package-test test bench figures check format lint docs deny windows macos app advisories fuzz sounds

help: ## lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: ## installs missing system packages (asks first), builds, starts; with ARGS="status" runs that command
	@.ci/packages run
	@$(MAKE) --no-print-directory release
	@$(if $(ARGS),:,echo 'Nothing is installed. Where Pushbell says "pushbell", type $(abspath $(BINARY)), or here: make run ARGS="login @you:example.org"')
	exec $(BINARY) $(ARGS)

release: ## builds the program: target/release/pushbell
	@.ci/packages build
	@[ -e $(BINARY) ] || echo "The first build takes about 10 minutes on two cores, less on more."
	RUSTFLAGS="$(RUSTFLAGS) $(REMAP)" $(CARGO) build --release --locked

$(BINARY):
	@$(MAKE) --no-print-directory release

# Mode, source, and place below PREFIX.
define INSTALLED
755 $(BINARY) bin/pushbell
644 assets/linux/$(ID).desktop share/applications/$(ID).desktop
644 assets/linux/$(ID).metainfo.xml share/metainfo/$(ID).metainfo.xml
644 assets/linux/pushbell.notifyrc share/knotifications5/pushbell.notifyrc
644 assets/linux/pushbell.notifyrc share/knotifications6/pushbell.notifyrc
644 assets/linux/pushbell.service lib/systemd/user/pushbell.service
644 assets/icons/pushbell.svg share/icons/hicolor/scalable/apps/$(ID).svg
644 assets/icons/pushbell-symbolic.svg share/icons/hicolor/symbolic/apps/$(ID)-symbolic.svg
$(foreach size,16 22 24 32 48 64 128 256,644 assets/icons/pushbell-$(size).png share/icons/hicolor/$(size)x$(size)/apps/$(ID).png
)644 README.md share/doc/pushbell/README.md
$(foreach file,$(wildcard docs/*.md docs/images/*.png),644 $(file) share/doc/pushbell/$(file)
)644 $(STAGE)/pushbell.1 share/man/man1/pushbell.1
644 $(STAGE)/pushbell.bash share/bash-completion/completions/pushbell
644 $(STAGE)/_pushbell share/zsh/site-functions/_pushbell
644 $(STAGE)/pushbell.fish share/fish/vendor_completions.d/pushbell.fish
endef
export INSTALLED

# GTK believes its cache of icons. One without any icon goes.
ICONS = $(DESTDIR)$(PREFIX)/share/icons/hicolor
ICON_CACHE = [ -n "$(DESTDIR)" ] || [ ! -d "$(ICONS)" ] || ! command -v gtk-update-icon-cache >/dev/null || gtk-update-icon-cache -qtf "$(ICONS)"

install: $(BINARY) ## installs below PREFIX (/usr/local), or below DESTDIR for packagers; after `make release`
	@mkdir -p $(STAGE)
	@$(BINARY) man >$(STAGE)/pushbell.1
	@$(BINARY) completions bash >$(STAGE)/pushbell.bash
	@$(BINARY) completions zsh >$(STAGE)/_pushbell
	@$(BINARY) completions fish >$(STAGE)/pushbell.fish
	@while read -r mode from to; do install -D -m "$$mode" "$$from" "$(DESTDIR)$(PREFIX)/$$to"; done <<<"$$INSTALLED"
	@sed -i 's|/usr/bin/pushbell|$(PREFIX)/bin/pushbell|' "$(DESTDIR)$(PREFIX)/lib/systemd/user/pushbell.service"
	@$(ICON_CACHE)
	@echo "Installed below $(DESTDIR)$(PREFIX). To start with the desktop: pushbell autostart on"

uninstall: ## removes what `make install` with the same PREFIX has installed
	@while read -r mode from to; do rm -f "$(DESTDIR)$(PREFIX)/$$to"; done <<<"$$INSTALLED"
	@$(ICON_CACHE)

deb: release ## builds the Debian package: target/debian/*.deb
	@.ci/packages deb
	@command -v cargo-deb >/dev/null || [ -x $(TOOLS)/bin/cargo-deb ] || \
		CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		CARGO_TARGET_DIR=$(TOOLS)/build $(CARGO) install cargo-deb --locked --version $(CARGO_DEB_VERSION) --root $(TOOLS)
	@rm -rf $(TOOLS)/build $(STAGE)
	@$(MAKE) --no-print-directory install DESTDIR=$(STAGE)/root PREFIX=/usr >/dev/null
	@printf 'pushbell (%s-1) unstable; urgency=medium\n\n  * See /usr/share/doc/pushbell/NEWS.md\n\n -- The Pushbell developers <packages@pushbell.org>  %s\n' \
		"$$($(BINARY) --version | cut -d' ' -f2)" "$$(LC_ALL=C date -u -R -d @$(SOURCE_DATE_EPOCH))" >$(STAGE)/changelog
	PATH="$$PATH:$$PWD/$(TOOLS)/bin" cargo-deb --no-build --locked

package-test: ## the Debian package in clean Debian roots: installs, starts, is removed again
	@.ci/packages package
	@.ci/package-test

# Tests wait for other programs half of their time: twice as many threads as cores.
test: ## the same for what the tests need, then runs every test
	@.ci/packages test
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))} $(CARGO) test --locked

bench: ## measures what Pushbell costs, against its targets; parts: ARGS="pushes kept idle popup encrypted listen start strangers", or quick
	@.ci/packages test
	$(CARGO) bench --locked --bench bench -- $(ARGS)

figures: ## the same, all of it, and puts the table into docs/performance.md
	@.ci/packages test
	$(CARGO) bench --locked --bench bench | tee target/figures.md
	sed -i -e '/^<!-- figures -->/,/^<!-- end of figures -->/{//!d}' -e '/^<!-- figures -->/r target/figures.md' docs/performance.md

check: format lint docs test deny package-test windows macos ## every test, format, lints, documentation, dependency policy, packages, other systems

format:
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	$(CARGO) fmt --check

lint:
	@.ci/packages build
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features -- -D warnings

docs:
	@.ci/packages build
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

deny: ## licences, duplicates and sources of all dependencies
	@command -v cargo-deny >/dev/null || [ -x $(TOOLS)/bin/cargo-deny ] || \
		CARGO_TARGET_DIR=$(TOOLS)/build $(CARGO) install cargo-deny --debug --locked --version $(CARGO_DENY_VERSION) --root $(TOOLS)
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
