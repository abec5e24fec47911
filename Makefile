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

# Minutes-long forms of the crash, flood and fault tests, which `make test` runs in short. One after the other, because they
# print figures; half an hour in all.
soak: setup-test
	SEKISHO_SOAK=1 $(CARGO) test --workspace --test e2e --no-fail-fast -- --nocapture --test-threads 1 durability faults floods

setup-build:
	@deploy/setup.sh build

setup-test:
	@deploy/setup.sh build test

setup-bench:
	@deploy/setup.sh build bench
