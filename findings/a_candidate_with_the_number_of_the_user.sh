#!/usr/bin/env bash
# beir 2.2.0: `EvaluateRetrieval.evaluate(qrels, lists, [10])`, users as queries and items as documents, both numbered from 0.
#
# Guess: what pytrec_eval has for the same lists: BEIR's metrics are its metrics.
# Seen:  a document with the id of the query is taken out of the list first ("ignore_identical_ids", for questions that are documents themselves), so item
#        17 is no candidate for user 17. Where both are numbered in the order of a log's rows, user 0's first item is item 0, and so on: a
#        perfect list has a recall@10 of 0.50 where each of 200 users holds out the item with their own number and another one, NDCG@10 0.61. It
#        is taken out of the caller's lists too: pytrec_eval has 1.00 before and 0.50 after.
# So:    a model is worse by BEIR than elsewhere, by how many ids users and items share, and so is whatever measures the same lists next.
#        Give `ignore_identical_ids=False`, or ids that name their kind ("user 17").
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" numpy==2.4.6 tqdm==4.67.1 pytrec-eval-terrier==0.5.11
"${pip[@]}" --no-deps beir==2.2.0  # its own list brings torch and models, which evaluation does not use
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import pytrec_eval
from beir.retrieval.evaluation import EvaluateRetrieval

print("beir", version("beir"))
assert version("beir") == "2.2.0"
USERS = 200


def parts(name):
    """Held-out items of 200 users (their own number and another), and lists of ten that begin with them."""
    held_out = {name(user): {str(user): 1, str(user + USERS): 1} for user in range(USERS)}
    lists = {
        name(user): {str(item): 10.0 - place for place, item in enumerate([user, user + USERS, *range(1000, 1008)])} for user in range(USERS)
    }
    return held_out, lists


def by_trec(held_out, lists):
    scores = pytrec_eval.RelevanceEvaluator(held_out, {"recall.10", "ndcg_cut.10"}).evaluate(lists).values()
    return tuple(sum(row[metric] for row in scores) / len(scores) for metric in ("recall_10", "ndcg_cut_10"))


def by_beir(held_out, lists, **options):
    ndcg, _, recall, _ = EvaluateRetrieval.evaluate(held_out, lists, [10], **options)
    return recall["Recall@10"], ndcg["NDCG@10"]


plain = parts(str)
before, kept = by_trec(*plain), by_beir(*plain, ignore_identical_ids=False)
beir, after = by_beir(*plain), by_trec(*plain)
named = by_beir(*parts("user {}".format))
print(f"recall@10, NDCG@10 of perfect lists: pytrec_eval {before}, beir {beir}, pytrec_eval after it {after}; beir with ignore_identical_ids=False {kept}, "
      f"with other names of users {named}")
assert before == kept == named == (1, 1)
assert beir[0] == after[0] == 0.5 and 0.6 < beir[1] < 0.63
assert all(len(items) == 9 for items in plain[1].values())
PYTHON_SCRIPT
echo "as written"
