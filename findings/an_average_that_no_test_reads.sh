#!/usr/bin/env bash
# pytorch-lightning 2.6.6: `StochasticWeightAveraging` beside `ModelCheckpoint(monitor=..., save_top_k=-1, save_last=True)`.
#
# Guess: validation sees the weights that are trained; the average is in the model at the end, is what the last checkpoint is tested by, and is of all epochs
#        from the start on.
# Seen:  the weights of a checkpoint are never the average: "last" has those of epoch 12, "best" those of epoch 3, to the last bit, with errors of 0.476 and
#        0.461; the model in memory has 0.284. The average lies beside them in the file, in the state of the callback, where `trainer.test(ckpt_path="best")`
#        leaves it: it measures the weights of one epoch, and leaves them in the model. And the average of a run of 12 epochs with `swa_epoch_start=6` is of
#        the weights after epochs 5 to 11: the last epoch has no say in it.
# So:    what is tested and served by way of a checkpoint never was an average. `trainer.save_checkpoint` after `fit`, before anything is read back.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 pytorch-lightning==2.6.6 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import logging
import warnings

warnings.filterwarnings("ignore")
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, StochasticWeightAveraging

for name in ("pytorch_lightning", "lightning.pytorch"):
    logging.getLogger(name).setLevel(logging.ERROR)
print("pytorch-lightning", pl.__version__)
assert pl.__version__ == "2.6.6"
torch.set_num_threads(1)
USERS, ITEMS, WIDTH, EPOCHS, START = 300, 200, 4, 12, 6


class Factors(pl.LightningModule):
    """Factors of noisy ratings, by plain SGD."""

    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(1)
        self.users = torch.nn.Parameter(0.5 * torch.randn(USERS, WIDTH, generator=draw))
        self.items = torch.nn.Parameter(0.5 * torch.randn(ITEMS, WIDTH, generator=draw))
        self.after_epochs = []

    def squares(self, rows):
        return torch.square((self.users[rows[:, 0].long()] * self.items[rows[:, 1].long()]).sum(dim=1) - rows[:, 2]).mean()

    def training_step(self, rows, _):
        return self.squares(rows)

    def validation_step(self, rows, _):
        self.log("error", self.squares(rows).sqrt())

    def test_step(self, rows, _):
        self.log("test_error", self.squares(rows).sqrt())

    def on_train_epoch_end(self):
        self.after_epochs.append(self.users.detach().clone())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=20.0)


draw = torch.Generator().manual_seed(0)
truth = torch.randn(USERS, WIDTH, generator=draw) @ torch.randn(WIDTH, ITEMS, generator=draw) / WIDTH**0.5
pairs = torch.cartesian_prod(torch.arange(USERS), torch.arange(ITEMS))[torch.randperm(USERS * ITEMS, generator=draw)]
right = truth[pairs[:, 0], pairs[:, 1]]
noisy = torch.cat([pairs, (right + torch.randn(len(right), generator=draw))[:, None]], dim=1)[:40_000]
clean = torch.cat([pairs, right[:, None]], dim=1)[40_000:]


def loader(rows, shuffle=False):
    return torch.utils.data.DataLoader(rows, batch_size=500, shuffle=shuffle, generator=torch.Generator().manual_seed(2))


model = Factors()
saved = ModelCheckpoint("checkpoints", monitor="error", mode="min", save_top_k=-1, save_last=True)  # each epoch has a file
average = StochasticWeightAveraging(swa_lrs=20.0, swa_epoch_start=START)
trainer = pl.Trainer(max_epochs=EPOCHS, callbacks=[average, saved], logger=False, accelerator="cpu", enable_progress_bar=False,
                     enable_model_summary=False, num_sanity_val_steps=0)
trainer.fit(model, loader(noisy, shuffle=True), loader(clean))
in_memory = model.users.detach().clone()


def tested(path=None):
    return float(trainer.test(model, loader(clean), ckpt_path=path, verbose=False)[0]["test_error"])


errors = {"in memory": tested(), "last": tested(saved.last_model_path), "best": tested(saved.best_model_path)}
print("error:", {name: round(error, 3) for name, error in errors.items()})
files = {name: torch.load(path, weights_only=False)["state_dict"]["users"]
         for name, path in (("last", saved.last_model_path), ("best", saved.best_model_path))}
after = torch.stack(model.after_epochs)
of_all = {(first, last): float((after[first - 1 : last].mean(dim=0) - in_memory).abs().max())
          for first in range(1, EPOCHS + 1) for last in range(first, EPOCHS + 1)}
fits = [epochs for epochs, difference in of_all.items() if difference < 1e-5]
print(f"the weights in memory are the average of those after epochs {fits}")
assert fits == [(START - 1, EPOCHS - 1)]
of_one_epoch = {name: [epoch + 1 for epoch, weights in enumerate(after) if torch.equal(file, weights)] for name, file in files.items()}
print("files have the weights of one epoch:", of_one_epoch)
assert of_one_epoch["last"] == [EPOCHS] and len(of_one_epoch["best"]) == 1
beside = torch.load(saved.last_model_path, weights_only=False)["callbacks"]["StochasticWeightAveraging"]["average_model_state"]
print("beside the weights of the last file:", "the average in memory" if torch.equal(beside["users"], in_memory) else "another one")
assert torch.equal(beside["users"], in_memory)
assert errors["in memory"] < 0.75 * min(errors["last"], errors["best"])
assert not torch.equal(model.users, in_memory)
PYTHON_SCRIPT
echo "as written"
