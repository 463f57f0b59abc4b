# The commands for a fresh machine are `make demo`, `make test` and `make bench`; they install what is missing by
# themselves.

.DEFAULT_GOAL := help
.PHONY: help demo test packages check-packages image check-image test-brokers test-cluster test-dead-letters outage chaos bench simulate fuzz instructions build fmt lint doc pictures clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run broker, mock endpoint, worker and jobs; check at the end that every job is accounted for
	@scripts/demo

test: ## run every check: format, lints, documentation, unit and end-to-end tests
	@scripts/test

test-brokers: ## run the end-to-end tests and the demo on RabbitMQ 4.0 and on the newest, from Debian's packages
	@scripts/test-brokers

test-cluster: ## kill nodes of a cluster of three under three workers; print what that costs
	@scripts/install test
	scripts/with-broker cargo test --locked --test e2e -- cluster:: --ignored --nocapture --skip chaos::

test-dead-letters: ## list, export, replay and discard 300,000 dead letters; print the memory of each command
	@scripts/install test
	scripts/with-broker cargo test --locked --release --test e2e -- dead_letters::memory --ignored --nocapture

outage: ## run the tests of an outage at full length, a minute each, in parallel
	@scripts/install test
	REVOKER_FULL=1 scripts/with-broker cargo test --locked --test e2e -- outage:: --test-threads 4

chaos: ## inject every fault of docs/reliability.md at full size; print the table; fail if a job is lost
	@scripts/chaos

bench: ## measure throughput and latency; print Markdown tables (docs/performance.md explains them)
	@scripts/bench

simulate: ## run 100,000 schedules of faults in memory (REVOKER_SCHEDULES), from a seed (REVOKER_SEED)
	@scripts/simulate

fuzz: ## run libFuzzer on each parser of outside input, FUZZ_SECONDS each
	@scripts/fuzz

instructions: ## count the instructions and allocations per job, and compare with the recorded numbers
	@scripts/instructions

build: ## build the release binary, target/release/revoker
	cargo build --release --locked

packages: ## build the Debian package and the archive of the binary, in target/packages
	@scripts/install packages
	@scripts/release/binary >/dev/null
	@scripts/release/deb
	@scripts/release/archive

check-packages: ## check the Debian package and the image in root folders of their own; BINARY= spares a build
	@scripts/check-packages $(BINARY)

image: ## build the image revoker:local with docker or buildah
	@scripts/image

check-image: ## build the image on stand-in base images, and run the worker in it; 10 minutes
	@scripts/install packages
	@scripts/check-image

fmt: ## format the code
	cargo fmt --all

lint: ## run clippy, warnings as errors
	cargo clippy --locked --workspace --all-targets -- -D warnings

doc: ## build the documentation of the code, target/doc/revoker
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

pictures: ## take the pictures of the status page and of a report again; takes some minutes
	@scripts/install test
	cargo build --locked
	@scripts/pictures
	@scripts/report-pictures

clean: ## delete build results and the files of the scripts
	cargo clean
	rm -rf .run
