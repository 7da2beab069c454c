#!/usr/bin/env bash
# RecBole 1.2.1: early stopping (stopping_step) and metric_decimal_place, whose default is 4.
#
# Guess: metric_decimal_place says how many digits are printed; the best epoch is found on full numbers, the first one if epochs are equal; and a
#        model whose metric stands still is stopped when the patience is over.
# Seen:  metrics are rounded before they are compared, and an equal value counts as an improvement: it starts the patience anew and takes the
#        place of the checkpoint. A recall that falls from 0.00124 to 0.00116 is 0.0012 for five epochs, and the worst of the five is kept
#        and tested; one that stands still is trained to the last epoch whatever the patience is.
# So:    on sparse data, where recall and NDCG have two digits that count, the default takes a later epoch and a worse model than the
#        training had, and a diverged run costs all its epochs. Set metric_decimal_place to 8 or so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.15.3 pandas==2.2.3 scikit-learn==1.6.1 tensorboard==2.19.0 colorama==0.4.6 \
    colorlog==6.9.0 pyyaml==6.0.2 tqdm==4.67.1 tabulate==0.9.0 texttable==1.7.0 psutil==7.0.0 setuptools==80.9.0
"${pip[@]}" --no-deps recbole==1.2.1 thop==0.1.1.post2209072238  # RecBole's own list asks for a Ray without a wheel for this Python
cd "$work"
# Before torch 2.6 RecBole's checkpoints were read as they are.
OMP_NUM_THREADS=1 TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.trainer import Trainer
from recbole.utils import InputType, init_seed

USERS, EPOCHS, PATIENCE = 50_000, 12, 3
FALLING = [62, 61, 60, 59, 58, *[50] * EPOCHS]  # hits of 50,000 users after each epoch: a recall of 0.00124, 0.00122, 0.0012, 0.00118, 0.00116
rows = [f"u{user}\t{item}\t{time}" for user in range(USERS) for time, item in enumerate((f"train{user % 2}", "valid", "test"))]
Path("log").mkdir()
Path("log/log.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n")


class Scripted(GeneralRecommender):
    """A model that finds the held-out items of as many users as its script says for the epoch that its weights are from."""

    input_type = InputType.PAIRWISE

    def __init__(self, config, dataset, hits):
        super().__init__(config, dataset)
        self.hits, self.weight = hits, torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("epoch", torch.tensor(0))
        self.held_out = dataset.token2id("item_id", ["valid", "test"])

    def calculate_loss(self, interaction):
        return 0 * self.weight.sum()

    def full_sort_predict(self, interaction):
        users = interaction[self.USER_ID]
        scores = torch.zeros(len(users), self.n_items)
        found = users <= self.hits[int(self.epoch)]  # users are numbered from 1
        scores[:, self.held_out] = torch.where(found, 1.0, -1.0)[:, None] * torch.tensor([2.0, 1.0])  # the test item comes second in validation
        return scores.view(-1)


def run(hits, digits):
    """Epochs that were trained, and the hits of the model that is tested in the end."""
    options = {"data_path": ".", "load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "epochs": EPOCHS, "stopping_step": PATIENCE}
    options |= {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}, "metrics": ["Recall"], "topk": [1]}
    options |= {"valid_metric": "Recall@1", "train_batch_size": USERS, "eval_batch_size": 4 * USERS, "state": "ERROR", "show_progress": False}
    config = Config(model="BPR", dataset="log", config_dict=options | ({"metric_decimal_place": digits} if digits else {}))
    init_seed(1, True)
    train, valid, test = data_preparation(config, create_dataset(config))
    model, epochs = Scripted(config, train.dataset, hits), []

    def next_epoch(epoch, score):
        epochs.append(score)
        model.epoch += 1

    trainer = Trainer(config, model)
    trainer.fit(train, valid, callback_fn=next_epoch)
    trainer.evaluate(test, load_best_model=True)
    return len(epochs), hits[int(model.epoch)]


print("RecBole", version("recbole"), f"stopping_step {PATIENCE} of {EPOCHS} epochs")
assert version("recbole") == "1.2.1"
seen = {}
for name, hits in (("falling", FALLING), ("standing still", [60] * (EPOCHS + 1))):
    for digits in (None, 8) if name == "falling" else (None,):
        seen[name, digits] = run(hits, digits)
        print(f"{name:14} metric_decimal_place {digits or 'by default'}: {seen[name, digits][0]} epochs, tested: {seen[name, digits][1]} hits")
# By hand, on full numbers: the first epoch is best, and training ends when the patience of three epochs is passed.
assert seen["falling", 8] == (1 + PATIENCE + 1, 62)
assert seen["falling", None] == (5 + PATIENCE + 1, 58)
assert seen["standing still", None] == (EPOCHS, 60)
PYTHON_SCRIPT
echo "as written"
