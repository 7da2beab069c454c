#!/usr/bin/env bash
# peft 0.21.2: LoRA on one layer, and a new item table that is trained beside it, unfrozen by `requires_grad =
# True` after `get_peft_model`.
#
# Guess: `save_pretrained` writes what was trained, `print_trainable_parameters` counts it, and
#        `PeftModel.from_pretrained` on the same base brings it back.
# Seen:  the count has the table in it (1,600 of 1,728), the file does not: only what LoRA added is written,
#        without a word at saving or loading. The model that put the wanted item first for all 64 sessions
#        does so for none after reading, with a loss of 9.07 where it was 0.00. With `modules_to_save=["new"]`
#        in the configuration both are the same after reading.
# So:    the rows of new items, which a language model has none for, are gone with the process; what is served
#        has LoRA's layers over a table at random.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 peft==0.21.2 transformers==5.24.0 accelerate==1.15.0 safetensors==0.8.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" - "$work" <<'PYTHON_SCRIPT'
import copy
import sys
import warnings
from importlib.metadata import version

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import nn

print("peft", version("peft"), "torch", torch.__version__.split("+")[0])
assert version("peft") == "0.21.2"


class Scorer(nn.Module):
    """Scores of 100 new items for sessions of known ones: [batch, 5] to [batch, 100]."""

    def __init__(self):
        super().__init__()
        self.known, self.layer = nn.Embedding(100, 16), nn.Linear(16, 16)
        self.new = nn.Linear(16, 100, bias=False)

    def forward(self, items):
        return self.new(self.layer(self.known(items).mean(dim=1)))


torch.manual_seed(0)
base = Scorer()
items, wanted = torch.randint(100, (64, 5)), torch.randint(100, (64,))
seen = {}
for way in ("requires_grad = True", 'modules_to_save=["new"]'):
    torch.manual_seed(1)
    saved_too = ["new"] if "modules" in way else None
    config = LoraConfig(target_modules=["layer"], r=4, modules_to_save=saved_too)
    model = get_peft_model(copy.deepcopy(base), config)
    if saved_too is None:
        model.base_model.model.new.weight.requires_grad = True
    model.print_trainable_parameters()
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=0.05)
    for _ in range(300):
        loss = nn.functional.cross_entropy(model(items), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = f"{sys.argv[1]}/{'modules' if saved_too else 'unfrozen'}"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.save_pretrained(folder)
        read = PeftModel.from_pretrained(copy.deepcopy(base), folder)
    names = sorted(name.split("model.")[-1] for name in load_file(f"{folder}/adapter_model.safetensors"))
    with torch.no_grad():
        results = {}
        for name, scores in (("trained", model(items)), ("read", read(items))):
            first = (scores.argmax(dim=1) == wanted).float().mean()
            results[name] = float(nn.functional.cross_entropy(scores, wanted)), float(first)
    print(f"{way}: file has {names}, {len(said)} warnings")
    print("loss and recall@1", {name: (round(a, 3), round(b, 2)) for name, (a, b) in results.items()})
    seen[way] = results, names, len(said)
results, names, said = seen["requires_grad = True"]
assert results["trained"][1] > 0.9 and results["read"][1] < 0.4 and said == 0
assert results["read"][0] > results["trained"][0] + 1
assert not any("new" in name for name in names) and len(names) == 2
results, names, said = seen['modules_to_save=["new"]']
assert abs(results["trained"][0] - results["read"][0]) < 1e-5 and any("new" in name for name in names)
PYTHON_SCRIPT
echo "as written"
