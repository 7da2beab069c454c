#!/usr/bin/env bash
# torch 2.13.0: `nn.TransformerEncoder` without dropout over padded sessions, in training and in evaluation.
#
# Guess: with a src_key_padding_mask and a dropout of 0, train() and eval() put out the same; what stands at padded places is the same numbers too.
# Seen:  in evaluation without gradients padded places are 0, in training, and in evaluation with gradients, they hold states as large as the
#        others'. Only where padding is on the right: with padding on the left evaluation has those states too. The mean over 10 places of
#        sessions of 3 is 0.73 of its length away from the one in training, and the state of the last place is 0 for all sessions.
# So:    a session model that pools over all places, or reads the last one, is trained on one thing and ranked by another, and its validation loss
#        under torch.no_grad() is not the one of the same weights in training. Pool with the mask, or set enable_nested_tensor=False.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==1.26.4
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import torch

SESSIONS, PLACES, ITEMS, SIZE = 50, 10, 3, 16
torch.manual_seed(0)
x = torch.randn(SESSIONS, PLACES, SIZE)
right = torch.arange(PLACES) >= ITEMS  # sessions of 3 items, padded to 10 places
masks = {"right": right.expand(SESSIONS, PLACES).clone(), "left": right.flip(0).expand(SESSIONS, PLACES).clone()}


def states(encoder, mask, training, gradients):
    encoder.train(training)
    with torch.set_grad_enabled(gradients):
        return encoder(x, src_key_padding_mask=mask).detach()


def apart(first, second):
    return float((first - second).norm() / first.norm())


print("torch", torch.__version__.split("+")[0], "differences by the norm in training")
assert torch.__version__.split("+")[0] == "2.13.0"
seen = {}
for side, mask in masks.items():
    for nested in (True, False):
        layer = torch.nn.TransformerEncoderLayer(SIZE, 2, 32, dropout=0.0, batch_first=True)
        encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested)
        trained = states(encoder, mask, True, True)
        for name, gradients in (("eval()", True), ("eval() without gradients", False)):
            found = states(encoder, mask, False, gradients)
            assert apart(trained[~mask], found[~mask]) < 1e-5  # items' states are alike
            values = (float(found[mask].abs().max()), apart(trained.mean(1), found.mean(1)), float(found[:, -1].abs().max()))
            seen[side, nested, name] = values
            print(f"padding on the {side}, enable_nested_tensor={nested}, {name}: padded places up to {values[0]:.2f}, means over all places "
                  f"{values[1]:.2f} apart, last place up to {values[2]:.2f}")
for (side, nested, name), (padded, means, last) in seen.items():
    if (side, nested, name) == ("right", True, "eval() without gradients"):
        assert padded == last == 0 and means > 0.5
    else:
        assert padded > 1 and means < 1e-5
PYTHON_SCRIPT
echo "as written"
