#!/usr/bin/env bash
# category-encoders 2.11.2: `HashingEncoder` of two columns of ids, user and item.
#
# Guess: column and value are hashed together, as in scikit-learn's FeatureHasher, so with enough components two rows rarely have one code.
# Seen:  the value alone is hashed, and the counts of all columns are added: user 3 with item 7 and user 7 with item 3 have the same code, with 8
#        components as with 4,096. Of 2,029 pairs of 60 users and 60 items 56 % have the code of another pair, with FeatureHasher in 4,096
#        columns none; of a rate that depends on the user alone a linear model of the codes explains 0.52, where FeatureHasher has 1.00.
# So:    columns that share values (ids from 0, "0" and "1" flags, stars, "unknown") are mixed up, and more components do not help. Write the
#        column into the value ("user=3") before encoding.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check category-encoders==2.11.2 numpy==1.26.4 pandas==2.3.3 scikit-learn==1.7.2 scipy==1.15.3
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from collections import Counter
from importlib.metadata import version

import numpy as np
import pandas as pd
from category_encoders import HashingEncoder
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import Ridge

print("category-encoders", version("category-encoders"))
assert version("category-encoders") == "2.11.2"


def codes(table, components):
    encoder = HashingEncoder(n_components=components, max_process=1).fit(table)
    return encoder.transform(table).to_numpy()


two = pd.DataFrame({"user": ["3", "7", "3"], "item": ["7", "3", "9"]})
for components in (8, 256, 4096):
    first, reverse, other = codes(two, components)
    print(f"{components} components: (3, 7) and (7, 3) have one code: {(first == reverse).all()}; (3, 7) and (3, 9): {(first == other).all()}")
    assert (first == reverse).all()
assert not (first == other).all()

IDS = 60
random = np.random.default_rng(0)
log = pd.DataFrame({name: random.integers(0, IDS, 3_000) for name in ("user", "item")}).drop_duplicates(ignore_index=True)
text = log.astype(str)
named = pd.DataFrame({name: name + "=" + text[name] for name in text})
rate = random.normal(size=IDS)[log["user"]]  # depends on the user alone


def seen(features):
    """Share of rows that have the code of another pair, and the share of `rate` that a linear model of the codes explains."""
    held = Counter(map(bytes, features.astype(np.int8)))
    shared = sum(times for times in held.values() if times > 1) / len(features)
    return shared, float(Ridge(1e-3).fit(features, rate).score(features, rate))


for components in (64, 1024, 4096):
    hashed = FeatureHasher(components).transform([{"user": user, "item": item} for user, item in text.itertuples(index=False)]).toarray()
    found = {"as it is": seen(codes(text, components)), "column in the value": seen(codes(named, components)), "FeatureHasher": seen(hashed)}
    print(f"{len(log):,} different pairs, {components} components: one code for several pairs, share explained:",
          {name: (round(shared, 2), round(explained, 2)) for name, (shared, explained) in found.items()})
    assert found["as it is"][0] > 0.4 and found["as it is"][1] < 0.6
for name in ("column in the value", "FeatureHasher"):
    assert found[name][0] < 0.2 and found[name][1] > 0.9
PYTHON_SCRIPT
echo "as written"
