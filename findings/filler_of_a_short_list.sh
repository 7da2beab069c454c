#!/usr/bin/env bash
# PyTorch Geometric 2.8.1: lists of a KNN index that are shorter than k, measured by the library's own retrieval metrics.
#
# Guess: where a user has fewer than k items left, the index fills the list with -1, and the metrics take -1 as a miss.
# Seen:  -1 is an item. In Recall, Precision, NDCG, MAP, MRR and the hit rate it is the greatest item number of the call, in the row before: if
#        the user there holds it out, each -1 is a hit. A user without held-out items, who should not count, adds 1e7 a hit to the sum: the
#        recall of one held-out item that nobody found is 20,000,000. In Coverage and AveragePopularity -1 is the last item of the catalogue.
# So:    with seen items excluded, heavy users and small catalogues give numbers that depend on the order of users, and no error says so.
#        Give -1 a number beyond the catalogue before update(), and measure coverage and popularity of full lists alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torch-geometric==2.8.1 faiss-cpu==1.15.1 numpy==1.26.4
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from torch_geometric.metrics import LinkPredAveragePopularity, LinkPredCoverage, LinkPredHitRatio, LinkPredRecall
from torch_geometric.nn import MIPSKNNIndex

K, ITEMS = 3, 5
items = torch.tensor([[5.0, 0.0], [4.0, 0.0], [3.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
users = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
seen = torch.tensor([[1, 1, 1, 1], [1, 2, 3, 4]])  # the second user has seen all items but the first
lists = MIPSKNNIndex(items).search(users, K, exclude_links=seen).index
beyond = torch.where(lists < 0, ITEMS, lists)  # by hand: a number that is no item


def value(metric, chosen, held_out):
    metric.update(chosen, torch.tensor(held_out).t())
    return float(metric.compute())


def by_hand(held_out):
    """Mean over users with held-out items of the share that stands in their list."""
    wanted = {user: {item for other, item in held_out if other == user} for user, _ in held_out}
    return sum(len(wanted[user] & set(lists[user].tolist())) / len(wanted[user]) for user in wanted) / len(wanted)


print("torch_geometric", version("torch-geometric"), "lists", lists.tolist())
assert version("torch-geometric") == "2.8.1"
assert lists.tolist() == [[0, 1, 2], [0, -1, -1]]

one = [(0, 4)]  # (user, item): the first user holds item 4 out, and does not get it
both = [(0, 4), (1, 0)]  # the second user holds item 0 out, and gets it
other = [(0, 3), (1, 4)]  # the greatest number is held out by the second user, who does not get it
found = {}
for name, held_out in (("one", one), ("both", both), ("other", other)):
    found[name] = [value(LinkPredRecall(K), lists, held_out), value(LinkPredRecall(K), beyond, held_out)]
    print(f"held out {held_out}: recall@{K} {found[name][0]:.8g}, by hand {by_hand(held_out):g}")
    assert abs(found[name][1] - by_hand(held_out)) < 1e-6
print(f"hit rate of {one}: {value(LinkPredHitRatio(K), lists, one):g}, by hand 0")
assert abs(found["one"][0] / 2e7 - 1) < 1e-3 and found["one"][1] == 0
assert (found["both"], found["other"]) == ([1.5, 0.5], [0.0, 0.0])
assert value(LinkPredHitRatio(K), lists, one) == 1

rows = torch.tensor([3, 2, 1, 1, 1000])
coverage = value(LinkPredCoverage(K, ITEMS), lists, one)
popularity = value(LinkPredAveragePopularity(K, rows), lists, one)
print(f"coverage {coverage:g}, by hand {3 / ITEMS:g}; average popularity {popularity:g}, by hand {(2 + 3) / 2:g}")
assert abs(coverage - 4 / ITEMS) < 1e-6
assert abs(popularity - ((3 + 2 + 1) / 3 + (3 + 1000 + 1000) / 3) / 2) < 1e-3
PYTHON_SCRIPT
echo "as written"
