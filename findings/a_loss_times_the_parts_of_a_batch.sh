#!/usr/bin/env bash
# transformers 5.24.0: `Trainer` with `gradient_accumulation_steps=4` and a model of one's own whose `forward(items, labels, **kwargs)` returns the loss.
#
# Guess: four batches of 4 rows are one of 16: the mean of their losses, whether `forward` takes `**kwargs` or not.
# Seen:  without `**kwargs` it is so. With them the Trainer takes it that the model divides by the number of labels of the whole step, which it would hand
#        over, and adds the four means up: the gradient and the reported loss are 4 times as large, 16 times with 16 parts. No word of it. By SGD the weight
#        is at 0.28 after four steps, and at 0.79 with 16 parts, where it is 0.08.
# So:    losses of runs with other numbers of parts cannot be compared, and memory decides the rate. Take no `**kwargs`, or set `model.accepts_loss_kwargs = False`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import contextlib
import io
from importlib.metadata import version

import torch
from transformers import Trainer, TrainingArguments

print("transformers", version("transformers"), "torch", torch.__version__.split("+")[0])
assert version("transformers") == "5.24.0"


class Plain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, items, labels):
        return {"loss": ((self.weight - labels) ** 2).mean()}


class WithKwargs(Plain):
    def forward(self, items, labels, **kwargs):
        return super().forward(items, labels)


class WithKwargsAndToldSo(WithKwargs):
    accepts_loss_kwargs = False


rows = [{"items": torch.tensor([1.0]), "labels": torch.tensor([1.0])} for _ in range(64)]


def trained(kind, parts):
    """Four steps of 16 rows, each in so many parts: the weight, and the losses that were reported."""
    model = kind()
    arguments = TrainingArguments(
        "runs", per_device_train_batch_size=16 // parts, gradient_accumulation_steps=parts, num_train_epochs=1, learning_rate=0.01, optim="sgd",
        lr_scheduler_type="constant", max_grad_norm=0, logging_steps=1, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
    )
    trainer = Trainer(model, arguments, train_dataset=rows)
    with contextlib.redirect_stdout(io.StringIO()):
        trainer.train()
    return float(model.weight.detach()), [round(float(line["loss"]), 2) for line in trainer.state.log_history if "loss" in line]


by_hand = 0.0
for _ in range(4):
    by_hand -= 0.01 * 2 * (by_hand - 1)
print(f"by hand: weight {by_hand:.4f}")
for kind in (Plain, WithKwargs, WithKwargsAndToldSo):
    for parts in (1, 4, 16):
        weight, losses = trained(kind, parts)
        print(f"{kind.__name__}, a batch in {parts} parts: weight {weight:.4f}, losses {losses}")
        if kind is WithKwargs and parts > 1:
            assert abs(losses[0] - parts) < 0.01 and weight > 3 * by_hand
        else:
            assert losses[0] == 1 and abs(weight - by_hand) < 1e-5
PYTHON_SCRIPT
echo "as written"
