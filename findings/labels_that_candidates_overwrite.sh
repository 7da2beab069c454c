#!/usr/bin/env bash
# RecBole 1.2.1: AUC with `threshold: {rating: 4}` in the modes `labeled` and `uniN` (FM on MovieLens-100K as RecBole ships it).
#
# Guess: uniN adds N unrated items to each held-out row, and the row keeps its label: a model that knows every label has nearly 1 in both modes.
# Seen:  in uniN and popN the batch has the label 1 for every held-out row: 4,326 ratings of 1 to 3 stars count as liked. A model that gives 1 to
#        liked, 0 to disliked and 0.5 to unrated items has an AUC of 1 with `labeled` and of 0.549, the share of liked rows, with uniN, whatever N.
# So:    a model that tells liked from disliked items is near chance in this mode, and one that ranks whatever is rated first wins. Leave the
#        low ratings out with val_interval for candidates, or evaluate labels with `labeled`.
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

warnings.filterwarnings("ignore")
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

COLUMNS = {"inter": ["user_id", "item_id", "rating", "timestamp"]}


def judged(mode):
    """AUC of a model that knows every label: 1 for a liked row, 0 for a disliked one, 0.5 for what is not rated."""
    given = {"load_col": COLUMNS, "threshold": {"rating": 4}, "metrics": ["AUC"], "valid_metric": "AUC", "train_neg_sample_args": None}
    config = Config(model="FM", dataset="ml-100k", config_dict={**given, "eval_args": {"mode": mode}, "show_progress": False, "state": "ERROR"})
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    rows = dataset.inter_feat
    known = torch.full((dataset.user_num, dataset.item_num), 0.5)
    known[torch.tensor(rows["user_id"]), torch.tensor(rows["item_id"])] = torch.tensor(rows["label"]).float()
    train, _, test = data_preparation(config, dataset)
    held_out = test.dataset.inter_feat["label"]
    model = get_model("FM")(config, train.dataset)
    model.predict = lambda batch: known[batch["user_id"], batch["item_id"]]
    trainer = get_trainer(config["MODEL_TYPE"], "FM")(config, model)
    ones = sum(int(batch[0]["label"].sum()) for batch in test)
    return len(held_out), int((held_out == 0).sum()), ones, trainer.evaluate(test, load_best_model=False)["auc"]


print("RecBole", version("recbole"), "torch", torch.__version__.split("+")[0])
assert version("recbole") == "1.2.1"
for mode in ("labeled", "uni100", "uni1", "pop100"):
    rows, disliked, ones, auc = judged(mode)
    print(f"{mode:8} {rows:,} test rows, {disliked:,} of them below 4, label 1 in the batches {ones:,}, AUC of the model that knows all labels {auc:.4f}")
    assert rows == 9_596 and disliked == 4_326
    if mode == "labeled":
        assert ones == rows - disliked and auc == 1
    else:
        assert ones == rows and abs(auc - (rows - disliked) / rows) < 1e-3
PYTHON_SCRIPT
echo "as written"
