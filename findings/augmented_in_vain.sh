#!/usr/bin/env bash
# RecBole 1.2.1: `transform: crop_itemseq` (with `eta`), `reorder_itemseq` (with `beta`) or `mask_itemseq` for GRU4Rec or SASRec.
#
# Guess: the model is trained on cropped, reordered or masked sessions, so it is another one than without, for better or worse.
# Seen:  it is the same one to the last bit. Changed sessions are drawn for every batch, of validation and test too, and put into columns of their
#        own ("Crop_item_id_list", "Reorder_item_id_list") that no model of the library reads; of the masked ones BERT4Rec alone knows. Nothing is said, and
#        an unset `eta` or `beta` raises, as if it mattered.
# So:    an ablation of these options compares a model with itself, and finds that augmentation does no harm. To augment, a model must read the column.
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

draw = random.Random(0)
rows = []
for user in range(60):  # sessions of 5 to 29 successors with jumps
    item = draw.randrange(50)
    for time in range(draw.randrange(5, 30)):
        rows.append(f"u{user}\ti{item}\t{time}")
        item = (item + 1) % 50 if draw.random() < 0.8 else draw.randrange(50)
Path("log").mkdir()
Path("log/log.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n")


def trained(name, **more):
    """Weights, test result, and the share of sessions of a training batch that the transformation has changed, by column."""
    options = {"data_path": ".", "load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "state": "ERROR", "epochs": 3, "learning_rate": 0.01}
    options |= {"MAX_ITEM_LIST_LENGTH": 20, "train_neg_sample_args": None, **more}
    config = Config(model=name, dataset="log", config_dict=options)
    init_seed(1, True)
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(1, True)
    model = get_model(name)(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
    trainer.fit(train, valid, saved=False, show_progress=False)
    result = trainer.evaluate(test, load_best_model=False, show_progress=False)
    batch = next(iter(train)).interaction
    drawn = {key for key in batch if key.startswith(("Crop_", "Reorder_", "Mask"))}
    drawn = {key for key in drawn if batch[key].dim() == 2 and batch[key].shape[1] == 20}
    changed = {key: (batch[key] != batch["item_id_list"]).any(dim=1).float().mean().item() for key in drawn}
    return model.state_dict(), dict(result), changed


def same(left, right):
    return all(torch.equal(left[key], right[key]) for key in right)


print("RecBole", version("recbole"))
assert version("recbole") == "1.2.1"
kinds = {"crop_itemseq": {"eta": 0.6}, "reorder_itemseq": {"beta": 0.6}, "mask_itemseq": {"mask_ratio": 0.3, "ft_ratio": 0}}
for name in ("GRU4Rec", "SASRec"):
    plain, result, _ = trained(name)
    for kind, more in kinds.items():
        weights, changed_result, changed = trained(name, transform=kind, **more)
        (column, share), = changed.items()
        print(f"{name} with {kind}: {share:.0%} of the sessions in {column} are others; the same weights: {same(weights, plain)}, "
              f"the same result: {changed_result == result}")
        assert share > 0.5 and same(weights, plain) and changed_result == result
    other, _, _ = trained(name, learning_rate=0.011)
    assert not same(other, plain)
PYTHON_SCRIPT
echo "as written"
