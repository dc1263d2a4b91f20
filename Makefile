# make run          the whole system on http://127.0.0.1:8080
# make run-servers  the same on private servers: MariaDB, RabbitMQ, a Mongo-wire server
# make test         every test, with the race detector
# make fuzz         every Fuzz target for FUZZTIME (1m), and MUTATIONS (500) of each kind of
#                   file, or of those that MUTATED names (a.m*): some hours
# make check        format, vet, lint of Go and of scripts, import rule, tidiness
# make bench        how fast, how much memory; see docs/benchmarks.md
#
# make minikube     the whole system on a minikube of its own; minikube-down ends it
# make deploy       the system on the cluster of the current kube context: see tools/deploy
# make undeploy     takes it off again
# make e2e          tests on the cluster of the current kube context: see tools/e2e

GO   ?= go
LINT  = $(GO) tool -modfile=tools/go.mod golangci-lint

SERVERS = mariadbd rabbitmq-server

# What traces programs in tests, where there is such a thing.
TRACER = $(if $(filter Linux,$(shell uname -s)),strace)

FUZZTIME  ?= 1m
MUTATIONS ?= 500

.PHONY: run run-servers build test fuzz check bench minikube minikube-down deploy undeploy e2e

run: build
	@exec bin/alchemist

run-servers: build
	@tools/need $(SERVERS)
	@$(GO) run ./test/servers/with bin/alchemist

build:
	@tools/need ffmpeg
	CGO_ENABLED=0 $(GO) build -o bin/alchemist ./cmd/alchemist
	CGO_ENABLED=0 $(GO) build -o bin/kn-alchemist ./cmd/kn-alchemist

test:
	@tools/need ffmpeg chromium sqlite3 $(TRACER) $(SERVERS)
	$(GO) test -race -timeout 60m ./...

fuzz:
	@tools/need ffmpeg $(TRACER)
	@GO="$(GO)" tools/fuzz $(FUZZTIME)
	MUTATIONS=$(MUTATIONS) $(GO) test -count 1 -timeout 12h -run TestHostileFilesReachNothing ./shared/media

check:
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "not gofmt'ed:"; echo "$$files"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags e2e ./test/e2e
	$(LINT) run ./...
	@tools/need shellcheck
	shellcheck -x -S warning $$(git grep -lE '^#!.*sh$$')
	$(GO) test -run 'TestImportRule|TestOnlyLoginCanSign' .
	$(GO) mod tidy -diff
	for module in tools tools/images test/mongo test/mysql8 test/knative test/func; do (cd $$module && $(GO) mod tidy -diff) || exit 1; done
	$(GO) mod verify

bench:
	@tools/need ffmpeg $(SERVERS)
	@$(GO) run ./test/bench

minikube deploy undeploy e2e:
	@GO="$(GO)" tools/$@

minikube-down:
	minikube delete -p "$${PROFILE:-audio-alchemist}"
