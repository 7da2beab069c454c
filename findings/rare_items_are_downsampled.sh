#!/usr/bin/env bash
# gensim 4.4.0: Word2Vec over item ids ("item2vec"), with its default `sample` of 0.001.
#
# Guess: downsampling thins the few most frequent items.
# Seen:  it thins all items with more than 0.1 % of the rows, a share that is high for words and low in a catalog: of 100 items of one and the same
#        popularity, none of them frequent, 58 % of all rows are dropped, of 20 items 84 %. Of 500 items whose counts fall as 1 / (rank + 10)
#        28 % are dropped, of the first hundred's 46 %. Of 50,000 equal items none. Dropped rows are gone before windows are cut.
# So:    sessions of 20 rows are trained as 8, neighbours in a window have not followed each other, and one and the same setting is another model
#        on each size of catalog: a comparison with item2vec is one with part of the data. Set sample=0, or by the size of the catalog.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check gensim==4.4.0 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from gensim.models import Word2Vec

ROWS, LENGTH = 40_000, 20


def kept(chances, **options):
    """The share of rows that an epoch trains on, and the shares that the rule of the paper's code keeps of each item."""
    random = np.random.default_rng(0)
    items = random.choice(len(chances), size=(ROWS // LENGTH, LENGTH), p=chances)
    sessions = [[str(item) for item in session] for session in items]
    model = Word2Vec(sessions, vector_size=4, min_count=1, epochs=1, workers=1, seed=1, **options)
    trained, rows = model.train(sessions, total_examples=len(sessions), epochs=1)
    assert rows == ROWS
    counts = np.bincount(items.ravel(), minlength=len(chances))
    with np.errstate(divide="ignore"):
        times = counts / (0.001 * ROWS)  # how often the threshold
        rule = np.minimum(1, np.sqrt(1 / times) + 1 / times)
    return trained / rows, float((rule[counts > 0] * counts[counts > 0]).sum() / ROWS), float(rule[:100] @ counts[:100] / counts[:100].sum())


print("gensim", version("gensim"))
assert version("gensim") == "4.4.0"
falling = 1 / (np.arange(500) + 10)
cases = {
    "20 equal items": (np.full(20, 1 / 20), 0.16),
    "100 equal items": (np.full(100, 1 / 100), 0.42),
    "500 items, counts as 1 / (rank + 10)": (falling / falling.sum(), 0.65),
    "50,000 equal items": (np.full(50_000, 1 / 50_000), 1.0),
}
for name, (chances, wanted) in cases.items():
    found, rule, head = kept(chances)
    every, _, _ = kept(chances, sample=0)
    print(f"{name}: {found:.1%} of the rows trained on, by the rule {rule:.1%} (of the first hundred items {head:.1%}); with sample=0 {every:.0%}")
    assert abs(found - rule) < 0.01 and every == 1
PYTHON_SCRIPT
echo "as written"
