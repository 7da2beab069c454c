#!/usr/bin/env bash
# RecBole 1.2.1: `threshold: {rating: 4}` in a ranking experiment (MovieLens-100K as RecBole ships it, full ranking, negatives sampled).
#
# Guess: rows below 4 become label 0, as its documentation says, and so are no positives: not trained on as such, no hits in the test part.
# Seen:  the label is written and nobody reads it. Pairwise batches hold rows with label 0 as the positive item, pointwise batches write 1 over
#        it, and the test part counts every row: ratings of 1 to 3 are hits. Pop's metrics are equal to the last digit with and without the
#        threshold, and others with val_interval, which drops the rows.
# So:    a paper's "ratings of 4 and more are positive" set by `threshold` measures all ratings, in silence: 100,000 positives where
#        55,375 are meant. `val_interval: {rating: "[4,inf)"}` is the option for it. With AUC or LogLoss in mode labeled the label does count.
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


def prepared(model, **options):
    """Configuration and loaders of MovieLens-100K."""
    given = {"load_col": COLUMNS, "topk": [10], "metrics": ["Recall", "NDCG"], "show_progress": False, "state": "ERROR", **options}
    config = Config(model=model, dataset="ml-100k", config_dict=given)
    init_seed(config["seed"], True)
    return config, *data_preparation(config, create_dataset(config))


def popularity(**options):
    """Rows in all, rows that count as held out, and metrics of the popularity ranking on them."""
    config, train, valid, test = prepared("Pop", **options)
    model = get_model("Pop")(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], "Pop")(config, model)
    trainer._train_epoch(train, 0)  # counts, without a checkpoint
    held_out = sum(len(batch[3]) for batch in test)
    return sum(len(part.dataset) for part in (train, valid, test)), held_out, dict(trainer.evaluate(test, load_best_model=False))


def low_rows_in_training(model):
    """Rows below 4 in one epoch of training, and the labels that the loss gets for the positives."""
    _, train, _, _ = prepared(model, threshold={"rating": 4}, train_batch_size=4096, epochs=1)
    rows = train.dataset.inter_feat
    low = int((rows["label"] == 0).sum())
    batches = list(train)
    if model == "BPR":
        return low, int(sum((batch["label"] == 0).sum() for batch in batches))
    pairs = {(u, i) for u, i, label in zip(*(rows[f].tolist() for f in ("user_id", "item_id", "label")), strict=True) if label == 0}
    ones = [batch[batch["label"] == 1] for batch in batches]
    return low, sum((u, i) in pairs for batch in ones for u, i in zip(batch["user_id"].tolist(), batch["item_id"].tolist(), strict=True))


print("RecBole", version("recbole"), "torch", torch.__version__.split("+")[0])
assert version("recbole") == "1.2.1"
seen = [popularity(), popularity(threshold={"rating": 4}), popularity(val_interval={"rating": "[4,inf)"})]
for name, (rows, held_out, metrics) in zip(("nothing set", "threshold: rating: 4", "val_interval: rating: [4,inf)"), seen, strict=True):
    print(f"{name:30} rows {rows:7,}, held out {held_out:6,}, Pop {metrics}")
plain, threshold, interval = seen
assert threshold == plain and plain[0] == 100_000
assert interval[0] == 55_375 and interval[2] != plain[2]
for model in ("BPR", "NeuMF"):
    low, positive = low_rows_in_training(model)
    print(f"{model}: {low:,} training rows below 4, positives of an epoch below 4: {positive:,}")
    assert low == positive > 30_000
PYTHON_SCRIPT
echo "as written"
