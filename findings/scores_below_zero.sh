#!/usr/bin/env bash
# torchmetrics 1.9.0: retrieval metrics of the same ranking, told by scores of another sign.
#
# Guess: metrics of a ranking know the order alone. Logits, their log-softmax and probabilities of one model have the same recall@10.
# Seen:  in RetrievalPrecision, RetrievalRecall, RetrievalMAP and RetrievalMRR an item whose score is 0 or less is never relevant: with
#        log-probabilities all four are 0, whatever the model, while RetrievalHitRate, RetrievalNormalizedDCG and RetrievalFallOut of the same
#        lists stay. Between the two MAP may rise: hits with a negative score leave its mean.
# So:    distances (CML), log-likelihoods (Mult-VAE) and centred inner products are measured too low, some users more than others, and a
#        comparison of two models is one of their offsets. A sigmoid or a rank as score gives the metrics that were meant.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6 torchmetrics==1.9.0
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
import torchmetrics.retrieval as retrieval

USERS, ITEMS, K = 50, 100, 10
BY_SIGN = ["RetrievalPrecision", "RetrievalRecall", "RetrievalMAP", "RetrievalMRR"]
BY_ORDER = ["RetrievalHitRate", "RetrievalNormalizedDCG", "RetrievalFallOut"]
generator = torch.Generator().manual_seed(0)
logits = torch.randn(USERS, ITEMS, generator=generator, dtype=torch.float64)
held_out = (logits + 1.5 * torch.randn(USERS, ITEMS, generator=generator, dtype=torch.float64) > 2).long()
assert bool((held_out.sum(dim=1) > 0).all())
users = torch.arange(USERS)[:, None].expand(USERS, ITEMS)
told = {
    "sigmoid of logits": logits.sigmoid(),
    "logits": logits,
    "logits - 1.5": logits - 1.5,
    "log-softmax": logits.log_softmax(dim=1),
}
for scores in told.values():
    assert torch.equal(scores.argsort(dim=1), logits.argsort(dim=1))


def measured(name, scores):
    metric = getattr(retrieval, name)(top_k=K)
    metric.update(scores.flatten(), held_out.flatten(), indexes=users.flatten())
    return round(float(metric.compute()), 4)


print("torchmetrics", version("torchmetrics"), "torch", torch.__version__.split("+")[0])
assert version("torchmetrics") == "1.9.0"
print(" " * 24, *(f"{name:>18}" for name in told))
for name in BY_SIGN + BY_ORDER:
    values = [measured(name, scores) for scores in told.values()]
    print(f"{name + '@' + str(K):24}", *(f"{value:18.4f}" for value in values))
    assert values[0] > 0.05
    if name in BY_ORDER:
        assert len(set(values)) == 1
    else:
        assert values[3] == 0 and values[2] != values[0]
PYTHON_SCRIPT
echo "as written"
