# make run    the whole system on http://127.0.0.1:8080
# make test   every test, with the race detector
# make check  format, vet, lint, import rule, tidiness
# make bench  how fast, how much memory; see docs/benchmarks.md

GO   ?= go
LINT  = $(GO) tool -modfile=tools/go.mod golangci-lint

.PHONY: run build test check bench

run: build
	@exec bin/alchemist

build:
	@tools/need ffmpeg
	CGO_ENABLED=0 $(GO) build -o bin/alchemist ./cmd/alchemist

test:
	@tools/need ffmpeg chromium
	$(GO) test -race -timeout 30m ./...

check:
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "not gofmt'ed:"; echo "$$files"; exit 1; }
	$(GO) vet ./...
	$(LINT) run ./...
	$(GO) test -run 'TestImportRule|TestOnlyLoginCanSign' .
	$(GO) mod tidy -diff
	cd tools && $(GO) mod tidy -diff
	$(GO) mod verify

bench:
	@tools/need ffmpeg
	@$(GO) run ./test/bench
