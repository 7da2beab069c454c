#!/usr/bin/env bash
# torch-rechub 0.9.0: `CTRTrainer` and `MatchTrainer`, which "only save the best weight in the validation data".
#
# Guess: after fit() the model and model.pth have the weights of the epoch that was best on validation, as the docstring says.
# Seen:  only if early stopping ended the training. If n_epoch did, they have the last epoch's. Both default to 10, so with the defaults patience
#        cannot end it: the first epoch always improves on 0, and nine more are not enough. Of validation AUCs 0.9, 0.8, 0.7 and so on the
#        model that is kept, and tested, is the worst; with earlystop_patience=9 it is the best one.
# So:    a model that overfits from its second epoch on, as most CTR models on ids do, is reported after the tenth. Load
#        trainer.early_stopper.best_weights by hand.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 pandas==2.3.3 scikit-learn==1.6.1 tqdm==4.67.1
"${pip[@]}" --no-deps torch-rechub==0.9.0
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" - 2>"$work/progress" <<'PYTHON_SCRIPT'
import contextlib
import io
from importlib.metadata import version

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch_rechub.trainers import CTRTrainer, MatchTrainer
from torch_rechub.utils.data import TorchDataset

labels = np.array([0.0] * 10 + [1.0] * 10, dtype=np.float32)
places = np.arange(20)
loader = DataLoader(TorchDataset({"place": places}, labels), batch_size=20)
pairs = len(labels) ** 2 / 4


class Scripted(torch.nn.Module):
    """A model whose validation AUC is 0.9 after its first epoch and falls by 0.1 with each further one."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("epoch", torch.tensor(0))

    def forward(self, x):
        if self.training:
            self.epoch += 1
        wrong = int(self.epoch)  # so many positives stand below all negatives
        scores = torch.where(x["place"] < 10 + wrong, 0.6, 0.9)
        scores = torch.where((x["place"] >= 10) & (x["place"] < 10 + wrong), 0.3, scores)
        return scores + 0 * self.weight


def run(kind, **options):
    """The validation AUC of each epoch, and the epoch of the weights in the model and in model.pth."""
    model, seen = Scripted(), []
    trainer = kind(model, device="cpu", **options)
    own = trainer.evaluate_fn
    trainer.evaluate_fn = lambda wanted, found: seen.append(own(wanted, found)) or seen[-1]
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.fit(loader, loader)
    kept = int(torch.load("model.pth", weights_only=True)["epoch"])
    assert int(model.epoch) == kept
    return [round(float(value), 1) for value in seen], kept


print("torch-rechub", version("torch-rechub"))
assert version("torch-rechub") == "0.9.0"
for kind in (CTRTrainer, MatchTrainer):
    for options in ({}, {"earlystop_patience": 9}, {"earlystop_patience": 3}, {"n_epoch": 3, "earlystop_patience": 3}):
        seen, kept = run(kind, **options)
        print(f"{kind.__name__} {options or 'by default'}: validation AUC {seen}, kept epoch {kept} with {seen[kept - 1]}")
        stopped = options.get("earlystop_patience", 10) < options.get("n_epoch", 10)
        assert seen[0] == max(seen) == 0.9 and kept == (1 if stopped else len(seen))
PYTHON_SCRIPT
echo "as written"
