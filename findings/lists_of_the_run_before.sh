#!/usr/bin/env bash
# LensKit 2025.8.1: one `RunAnalysis` for several runs.
#
# Guess: `measure(lists, test)` returns the metrics of the lists that it is given, so that one RunAnalysis, with its metrics added once, serves
#        all models of a comparison.
# Seen:  it returns the mean over these lists and all that it measured before. With a model that hits every time measured first, one that never
#        hits has NDCG, recall and hit rate of 0.5, and 0 when it is first; measured again it is at 0.33, then 0.25. The table of lists
#        has the users of all runs, under the same ids, and no word says so.
# So:    a loop over models or folds draws all of them towards each other, the later, the more, and their order decides. Make a RunAnalysis
#        for each run. 2026.4, which asks for Python 3.12, measures each run anew.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lenskit==2025.8.1 torch==2.13.0 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version
from math import log2

from lenskit.data import ItemList, ItemListCollection
from lenskit.metrics import NDCG, Hit, Recall, RunAnalysis

USERS = 20


def collection(lists):
    """Lists of items by user, as LensKit takes them."""
    found = ItemListCollection(["user_id"])
    for user, items in enumerate(lists):
        found.add(ItemList(items, ordered=True), user_id=user)
    return found


def shown(result):
    """The mean of each metric, and how many lists it is taken over."""
    return result.list_summary()["mean"].round(4).to_dict(), len(result.list_metrics())


def metrics():
    return RunAnalysis(Hit(5), Recall(5), NDCG(5))


print("LensKit", version("lenskit"))
assert version("lenskit") == "2025.8.1"
test = collection([[f"h{user}"] for user in range(USERS)])
always = collection([[f"h{user}", "a", "b", "c", "d"] for user in range(USERS)])
never = collection([["a", "b", "c", "d", "e"] for _ in range(USERS)])
third = collection([["a", "b", f"h{user}", "c", "d"] for user in range(USERS)])
alone = {name: shown(metrics().measure(lists, test)) for name, lists in (("always", always), ("never", never), ("third", third))}
print(f"each with its own RunAnalysis: {alone}")
assert [found["Hit@5"] for found, _ in alone.values()] == [1, 0, 1] and all(lists == USERS for _, lists in alone.values())
assert alone["always"][0]["NDCG@5"] == 1 and 1 / log2(4) <= alone["third"][0]["NDCG@5"] < 1

analysis = metrics()
expected = [1, 1 / 2, 1 / 3, 1 / 4]
for count, (name, lists) in enumerate((("always", always), ("never", never), ("never", never), ("never", never)), start=1):
    found, measured = shown(analysis.measure(lists, test))
    print(f"one RunAnalysis, run {count}, {name} hits: {found}, over {measured} lists")
    assert measured == count * USERS
    assert all(abs(value - expected[count - 1]) < 1e-4 for value in found.values())

analysis = metrics()
before, after = shown(analysis.measure(never, test))[0], shown(analysis.measure(third, test))[0]
print(f"never first, {before}, then third, {after}")
assert set(before.values()) == {0.0} and after["Hit@5"] == 0.5
PYTHON_SCRIPT
echo "as written"
