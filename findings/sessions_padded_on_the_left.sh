#!/usr/bin/env bash
# torch 2.13.0: `TransformerEncoder` with a causal mask over sessions that are padded on the left, `src_key_padding_mask` and no nested tensors.
#
# Guess: the last place looks at the rows of its session alone, so its state is the same in `train()` and `eval()`, with the padding left or right.
# Seen:  a place of the padding may look at nothing, and its state is a number where gradients are on and NaN in `eval()` under `no_grad`. The next layer
#        multiplies it by a weight of 0, which is NaN: with two layers all sessions that have any padding end in NaN, with one none, and on the right
#        none. `MultiheadAttention` alone, a session without rows: NaN with `need_weights=True`, a number without in training, NaN in evaluation.
# So:    training goes well and the first validation is NaN, or only the users without a history are. Pad on the right, or let each place look at itself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import torch

print("torch", torch.__version__)
assert torch.__version__.startswith("2.13.0")
torch.manual_seed(0)
USERS, LENGTH, SIZE = 72, 8, 16
length = torch.arange(USERS) % (LENGTH + 1)  # rows of a session, 0 to 8
padding = torch.arange(LENGTH)[None, :] < (LENGTH - length)[:, None]  # before the rows
causal = torch.triu(torch.ones(LENGTH, LENGTH, dtype=torch.bool), 1)
x = torch.randn(USERS, LENGTH, SIZE)
ways = {"train": (True, True), "eval, gradients on": (False, True), "eval, no_grad": (False, False)}


def nan(states):
    return float(states[:, -1].isnan().any(dim=1).float().mean())


seen = {}
layer = torch.nn.TransformerEncoderLayer(SIZE, 2, 32, dropout=0.0, batch_first=True)
for layers in (1, 2):
    encoder = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    for way, (train, gradients) in ways.items():
        encoder.train(train)
        with torch.set_grad_enabled(gradients):
            last = encoder(x, mask=causal, src_key_padding_mask=padding)
        seen[layers, way] = nan(last[length > 0])
        print(f"{layers} layer(s), causal, padded on the left, {way}: NaN in the last place for {seen[layers, way]:.2f} of the sessions with rows")
        # the same sessions with their padding on the right, and the place of the last row
        right = torch.stack([row.roll(int(size) - LENGTH, 0) for row, size in zip(x, length)])
        with torch.set_grad_enabled(gradients):
            states = encoder(right, mask=causal, src_key_padding_mask=torch.arange(LENGTH)[None, :] >= length[:, None])
        states = states[torch.arange(USERS), (length - 1).clamp(min=0)][length > 0]
        assert not states.isnan().any()
        if not seen[layers, way]:
            assert torch.allclose(states, last[length > 0][:, -1], atol=1e-5)  # the same state, wherever the padding is
for layers in (1, 2):
    assert seen[layers, "train"] == seen[layers, "eval, gradients on"] == 0
assert seen[1, "eval, no_grad"] == 0 and seen[2, "eval, no_grad"] == 0.875

attention = torch.nn.MultiheadAttention(SIZE, 2, batch_first=True)
for way, (train, gradients) in ways.items():
    attention.train(train)
    for weights in (False, True):
        with torch.set_grad_enabled(gradients):
            states = attention(x, x, x, key_padding_mask=padding, need_weights=weights)[0]
        seen[way, weights] = nan(states[length == 0])
        print(f"MultiheadAttention, need_weights={weights}, {way}: NaN for {seen[way, weights]:.0f} of the sessions without rows")
        assert not states[length > 0].isnan().any()
assert [seen[way, False] for way in ways] == [0, 0, 1] and all(seen[way, True] == 1 for way in ways)
PYTHON_SCRIPT
echo "as written"
