#!/usr/bin/env bash
# pytorch-lightning 2.6.6: `EMAWeightAveraging`, an average that is to begin later: update_starting_at_epoch or update_starting_at_step.
#
# Guess: before that the model is trained and validated as without the callback, then the average begins at its weights.
# Seen:  with update_starting_at_epoch=4 it begins at the first step all the same: no start by step is taken for a start at 0. With
#        update_starting_at_step=40 validation gets the average from the first epoch on, a copy of the untrained model: a weight that counts steps
#        is 0 in the first four validations, and 44 in the fifth.
# So:    the first leaves the average full of early weights, which it was to avoid. In the second each validation before the start has the same
#        value, early stopping ends the run by it, and the best checkpoint may be the initialization. Override should_update, and validate later.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 pytorch-lightning==2.6.6 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import logging
from importlib.metadata import version

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
EPOCHS, STEPS = 8, 10


class Steps(pl.LightningModule):
    """Its only weight is the number of steps taken."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.validated = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def training_step(self, batch, index):
        return -self.weight

    def validation_step(self, batch, index):
        self.validated.append(round(float(self.weight), 1))


def run(**options):
    """The weight that each epoch's validation sees."""
    model = Steps()
    trainer = pl.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False, num_sanity_val_steps=0,
        enable_progress_bar=False, enable_model_summary=False,
        callbacks=[EMAWeightAveraging(decay=0.9, **options)],
    )
    trainer.fit(model, torch.utils.data.DataLoader(torch.zeros(STEPS, 1)), torch.utils.data.DataLoader(torch.zeros(1, 1)))
    return model.validated


print("pytorch-lightning", version("pytorch-lightning"), f"{STEPS} steps an epoch, decay 0.9")
assert version("pytorch-lightning") == "2.6.6"
always, by_epoch, by_step = run(), run(update_starting_at_epoch=4), run(update_starting_at_step=40)
print("validation sees, averaged from the start:", always)
print("with update_starting_at_epoch=4:", by_epoch)
print("with update_starting_at_step=40:", by_step)
assert always[0] == 4.5 and by_epoch[:5] == always[:5]
assert by_step[:4] == [0.0] * 4 and by_step[4] > 40
PYTHON_SCRIPT
echo "as written"
