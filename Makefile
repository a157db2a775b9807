# `make help` lists the targets. The work is in scripts/, which also run on their own.
.DEFAULT_GOAL := help
.PHONY: run test test-all interop bench deb test-deb drill lint format fuzz sanitize generate golden help clean

DEMO ?= .sallyport-demo
FUZZ_SECONDS ?= 60
export FUZZ_SECONDS

run: ## build, and start a demo node with a user to log in as; ARGS="--radius-listen 127.0.0.1:1812" adds flags
	@scripts/install-packages run
	@scripts/build-release
	@exec .build/release/sallyport serve --demo --data-dir "$(DEMO)" $(ARGS)

test: export SALLYPORT_REQUIRE ?= radclient,eapol_test,oathtool,postgres,radsecproxy,slapd,aiosmtpd,curl
test: ## build with warnings as errors, run every test; foreign clients included; ARGS="--filter Lockout" runs some
	@scripts/install-packages run test
	@scripts/test $(ARGS)

test-all: test sanitize ## test, then the core layers under the sanitizers

interop: export SALLYPORT_REQUIRE ?= radclient,eapol_test,oathtool,radsecproxy,slapd,aiosmtpd,curl
interop: ## only the tests with foreign clients (suites named …Interop…)
	@scripts/install-packages run test
	@scripts/test --filter Interop $(ARGS)

bench: ## load the server, and FreeRADIUS in turn; ARGS are for scripts/bench
	@scripts/install-packages run bench
	@scripts/build-release
	@scripts/bench $(ARGS)

deb: ## the Debian package, without shared Swift libraries; ARGS are for scripts/build-deb
	@scripts/install-packages run deb
	@scripts/build-deb $(ARGS)

test-deb: deb ## install the package in a bare Debian, log in, upgrade, purge; needs root
	@scripts/install-packages test-deb
	@scripts/test-deb

drill: ## short fire drills: kills under load, a full disk; docs/run/fire-drills.md has the long ones
	@scripts/install-packages run
	@scripts/build-release
	@scripts/drill-kill --rounds 10
	@scripts/drill-disk --rounds 3 || [ $$? = 77 ]

lint: ## formatting, layers, source rules, generated files
	@scripts/install-packages run
	@scripts/lint

format: ## format the sources in place
	@swift format --in-place --parallel -r Sources Tests Fuzz Package.swift

fuzz: ## each fuzzer for FUZZ_SECONDS=60; ARGS=FuzzRADIUS runs one
	@scripts/install-packages run
	@scripts/fuzz $(ARGS)

sanitize: ## tests of the core layers with the thread and the address sanitizer
	@scripts/install-packages run test
	@scripts/sanitize thread $(ARGS)
	@scripts/sanitize address $(ARGS)

generate: ## run the generators (dictionaries to Swift, …)
	@scripts/generate

golden: ## rewrite the golden files; read the diff before committing it
	@SALLYPORT_GOLDEN=write scripts/test $(ARGS)

clean: ## remove what was built; the demo's data stays
	@rm -rf .build .build-deb

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done
