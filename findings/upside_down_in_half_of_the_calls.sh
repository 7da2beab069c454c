#!/usr/bin/env bash
# networkx 3.6.1: `hits` of a graph of users and items, as `nx.Graph` holds it.
#
# Guess: authorities are values of 0 or more with a sum of 1, the same in each call, and items with many users have the greatest, as in `pagerank`.
# Seen:  in about half of the calls the items' authorities are negative and in the opposite order, with the rarest item first: the correlation with the number
#        of users is -1.00 in those calls and 1.00 in the others. Their sum goes from -30 to 11 in 60 calls, that of all nodes is 1. In a graph of users and
#        items two vectors share the greatest singular value, one of the users and one of the items; the solver begins with a random vector and puts out
#        any mixture of the two, with any sign. Nothing is raised, and `pagerank` of the same graph is the same each time.
# So:    one call in a test may look right. Give edges a direction, from users to items (`nx.DiGraph`): all values are 0 or more and the same in each call.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check networkx==3.6.1 scipy==1.17.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import networkx as nx
import numpy as np

print("networkx", version("networkx"), "scipy", version("scipy"))
assert version("networkx") == "3.6.1" and version("scipy") == "1.17.1"

USERS, ITEMS, EACH, CALLS = 200, 60, 8, 60
rng = np.random.default_rng(0)
popularity = 1 / np.arange(1, ITEMS + 1) ** 0.8
edges = [
    (f"user {user}", f"item {item}")
    for user in range(USERS)
    for item in rng.choice(ITEMS, EACH, replace=False, p=popularity / popularity.sum())
]
both_ways, one_way = nx.Graph(edges), nx.DiGraph(edges)
assert nx.is_connected(both_ways)
items = sorted((node for node in both_ways if node.startswith("item")), key=lambda node: -both_ways.degree(node))
users_of = np.array([both_ways.degree(item) for item in items])


def authorities(graph):
    found = nx.hits(graph)[1]
    assert abs(sum(found.values()) - 1) < 1e-6
    values = np.array([found[item] for item in items])
    return values, float(np.corrcoef(values, users_of)[0, 1])


calls = [authorities(both_ways) for _ in range(CALLS)]
sums = [float(values.sum()) for values, _ in calls]
right = [agreement for _, agreement in calls if agreement > 0]
wrong = [agreement for _, agreement in calls if agreement < 0]
print(f"of {CALLS} calls {len(wrong)} are upside down; the items' sums are between {min(sums):.1f} and {max(sums):.1f}")
print(f"correlation with the number of users: from {min(right):.3f} in the others, up to {max(wrong):.3f} in these")
upside_down = next(values for values, agreement in calls if agreement < 0)
print("first five of such a call:", [f"{items[place]} of {users_of[place]} users" for place in np.argsort(-upside_down)[:5]])
directed = [authorities(one_way)[0] for _ in range(10)]
ranks = [list(nx.pagerank(both_ways).values()) for _ in range(3)]
print(f"from users to items: sum {directed[0].sum():.2f}, smallest {directed[0].min():.4f}")
assert len(wrong) >= 5 and len(right) >= 5 and min(right) > 0.98 and max(wrong) < -0.98
assert all((values < 0).all() or agreement > 0 for values, agreement in calls)
assert users_of[np.argsort(-upside_down)[:5]].max() < np.median(users_of)
for same in (directed, ranks):
    assert all(np.allclose(one, same[0]) for one in same)
assert directed[0].min() > 0 and abs(directed[0].sum() - 1) < 1e-6
PYTHON_SCRIPT
echo "as written"
