#!/usr/bin/env bash
# onnxruntime 1.32.0: `quantize_dynamic(model, out)` of a model that looks up a user's and an item's vector
# and puts out their product.
#
# Guess: it quantizes matrix products, as torch's dynamic quantization does linear layers, and leaves tables
#        alone; or keeps the order of items nearly.
# Seen:  tables of `Gather` become bytes too, with one scale for the whole table, set by its greatest value.
#        With vectors of equal lengths lists of ten share 0.98 with those of the model; where lengths of users
#        are lognormal (1.0; the longest is 15 times the middle) the quarter with the shortest has 0.62, with
#        1.5 it has 0.06, and all users 0.58. `op_types_to_quantize=["MatMul"]` leaves tables as they are.
# So:    users with few rows, whose vectors are short, get lists by rounding, while a check over active users
#        or of the mean error looks fine.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - "$work" <<'PYTHON_SCRIPT'
import logging
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

logging.disable(logging.WARNING)
print("onnxruntime", version("onnxruntime"))
assert version("onnxruntime") == "1.32.0"
USERS, ITEMS, SIZE, K = 200, 2000, 32, 10
folder = sys.argv[1]


def write(users, items, path):
    """A model of two tables: user [n] and item [n] to their products [n]."""
    nodes = [
        helper.make_node("Gather", ["users", "user"], ["u"]),
        helper.make_node("Gather", ["items", "item"], ["i"]),
        helper.make_node("Mul", ["u", "i"], ["products"]),
        helper.make_node("ReduceSum", ["products", "axis"], ["score"], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, [None]) for name in ("user", "item")]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])]
    arrays = {"users": users, "items": items, "axis": np.array([1])}
    tables = [numpy_helper.from_array(values, name) for name, values in arrays.items()]
    graph = helper.make_graph(nodes, "model", inputs, outputs, tables)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def lists(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    item = np.arange(ITEMS)
    scores = [session.run(None, {"user": np.full(ITEMS, user), "item": item})[0] for user in range(USERS)]
    return [set(np.argsort(-score, kind="stable")[:K].tolist()) for score in scores]


def shared(first, second):
    return np.array([len(a & b) / K for a, b in zip(first, second)])


seen = {}
for spread in (0.0, 1.0, 1.5):
    random = np.random.default_rng(0)
    users = (random.normal(size=(USERS, SIZE)) * random.lognormal(0, spread, (USERS, 1))).astype(np.float32)
    items = random.normal(size=(ITEMS, SIZE)).astype(np.float32)
    path, small, products = (f"{folder}/{name}.onnx" for name in ("model", "small", "products"))
    write(users, items, path)
    quantize_dynamic(path, small)
    quantize_dynamic(path, products, op_types_to_quantize=["MatMul"])
    lengths = np.linalg.norm(users, axis=1)
    short = lengths.argsort()[: USERS // 4]
    full = lists(path)
    by_table, left = shared(full, lists(small)), shared(full, lists(products))
    seen[spread] = by_table.mean(), by_table[short].mean(), left.mean()
    print(
        f"spread {spread}: the longest user is {lengths.max() / np.median(lengths):.0f} times the middle; "
        f"lists as before: all {by_table.mean():.2f}, shortest quarter {by_table[short].mean():.2f}; "
        f"with MatMul alone {left.mean():.2f}"
    )
tables = {value.name: value.data_type for value in onnx.load(small).graph.initializer}
print("tables in the file:", sorted(tables))
assert tables["users_quantized"] == TensorProto.UINT8 and tables["items_quantized"] == TensorProto.UINT8
assert seen[0.0][0] > 0.95 and seen[1.0][1] < 0.85 and seen[1.5][1] < 0.15 and seen[1.5][0] < 0.7
assert all(left == 1 for _, _, left in seen.values())
PYTHON_SCRIPT
echo "as written"
