"""LRURec (arXiv 2310.02367) in plain PyTorch, to measure ours against: scores at all positions, and at the last only.

python3 reference.py WEIGHTS HISTORIES LENGTH BATCH THREADS
WEIGHTS is retriever.safetensors; HISTORIES holds int32 numbers, for each user how many items follow, then the items.
Reads commands, one a line, and answers each with one line of JSON:
  check N K        lists of the first N users: {"items": [[...]], "scores": [[...]]}
  all N K          scores at all positions, N users in batches: {"seconds": ...}
  last N K         the same with scores at the last position only
  one-all N LENGTH K, one-last N LENGTH K
                   N single users with LENGTH items of history: {"seconds": [...]}
"""
import json
import math
import struct
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        body = f.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            array = np.frombuffer(body[start:end], np.float32).reshape(entry["shape"])
            tensors[name] = torch.from_numpy(array.copy())
    return tensors


def read_histories(path):
    numbers, histories, at = np.fromfile(path, np.int32), [], 0
    while at < len(numbers):
        count = numbers[at]
        histories.append(numbers[at + 1 : at + 1 + count].astype(np.int64))
        at += 1 + count
    return histories


class LRURec:
    def __init__(self, weights):
        self.w = weights
        self.blocks = 1 + max(int(n.split(".")[2]) for n in weights if n.startswith("model.lru_blocks."))
        self.hidden = weights["embedding.token.weight"].shape[1]
        for name in list(weights):
            if "_proj." in name:
                weights[name] = torch.view_as_complex(weights[name])

    def norm(self, x, name):
        return F.layer_norm(x, [self.hidden], self.w[name + ".weight"], self.w[name + ".bias"])

    def recur(self, h, decay, mask):
        """h_t += λ h_{t-1} by doubling, [batch, 2^n, channels]; a masked position hands nothing on."""
        batch, length, channels = h.shape
        powers = decay[None, :]
        half = 1
        while half < length:
            h = h.reshape(-1, 2 * half, channels)
            m = mask.reshape(-1, 2 * half)[:, half - 1 : half, None]
            h = torch.cat([h[:, :half], h[:, half:] + powers * h[:, half - 1 : half] * m], 1)
            powers = torch.cat([powers, powers * powers[-1:]], 0)
            half *= 2
        return h.reshape(batch, length, channels)

    def hidden_states(self, items):
        w, mask = self.w, items > 0
        x = self.norm(w["embedding.token.weight"][items], "embedding.layer_norm")
        length = x.shape[1]
        pad = 2 ** math.ceil(math.log2(length)) - length
        x, mask = F.pad(x, (0, 0, pad, 0)), F.pad(mask, (pad, 0))
        for i in range(self.blocks):
            p, q = f"model.lru_blocks.{i}.lru_layer.", f"model.lru_blocks.{i}.feed_forward."
            nu, theta, gamma = torch.exp(w[p + "params_log"])
            h = F.linear(x.to(torch.cfloat), w[p + "in_proj.weight"], w[p + "in_proj.bias"]) * gamma
            h = self.recur(h, torch.exp(torch.complex(-nu, theta)), mask)
            h = F.linear(h, w[p + "out_proj.weight"], w[p + "out_proj.bias"]).real
            x = self.norm(h + x, p + "layer_norm")
            h = F.linear(F.gelu(F.linear(x, w[q + "w_1.weight"], w[q + "w_1.bias"])), w[q + "w_2.weight"], w[q + "w_2.bias"])
            x = self.norm(h + x, q + "layer_norm")
        return x[:, -length:]

    def scores(self, items, last_only):
        x = self.hidden_states(items)
        if last_only:
            x = x[:, -1:]
        return (F.linear(x, self.w["embedding.token.weight"]) + self.w["model.bias"])[:, -1]

    def top_k(self, items, k, last_only):
        scores = self.scores(items, last_only)
        scores.scatter_(1, items, -math.inf)
        scores[:, 0] = -math.inf
        return torch.topk(scores, k)


def padded(histories, length):
    items = np.zeros((len(histories), length), np.int64)
    for row, history in zip(items, histories):
        newest = history[-length:]
        row[length - len(newest) :] = newest
    return torch.from_numpy(items)


def run(model, histories, length, batch, command, arguments):
    if command == "check":
        n, k = arguments
        values, items = model.top_k(padded(histories[:n], length), k, True)
        return {"items": items.tolist(), "scores": values.tolist()}
    if command in ("all", "last"):
        n, k = arguments
        start = time.perf_counter()
        for at in range(0, n, batch):
            model.top_k(padded(histories[at : min(n, at + batch)], length), k, command == "last")
        return {"seconds": time.perf_counter() - start}
    n, single, k = arguments
    seconds = []
    for i in range(n):
        history = (np.arange(single) * 37 + i) % (len(model.w["embedding.token.weight"]) - 1) + 1
        start = time.perf_counter()
        model.top_k(padded([history], single), k, command == "one-last")
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds}


def main():
    weights, histories, length, batch, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model, histories = LRURec(read_safetensors(weights)), read_histories(histories)
    print(json.dumps({"torch": torch.__version__}), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            command, *arguments = line.split()
            print(json.dumps(run(model, histories, int(length), int(batch), command, [int(a) for a in arguments])), flush=True)


if __name__ == "__main__":
    main()
