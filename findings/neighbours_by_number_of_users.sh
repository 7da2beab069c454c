#!/usr/bin/env bash
# RecBole 1.2.1: SLIMElastic, whose "weight of L1-norm is alpha * l1_ratio", 0.2 * 0.02.
#
# Guess: as in SLIM's paper, the penalty is beside the sum of squared errors: what two items are to each other does not depend on users who have
#        neither.
# Seen:  it is beside the sum divided by twice the number of users. Two items are neighbours only if 0.4 % of all users have both, and weights
#        shrink as users are added: ten items that 40 users have five of each have weights up to 0.30 among these 40, and with further users, who
#        have one of two other items each, 0.08 among 500, 0.02 among 2,000 and none among 4,000. Scores of the 40 users are then 0 for all of
#        their items. With alpha divided by how much larger the log is they stay.
# So:    with a million users the defaults ask for 4,000 common users, so the model recommends the head alone, and values tuned on a sample of
#        users mean another model on all of them. Divide alpha by how much larger the data is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.15.3 pandas==2.2.3 scikit-learn==1.6.1 tensorboard==2.19.0 colorama==0.4.6 \
    colorlog==6.9.0 pyyaml==6.0.2 tqdm==4.67.1 tabulate==0.9.0 texttable==1.7.0 psutil==7.0.0 setuptools==80.9.0
"${pip[@]}" --no-deps recbole==1.2.1 thop==0.1.1.post2209072238  # RecBole's own list asks for a Ray without a wheel for this Python
cd "$work"
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")
import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.interaction import Interaction
from recbole.model.general_recommender import SLIMElastic

NICHE, ITEMS = 40, 10
random = np.random.default_rng(0)
has = np.zeros((NICHE, ITEMS), dtype=int)
for user in range(NICHE):
    has[user, random.choice(ITEMS, 5, replace=False)] = 1
pairs = (has.T @ has)[~np.eye(ITEMS, dtype=bool)]


def fitted(users, alpha):
    """The niche items' neighbours and weights, and the niche users' greatest score, in a log of so many users."""
    rows = [f"u{user}\ti{item}" for user, item in zip(*has.nonzero())]
    rows += [f"u{user}\tother{user % 2}" for user in range(NICHE, users)]
    Path("log").mkdir(exist_ok=True)
    Path("log/log.inter").write_text("\n".join(["user_id:token\titem_id:token", *rows]) + "\n")
    options = {"data_path": ".", "load_col": {"inter": ["user_id", "item_id"]}, "alpha": alpha, "state": "ERROR"}
    config = Config(model="SLIMElastic", dataset="log", config_dict=options)
    dataset = create_dataset(config)
    np.random.seed(0)  # its solver goes through items in a random order
    model = SLIMElastic(config, dataset)
    own = dataset.token2id("item_id", [f"i{item}" for item in range(ITEMS)])
    weights = model.item_similarity.tocsr()[own][:, own].toarray()
    niche = torch.tensor(dataset.token2id("user_id", [f"u{user}" for user in range(NICHE)]))
    scores = model.full_sort_predict(Interaction({"user_id": niche})).view(NICHE, -1)
    return int((weights != 0).sum()), float(weights.max()), float(scores.max()), alpha * 0.02 * users


print("RecBole", version("recbole"), f"{ITEMS} items, each pair with {pairs.min()} to {pairs.max()} users of {NICHE}")
assert version("recbole") == "1.2.1"
seen = {}
for users in (NICHE, 500, 2000, 4000):
    for alpha in (0.2, 0.2 * NICHE / users):
        seen[users, alpha == 0.2] = number, weight, score, needed = fitted(users, alpha)
        print(f"{users} users, alpha {alpha:g}: {number} neighbours, weights up to {weight:.3f}, niche users' scores up to {score:.3f}; "
              f"asks for more than {needed:.2f} common users")
for (users, default), (number, weight, score, needed) in seen.items():
    assert (number == 0) == (needed >= pairs.max()) == (score == 0)
    if not default:
        assert abs(weight - seen[NICHE, True][1]) < 0.01 and abs(number - seen[NICHE, True][0]) <= 2
assert [round(seen[users, True][1], 2) for users in (NICHE, 500, 2000, 4000)] == [0.3, 0.08, 0.02, 0]
PYTHON_SCRIPT
echo "as written"
