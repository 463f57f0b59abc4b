# The commands for a fresh machine are `make demo`, `make test` and `make bench`; they install what is missing by
# themselves.

.DEFAULT_GOAL := help
.PHONY: help demo test test-brokers test-cluster test-dead-letters outage chaos bench simulate fuzz instructions build fmt lint doc pictures clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## broker, mock endpoint, worker and jobs: ends with a table, and whether the books balance
	@scripts/demo

test: ## everything that proves the product: format, lints, documentation, unit and end-to-end tests
	@scripts/test

test-brokers: ## end-to-end tests and demo on RabbitMQ 4.0 and on the newest, from Debian's packages
	@scripts/test-brokers

test-cluster: ## three workers on a cluster of three RabbitMQ nodes that are killed, and what that costs
	@scripts/install test
	scripts/with-broker cargo test --locked --test e2e -- cluster:: --ignored --nocapture --skip chaos::

test-dead-letters: ## 300,000 dead letters listed, exported, replayed and discarded: prints the memory of each
	@scripts/install test
	scripts/with-broker cargo test --locked --release --test e2e -- dead_letters::memory --ignored --nocapture

outage: ## the tests of an outage at full length, a minute each, side by side
	@scripts/install test
	REVOKER_FULL=1 scripts/with-broker cargo test --locked --test e2e -- outage:: --test-threads 4

chaos: ## every fault of docs/reliability.md at full size: ends with its table, and fails if a job is lost
	@scripts/chaos

bench: ## what it can do, in tables of Markdown; docs/performance.md tells what they mean
	@scripts/bench

simulate: ## 100,000 schedules of faults in memory (REVOKER_SCHEDULES), from a seed (REVOKER_SEED)
	@scripts/simulate

fuzz: ## each reader of what comes from outside against libFuzzer, FUZZ_SECONDS for each
	@scripts/fuzz

instructions: ## the instructions that one job costs, against the number on record
	@scripts/instructions

build: ## the release binary, target/release/revoker
	cargo build --release --locked

fmt: ## formats the code
	cargo fmt --all

lint: ## clippy, warnings as errors
	cargo clippy --locked --workspace --all-targets -- -D warnings

doc: ## the documentation of the code, target/doc/revoker
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

pictures: ## takes the pictures of the README anew; takes some minutes
	@scripts/install test
	cargo build --locked
	@scripts/pictures

clean: ## deletes what was built and what the scripts left
	cargo clean
	rm -rf .run
