# The two commands for a fresh machine are `make demo` and `make test`; they install what is missing by themselves.

.DEFAULT_GOAL := help
.PHONY: help demo test build fmt lint doc clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## broker, mock endpoint, worker and jobs: ends with a table, and whether the books balance
	@scripts/demo

test: ## everything that proves the product: format, lints, documentation, unit and end-to-end tests
	@scripts/test

build: ## the release binary, target/release/revoker
	cargo build --release --locked

fmt: ## formats the code
	cargo fmt --all

lint: ## clippy, warnings as errors
	cargo clippy --locked --all-targets -- -D warnings

doc: ## the documentation of the code, target/doc/revoker
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

clean: ## deletes what was built and what the scripts left
	cargo clean
	rm -rf .run
