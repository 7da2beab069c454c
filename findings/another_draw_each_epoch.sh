#!/usr/bin/env bash
# RecBole 1.2.1: the best epoch under sampled candidates, `mode: uni100`, leave-one-out by time (MovieLens-100K as RecBole ships it).
#
# Guess: the 100 items beside a held-out one are part of the split, the same in each epoch. A model that does not change has one validation
#        score, and its best epoch is the first.
# Seen:  they are drawn anew in each evaluation, from the generator that training draws from too. With weights that never move (learning rate 0,
#        scores are the items' counts) NDCG@10 of 20 epochs goes from 0.237 to 0.250, and "best" is a later epoch. A full ranking has one score.
# So:    early stopping and a search take the epoch or trial with the easiest draw: 3 % for nothing, the size of many a gain. Give each
#        evaluation the same generator state, or rank all items.
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

LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user"}
COLUMNS = {"inter": ["user_id", "item_id", "timestamp"]}


def fitted(model, mode, epochs=20):
    """Validation scores by epoch and the number of the best one, for a model whose scores are the items' counts."""
    given = {"load_col": COLUMNS, "eval_args": {**LEAVE_ONE_OUT, "mode": mode}, "metrics": ["NDCG"], "topk": [10], "valid_metric": "NDCG@10"}
    given |= {"epochs": epochs, "stopping_step": epochs, "learning_rate": 0.0, "train_batch_size": 16384, "show_progress": False, "state": "ERROR"}
    config = Config(model=model, dataset="ml-100k", config_dict={**given, "seed": 1})
    init_seed(config["seed"], True)
    train, valid, _ = data_preparation(config, create_dataset(config))
    made = get_model(model)(config, train.dataset)
    counts = torch.bincount(train.dataset.inter_feat["item_id"], minlength=made.n_items).float()
    made.predict = lambda batch: counts[batch["item_id"]]
    made.full_sort_predict = lambda batch: counts.repeat(len(batch), 1)
    trainer, scores = get_trainer(config["MODEL_TYPE"], model)(config, made), []
    judge = trainer._valid_epoch

    def kept(*given, **options):
        scores.append(judge(*given, **options)[0])
        return scores[-1], {"ndcg@10": scores[-1]}

    trainer._valid_epoch = kept
    trainer.fit(train, valid, saved=False, show_progress=False)
    return scores, scores.index(max(scores))


print("RecBole", version("recbole"), "torch", torch.__version__.split("+")[0])
assert version("recbole") == "1.2.1"
scores, best = fitted("BPR", "uni100")
print(f"uni100: NDCG@10 of 20 epochs of one model from {min(scores):.4f} to {max(scores):.4f}, best epoch {best} of 0 to 19")
assert max(scores) - min(scores) > 0.005 and best > 0
full, best = fitted("BPR", "full", epochs=3)
print(f"full:   NDCG@10 {full[0]:.4f} in every epoch")
assert len(set(full)) == 1
PYTHON_SCRIPT
echo "as written"
