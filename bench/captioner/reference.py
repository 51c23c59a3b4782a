"""Captions by Hugging Face Transformers: the yardstick of bench/captioner.

usage: reference.py FOLDER DTYPE THREADS BATCH TOKENS PICTURE...
DTYPE is "float32" or "bfloat16". Prints one JSON line: seconds a picture for the whole way, files to tokens, and for its parts.
"""

import json
import resource
import sys
import time

import torch
from PIL import Image
from transformers import AutoImageProcessor, Blip2ForConditionalGeneration


def cpu_seconds():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


class Clock:
    """Adds up the time spent inside a module."""

    def __init__(self, module):
        self.seconds = 0.0
        module.register_forward_pre_hook(self.begin, with_kwargs=True)
        module.register_forward_hook(self.end)

    def begin(self, module, args, kwargs):
        self.start = time.perf_counter()

    def end(self, module, args, result):
        self.seconds += time.perf_counter() - self.start


def main():
    folder, dtype, threads, batch, tokens = sys.argv[1:6]
    files, batch, tokens = sys.argv[6:], int(batch), int(tokens)
    torch.set_num_threads(int(threads))
    model = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)
    prompt = [model.config.image_token_index] * model.config.num_query_tokens + [model.config.text_config.bos_token_id]
    spent = {"decode": 0.0, "prepare": 0.0, "generate": 0.0}

    def caption(files):
        at = [time.perf_counter()]
        pictures = [Image.open(file).convert("RGB") for file in files]
        at.append(time.perf_counter())
        pixels = processor(pictures, return_tensors="pt")["pixel_values"].to(model.dtype)
        at.append(time.perf_counter())
        ids = torch.tensor([prompt] * len(files))
        with torch.inference_mode():
            out = model.generate(pixel_values=pixels, input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False)
        at.append(time.perf_counter())
        for name, a, b in zip(spent, at, at[1:]):
            spent[name] += b - a
        return out[:, len(prompt) :].tolist()

    caption(files[:batch])
    spent = dict.fromkeys(spent, 0.0)
    vision, qformer = Clock(model.vision_model), Clock(model.qformer)
    start, used = time.perf_counter(), cpu_seconds()
    captions = [ids for at in range(0, len(files), batch) for ids in caption(files[at : at + batch])]
    seconds, used = time.perf_counter() - start, cpu_seconds() - used
    n = len(files)
    print(
        json.dumps(
            {
                "seconds": seconds / n,
                "cpu_seconds": used / n,
                "decode": spent["decode"] / n,
                "prepare": spent["prepare"] / n,
                "vision": vision.seconds / n,
                "qformer": qformer.seconds / n,
                "language": (spent["generate"] - vision.seconds - qformer.seconds) / n,
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "tokens": captions,
            }
        )
    )


main()
