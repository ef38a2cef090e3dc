# Plimsoll. `make` builds both programs into bin/; `make help` lists the other targets.
# Go and make are all that build, run and test need; images also needs docker.

VERSION   ?= $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -X main.version=$(VERSION)
PACKAGES  := ./... ./.ci/tally
GOFOLDERS := $(wildcard *.go) agent collector dashboards alerts deploy .ci

# One set of build settings for build, check and test, so that the large dependencies are compiled once.
# Without cgo the binaries are static and need no C compiler.
export CGO_ENABLED ?= 0
export GOFLAGS := $(strip $(filter-out -trimpath,$(GOFLAGS)) -trimpath)

# Images: `make images IMAGE_PREFIX=registry.example/ops/ IMAGE_TAG=v1`. CA_BUNDLE becomes the images' trusted roots.
DOCKER       ?= docker
IMAGE_PREFIX ?=
IMAGE_TAG    ?= dev
CA_BUNDLE    ?= /etc/ssl/certs/ca-certificates.crt

# One test binary of a package may take this long; TESTFLAGS goes to go test, RUNFLAGS to the supervisor.
TEST_TIMEOUT ?= 10m
TESTFLAGS    ?=
# So many tests that failed beside the others may run once more, alone, and are named as unsteady: none here, two where CI=true, whose
# machines are shared.
TEST_AGAIN   ?= $(if $(CI),2,0)
RUNFLAGS     ?=

# The commands of Kubernetes that show-kubernetes runs are built there once, 9 minutes of CPU.
KUBERNETES ?= $(or $(PLIMSOLL_CACHE),$(HOME)/.cache/plimsoll)/kubernetes-v1.34.4

# make bench-agent: how many containers, how many of a hundred of them busy, BENCH_MIXED=1 also with networks, health checks and many processes, for
# how long each process is measured, which peers (a part of their names; none: no peer). BENCH_BARE=1 takes cgroups of its own instead of Docker's
# containers, where others start theirs all the time.
BENCH_CONTAINERS ?= 100
BENCH_BUSY       ?= 0%
BENCH_MIXED      ?=
BENCH_BARE       ?=
BENCH_SECONDS    ?= 60
BENCH_PEERS      ?=

# How many containers come and go in make show-growth; 36000 takes half an hour.
GROWTH_CONTAINERS ?= 6000

# Kills of make chaos, and a part of the name of its only test; for how long make fuzz runs each target, and a part of the only ones.
CHAOS_ROUNDS ?= 60
CHAOS_ONLY   ?=
export FUZZ_SECONDS ?= 60
export FUZZ_ONLY    ?=

.DEFAULT_GOAL := build
.PHONY: build run test check generate images show-cgroup2 show-kubernetes show-kubernetes-cgroup2 show-join show-swarm show-event-latency show-quiet show-alerts show-rules-10k show-panels-10k show-annotations show-exits show-churn show-remote-engine show-podman show-hostile show-ui-10k show-start show-growth show-limit bench-agent clean help chaos fuzz show-history show-wire show-backlog bench-collector

build: ## build bin/plimsoll-agent and bin/plimsoll-collector
	go build -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/plimsoll-agent ./agent
	go build -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/plimsoll-collector ./collector

run: build ## build, start both with state under ./data, show live what is collected (RUNFLAGS=--help for options)
	@go build -buildvcs=false -o bin/plimsoll-run ./deploy/run
	@bin/plimsoll-run $(RUNFLAGS)

test: build ## run all tests; what needs Docker, root, Grafana or a browser is skipped when absent, and fails when CI=true
	@go run ./.ci/tally -again=$(TEST_AGAIN) -timeout $(TEST_TIMEOUT) $(TESTFLAGS) $(PACKAGES)

check: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $(GOFOLDERS)); test -z "$$unformatted" || { echo "these files need gofmt -w:"; echo "$$unformatted"; exit 1; }
	go vet $(PACKAGES)
	go tool staticcheck $(PACKAGES)

generate: ## regenerate what is generated and committed (dashboards, METRICS.md)
	go generate ./...

images: build ## build the images plimsoll-agent:dev and plimsoll-collector:dev (IMAGE_PREFIX, IMAGE_TAG, CA_BUNDLE)
	mkdir -p bin/empty
	cp $(CA_BUNDLE) bin/ca-certificates.crt
	$(DOCKER) build -t $(IMAGE_PREFIX)plimsoll-agent:$(IMAGE_TAG) -f deploy/docker/Dockerfile.agent bin
	$(DOCKER) build -t $(IMAGE_PREFIX)plimsoll-collector:$(IMAGE_TAG) -f deploy/docker/Dockerfile.collector bin

show-cgroup2: ## compare the agent with cAdvisor and the kernel's files on cgroup v2, exit records and OOM kills, in QEMU guests: six minutes (NEWER_KERNEL=FOLDER: on Linux 6.12, fetched into it)
	@test -z "$(NEWER_KERNEL)" || .ci/peers/cgroup2/newer-kernel.sh "$(NEWER_KERNEL)"
	PLIMSOLL_KERNEL=$(NEWER_KERNEL) .ci/peers/cgroup2/show.sh

show-kubernetes: ## compare the agent with a real kubelet on this machine, stop the API server, measure it beside 110 pods in a cluster of 5,000: ten minutes, as root
	.ci/peers/kubernetes/build.sh $(KUBERNETES) kube-apiserver kube-controller-manager kube-scheduler kubelet
	PLIMSOLL_SHOW=kubernetes PLIMSOLL_KUBERNETES=$(KUBERNETES) go test ./agent/internal/kubernetes -count=1 -timeout 30m -v -run TestShow

show-kubernetes-cgroup2: ## the same comparison with a kubelet on cgroup v2, in a QEMU guest: ten minutes, as root
	.ci/peers/kubernetes/build.sh $(KUBERNETES) kube-apiserver kube-controller-manager kube-scheduler kubelet
	.ci/peers/kubernetes/cgroup2.sh $(KUBERNETES)

show-join: ## one application as container, Compose project, Swarm service and real Deployment is one series; it moves without a gap: six minutes, as root
	.ci/peers/kubernetes/build.sh $(KUBERNETES) kube-apiserver kube-controller-manager kube-scheduler kubelet
	PLIMSOLL_SHOW=join PLIMSOLL_KUBERNETES=$(KUBERNETES) go test ./collector/e2e -count=1 -timeout 20m -v -run TestShowAnApplicationMoves

show-swarm: ## a Swarm of two engines on this machine: services, nodes and missing agents as its manager tells them: two minutes, as root
	PLIMSOLL_SHOW=swarm go test ./collector/e2e -count=1 -timeout 10m -v -run TestShowASwarm

show-event-latency: ## time OOM kills, crashes, restart loops, failing health checks, lost agents and nodes to a webhook: 14 minutes, as root
	PLIMSOLL_SHOW=event-latency go test ./collector/e2e -count=1 -timeout 30m -v -run 'TestEventsReachTheWebhook|TestLostAgents'

show-quiet: ## deploy, drain, restart, run jobs on the live engine and see that nobody is paged: two minutes, as root
	PLIMSOLL_SHOW=quiet go test ./collector/e2e -count=1 -timeout 10m -v -run TestWhatPeopleDoOnPurpose

show-alerts: ## write a synthetic fleet with one fault for each alert of the pack, 18 hours of it, and print what fires on what: minutes
	PLIMSOLL_SHOW=alerts go test -count=1 -v -timeout 40m -run TestEveryRule ./collector/internal/rules/fleettest

show-exits: ## 300 short-lived containers, a dozen ways to end, 50 OOM kills over agent restarts, bursts: against the kernel's own counts (5 min; root, Docker)
	PLIMSOLL_SHOW=exits go test -v -count=1 -timeout 15m -run 'TestShortLived|TestOOMKills|TestABurst|TestEveryKindOfEnd' ./collector/e2e

# In a network namespace of its own: Chromium breaks off requests whenever an interface of the machine comes or goes.
show-ui-10k: build ## open the pages over 10,000 containers in a real collector and Chromium, time first paint and every query: ten minutes, as root
	go test -c -o bin/ui.test ./collector/internal/ui
	cd collector/internal/ui && PLIMSOLL_SHOW=ui-10k unshare --net sh -c 'ip link set lo up && exec ../../../bin/ui.test -test.v -test.timeout 40m -test.run TestShowLargeFleet'

show-hostile: ## what bombs, slow and half-open connections, garbage, huge queries and wrong tokens do to memory and to others' latency (6 min)
	PLIMSOLL_SHOW=hostile go test -v ./collector/e2e -count=1 -timeout 10m -run TestHostile

show-churn: ## three minutes of 20 containers a second (CHURN_FOR), then a minute as fast as the engine can and 20 cgroups a second beside: all counted, nothing held afterwards (root, Docker, runc)
	PLIMSOLL_SHOW=exits PLIMSOLL_CHURN_FOR=$(CHURN_FOR) go test -v -count=1 -timeout 15m -run 'TestChurn|TestTwenty' ./collector/e2e

show-remote-engine: ## an agent that asks the engine over TLS beside one that reads the cgroups: the same figures (a minute; root, Docker)
	PLIMSOLL_SHOW=remote-engine go test -v -count=1 -timeout 10m -run TestARemoteEngineTellsTheSame ./collector/e2e

show-podman: ## the agent beside a real Podman through its Docker-compatible API (a minute; root, Debian packages podman and conmon)
	PLIMSOLL_SHOW=podman go test -v -count=1 -timeout 10m -run TestPodman ./collector/e2e

bench-agent: build ## measure what the agent costs on BENCH_CONTAINERS containers, BENCH_BUSY of them busy, beside bare reads, cAdvisor and Netdata in one run: a quarter of an hour, as root
	PLIMSOLL_BENCH_CONTAINERS=$(BENCH_CONTAINERS) PLIMSOLL_BENCH_BUSY=$(BENCH_BUSY) PLIMSOLL_BENCH_MIXED=$(BENCH_MIXED) PLIMSOLL_BENCH_BARE=$(BENCH_BARE) PLIMSOLL_BENCH_SECONDS=$(BENCH_SECONDS) PLIMSOLL_BENCH_PEERS=$(BENCH_PEERS) \
	  go test -run '^$$' -bench 'Cost|HotPath' -benchtime 1x -timeout 30m -v ./agent/bench

show-growth: build ## let GROWTH_CONTAINERS (6,000) come and go beside the agent, 20 a second (cgroups v1, a stand-in for the engine), and watch what it holds: six minutes, as root
	PLIMSOLL_BENCH_CONTAINERS=$(GROWTH_CONTAINERS) go test -run '^$$' -bench Churn -benchtime 1x -timeout 2h -v ./agent/bench

show-limit: build ## give the agent a third of the CPU time it takes on 300 containers and watch what it leaves out: four minutes, as root
	PLIMSOLL_BENCH_CONTAINERS=300 PLIMSOLL_BENCH_BUSY=10% go test -run '^$$' -bench Limit -benchtime 1x -timeout 20m -v ./agent/bench

show-start: build ## start the agent beside 1,000 containers (cgroups v1, a stand-in for the engine): time, CPU and how late the machine wakes others; as root
	PLIMSOLL_BENCH_CONTAINERS=1000 go test -run '^$$' -bench Start -benchtime 1x -v ./agent/bench

bench-collector: build ## CPU time of a sample taken in, beside apt's victoria-metrics fed the same stream
	go test -run '^$$' -bench . -benchtime 3x -v ./collector/bench

show-history: ## hours of history delivered late, and replayed after a kill -9, page nobody: two minutes
	PLIMSOLL_SHOW=history go test -count=1 -timeout 10m -v -run TestReplayedHistoryPagesNobody ./collector/e2e

show-wire: ## weigh the batches of the agent beside 100 containers, bytes a sample as they go over the wire: three minutes, with Docker
	PLIMSOLL_SHOW=wire go test -count=1 -timeout 15m -v -run TestBytesOfASampleOnTheWire ./agent/chaos

show-backlog: ## the agent's memory and start with 1 GiB of backlog, and while it goes: six minutes
	PLIMSOLL_SHOW=backlog go test -count=1 -timeout 20m -v -run TestMemoryWithAGigabyteOfBacklog ./agent/chaos

fuzz: ## every decoder and parser that can be reached from outside, FUZZ_SECONDS (60) each, and a table: 70 minutes (FUZZ_ONLY: a part of a name)
	.ci/fuzz.sh

chaos: ## kill agent and collector 60 times under load (CHAOS_ROUNDS), fail receivers and disks, kill real peers, weigh memory, wire and CPU; one table: 25 minutes (CHAOS_ONLY: a part of a test's name)
	PLIMSOLL_CHAOS_ROUNDS=$(CHAOS_ROUNDS) go test -count=1 -timeout 60m ./agent/chaos -v $(if $(CHAOS_ONLY),-run '$(CHAOS_ONLY)')

show-rules-10k: ## evaluate the rule pack over 10,000 synthetic containers and print what each group costs (minutes)
	PLIMSOLL_SHOW_CONTAINERS=10000 go test -count=1 -v -timeout 20m -run TestThePackOverALargeFleet ./collector/internal/rules/fleettest

show-panels-10k: ## time every query of every dashboard over 10,000 synthetic containers: ten minutes, most of it to write them
	PLIMSOLL_SHOW_CONTAINERS=10000 go test -count=1 -v -timeout 30m -run TestPanelsOverALargeFleet ./collector/internal/grafana/paneltest

show-annotations: ## two collectors and one Grafana: a release, an OOM storm and alerts annotated once each over kill -9 (8 min; root, Docker, Grafana)
	PLIMSOLL_SHOW=annotations go test -v -count=1 -timeout 15m -run TestEachMomentIsAnnotatedOnce ./collector/e2e

clean: ## remove bin/; the state of make run in ./data stays
	rm -rf bin

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
