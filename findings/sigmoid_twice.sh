#!/usr/bin/env bash
# RecBole 1.2.1: the loss and the predictions of its FISM when the model separates all pairs without error.
#
# Guess: the loss, binary cross entropy with one negative a positive, falls towards 0 as scores grow apart, and `predict` towards 1 and 0.
# Seen:  `forward` returns sigmoid(score), and both the loss (BCEWithLogitsLoss) and `predict` take the sigmoid of that again. With scores
#        of +40 and -40 the loss is 0.5032, its least value, predictions are 0.7311 and 0.5, and the gradient of every score is
#        multiplied by a second s (1 - s): at 40 for a pair on the wrong side it is 0, where cross entropy has 1.
# So:    its loss curve says nothing beside other models', `predict` is no probability, a pair that is badly wrong is never corrected, and
#        a rate or penalty tuned on another implementation does not carry over. Full ranking reads scores that have no sigmoid, so that
#        nothing shows there.
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
from recbole.data.interaction import Interaction
from recbole.utils import get_model

Path("toy").mkdir()
rows = [f"u{u}\ti{i}" for u in range(8) for i in range(8) if (u + i) % 2]
Path("toy/toy.inter").write_text("\n".join(["user_id:token\titem_id:token", *rows]) + "\n")


def separated(name="FISM", high=40.0):
    """A model whose bias gives item 1 a score of +high and item 2 of -high, with all else nearly 0; loss, predictions, gradient."""
    options = {"data_path": ".", "load_col": {"inter": ["user_id", "item_id"]}, "state": "ERROR", "reg_weights": [0.0, 0.0], "split_to": 0}
    config = Config(model=name, dataset="toy", config_dict=options)
    train, _, _ = data_preparation(config, create_dataset(config))
    model = get_model(name)(config, train.dataset)
    with torch.no_grad():
        for embedding in (model.item_src_embedding, model.item_dst_embedding):
            embedding.weight.mul_(1e-4)
        model.item_bias[1], model.item_bias[2] = high, -high
    batch = {"user_id": torch.tensor([1, 1]), "item_id": torch.tensor([1, 2])}
    right = Interaction({**batch, "label": torch.tensor([1.0, 0.0])})
    wrong = Interaction({**batch, "label": torch.tensor([0.0, 1.0])})
    loss = float(model.calculate_loss(right))
    model.zero_grad()
    model.calculate_loss(wrong).backward()
    gradient = float(model.item_bias.grad[1:3].abs().max()) * 2  # of one pair; the loss is the mean of two
    predicted = [round(float(value), 4) for value in model.predict(right)]
    print(f"{name}: all pairs right, loss {loss:.4f}, predictions {predicted}; all wrong, largest gradient of a score {gradient:.1e}")
    return round(loss, 4), predicted, gradient


print("RecBole", version("recbole"))
assert version("recbole") == "1.2.1"
loss, predicted, gradient = separated()
assert (loss, predicted) == (0.5032, [0.7311, 0.5]) and gradient < 1e-12
PYTHON_SCRIPT
echo "as written"
