#!/usr/bin/env bash
# torch 2.13.0: `scaled_dot_product_attention(query, key, value, is_causal=True)` with the last place of a
# session as the only query, which is all that serving needs.
#
# Guess: the last place is the last row of the causal mask, so it sees the whole session, and the result is
#        the last row of the full one.
# Seen:  the mask is laid from the top left corner: one query against any number of keys sees the first key
#        alone, and its result is the first item's value, exactly. Of lists of ten 0.06 are those of the full
#        attention, and all 400 sessions that begin with one item have one list, whatever followed. Without
#        `is_causal` the single query has the full one's row.
# So:    a model that is trained over whole sessions and served by the last place, or with cached keys,
#        recommends by the oldest item and raises nothing. Leave `is_causal` out for one query, or use
#        `torch.nn.attention.bias.causal_lower_right`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import torch
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention as attend

print("torch", torch.__version__.split("+")[0])
assert torch.__version__.split("+")[0] == "2.13.0"
SESSIONS, LENGTH, ITEMS, SIZE, K = 400, 10, 300, 16, 10
torch.manual_seed(0)
table = torch.randn(ITEMS, SIZE)
items = torch.randint(ITEMS, (SESSIONS, LENGTH))
items[:, 0] = 7  # all sessions begin with one item
vectors = table[items][:, None]  # one head: [session, 1, place, size]
last = vectors[:, :, -1:]
states = {
    "all places": attend(vectors, vectors, vectors, is_causal=True)[:, 0, -1],
    "last place, is_causal": attend(last, vectors, vectors, is_causal=True)[:, 0, -1],
    "last place": attend(last, vectors, vectors)[:, 0, -1],
    "last place, causal_lower_right": attend(last, vectors, vectors, attn_mask=causal_lower_right(1, LENGTH))[
        :, 0, -1
    ],
}
lists = {name: (state @ table.T).topk(K).indices for name, state in states.items()}
full = lists["all places"]
different, shared = {}, {}
for name, found in lists.items():
    different[name] = len({tuple(row) for row in found.tolist()})
    shared[name] = float((found[:, :, None] == full[:, None, :]).any(dim=2).float().mean())
    print(f"{name}: {different[name]} different lists, {shared[name]:.2f} of each list as with all places")
causal = states["last place, is_causal"]
print("greatest distance to the first item's vector:", float((causal - table[7]).abs().max()))
assert torch.allclose(causal, table[7].expand_as(causal)) and different["last place, is_causal"] == 1
assert shared["last place, is_causal"] < 0.2
assert (
    shared["last place"] > 0.99
    and shared["last place, causal_lower_right"] > 0.99
    and different["all places"] > 350
)
PYTHON_SCRIPT
echo "as written"
