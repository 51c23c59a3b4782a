"""One LoRA fine-tuning step after the other with Hugging Face Transformers and peft: the yardstick of bench/ranker_train.

usage: reference.py MODEL_FOLDER GGUF_FILE SAMPLES VARIANT MICRO_BATCH THREADS STEPS
SAMPLES is JSON: {"letters": [token, …], "steps": [[{"tokens": […], "label": letter index}, …], …]}. Prints one JSON line.

VARIANT is "common" (labels at the letter only, logits of every position over the vocabulary, as most training code has it) or
"letters" (hidden states of the last positions times the letters' rows of the head: the best that one can ask of it).
"""

import json
import resource
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F
from transformers import AutoModelForCausalLM


def padded(samples):
    length = max(len(s["tokens"]) for s in samples)
    ids = torch.zeros(len(samples), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, s in enumerate(samples):
        ids[i, : len(s["tokens"])] = torch.tensor(s["tokens"])
        mask[i, : len(s["tokens"])] = 1
    return ids, (None if mask.all() else mask), torch.tensor([len(s["tokens"]) - 1 for s in samples])


def common_loss(model, samples, letters):
    ids, mask, last = padded(samples)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    labels = torch.full_like(ids, -100)
    labels[torch.arange(len(samples)), last] = letters[torch.tensor([s["label"] for s in samples])]
    return F.cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1), reduction="sum")


def letters_loss(model, samples, letters):
    ids, mask, last = padded(samples)
    causal = model.get_base_model()
    hidden = causal.model(input_ids=ids, attention_mask=mask, use_cache=False)[0]
    logits = hidden[torch.arange(len(samples)), last] @ causal.lm_head.weight[letters].t()
    return F.cross_entropy(logits, torch.tensor([s["label"] for s in samples]), reduction="sum")


def main():
    folder, gguf, path, variant = sys.argv[1:5]
    size, threads, steps = map(int, sys.argv[5:8])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with open(path) as text:
        data = json.load(text)
    letters = torch.tensor(data["letters"])
    base = AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf, dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=32, lora_dropout=0.05, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    model.train()
    adapters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(adapters, lr=1e-4, weight_decay=0.0)
    loss_of = common_loss if variant == "common" else letters_loss
    seconds, cpu, losses = [], [], []
    for batch in data["steps"][:steps]:
        start, used = time.perf_counter(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        batch = sorted(batch, key=lambda s: len(s["tokens"]))
        total = 0.0
        for i in range(0, len(batch), size):
            loss = loss_of(model, batch[i : i + size], letters) / len(batch)
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(adapters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.perf_counter() - start)
        cpu.append(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - used)
        losses.append(total)
    middle = lambda values: sorted(values[1:])[len(values[1:]) // 2]
    print(json.dumps({"seconds": middle(seconds), "cpu_seconds": middle(cpu), "losses": losses,
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main()
