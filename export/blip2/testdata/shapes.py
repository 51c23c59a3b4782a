"""Makes BLIP-2 checkpoints of several shapes in a folder, and what Hugging Face computes with them.

python shapes.py TINY OUT: TINY is a checkpoint whose config, preprocessing and vocabulary the others are made of.
"""

import json
import sys

import torch
from safetensors.torch import save_file
from transformers import Blip2Config, Blip2ForConditionalGeneration

tiny, out = sys.argv[1:]
base = json.load(open(f"{tiny}/config.json"))
pictures = json.load(open(f"{tiny}/preprocessor_config.json"))
torch.set_num_threads(1)

shapes = {
    "norms after": dict(text_config=dict(do_layer_norm_before=False, activation_function="gelu")),
    "few biases": dict(
        text_config=dict(enable_bias=False, tie_word_embeddings=False, _remove_final_layer_norm=True),
        vision_config=dict(qkv_bias=False),
    ),
    "odd sizes in shards": dict(
        vision_config=dict(hidden_size=48, num_attention_heads=6, intermediate_size=80, num_hidden_layers=3, image_size=30),
        qformer_config=dict(
            hidden_size=24, num_attention_heads=3, num_hidden_layers=5, cross_attention_frequency=3, encoder_hidden_size=48
        ),
        text_config=dict(hidden_size=40, word_embed_proj_dim=40, num_attention_heads=5, num_hidden_layers=3, ffn_dim=96),
        num_query_tokens=5,
    ),
    "activations": dict(
        vision_config=dict(hidden_act="quick_gelu", layer_norm_eps=1e-5),
        qformer_config=dict(hidden_act="gelu_new"),
        text_config=dict(activation_function="silu"),
    ),
    "many ends": dict(
        text_config=dict(eos_token_id=[9, 26, 40], pad_token_id=3), qformer_config=dict(use_qformer_text_input=True)
    ),
    "bfloat16": dict(),
}


def draw(model):
    for name, p in model.named_parameters():
        if p.dim() > 1:
            p.normal_(0, 0.6 if "embed" in name else 0.35)
        elif "norm" in name.lower() and name.endswith("weight"):
            p.normal_(1, 0.1)
        else:
            p.normal_(0, 0.1)


@torch.no_grad()
def make(name, change, seed):
    config = json.loads(json.dumps(base))
    for key, value in change.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    for key in ("architectures", "dtype", "transformers_version"):
        del config[key]
    torch.manual_seed(seed)
    model = Blip2ForConditionalGeneration(Blip2Config(**config)).eval()
    draw(model)
    model.tie_weights()
    if name == "bfloat16":
        model.to(torch.bfloat16)
    folder = f"{out}/{name}"
    model.save_pretrained(folder, max_shard_size="60KB" if "shards" in name else "5GB")
    model.float()
    size, queries = config["vision_config"]["image_size"], config["num_query_tokens"]
    processor = {**pictures, "size": {"height": size, "width": size}}
    if name == "many ends":  # as Transformers 5 writes it
        json.dump({"image_processor": processor}, open(f"{folder}/processor_config.json", "w"))
    else:
        json.dump(processor, open(f"{folder}/preprocessor_config.json", "w"))
    pixels = torch.randn(6, 3, size, size)
    images = [config["image_token_index"]] * queries

    def generate(prompt=(2,), **options):
        ids = torch.tensor([images + list(prompt)] * len(pixels))
        return model.generate(pixels, input_ids=ids, **options)[:, ids.shape[1] :].contiguous()

    ids = torch.tensor([images + [2]] * len(pixels))
    vision = model.vision_model(pixels).last_hidden_state
    queried = model.qformer(
        query_embeds=model.query_tokens.expand(len(pixels), -1, -1), encoder_hidden_states=vision
    ).last_hidden_state
    numbers = {
        "pixels": pixels,
        "vision": vision,
        "qformer": queried,
        "projection": model.language_projection(queried),
        "logits": model(pixel_values=pixels, input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1],
        "greedy": generate(max_new_tokens=16),
        "prompted": generate((2, 11, 30, 8, 50), max_new_tokens=9),
    }
    ends = [int(numbers["greedy"][0, 3]), int(numbers["greedy"][2, 6]), 4, 5, 6]
    numbers["ends"] = torch.tensor(ends)
    for beams in (2, 3, 5):
        numbers[f"beam{beams}"] = generate(max_new_tokens=14, num_beams=beams)
        numbers[f"beam{beams} ends"] = generate(max_new_tokens=14, num_beams=beams, eos_token_id=ends)
    save_file({k: v.contiguous() for k, v in numbers.items()}, f"{folder}/numbers.safetensors")


for i, (name, change) in enumerate(shapes.items()):
    make(name, change, 100 + i)
