"""LRURec (arXiv 2310.02367) in plain PyTorch, as a paper's code would write it: left-padded batches, logits at every
position, cross-entropy that ignores padding, the recurrence by recursive halving. The yardstick of bench/retriever_train.

usage: reference.py WINDOWS ITEMS LENGTH BATCH THREADS STEPS
WINDOWS holds one training window a line: its items, the first of which is no label. Prints one JSON line.
"""

import json
import math
import random
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Recurrence(nn.Module):
    def __init__(self, hidden, dropout, r_min=0.8, r_max=0.99):
        super().__init__()
        channels = 2 * hidden
        square = r_min**2 + torch.rand(channels) * (r_max**2 - r_min**2)
        angle = 2 * math.pi * torch.rand(channels)
        self.logs = nn.Parameter(
            torch.stack([(-0.5 * square.log()).log(), angle.log(), 0.5 * (1 - square).log()])
        )
        self.inside = nn.Linear(hidden, channels).to(torch.cfloat)
        self.outside = nn.Linear(channels, hidden).to(torch.cfloat)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x, mask):
        nu, theta, gamma = self.logs.exp()
        decay = torch.exp(torch.complex(-nu, theta))[None]
        h = self.inside(x.to(torch.cfloat)) * gamma
        batch, length, channels = h.shape
        half = 1
        while half < length:
            pairs = h.view(-1, 2 * half, channels)
            real = mask.view(-1, 2 * half)[:, half - 1, None, None]
            later = pairs[:, half:] + decay * pairs[:, half - 1 : half] * real
            h = torch.cat([pairs[:, :half], later], dim=1)
            decay = torch.cat([decay, decay * decay[-1]])
            half *= 2
        h = h.view(batch, length, channels)
        return self.norm(self.dropout(self.outside(h).real) + x)


class FeedForward(nn.Module):
    def __init__(self, hidden, dropout):
        super().__init__()
        self.inside = nn.Linear(hidden, 4 * hidden)
        self.outside = nn.Linear(4 * hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x):
        return self.norm(self.dropout(self.outside(self.dropout(F.gelu(self.inside(x))))) + x)


class LRURec(nn.Module):
    def __init__(self, items, hidden=64, blocks=2, dropout=0.2):
        super().__init__()
        self.items = nn.Embedding(items + 1, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Recurrence(hidden, dropout), FeedForward(hidden, dropout)]) for _ in range(blocks)
        )
        self.bias = nn.Parameter(torch.zeros(items + 1))
        self.initialise()

    @torch.no_grad()
    def initialise(self):
        for name, parameter in self.named_parameters():
            if "norm" not in name and "logs" not in name:
                for part in (parameter.real, parameter.imag) if parameter.is_complex() else (parameter,):
                    nn.init.trunc_normal_(part, std=0.02, a=-0.04, b=0.04)

    def forward(self, ids):
        length = ids.shape[1]
        whole = 2 ** math.ceil(math.log2(length))
        mask = F.pad(ids > 0, (whole - length, 0))
        x = F.pad(self.norm(self.dropout(self.items(ids))), (0, 0, whole - length, 0))
        for recurrence, feed_forward in self.blocks:
            x = feed_forward(recurrence(x, mask))
        return x[:, -length:] @ self.items.weight.t() + self.bias


def batches(windows, length, size):
    order = list(range(len(windows)))
    while True:
        random.shuffle(order)
        for start in range(0, len(order) - size + 1, size):
            chosen = [windows[i] for i in order[start : start + size]]
            inputs = torch.tensor([[0] * (length - len(w) + 1) + w[:-1] for w in chosen])
            labels = torch.tensor([[0] * (length - len(w) + 1) + w[1:] for w in chosen])
            yield inputs, labels


def main():
    path, items, length, size, threads, steps = sys.argv[1], *map(int, sys.argv[2:7])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    random.seed(0)
    with open(path) as lines:
        windows = [[int(item) for item in line.split()] for line in lines]
    model = LRURec(items)
    plain = [p for n, p in model.named_parameters() if "bias" in n or "norm" in n]
    decayed = [p for n, p in model.named_parameters() if not ("bias" in n or "norm" in n)]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1e-3, eps=1e-9)
    seconds, cpu, losses = [], [], []
    for step, (inputs, labels) in enumerate(batches(windows, length, size)):
        if step == steps:
            break
        start, used = time.perf_counter(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        scores = model(inputs)
        loss = F.cross_entropy(scores.view(-1, items + 1), labels.view(-1), ignore_index=0)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        seconds.append(time.perf_counter() - start)
        cpu.append(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - used)
        losses.append(loss.item())
    middle = lambda values: sorted(values[3:])[len(values[3:]) // 2]
    print(json.dumps({"seconds": middle(seconds), "cpu_seconds": middle(cpu), "loss": losses[-1],
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main()
