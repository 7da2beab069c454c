#!/usr/bin/env bash
# RecBole 1.2.1: NextItNet with MAX_ITEM_LIST_LENGTH 200 (the length that papers use on MovieLens-1M) and sessions of ten items.
#
# Guess: padding is masked or stands before the items: with the same weights a session has the same scores whatever length it is padded to, as
#        in GRU4Rec and SASRec.
# Seen:  items stand first and the zeros behind them, and NextItNet predicts from the state in the last place, a padding's. Its convolutions
#        reach 150 places back: at length 200 all sessions up to 49 items have one and the same scores, so that all their users get one list;
#        at length 50, the default, each score mixes the session with the padding behind it.
# So:    a greater MAX_ITEM_LIST_LENGTH, thought to be harmless, turns the model into a constant for all but the longest sessions, and the
#        best that it can learn for them is the popularity ranking. Its rank in a comparison says how long the data set's sessions are.
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
from recbole.utils import get_model, init_seed

USERS, ITEMS, ROWS, K = 30, 60, 12, 10
draw = random.Random(0)
rows = [f"u{user}\ti{item}\t{time}" for user in range(USERS) for time, item in enumerate(draw.sample(range(ITEMS), ROWS))]
Path("log").mkdir()
Path("log/log.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n")


def lists(name, length):
    """Different lists of the test part's users, and the largest difference of two users' scores for an item (fresh weights, no training)."""
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    options = {"data_path": ".", "load_col": columns, "MAX_ITEM_LIST_LENGTH": length, "train_neg_sample_args": None, "state": "ERROR"}
    config = Config(model=name, dataset="log", config_dict=options)
    init_seed(1, True)
    train, _, test = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train.dataset).eval()
    with torch.no_grad():
        scores = torch.cat([model.full_sort_predict(batch[0]).view(len(batch[0]), -1)[:, 1:] for batch in test])
    assert len(scores) == USERS
    different = {tuple(row) for row in scores.topk(K).indices.tolist()}
    return len(different), float((scores.max(dim=0).values - scores.min(dim=0).values).max() / scores.abs().max())


print("RecBole", version("recbole"), "torch", torch.__version__.split("+")[0], f"{USERS} users with sessions of {ROWS - 1} items")
assert version("recbole") == "1.2.1"
for name in ("GRU4Rec", "SASRec", "NextItNet"):
    for length in (50, 200):
        different, spread = lists(name, length)
        print(f"{name:10} length {length:3}: {different:2} different lists, scores of two users differ by up to {spread:.3f} of the largest score")
        if (name, length) == ("NextItNet", 200):
            assert different == 1 and spread < 1e-6
        elif name == "NextItNet":
            assert different > 10 and spread > 0.03
        else:
            assert different > 20 and spread > 0.5
PYTHON_SCRIPT
echo "as written"
