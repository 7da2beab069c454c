#!/usr/bin/env bash
# RecBole 1.2.1: `case_study.full_sort_topk(users, model, test_data, k)` of a sequential model, users with more than one row in the test part.
#
# Guess: one list for each user that is asked for, in their order, as its documentation says, and no item of the user's own history in it.
# Seen:  one list for each test row of these users: with a ratio split 60 users have 84 lists, and from the first user with two rows
#        on list i is not user i's. Of 60 lists read in the order of the users 2 % are the user's own. A general model has 60 lists, all of them right,
#        and leave-one-out has one row a user, which is where one tries it. The history, which is set to minus infinity by the same sentence,
#        is so for general models alone: items of the user's own session are 39 % of these lists.
# So:    lists that are shown, stored or measured beside a table are other users'. Look at `len(lists)`, or ask for one user at a time.
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
import numpy as np
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from recbole.utils.case_study import full_sort_topk

USERS, ITEMS, K = 60, 50, 10
draw = random.Random(0)
rows = []
for user in range(USERS):  # sessions of 5 to 29 successors with jumps
    item = draw.randrange(ITEMS)
    for time in range(draw.randrange(5, 30)):
        rows.append(f"u{user}\ti{item}\t{time}")
        item = (item + 1) % ITEMS if draw.random() < 0.8 else draw.randrange(ITEMS)
Path("log").mkdir()
Path("log/log.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n")


def trained(name, split, **more):
    options = {"data_path": ".", "load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "state": "ERROR", "epochs": 5, "learning_rate": 0.01}
    options |= {"MAX_ITEM_LIST_LENGTH": 20, "eval_args": {"split": split, "order": "TO", "group_by": "user", "mode": "full"}, **more}
    config = Config(model=name, dataset="log", config_dict=options)
    init_seed(1, True)
    train, _, test = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train.dataset)
    get_trainer(config["MODEL_TYPE"], name)(config, model).fit(train, saved=False, show_progress=False)
    return model, test


def lists(model, test, users):
    return full_sort_topk(np.array(users), model, test, K)[1].tolist()


print("RecBole", version("recbole"))
assert version("recbole") == "1.2.1"
users = list(range(1, USERS + 1))
sequential = {"train_neg_sample_args": None}
by_share, last_one = {"RS": [0.8, 0.1, 0.1]}, {"LS": "valid_and_test"}
found = {}
for name, split, more in (("BPR", by_share, {}), ("GRU4Rec", last_one, sequential), ("GRU4Rec", by_share, sequential)):
    model, test = trained(name, split, **more)
    together = lists(model, test, users)
    alone = [lists(model, test, [user]) for user in users]
    right = np.mean([one in own for one, own in zip(together, alone)])
    found[name, next(iter(split))] = len(together), right, max(map(len, alone))
    print(f"{name}, split {split}: {len(together)} lists for {USERS} users, {right:.0%} of the first {USERS} are one of the user's own")
    if model.type.name == "SEQUENTIAL":
        sessions = {user: set() for user in users}
        for user, session in zip(test.dataset.inter_feat["user_id"].tolist(), test.dataset.inter_feat["item_id_list"].tolist()):
            sessions[user] |= set(session) - {0}
        seen = np.mean([item in sessions[user] for user, own in zip(users, alone) for one in own for item in one])
        print(f"    {seen:.0%} of the items in the lists are in the user's session")
        assert seen > 0.1
assert found["BPR", "RS"] == (USERS, 1, 1) and found["GRU4Rec", "LS"] == (USERS, 1, 1)
number, right, most = found["GRU4Rec", "RS"]
assert number > 1.3 * USERS and right < 0.2 and most > 1
PYTHON_SCRIPT
echo "as written"
