# `make help` lists what can be made.

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT    ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
PKG       := github.com/docker-orphans/docker-orphans
# Reproducible: no paths of the builder, no build id, no build time.
LDFLAGS   := -s -w -buildid= -X $(PKG)/plugin.Version=$(VERSION) -X $(PKG)/plugin.Commit=$(COMMIT)
BUILD     := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
BIN       := bin/docker-orphans
USERDIR   ?= $(HOME)/.docker/cli-plugins
SYSTEMDIR ?= /usr/local/lib/docker/cli-plugins
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
LINT      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME  ?= 20s
SCANS     ?= 500
RACETIME  ?= 20m
SOAKTIME  ?= 8m

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the plugin, static, into bin/
	$(BUILD) -o $(BIN) ./cmd/docker-orphans

.PHONY: cross
cross: ## compile for every platform, and the tests for another one too
	@set -e; for p in $(PLATFORMS); do echo $$p; \
		GOOS=$${p%/*} GOARCH=$${p#*/} $(BUILD) -o /dev/null ./cmd/docker-orphans; done
	GOOS=darwin go vet ./...

.PHONY: install
install: build ## install for this user, and as root for every user
	install -D -m 0755 $(BIN) $(USERDIR)/docker-orphans
	@if [ "$$(id -u)" = 0 ]; then install -D -m 0755 $(BIN) $(SYSTEMDIR)/docker-orphans && echo "installed in $(SYSTEMDIR)"; \
		else echo "for sudo docker orphans: sudo make install"; fi

.PHONY: uninstall
uninstall: ## take the plugin away again
	rm -f $(USERDIR)/docker-orphans
	@if [ "$$(id -u)" = 0 ]; then rm -f $(SYSTEMDIR)/docker-orphans; fi

.PHONY: demo
demo: ## start a private dockerd, leak for real, prune and restore (root)
	go run ./tests/demo

.PHONY: test
test: ## run all tests; those with real daemons need root
	go run ./tests/tools
	go vet -tags e2e ./...
	go test -timeout 30m ./...
	$(MAKE) --no-print-directory cross
	go test -tags e2e -count=1 -parallel 6 -timeout 60m ./tests/e2e/...

.PHONY: engines
engines: ## install the newest Docker for the tests, into the user's cache (root; minutes, once)
	go run ./tests/engines

.PHONY: test-engines
test-engines: engines ## run every scenario on Debian's Docker and on the newest (root)
	go test -tags e2e -count=1 -parallel 6 -timeout 60m ./tests/e2e/...

.PHONY: test-vm
test-vm: ## boot Debian's kernel under qemu and run there what needs device-mapper or zfs (root; twenty minutes; ten more once, to install zfs)
	go vet -tags 'e2e vm' ./tests/e2e
	go run ./tests/vm

.PHONY: lint
lint: ## run the linter
	go run $(LINT) run

.PHONY: bench
bench: ## run the benchmarks; they report ratios (root)
	go test -run '^$$' -bench . -benchtime 3x -timeout 120m ./tests/bench/... ./scan/tree/... ./scan/usage/... ./scan/source/... ./prune/unlink/...

.PHONY: cover
cover: ## measure what the tests cover
	go test -coverprofile coverage.out -coverpkg ./scan/...,./prune/...,./plugin/... ./...
	go tool cover -func coverage.out | tail -1

.PHONY: fuzz
fuzz: ## fuzz every parser for FUZZTIME each
	@set -e; for pkg in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$pkg; done; done

.PHONY: mutate
mutate: ## break each check of the scan, and the main ones of prune, once; some test must notice
	go run ./tests/mutate

.PHONY: soak
soak: ## SCANS scans and RACETIME of prunes beside a busy daemon, 1000 runs of the model, every parser fuzzed for SOAKTIME (root; about two hours)
	go test -tags e2e -count=1 -v -timeout 6h -run '^TestRaces' ./tests/e2e -args -scans $(SCANS) -race-time $(RACETIME)
	go test -count=1 -v -timeout 6h -run '^TestModel$$' ./tests/property -rapid.checks 1000
	$(MAKE) --no-print-directory fuzz FUZZTIME=$(SOAKTIME)
