"""The service that bench/serve measures ours beside: LRURec in plain PyTorch and a language model of Transformers behind FastAPI.

python3 peer.py WEIGHTS GGUF LETTERS
WEIGHTS is retriever.safetensors; GGUF the language model ("": none); LETTERS a JSON list of the tokens of the letters. Prints
{"url": ...} when it is ready. One thread a request and as many at once as there are cores: on a CPU that is faster than
all cores on one.
"""
import json
import os
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
import torch
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

sys.path.insert(0, str(Path(__file__).parent.parent / "retriever_infer"))
from reference import LRURec, padded, read_safetensors  # noqa: E402

weights, gguf, letters = sys.argv[1:]
letters = json.loads(letters)
torch.set_num_threads(1)
retriever = LRURec(read_safetensors(weights))
items = len(retriever.w["embedding.token.weight"]) - 1
if gguf:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, name = os.path.split(gguf)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    ranker = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()

listener = socket.socket()
listener.bind(("127.0.0.1", 0))


@asynccontextmanager
async def lifespan(_):
    anyio.to_thread.current_default_thread_limiter().total_tokens = len(os.sched_getaffinity(0))
    print(json.dumps({"url": "http://127.0.0.1:%d" % listener.getsockname()[1]}), flush=True)
    yield


app = FastAPI(lifespan=lifespan)


class Retrieve(BaseModel):
    history: list[int] = Field(min_length=1)
    k: int = Field(20, ge=1, le=100)


class Rank(BaseModel):
    prompt: str = Field(min_length=1)


@app.post("/v1/retrieve")
def retrieve(request: Retrieve):
    if not all(1 <= item <= items for item in request.history):
        raise HTTPException(400, "unknown item")
    with torch.inference_mode():
        scores, best = retriever.top_k(padded([request.history], min(len(request.history), 200)), request.k, True)
    return {"items": [{"item_id": i, "score": s} for i, s in zip(best[0].tolist(), scores[0].tolist())]}


@app.post("/v1/rank")
def rank(request: Rank):
    tokens = tokenizer(request.prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        scores = ranker(input_ids=tokens, logits_to_keep=1, use_cache=False).logits[0, -1, letters]
    return {"order": scores.argsort(descending=True).tolist(), "scores": scores.tolist()}


uvicorn.Server(uvicorn.Config(app, log_level="info")).run(sockets=[listener])
