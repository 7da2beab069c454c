#!/usr/bin/env bash
# RecBole 1.2.1: what `reg_weight` of its graph models weighs, "the L2 regularization weight".
#
# Guess: as in the papers, the mean of squared lengths of the batch's vectors: the same rows four times, as a larger batch, have the same
#        penalty, and its pull on a vector grows with the vector.
# Seen:  LightGCN, NGCF, DGCF and SpectralCF take the norm of all vectors of the batch as one, without the square, and divide it by the
#        number of rows: the same rows four times have half of the penalty. Vectors of twice the length have twice the penalty, not four
#        times, so that the pull is the same however long they are. LightGCN squares with `require_pow: True`, which no file of defaults
#        sets; the other three have no such option.
# So:    a reg_weight is that of one train_batch_size: 16 times the rows need four times the weight. A weight of a paper, or of another
#        library, does not carry over, and near 0 the vectors are pulled as hard as anywhere.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.10.1 pandas==2.1.4 scikit-learn==1.4.2 tensorboard==2.19.0 colorama==0.4.6 \
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
from recbole.utils import get_model, init_seed

Path("toy").mkdir()
rows = [f"u{u}\ti{i}" for u in range(8) for i in range(8) if (u + i) % 2]
Path("toy/toy.inter").write_text("\n".join(["user_id:token\titem_id:token", *rows]) + "\n")
users = torch.tensor([1, 2, 3, 4])
positive, negative = torch.tensor([1, 2, 3, 4]), torch.tensor([5, 6, 7, 8])


def penalty(name, times, factor, **given):
    """The part of the loss that reg_weight 1 has and reg_weight 0 lacks: the rows ``times`` over, first vectors times ``factor``."""
    losses = []
    for weight in (0.0, 1.0):
        options = {"data_path": ".", "load_col": {"inter": ["user_id", "item_id"]}, "state": "ERROR", "reg_weight": weight, **given}
        config = Config(model=name, dataset="toy", config_dict={**options, "message_dropout": 0.0, "cor_weight": 0.0})
        init_seed(1, True)
        train, _, _ = data_preparation(config, create_dataset(config))
        model = get_model(name)(config, train.dataset)
        with torch.no_grad():
            for embedding in (model.user_embedding, model.item_embedding):
                embedding.weight.mul_(factor)
        init_seed(1, True)
        batch = {"user_id": users, "item_id": positive, "neg_item_id": negative}
        losses.append(float(model.calculate_loss(Interaction({key: value.repeat(times) for key, value in batch.items()}))))
    return losses[1] - losses[0]


print("RecBole", version("recbole"))
assert version("recbole") == "1.2.1"
for name, options in (("LightGCN", {}), ("LightGCN", {"require_pow": True}), ("NGCF", {}), ("DGCF", {}), ("SpectralCF", {})):
    one = penalty(name, 1, 1.0, **options)
    rows4, long2 = penalty(name, 4, 1.0, **options) / one, penalty(name, 1, 2.0, **options) / one
    print(f"{name} {options or ''}: the rows four times {rows4:.3f} of the penalty, vectors of twice the length {long2:.3f}")
    squared = options.get("require_pow", False)
    assert abs(rows4 - (1.0 if squared else 0.5)) < 1e-3
    if name == "LightGCN":  # the others' penalty is of vectors that the network has moved
        assert abs(long2 - (4.0 if squared else 2.0)) < 1e-3
PYTHON_SCRIPT
echo "as written"
