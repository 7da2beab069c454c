#!/usr/bin/env bash
# RecBole 1.2.1: which popularity `train_neg_sample_args: {distribution: popularity}` draws negatives by.
#
# Guess: the training part's counts, as word2vec's unigram table: an item without a training row is never drawn.
# Seen:  counts of train, valid and test rows together. In a log whose newest item is the last row of each of 60 users (leave-one-out by time),
#        it has no training row and is 12 % of all training negatives, where an item is 2 % by the uniform distribution.
# So:    training reads the test part, and against the model: what is popular among the held-out rows alone, new items of a split by time above
#        all, is pushed down by a negative for each of its future interactions. uniform against popularity, or alpha, is then no question
#        about negatives alone, and numbers of the two are not comparable on splits by time.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.15.3 pandas==2.2.3 scikit-learn==1.6.1 tensorboard==2.19.0 colorama==0.4.6 \
    colorlog==6.9.0 pyyaml==6.0.2 tqdm==4.67.1 tabulate==0.9.0 texttable==1.7.0 psutil==7.0.0 setuptools==80.9.0
"${pip[@]}" --no-deps recbole==1.2.1 thop==0.1.1.post2209072238  # RecBole's own list asks for a Ray without a wheel for this Python
cd "$work"
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import init_seed

USERS, OLD, EPOCHS = 60, 40, 20
COLUMNS = {"inter": ["user_id", "item_id", "timestamp"]}
SPLIT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
rows = [f"u{user}\told{(user + 7 * time) % OLD}\t{time}" for user in range(USERS) for time in range(9)]
rows += [f"u{user}\tnew\t9" for user in range(USERS)]  # each user's last row
Path("log").mkdir()
Path("log/log.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n")


def share_of_new(distribution):
    """Training rows of the new item, and its share of the training negatives of some epochs."""
    negatives = {"distribution": distribution, "sample_num": 1, "alpha": 1.0, "dynamic": False, "candidate_num": 0}
    options = {"data_path": ".", "load_col": COLUMNS, "eval_args": SPLIT, "train_neg_sample_args": negatives, "state": "ERROR"}
    config = Config(model="BPR", dataset="log", config_dict=options)
    init_seed(1, True)
    dataset = create_dataset(config)
    train, _, _ = data_preparation(config, dataset)
    (new,) = dataset.token2id("item_id", ["new"])
    drawn = torch.cat([batch["neg_item_id"] for _ in range(EPOCHS) for batch in train])
    return int((train.dataset.inter_feat["item_id"] == new).sum()), float((drawn == new).float().mean())


print("RecBole", version("recbole"))
assert version("recbole") == "1.2.1"
seen = {distribution: share_of_new(distribution) for distribution in ("uniform", "popularity")}
for distribution, (trained, share) in seen.items():
    print(f"{distribution:10} training rows of the new item {trained}, its share of training negatives {share:.3f}")
assert [trained for trained, _ in seen.values()] == [0, 0]
assert 0.02 < seen["uniform"][1] < 0.04 and 0.09 < seen["popularity"][1] < 0.15
PYTHON_SCRIPT
echo "as written"
