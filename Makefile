# The two commands of the README are `make demo` and `make test`; the others are parts of them, or longer.
.PHONY: demo tour test lint bench soak setup-build setup-test setup-bench

# One set of features and one profile for everything that is not a benchmark, so that nothing compiles twice.
CARGO ?= cargo

demo: setup-build
	$(CARGO) run --quiet --bin sekisho -- demo

tour: setup-build
	$(CARGO) run --quiet --bin sekisho -- demo --tour

test: setup-test
	$(CARGO) test --workspace --no-fail-fast

lint: setup-build
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench: setup-bench
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --bin run

# Minutes-long forms of the crash and flood tests, which `make test` runs in short.
soak: setup-test
	SEKISHO_SOAK=1 $(CARGO) test --package sekisho --test e2e --no-fail-fast -- --nocapture durability

setup-build:
	@deploy/setup.sh build

setup-test:
	@deploy/setup.sh build test

setup-bench:
	@deploy/setup.sh build bench
