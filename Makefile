# The house's commands. `make` alone lists them.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

CARGO ?= cargo
ifdef CI
export CARGO_TERM_COLOR ?= never
endif
# What `make build` is made with beside the defaults: FEATURES=parquet (archives in Parquet), which the package has.
FEATURES ?=
# Every command takes exactly the dependencies that Cargo.lock names (--locked).
SERVERS := tests/support/servers.sh
# nextest where it is installed: a process a test, and a test that hangs is ended.
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help deps deps-build deps-test deps-bench build man pdf deb demo test pdf-test lint torture bench report-bench systemd-test

help: ## Lists these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

deps: deps-test ## Installs the Debian packages that building and testing need, if any is missing

deps-build:
	@.ci/deps build

deps-test:
	@.ci/deps test

deps-bench:
	@.ci/deps bench

build: deps-build ## Builds target/release/retentiond (FEATURES=parquet: with archives in Parquet)
	$(CARGO) build --release --locked $(if $(FEATURES),--features $(FEATURES))

pdf: deps-build ## Builds target/release/retentiond-pdf, which prints reports; takes longer than all the rest
	$(CARGO) build --release --locked --features pdf --bin retentiond-pdf

man: build ## Writes the manual pages to target/man
	mkdir -p target/man
	./target/release/retentiond man --out target/man

deb: deps-build ## Builds the Debian package into target/debian (with cargo-deb, fetched when it is missing)
	@.ci/deps deb
	$(CARGO) build --release --locked --features parquet
	.ci/deb

demo: build ## Shows all of it on a made-up contact centre, in a temporary folder
	./target/release/retentiond demo

lint: deps-test ## Checks form and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --features parquet --all-targets --test systemd -- -D warnings
	$(CARGO) clippy --locked --lib --bins -- -D warnings

test: lint ## Checks form, lints, and runs all tests on private servers
	$(CARGO) test --locked --features parquet --doc --quiet
ifeq ($(NEXTEST),yes)
	$(SERVERS) run $(CARGO) nextest run --locked --features parquet --no-fail-fast
else
	$(SERVERS) run $(CARGO) test --locked --features parquet --no-fail-fast --lib --bins --tests -- --test-threads=2
endif

torture: deps-test ## Long fault runs: 200 kills of a purge, a cleanup, an erasure and a rollup, 10 000 racing holds, 10 000 mutations of a trail, 1 000 slots among killed daemons, 10 000 jobs in a minute, 1 000 deliveries of mail, 200 random maps
	RETENTIOND_TORTURE=long $(SERVERS) run $(CARGO) test --locked --release --test killed --test directory --test erasure_killed --test daemon_fleet --test held --test audit_rollup --test daemon --test tenants --test trail --test outbox --test reports_mailed --test restores --test erasure --test conformance -- --nocapture

systemd-test: deb ## Tests package and unit under real systemds, in containers that it makes; needs root
	@.ci/deps systemd
	$(CARGO) test --locked --test systemd -- --test-threads=1 --nocapture

pdf-test: deps-test ## Tests the PDF of reports, with its fonts and poppler; builds typst first
	@.ci/deps pdf
	$(CARGO) test --locked --features pdf --test pdf

bench: deps-bench ## Measures against a single DELETE; writes benches/RESULTS.md (ARGS="pg-1m sqlite", REPS=3)
	RETENTIOND_SERVERS=bench $(SERVERS) run $(CARGO) bench --locked --bench purge -- $(ARGS)

report-bench: deps-bench build ## Measures the report about a user with 100 000 contacts against COPY
	RETENTIOND_SERVERS=bench $(SERVERS) run benches/report.sh
