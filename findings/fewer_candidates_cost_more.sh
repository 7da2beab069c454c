#!/usr/bin/env bash
# RecBole 1.2.1: what an evaluation with 100 sampled candidates (mode uni100) computes, beside the full ranking of all items.
#
# Guess: less, which is what sampled candidates are for: a session or a user's row is encoded once, and 101 scores are read from it in place of
#        all 3,000.
# Seen:  every candidate has a pass of its own. Of 100 users SASRec and GRU4Rec encode 100 sessions in a full ranking and 10,100 under uni100, each session
#        101 times; MultiVAE puts out 10,100 rows of scores of all items and reads one number of each, where the full ranking has 100 rows.
# So:    the mode that is to save time makes an evaluation a hundred times as long where the encoder is what costs, more than an epoch of training.
#        The full ranking is cheaper until the catalogue's product costs as much as a hundred passes, and says more. For sampled candidates read
#        them from `full_sort_predict` of each session.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.15.3 pandas==2.2.3 scikit-learn==1.6.1 tensorboard==2.19.0 colorama==0.4.6 \
    colorlog==6.9.0 pyyaml==6.0.2 tqdm==4.67.1 tabulate==0.9.0 texttable==1.7.0 psutil==7.0.0 setuptools==80.9.0
"${pip[@]}" --no-deps recbole==1.2.1 thop==0.1.1.post2209072238  # RecBole's own list asks for a Ray without a wheel for this Python
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import random
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

USERS, ITEMS, ROWS = 100, 3000, 40
draw = random.Random(0)
rows = [f"u{user}\ti{item}\t{time}" for user in range(USERS) for time, item in enumerate(draw.sample(range(ITEMS), ROWS))]
Path("log").mkdir()
Path("log/log.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n")


def encoded(name, mode):
    """Rows that the model's `forward` is given in one evaluation of the test part."""
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    given = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": mode}
    options = {"data_path": ".", "load_col": columns, "eval_args": given, "MAX_ITEM_LIST_LENGTH": 50, "state": "ERROR"}
    options |= {} if name == "MultiVAE" else {"train_neg_sample_args": None}
    config = Config(model=name, dataset="log", config_dict=options)
    init_seed(1, True)
    train, _, test = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
    trainer.eval_collector.data_collect(train)
    passes, forward = [], model.forward

    def counting(first, *others):
        passes.append(len(first))
        return forward(first, *others)

    model.forward = counting
    trainer.evaluate(test, load_best_model=False)
    return sum(passes), model.n_items - 1


print("RecBole", version("recbole"), "torch", torch.__version__.split("+")[0])
assert version("recbole") == "1.2.1"
for name in ("SASRec", "GRU4Rec", "MultiVAE"):
    (full, items), (sampled, _) = encoded(name, "full"), encoded(name, "uni100")
    print(f"{name:8} {USERS} users, {items} items: {full:,} rows encoded in a full ranking, {sampled:,} under uni100")
    assert full == USERS and sampled == USERS * 101
PYTHON_SCRIPT
echo "as written"
