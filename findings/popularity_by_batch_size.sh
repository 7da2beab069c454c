#!/usr/bin/env bash
# RecBole 1.2.1: what its model Pop counts.
#
# Guess: the interactions of each item in train: of an item with 60 rows, 60, whatever the batch.
# Seen:  an item counts once in a batch, however many of its rows are there, and the sampled negatives of the batch count too. In one
#        batch of 400 rows every item has 1 (no popularity at all); in batches of two rows 120 rows give 240 counts, half of negatives.
# So:    a table's weakest baseline moves with train_batch_size. Count the rows of train instead, before comparing with "Pop of RecBole".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.15.3 pandas==2.2.3 scikit-learn==1.6.1 tensorboard==2.19.0 colorama==0.4.6 \
    colorlog==6.9.0 pyyaml==6.0.2 tqdm==4.67.1 tabulate==0.9.0 texttable==1.7.0 psutil==7.0.0 setuptools==80.9.0
"${pip[@]}" --no-deps recbole==1.2.1 thop==0.1.1.post2209072238  # RecBole's own list asks for a Ray without a wheel for this Python
cd "$work"
mkdir -p data/toy
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import logging
import warnings
from importlib.metadata import version

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
USERS, POPULAR = 60, "i0"  # which every user has, beside one of 20 others
rows = [(user, POPULAR) for user in range(USERS)] + [(user, f"i{1 + user % 20}") for user in range(USERS)]
for part, some in {"train": rows, "valid": rows[:1], "test": rows[:1]}.items():
    with open(f"data/toy/toy.{part}.inter", "w") as file:
        file.write("user_id:token\titem_id:token\n" + "".join(f"u{user}\t{item}\n" for user, item in some))

from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed


def counts(size):
    """The counts of Pop after its epoch, by item."""
    options = {"data_path": "data", "benchmark_filename": ["train", "valid", "test"], "train_batch_size": size, "topk": 5}
    options |= {"load_col": {"inter": ["user_id", "item_id"]}, "valid_metric": "MRR@5", "show_progress": False, "gpu_id": ""}
    config = Config(model="Pop", dataset="toy", config_dict=options)
    init_seed(1, True)
    dataset = create_dataset(config)
    train, _, _ = data_preparation(config, dataset)
    model = get_model("Pop")(config, train.dataset)
    get_trainer(config["MODEL_TYPE"], "Pop")(config, model)._train_epoch(train, 0)
    found = model.item_cnt.flatten().tolist()
    return {token: int(found[number]) for token, number in dataset.field2token_id["item_id"].items()}


print("RecBole", version("recbole"))
for size in (400, 16, 2):
    found = counts(size)
    print(f"train_batch_size {size:3}: {POPULAR} with {USERS} rows counts {found[POPULAR]:2}, all items {sum(found.values())}, rows {len(rows)}")
    if size == 400:
        assert set(found.values()) - {0} == {1}
    if size == 16:
        assert 1 < found[POPULAR] < USERS
    if size == 2:
        assert sum(found.values()) > len(rows)  # the negatives of the batches
assert version("recbole") == "1.2.1"
PYTHON_SCRIPT
echo "as written"
