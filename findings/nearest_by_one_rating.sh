#!/usr/bin/env bash
# scikit-learn 1.9.1: `KNNImputer` on a matrix of users and items with a rating in one of twenty places.
#
# Guess: a user-based collaborative filter: the ten users who agree most, better than the mean of an item.
# Seen:  the distance is scaled up to all items from those that both rated, so one rating in common that is equal is a distance of 0, the
#        least there is: 92 % of the ten nearest users share a single item, and the RMSE is 1.18 (1.24 with weights by
#        distance) where the item's mean has 1.13. Where half of the matrix is rated it is a good filter: 0.50, the mean 1.11.
# So:    the more a user has in common with another, the farther away it stands. Use neighbours whose similarity is shrunk by the number of common
#        items (Surprise, LensKit), or a factor model, where ratings are sparse.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from sklearn.impute import KNNImputer
from sklearn.metrics.pairwise import nan_euclidean_distances

print("scikit-learn", version("scikit-learn"))
assert version("scikit-learn") == "1.9.1"
USERS, ITEMS, K = 400, 200, 10
random = np.random.default_rng(0)
taste, kind = random.normal(size=(USERS, 3)), random.normal(size=(ITEMS, 3))
stars = 3 + 0.7 * taste @ kind.T + 0.4 * random.normal(size=ITEMS) + 0.3 * random.normal(size=(USERS, ITEMS))
stars = np.clip(np.rint(stars), 1, 5)
place = random.random((USERS, ITEMS))


def rmse(predicted, rows):
    return float(np.sqrt(np.mean((stars - predicted)[rows] ** 2)))


seen = {}
for share in (0.05, 0.5):
    rated, held_out = place < share, place > 0.98
    table = np.where(rated, stars, np.nan)
    common = rated.astype(int) @ rated.T.astype(int)
    distance = nan_euclidean_distances(table)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(np.where(np.isnan(distance), np.inf, distance), axis=1, kind="stable")[:, :K]
    by_one = float(np.mean(np.take_along_axis(common, near, 1) == 1))
    errors = {"item mean": rmse(np.nanmean(table, axis=0), held_out)}
    for weights in ("uniform", "distance"):
        errors[weights] = rmse(KNNImputer(n_neighbors=K, weights=weights).fit_transform(table), held_out)
    seen[share] = by_one, errors
    pairs = common[~np.eye(USERS, dtype=bool)]
    print(f"{share:.0%} rated: of the {K} nearest users {by_one:.2f} share one item, of all pairs that share any {np.mean(pairs[pairs > 0] == 1):.2f}; RMSE",
          {name: round(error, 2) for name, error in errors.items()})
by_one, errors = seen[0.05]
assert by_one > 0.85 and min(errors["uniform"], errors["distance"]) > errors["item mean"] + 0.02
by_one, errors = seen[0.5]
assert by_one < 0.01 and max(errors["uniform"], errors["distance"]) < 0.7 * errors["item mean"]
PYTHON_SCRIPT
echo "as written"
