# What a person types. `make help` lists it. Everything it fetches or builds lands in .deps/, bin/, runs/ and .bench/.
# CUDA=1 builds for NVIDIA GPUs; it stays chosen until CUDA=0.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CUDA   ?= $(if $(wildcard .deps/ready-cuda),1,0)
PYTHON ?= python3
BENCHPYTHON ?= $(CURDIR)/.bench/venv/bin/python
CONFIG ?= configs/ml-100k.yaml
ARGS   ?=
FUZZTIME ?= 60s
BENCHTIME ?= 1s
KILLS  ?= 50
LOGS   ?= 1,10,50
SERVERUN ?= runs/ml-100k

LINTVERSION  := v2.15.0
GOLANGCILINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINTVERSION)
LINTER       := .deps/bin/golangci-lint-$(LINTVERSION)

# What cgo needs to compile and link gotch (the training worker and the tests). Changing one of these strings recompiles
# gotch's C++ wrapper, which takes minutes. Quotes keep a path with a space in one piece.
D := $(CURDIR)/.deps
L := $(D)/torch
TORCH := CGO_ENABLED=1 \
  CGO_CXXFLAGS="-O2 -D_GLIBCXX_USE_CXX11_ABI=0 '-I$(L)/include' '-I$(L)/include/torch/csrc/api/include'"
ifeq ($(CUDA),1)
READY := .deps/ready-cuda
TORCH += CGO_LDFLAGS="'-L$(D)/stubs-cuda' '-L$(L)/lib' '-Wl,-rpath,$(L)/lib' -Wl,--no-as-needed -ltorch_cuda -ltorch '-Wl,-rpath-link,$(L)/lib' -l:libcudart.so.12 -l:libcupti.so.12 -l:libgomp-a34b3233.so.1"
else
READY := .deps/ready-cpu
TORCH += CGO_LDFLAGS="'-L$(D)/stubs' '-L$(L)/lib' '-Wl,-rpath,$(L)/lib' -l:libcudart.so.12 -l:libcupti.so.12 -l:libgomp-a34b3233.so.1"
endif

# Tests and benchmarks that compare with other programs look for data here; without it they skip, saying so.
SHARED := $(abspath $(wildcard ../shared))
DATAENV := $(if $(MLLM4REC_SHARED)$(SHARED),MLLM4REC_SHARED="$(or $(MLLM4REC_SHARED),$(SHARED))")
# Passive OpenMP threads, as the worker has them: spinning ones crawl when anything else runs.
TESTENV := $(TORCH) OMP_WAIT_POLICY=passive $(DATAENV)

# The other binary is built without any of it, whatever the caller's environment holds.
PLAIN := CGO_ENABLED=1 CGO_CXXFLAGS= CGO_LDFLAGS=

# Both binaries find their libraries from where they lie, so a checkout may be moved. DT_RPATH (not RUNPATH) also serves
# the CUDA libraries that ONNX Runtime's own plug-ins ask for.
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS     := -X main.version=$(VERSION)
ORT_RPATH   := -extldflags "-Wl,--disable-new-dtags,-rpath,$$ORIGIN/../.deps/onnxruntime/capi"
TORCH_RPATH := -extldflags "-Wl,-rpath,$$ORIGIN/../.deps/torch/lib"

OWNVENV     := $(filter $(CURDIR)/.bench/venv/%,$(BENCHPYTHON))
SCHEMATHESIS ?= .bench/schemathesis/bin/schemathesis
BENCHVENV   := $(if $(OWNVENV),.bench/venv/ready)
BENCHRANKER := $(if $(OWNVENV),.bench/venv/ready-ranker)
BENCHSERVE  := $(if $(OWNVENV),.bench/venv/ready-serve)

comma := ,

.PHONY: help env deps build test test-race run serve schemathesis kill-test bench bench-retriever bench-ranker bench-captioner bench-serve fuzz lint fmt clean clean-deps

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

deps: $(READY) ## fetch libtorch, ONNX Runtime and the default data into .deps (CUDA=1: for NVIDIA GPUs)

$(READY): internal/deps/wheels.go internal/deps/place.go
	@sh internal/deps/check.sh "$(PYTHON)"
	@echo "deps: filling .deps with libraries and data$(if $(filter 1,$(CUDA)),$(comma) CUDA variants)" >&2
	@go run ./internal/deps -python "$(PYTHON)" -cuda=$(if $(filter 1,$(CUDA)),true,false)
	@rm -f .deps/ready-* && touch $@

build: deps ## bin/mllm4rec and bin/mllm4rec-train
	@echo "build: bin/mllm4rec, bin/mllm4rec-train" >&2
	@$(PLAIN) go build -buildvcs=false -ldflags '$(LDFLAGS) $(ORT_RPATH)' -o bin/ ./cmd/mllm4rec
	@$(TORCH) go list -f '{{if .Stale}}build: compiling gotch'"'"'s C++ wrapper, about 4 minutes the first time{{end}}' \
	  github.com/sugarme/gotch/libtch | grep . >&2 || true
	@$(TORCH) go build -buildvcs=false -ldflags '$(LDFLAGS) $(TORCH_RPATH)' -o bin/ ./cmd/mllm4rec-train

run: build ## the whole pipeline on MovieLens 100K (CONFIG=recipe.yaml, ARGS="--set key=value")
	bin/mllm4rec run -c $(CONFIG) $(ARGS)

serve: build ## the service on the run of make run (http://127.0.0.1:8080)
	bin/mllm4rec serve -c $(CONFIG) $(ARGS)

test: build ## the whole suite
	$(TESTENV) go test -timeout 30m ./...

test-race: deps ## the packages without libtorch, under the race detector
	@$(TESTENV) go list -f '{{.ImportPath}} {{.Deps}} {{.TestImports}} {{.XTestImports}}' ./... \
	  | grep -v sugarme/gotch | cut -d' ' -f1 | $(TESTENV) xargs go test -race -timeout 30m

schemathesis: deps $(SCHEMATHESIS) ## what the service answers beside its OpenAPI document, by schemathesis (2 minutes)
	$(TESTENV) MLLM4REC_SCHEMATHESIS="$(abspath $(SCHEMATHESIS))" go test -run Schemathesis -count=1 -v -timeout 30m ./runtime/serve

fuzz: deps ## every fuzz target for FUZZTIME (60s)
	@grep -rHoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' --exclude-dir='.?*' . | sed -E 's|/[^/]*:func | |' | sort -u | { rc=0; while read -r dir target; do \
	  echo "fuzz: $$dir $$target"; $(TESTENV) go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$dir" || rc=1; done; exit $$rc; }

kill-test: build ## kill a whole small run KILLS times (50) at random moments and resume it each time
	$(TESTENV) MLLM4REC_KILLS=$(KILLS) go test -run Kill -count=1 -v -timeout 60m ./cmd/mllm4rec

env: ## shell commands that set what cgo needs: eval "$(make env)"
	@: $(info export $(TORCH))

bench: build ## speed and memory of preparing, training, exporting and inference
	@grep -rlE '^func Benchmark' --include='*_test.go' --exclude-dir='.?*' . | xargs -n1 dirname | sort -u \
	  | $(TESTENV) xargs go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout 60m
	$(TESTENV) go run ./bench/prepare -logs $(LOGS)

bench-retriever: build $(BENCHVENV) ## training and inference of the retriever beside plain PyTorch, in one run
	$(TESTENV) MLLM4REC_PYTHON="$(BENCHPYTHON)" go run ./bench/retriever_train
	$(PLAIN) $(DATAENV) MLLM4REC_PYTHON="$(BENCHPYTHON)" go run ./bench/retriever_infer

bench-ranker: build $(BENCHRANKER) ## fine-tuning and inference of the ranker beside Hugging Face, in one run
	$(TESTENV) MLLM4REC_PYTHON="$(BENCHPYTHON)" go run ./bench/ranker_train
	$(PLAIN) $(DATAENV) MLLM4REC_PYTHON="$(BENCHPYTHON)" go run ./bench/ranker_infer

bench-captioner: build $(BENCHRANKER) ## captions beside Hugging Face, in one run (ARGS="-full": blip2-opt-2.7b's shapes)
	$(PLAIN) $(DATAENV) MLLM4REC_PYTHON="$(BENCHPYTHON)" go run ./bench/captioner $(ARGS)

bench-serve: build $(BENCHSERVE) ## the service under load beside FastAPI with PyTorch, on a finished run (SERVERUN=runs/ml-100k)
	$(PLAIN) $(DATAENV) MLLM4REC_PYTHON="$(BENCHPYTHON)" go run ./bench/serve -run "$(SERVERUN)"

.bench/venv/ready:
	@echo "bench: installing PyTorch into .bench/venv, about 7 GB (another one: make BENCHPYTHON=/path/to/python)" >&2
	@"$(PYTHON)" -m venv .bench/venv || { echo "bench: Python has no venv (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@.bench/venv/bin/python -m pip install -q torch==2.8.0 numpy pandas
	@touch $@

.bench/schemathesis/bin/schemathesis:
	@"$(PYTHON)" -m venv .bench/schemathesis
	@.bench/schemathesis/bin/python -m pip install -q schemathesis==4.32.5

.bench/venv/ready-ranker: .bench/venv/ready
	@.bench/venv/bin/python -m pip install -q transformers==5.23.0 peft==0.21.2 gguf pillow xllamacpp==2026.10.11549
	@touch $@

.bench/venv/ready-serve: .bench/venv/ready-ranker
	@.bench/venv/bin/python -m pip install -q fastapi==0.165.0 'uvicorn[standard]==0.54.0'
	@touch $@

lint: deps $(LINTER) ## gofmt, go vet, staticcheck and the layers of ARCHITECTURE.md (golangci-lint, pinned)
	$(TORCH) $(LINTER) run ./...

fmt: ## gofmt all Go files
	gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')

$(LINTER):
	@echo "lint: compiling $(GOLANGCILINT), about 2 minutes the first time" >&2
	@GOFLAGS= GOBIN="$(D)/bin" $(PLAIN) go install $(GOLANGCILINT) && mv .deps/bin/golangci-lint $@

clean: ## remove what was built; dependencies, runs and Go's own cache stay
	rm -rf bin

clean-deps: ## remove .deps and .bench; the next make fetches them again
	rm -rf .deps .bench
