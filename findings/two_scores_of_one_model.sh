#!/usr/bin/env bash
# RecBole 1.2.1: the same weights, user and item in predict(), by which sampled candidates (mode uni100) are scored, and in full_sort_predict().
#
# Guess: both give the same score, at most one before and one after a sigmoid: the modes differ by the candidates, not by the model.
# Seen:  in two models they do not. CORE divides the item vectors by their lengths in training and in full ranking, and not in predict():
#        uni100 ranks by lengths that no loss has ever seen. SHAN is trained on the session turned round, so that its short-term part has
#        the newest two items; its full_sort_predict() gets the session as it is, where the last two places are padding: the short-term part
#        sees nothing, and the order of a session makes no difference to its lists.
# So:    full ranking, RecBole's default, measures SHAN without the half that its name stands for, and sampled ranking measures CORE without
#        what its paper is about. A table of either mode compares the others with models that nobody trained.
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
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

USERS, ITEMS, ROWS, K = 100, 60, 12, 10
draw = random.Random(0)
rows = []
for user in range(USERS):  # sessions of successors with jumps, low numbers more often
    item = min(draw.randrange(ITEMS), draw.randrange(ITEMS))
    for time in range(ROWS):
        rows.append(f"u{user}\ti{item}\t{time}")
        item = (item + 1) % ITEMS if draw.random() < 0.7 else min(draw.randrange(ITEMS), draw.randrange(ITEMS))
Path("log").mkdir()
Path("log/log.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n")


def trained(name):
    """A model after ten epochs, and the test part's sessions as the loader gives them."""
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    options = {"data_path": ".", "load_col": columns, "MAX_ITEM_LIST_LENGTH": 20, "train_neg_sample_args": None, "state": "ERROR"}
    options |= {"epochs": 10, "learning_rate": 0.01}
    config = Config(model=name, dataset="log", config_dict=options)
    init_seed(1, True)
    train, _, test = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train.dataset)
    get_trainer(config["MODEL_TYPE"], name)(config, model).fit(train, saved=False, show_progress=False)
    return model.eval(), {name: torch.cat([batch[0][name] for batch in test]) for name in next(iter(test))[0].interaction}


@torch.no_grad()
def scores(model, sessions):
    """Scores of full ranking and of predict() for the same users and items, shape (users, items)."""
    full = model.full_sort_predict(Interaction(dict(sessions))).view(USERS, -1)[:, 1:]
    items = range(1, model.n_items)
    single = [model.predict(Interaction({**sessions, model.ITEM_ID: torch.full((USERS,), item)})) for item in items]
    return full, torch.stack([column.view(-1) for column in single], dim=1)


def overlap(left, right):
    """Share of common items in lists of K."""
    chosen = [torch.zeros_like(each).scatter_(1, each.topk(K).indices, 1) for each in (left, right)]
    return float((chosen[0] * chosen[1]).sum() / (USERS * K))


print("RecBole", version("recbole"), "torch", torch.__version__.split("+")[0])
assert version("recbole") == "1.2.1"
found = {}
for name in ("GRU4Rec", "NARM", "CORE", "SHAN"):
    model, sessions = trained(name)
    full, single = scores(model, sessions)
    found[name] = overlap(full, single)
    print(f"{name:8} lists of {K} by full_sort_predict() and by predict() share {found[name]:.3f}")
    if name == "CORE":  # by hand: the cosine is what the full ranking has, the inner product what predict() has
        lengths = model.item_embedding.weight[1:].detach().norm(dim=1)
        assert torch.allclose(full * lengths, single, atol=1e-4)
        print(f"         lengths of its item vectors: {lengths.min():.2f} to {lengths.max():.2f}")
    if name == "SHAN":  # the same items, the newest first
        length = ROWS - 1
        turned = dict(sessions)
        for field in (model.ITEM_SEQ, model.INVERSE_ITEM_SEQ):
            turned[field] = sessions[field].clone()
        turned[model.ITEM_SEQ][:, :length] = sessions[model.ITEM_SEQ][:, :length].flip(1)
        turned[model.INVERSE_ITEM_SEQ][:, -length:] = sessions[model.INVERSE_ITEM_SEQ][:, -length:].flip(1)
        full_turned, single_turned = scores(model, turned)
        print(f"         sessions turned round: {overlap(full, full_turned):.3f} by full_sort_predict(), {overlap(single, single_turned):.3f} by predict()")
        assert torch.allclose(full, full_turned, atol=1e-4) and overlap(single, single_turned) < 0.9
assert min(found["GRU4Rec"], found["NARM"]) > 0.999
assert max(found["CORE"], found["SHAN"]) < 0.95
PYTHON_SCRIPT
echo "as written"
