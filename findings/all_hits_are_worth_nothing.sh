#!/usr/bin/env bash
# torchmetrics 1.9.0: `RetrievalAUROC(top_k=10)`, the AUC of ranked lists.
#
# Guess: AUC@10 of a list whose ten items are all relevant is 1, and a relevant item in the place of another one never lowers it.
# Seen:  only the ten are looked at, as if there were no other items: a list of ten hits has no negative and counts as 0, one with hits in places 1 to 9 as 1,
#        one with a hit in place 1 and nine misses as 1 too, one with hits in places 2 to 10 as 0. For users with 1 to 30 relevant items of 100 the perfect
#        model has 0.30, random scores 0.37, and a model whose tenth place is always wrong 1.00; without `top_k` they have 1, 0.49 and 0.996.
# So:    among models that are good at the top the better one has the lower value. Without `top_k` it is the AUC; for lists take precision or NDCG.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==1.26.4 torchmetrics==1.9.0
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from torchmetrics.retrieval import RetrievalAUROC, RetrievalPrecision

print("torchmetrics", version("torchmetrics"), "torch", torch.__version__.split("+")[0])
assert version("torchmetrics") == "1.9.0"

USERS, ITEMS = 300, 100


def auc_of(hits, k=10):
    """Of one list of 100 items in order, with relevant items in these places and in 80 to 84."""
    relevant = torch.zeros(ITEMS, dtype=torch.long)
    relevant[[place - 1 for place in hits] + list(range(79, 84))] = 1
    scores = torch.arange(ITEMS, 0, -1).float() / ITEMS
    return float(RetrievalAUROC(top_k=k)(scores, relevant, indexes=torch.zeros(ITEMS, dtype=torch.long)))


lists = {
    "hits in places 1 to 10": range(1, 11),
    "hits in places 1 to 9": range(1, 10),
    "a hit in place 1": [1],
    "hits in places 2 to 10": range(2, 11),
    "hits in places 1 to 5 and 7 to 10": [*range(1, 6), *range(7, 11)],
}
found = {name: (auc_of(hits), auc_of(hits, None)) for name, hits in lists.items()}
for name, (of_ten, of_all) in found.items():
    print(f"{name}: AUC@10 {of_ten:.2f}, AUC {of_all:.2f}")

generator = torch.Generator().manual_seed(0)
sizes = torch.randint(1, 31, (USERS,), generator=generator)
relevant = (torch.arange(ITEMS) < sizes[:, None]).long()  # columns in the order of a perfect model
perfect = torch.arange(ITEMS, 0, -1).float().expand(USERS, ITEMS) / ITEMS
tenth_wrong = perfect.clone()
tenth_wrong[:, -1] = (perfect[:, 8] + perfect[:, 9]) / 2  # an item that nobody wants comes before the tenth
shuffled = torch.rand(USERS, ITEMS, generator=generator)
index = torch.arange(USERS)[:, None].expand(USERS, ITEMS)
of_models = {}
for name, scores in (("perfect", perfect), ("tenth place wrong", tenth_wrong), ("random", shuffled)):
    given = scores.reshape(-1), relevant.reshape(-1)
    metrics = RetrievalAUROC(top_k=10), RetrievalAUROC(), RetrievalPrecision(top_k=10)
    of_models[name] = [float(metric(*given, indexes=index.reshape(-1))) for metric in metrics]
    print(f"{name} model: AUC@10 {of_models[name][0]:.2f}, AUC {of_models[name][1]:.3f}, precision@10 {of_models[name][2]:.2f}")
assert found["hits in places 1 to 10"][0] == 0 and found["hits in places 1 to 9"][0] == found["a hit in place 1"][0] == 1
assert found["hits in places 2 to 10"][0] == 0 and found["hits in places 1 to 10"][1] > found["hits in places 1 to 9"][1] > found["a hit in place 1"][1]
assert of_models["perfect"][0] < of_models["random"][0] < 0.5 and of_models["tenth place wrong"][0] > 0.99
assert of_models["perfect"][1] == 1 and of_models["perfect"][2] > of_models["tenth place wrong"][2]
PYTHON_SCRIPT
echo "as written"
