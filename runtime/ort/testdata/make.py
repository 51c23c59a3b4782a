"""Writes tiny.onnx and its embeddings, tiny.json: a retriever in the shape of ours.

In go items [batch, length] and k, out come top_items and top_scores [batch, k].
A user is the sum of the embeddings of the newest items, scores are products with the embeddings; all items that go in
are masked, the older ones too. python3 make.py, needs onnx.
"""
import json

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper

ITEMS, WIDTH, LENGTH = 30, 4, 6
embedding = np.random.default_rng(7).normal(size=(ITEMS + 1, WIDTH)).round(2).astype(np.float32)
embedding[0] = 0

nodes = [
    h.make_node("Slice", ["items", "newest", "end", "axis_one"], ["recent"]),  # [batch, up to LENGTH]
    h.make_node("Gather", ["embedding", "recent"], ["x"]),  # [batch, up to LENGTH, width]
    h.make_node("ReduceSum", ["x", "axis_one"], ["user"], keepdims=0),
    h.make_node("MatMul", ["user", "transposed"], ["all_scores"]),
    h.make_node("Shape", ["items"], ["shape"]),
    h.make_node("Expand", ["minus_infinity", "shape"], ["masks"]),
    h.make_node("ScatterElements", ["all_scores", "items", "masks"], ["scattered"], axis=1),
    h.make_node("Add", ["scattered", "no_padding"], ["scores"]),
    h.make_node("TopK", ["scores", "k"], ["top_scores", "top_items"], axis=1),
]
no_padding = np.zeros((1, ITEMS + 1), np.float32)
no_padding[0, 0] = -np.inf
constants = {
    "embedding": embedding,
    "transposed": embedding.T.copy(),
    "newest": np.array([-LENGTH], np.int64),
    "end": np.array([2**62], np.int64),
    "axis_one": np.array([1], np.int64),
    "minus_infinity": np.array(-np.inf, np.float32),
    "no_padding": no_padding,
}
graph = h.make_graph(
    nodes, "tiny",
    [h.make_tensor_value_info("items", T.INT64, ["batch", "length"]), h.make_tensor_value_info("k", T.INT64, [1])],
    [h.make_tensor_value_info("top_items", T.INT64, ["batch", "k"]), h.make_tensor_value_info("top_scores", T.FLOAT, ["batch", "k"])],
    [numpy_helper.from_array(v, n) for n, v in constants.items()],
)
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
h.set_model_props(model, {
    "mllm4rec.format": "1", "mllm4rec.kind": "retriever", "mllm4rec.architecture": "lrurec",
    "mllm4rec.num_items": str(ITEMS), "mllm4rec.max_length": str(LENGTH),
})
onnx.checker.check_model(model)
onnx.save(model, "tiny.onnx")
with open("tiny.json", "w") as f:
    json.dump(embedding.tolist(), f)
