# The two commands of the README are `make demo` and `make test`; the others are parts of them, or longer.
.PHONY: demo tour compiled test lint bench bench-audit bench-ca soak fuzz setup-build setup-test setup-bench

# One set of features and one profile for everything that is not a benchmark, so that nothing compiles twice.
CARGO ?= cargo

demo: compiled
	@$(CARGO) run --quiet --bin sekisho -- demo

tour: compiled
	@$(CARGO) run --quiet --bin sekisho -- demo --tour

# By itself, so that whoever waits for it the first time sees how far it is.
compiled: setup-build
	$(CARGO) build --bin sekisho

test: setup-test
	$(CARGO) test --workspace --no-fail-fast

lint: setup-build
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench: setup-bench
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --bin run

# The log: sealing, index, verification, and what sealing costs the gate. RECORDS=100000000 for the large one.
RECORDS ?= 10000000
bench-audit: setup-bench
	$(CARGO) build --release --workspace --bins
	$(CARGO) run --release --bin audit -- --records $(RECORDS)

# The certificate authority: issuing, and looking up what a certificate is worth.
bench-ca: setup-bench
	$(CARGO) build --release --package sekisho-bench --bin ca
	$(CARGO) run --release --package sekisho-bench --bin ca

# Minutes-long forms of the crash, flood and fault tests, which `make test` runs in short. One after the other, because they
# print figures; about forty minutes in all.
soak: setup-test
	SEKISHO_SOAK=1 $(CARGO) test --workspace --test e2e --no-fail-fast -- --nocapture --test-threads 1 durability faults floods
	SEKISHO_SOAK=1 $(CARGO) test --workspace --test nth_failure -- --nocapture

# Looks for inputs that break a property of tests/properties, each target FUZZ_SECONDS long, from the kept inputs on. What
# it finds lies in fuzz/artifacts; once mended, it is kept below fuzz/seeds, where `make test` holds it too. At first all
# is compiled anew, with libFuzzer's instrumentation. Without a sanitizer: no code of ours is unsafe, so there is nothing
# for one to find, and it is the sanitizer alone that would need a nightly toolchain (or RUSTC_BOOTSTRAP=1).
FUZZ_SECONDS ?= 60
FUZZ ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
fuzz: setup-build
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked --version 0.13.2
	@# The same versions as in the gate.
	cp Cargo.lock fuzz/Cargo.lock
	@cd fuzz && $(CARGO) fuzz build --sanitizer none && for target in $(FUZZ); do \
		mkdir -p corpus/$$target && echo "== $$target" && \
		$(CARGO) fuzz run --sanitizer none $$target corpus/$$target seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) \
			-max_len=8192 -timeout=10 $$([ ! -f dictionaries/$$target.dict ] || echo -dict=dictionaries/$$target.dict) || exit 1; \
	done

setup-build:
	@deploy/setup.sh build

setup-test:
	@deploy/setup.sh build test

setup-bench:
	@deploy/setup.sh build bench
