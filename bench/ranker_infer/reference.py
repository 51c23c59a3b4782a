"""Scores of letters by Hugging Face Transformers or llama.cpp: the yardsticks of bench/ranker_infer.

usage: reference.py GGUF_FILE PROMPTS VARIANT THREADS ADAPTER
PROMPTS is JSON: {"letters": [token, ...], "users": [{"tokens": [...]}, ...]}. Prints one JSON line.

VARIANT is "transformers" (float32, logits at the last position only; ADAPTER is a folder of peft's or "") or "llama_cpp" or "xllamacpp"
(llama.cpp with the file's own blocks, logits at the last position only). llama_cpp is compiled for the processor where it is installed;
xllamacpp comes compiled, for AVX2.
"""

import json
import os
import resource
import sys
import time


def transformers_scorer(gguf, threads, adapter, letters):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    folder, name = os.path.split(gguf)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.eval()

    def score(tokens):
        with torch.inference_mode():
            return model(input_ids=torch.tensor([tokens]), logits_to_keep=1, use_cache=False).logits[0, -1, letters].tolist()

    return score


def llama_cpp_scorer(gguf, threads, letters):
    from llama_cpp import Llama

    model = Llama(model_path=gguf, n_ctx=2048, n_batch=2048, n_ubatch=512, n_threads=threads, n_threads_batch=threads, logits_all=False, verbose=False)

    def score(tokens):
        model.reset()
        model.eval(tokens)
        logits = model._ctx.get_logits()
        return [logits[letter] for letter in letters]

    return score


def xllamacpp_scorer(gguf, threads, letters):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = gguf
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_parallel = 2048, 2048, 512, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib, params.verbosity = 0, 0
    server = xllamacpp.Server(params)

    def score(tokens):
        # Log probabilities come with the likeliest tokens only; letters that are not among a thousand get less than the last.
        answer = server.handle_completions({"prompt": tokens, "n_predict": 1, "n_probs": 1000, "cache_prompt": False, "temperature": 0})
        likely = {top["id"]: top["logprob"] for top in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]}
        return [likely.get(letter, min(likely.values())) for letter in letters]

    return score


SCORERS = {"llama_cpp": llama_cpp_scorer, "xllamacpp": xllamacpp_scorer}


def cpu_seconds():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


def main():
    gguf, path, variant, threads, adapter = sys.argv[1:]
    with open(path) as text:
        data = json.load(text)
    prompts, letters = [user["tokens"] for user in data["users"]], data["letters"]
    score = transformers_scorer(gguf, int(threads), adapter, letters) if variant == "transformers" else SCORERS[variant](gguf, int(threads), letters)
    for tokens in prompts[:2]:
        score(tokens)
    start, used = time.perf_counter(), cpu_seconds()
    scores = [score(tokens) for tokens in prompts]
    seconds, used = time.perf_counter() - start, cpu_seconds() - used
    print(json.dumps({"seconds": seconds / len(prompts), "cpu_seconds": used / len(prompts), "scores": scores,
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main()
