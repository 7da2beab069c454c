#!/usr/bin/env bash
# torchmetrics 1.9.0: a `MetricCollection` of hit rates at 1, 10 and 100, as `MulticlassAccuracy(top_k=k, average="micro")` or as a metric of one's own.
#
# Guess: each member has the value that it has alone; what the collection shares between members is decided by their class and arguments.
# Seen:  it is decided by the numbers after the first batch: members whose counts are equal there are one group from then on, and only the first of them goes on
#        counting. Where the first 8 users of an untrained model have no hit in 100 places, hit@10 and hit@100 are both 0.34, where hit@100 is 0.74 alone; of a
#        metric of one's own all three are 0.11. Nothing is said. The same batches in another order are right. Groups outlive a `reset()`: after a model
#        without a hit the next one, measured by the same collection, has one value for all three too.
# So:    lightning's check of validation before training is such a first batch. `compute_groups=False` wherever members differ in a cut or a threshold.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

print("torchmetrics", version("torchmetrics"), "torch", torch.__version__.split("+")[0])
assert version("torchmetrics") == "1.9.0"

ITEMS, CUTS = 1_000, (1, 10, 100)
generator = torch.Generator().manual_seed(0)


def users(number, gain):
    """Scores of all items, normal but for the held-out item's, which has a gain of its own."""
    scores = torch.randn(number, ITEMS, generator=generator)
    held_out = torch.randint(0, ITEMS, (number,), generator=generator)
    scores[torch.arange(number), held_out] += gain
    return scores, held_out


class HitRate(Metric):
    def __init__(self, k):
        super().__init__()
        self.k = k
        self.add_state("hits", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("users", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, scores, held_out):
        before = (scores > scores.gather(1, held_out[:, None])).sum(dim=1)
        self.hits += (before < self.k).sum()
        self.users += len(held_out)

    def compute(self):
        return self.hits / self.users


def theirs(k):
    return MulticlassAccuracy(num_classes=ITEMS, top_k=k, average="micro")


without_a_hit, others = users(8, -3.0), [users(64, 2.0) for _ in range(10)]


def together(make, batches, **options):
    collection = MetricCollection({f"hit@{k}": make(k) for k in CUTS}, **options)
    return measured(collection, batches)


def measured(collection, batches):
    collection.reset()
    for batch in batches:
        collection.update(*batch)
    return {name: round(float(value), 4) for name, value in collection.compute().items()}


def alone(make, batches):
    found = {}
    for k in CUTS:
        metric = make(k)
        for batch in batches:
            metric.update(*batch)
        found[f"hit@{k}"] = round(float(metric.compute()), 4)
    return found


for name, make in (("MulticlassAccuracy", theirs), ("a metric of one's own", HitRate)):
    batches = [without_a_hit, *others]
    right, found = alone(make, batches), together(make, batches)
    last = together(make, [*others, without_a_hit])
    apart = together(make, batches, compute_groups=False)
    print(f"{name}, alone", right)
    print(f"{name}, in a collection", found)
    print(f"{name}, the same batches, the first one last", last)
    print(f"{name}, compute_groups=False", apart)
    assert right["hit@1"] < 0.2 and 0.3 < right["hit@10"] < 0.4 and right["hit@100"] > 0.7
    assert last == right == apart
    if make is theirs:
        assert found == {**right, "hit@100": right["hit@10"]}
    else:
        assert set(found.values()) == {right["hit@1"]}

collection = MetricCollection({f"hit@{k}": HitRate(k) for k in CUTS})
measured(collection, [without_a_hit])
second = measured(collection, others)
print("after a first model without a hit and a reset()", second, "alone", alone(HitRate, others))
assert len(set(second.values())) == 1 and alone(HitRate, others)["hit@100"] > 0.7
PYTHON_SCRIPT
echo "as written"
