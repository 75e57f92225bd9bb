# The front door. `make run` and `make test` are all that a newcomer needs; `make help` lists the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# On CI a scratch path outside the clone lets the next clone reuse the dependencies' build. SCRATCH=… chooses another place.
CACHE := $(HOME)/.cache/postern
ifdef CI
SCRATCH ?= $(CACHE)
else
SCRATCH ?= $(CURDIR)/.build
endif

# One set of flags for each scratch path: changing them would rebuild every dependency.
DEBUG := --scratch-path $(SCRATCH)/build -Xswiftc -use-ld=lld
RELEASE := -c release --scratch-path $(SCRATCH)/release --static-swift-stdlib -Xswiftc -use-ld=lld
PYTHON := $(or $(POSTERN_VENV),$(CACHE)/venv)/bin/python
SOURCES := Sources Tests Benchmarks Fuzz Package.swift
ARGS ?=
FUZZ_SECONDS ?= 60

.PHONY: help run test unit acceptance build release fmt check reference bench fuzz docs clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: ## Build and start a server on this machine, and print how to use it
	@scripts/bootstrap run
	swift build $(DEBUG) --product postern
	@exec $$(swift build $(DEBUG) --show-bin-path)/postern quickstart $(ARGS)

test: ## Install what is missing, check, build, and run every test
	@scripts/bootstrap test
	swift build $(DEBUG) --build-tests
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=20
	@$(MAKE) --no-print-directory acceptance

unit:
	swift test $(DEBUG) --skip-build $(ARGS)

acceptance:
	POSTERN_BINARY=$$(swift build $(DEBUG) --show-bin-path)/postern $(PYTHON) -m pytest Acceptance $(ARGS)

build: ## Build for development
	swift build $(DEBUG)

release: ## Build for use: optimised, one binary
	swift build $(RELEASE) --product postern
	@echo "$$(swift build $(RELEASE) --show-bin-path)/postern"

fmt: ## Format the sources
	swift format format --in-place --parallel --recursive --configuration .swift-format $(SOURCES)

check: ## Lint, and compare generated pages with what the program says
	scripts/check $$(swift build $(DEBUG) --show-bin-path)/postern

docs: ## Write the generated pages
	swift build $(DEBUG) --product postern
	@for page in configuration settings errors access; do \
	  $$(swift build $(DEBUG) --show-bin-path)/postern reference $$page > docs/$$page.md; done

bench: ## Measure, beside peers in the same run
	@scripts/bootstrap test
	swift build $(RELEASE) --product postern
	Benchmarks/run --postern $$(swift build $(RELEASE) --show-bin-path)/postern $(ARGS)

fuzz: ## Fuzz each parser for FUZZ_SECONDS (60)
	@for name in MIME SMTP Forms; do FUZZ_BUILD_DIR=$(SCRATCH)/fuzz Fuzz/run $$name $(FUZZ_SECONDS) || exit 1; done

clean: ## Remove what was built in this clone
	rm -rf .build data Benchmarks/.build
