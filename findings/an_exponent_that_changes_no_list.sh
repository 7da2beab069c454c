#!/usr/bin/env bash
# RecBole 1.2.1: AsymKNN on the MovieLens-100K that RecBole ships, its `q`, "adjusting the locality of scoring function", and its `beta`.
#
# Guess: as in Aiolli's paper similarities are raised to the power q before they are added up, and with beta below 1 a score is divided by the length of
#        the item's own similarities.
# Seen:  the sum itself is raised to q. That is monotone, so q = 1, 2 and 5 have the same lists for every user and one NDCG@10, 0.221; with similarities
#        raised to 2 and 5 lists share 0.74 and 0.51 with those, and it is 0.222 and 0.198. With `knn_method: item` and beta 0.5 a score is divided by
#        the lengths of the similarities that the item has in the lists of others, rows in place of columns: 0.063, where it is 0.178 by the item's own.
#        For `user` it is the right way round.
# So:    a search over q is as many runs of one model, and that over beta says 1, the default, whatever the data. Compute the scores by hand, as below.
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

warnings.filterwarnings("ignore")
import numpy as np
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from scipy.sparse import csr_matrix

print("RecBole", version("recbole"))
assert version("recbole") == "1.2.1"


def measured(by_hand=None, **given):
    """NDCG@10 on the validation part, and each user's ten items in order; with the scores put right by hand, if that is given."""
    options = {"topk": [10], "metrics": ["NDCG"], "valid_metric": "NDCG@10", "show_progress": False, "state": "ERROR", **given}
    config = Config(model="AsymKNN", dataset="ml-100k", config_dict=options)
    init_seed(config["seed"], True)
    train, valid, _ = data_preparation(config, create_dataset(config))
    model = get_model("AsymKNN")(config, train._dataset)
    if by_hand is not None:
        model.pred_mat = csr_matrix(by_hand(model.interaction_matrix, model.w.tocsc())).tolil()
    trainer = get_trainer(config["MODEL_TYPE"], "AsymKNN")(config, model)
    ndcg = float(trainer.evaluate(valid, load_best_model=False)["ndcg@10"])
    scores = model.pred_mat.toarray()
    scores[model.interaction_matrix.nonzero()] = -1
    return ndcg, np.argsort(-scores, axis=1, kind="stable")[1:, :10]


def raised(power):
    """By Aiolli: similarities to the power q, then the sum, divided by the length of the user's row as with beta 1."""
    return lambda rows, similar: rows.dot(similar.power(power)).toarray() / (rows.power(2).sum(axis=1).A + 1e-6)


def own_lengths(rows, similar):
    """By Aiolli, beta 0.5: divided by the root of the user's length and of the length of the item's own similarities, one column."""
    lengths = np.sqrt(rows.power(2).sum(axis=1).A) * np.sqrt(similar.power(2).sum(axis=0).A)
    return rows.dot(similar).toarray() / (lengths + 1e-6)


found, right, shared = {}, {}, {}
for q in (1, 2, 5):
    found[q], right[q] = measured(q=q), measured(raised(q))
    shared[q] = np.mean([len(set(one) & set(other)) / 10 for one, other in zip(right[q][1], right[1][1])])
    print(f"q = {q}: NDCG@10 {found[q][0]}; with similarities raised to q {right[q][0]}, whose lists share {shared[q]:.2f} with those of q = 1")
same = {q: float((found[q][1] == found[1][1]).mean()) for q in (2, 5)}
print("share of the lists' places that are as with q = 1:", {q: round(share, 4) for q, share in same.items()})
half, own = measured(beta=0.5), measured(own_lengths, beta=0.5)
print(f"beta = 0.5: NDCG@10 {half[0]}; by the length of the item's own similarities {own[0]}")
assert found[1][0] == found[2][0] == found[5][0] == right[1][0] and min(same.values()) > 0.99
assert shared[1] > 0.99 and shared[2] < 0.85 and shared[5] < 0.65 and right[5][0] < right[1][0] - 0.01
assert half[0] < 0.1 < own[0]
PYTHON_SCRIPT
echo "as written"
