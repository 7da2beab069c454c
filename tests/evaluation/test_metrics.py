"""Every metric that a run may print, held against plain sums: with ties, short and empty lists."""

import math
from collections import Counter

import pytest
import torch

from recbole_diffusion import run
from recbole_diffusion.compat import EvaluatorType, metric_types
from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.metrics import RunEvaluator
from recbole_diffusion.evaluation.ranking import best_items
from recbole_diffusion.trainer.recbole_patches import RunCollector

MASKED = -math.inf
TOPK = [1, 3, 8]
RANKING = [name for name, kind in metric_types.items() if kind == EvaluatorType.RANKING]
VALUES = [name for name, kind in metric_types.items() if kind == EvaluatorType.VALUE]


def evaluated(metrics, batches, kind=EvaluatorType.RANKING, counts=None, n_items=0, **options):
    """Return what a run would print of batches: scores, columns, rows and items of the held-out pairs."""
    config = {"topk": TOPK, "metrics": metrics, "metric_decimal_place": 12, "device": torch.device("cpu")}
    config |= {"eval_type": kind, "USER_ID_FIELD": "user_id", "LABEL_FIELD": "label", "tail_ratio": None}
    config |= {"eval_args": {"mode": {"valid": "full", "test": "full"}}, **options}
    collector = RunCollector(config)
    for name, value in (("data.num_items", n_items), ("data.count_items", Counter(counts or {}))):
        if collector.register.need(name):
            collector.data_struct.set(name, value)
    for scores, columns, *positives in batches:
        collector.eval_batch_collect(scores, columns, *positives)
    return RunEvaluator(config).evaluate(collector.get_data_struct())


def instance(seed, n_items=13, rows=30):
    """Return scores with ties, held-out items by user and training counts.

    The second user has no held-out item, the third has two candidates, the fourth none at all but held out.
    """
    draw = torch.Generator().manual_seed(seed)
    scores = torch.randint(4, (rows, n_items), generator=draw).double()
    held_out = torch.rand(rows, n_items, generator=draw) < 0.3
    held_out[:, 5], held_out[1], held_out[:, 0] = True, False, False
    scores[(torch.rand(rows, n_items, generator=draw) < 0.3) & ~held_out] = MASKED
    scores[2] = torch.where(torch.arange(n_items) < 5, MASKED, scores[2])
    scores[2, 7:] = MASKED
    held_out[2, 7:] = held_out[2, :5] = False
    scores[:, 0] = MASKED
    counts = {item: 1 + item % 4 for item in range(1, n_items - 2)}  # the last two have no training row
    return scores, held_out, counts


def plain_lists(scores, users, k):
    values, items = best_items(scores, users, k)
    return [
        [item for item, value in zip(*row, strict=True) if value > MASKED]
        for row in zip(items.tolist(), values.tolist(), strict=True)
    ]


def plain_ranking(lists, held_out, k):
    """Return the six metrics by user, averaged over the users who have held-out items."""
    found = Counter()
    users = [user for user, items in enumerate(held_out) if items]
    for user in users:
        hits = [item in held_out[user] for item in lists[user][:k]]
        gains = [1 / math.log2(place + 1) for place, hit in enumerate(hits, 1) if hit]
        ideal = [1 / math.log2(place + 1) for place in range(1, min(k, len(held_out[user])) + 1)]
        at_hits = [sum(hits[:place]) / place for place, hit in enumerate(hits, 1) if hit]
        found["recall"] += sum(hits) / len(held_out[user])
        found["precision"] += sum(hits) / k
        found["hit"] += any(hits)
        found["mrr"] += 1 / (hits.index(True) + 1) if any(hits) else 0
        found["ndcg"] += sum(gains) / sum(ideal)
        found["map"] += sum(at_hits) / min(k, len(held_out[user]))
    return {name: value / len(users) for name, value in found.items()}


def plain_catalogue(lists, n_items, counts, tail, k):
    """Return the five metrics of what is listed."""
    lists = [items[:k] for items in lists]
    listed = Counter(item for items in lists for item in items)
    shares = [count / listed.total() for count in listed.values()]
    catalogue = [listed[item] for item in range(1, n_items)]
    apart = sum(abs(one - other) for one in catalogue for other in catalogue)  # the coefficient's definition
    kept = [items for items in lists if items]

    def mean(value):
        return sum(sum(map(value, items)) / len(items) for items in kept) / len(kept)

    return {
        "itemcoverage": len(listed) / (n_items - 1),
        "shannonentropy": -sum(share * math.log(share) for share in shares),
        "giniindex": apart / (2 * len(catalogue) * sum(catalogue)),
        "averagepopularity": mean(lambda item: counts.get(item, 0)),
        "tailpercentage": mean(lambda item: item in tail),
    }


def plain_gauc(scores, held_out):
    """Return the mean over users, by held-out items, of the share of pairs in the right order, a tie half."""
    right, weight = 0.0, 0
    for row, items in zip(scores.tolist(), held_out, strict=True):
        others = [value for item, value in enumerate(row) if value > MASKED and item not in items]
        pairs = [(row[item], value) for item in items for value in others]
        if pairs:
            area = sum((mine > other) + 0.5 * (mine == other) for mine, other in pairs) / len(pairs)
            right, weight = right + len(items) * area, weight + len(items)
    return right / weight


@pytest.mark.parametrize("seed", [0, 1])
def test_ranking_metrics_are_plain_sums(seed):
    (scores, held_out, counts), users = instance(seed), torch.arange(7, 37)
    batches = []
    for rows in torch.arange(30).split(11):
        pairs = held_out[rows].nonzero().T
        batches.append((scores[rows], {"user_id": users[rows]}, *pairs))
    found = evaluated(RANKING, batches, counts=counts, n_items=13)
    items = [set(row.nonzero().ravel().tolist()) for row in held_out]
    lists = plain_lists(scores, users, max(TOPK))
    tail = sorted(counts, key=lambda item: (counts[item], item))[:1]  # a tenth of ten items
    assert set(found) == {f"{n}@{k}" for n in RANKING for k in TOPK if n != "gauc"} | {"gauc"}
    for k in TOPK:
        wanted = plain_ranking(lists, items, k) | plain_catalogue(lists, 13, counts, tail, k)
        for name, value in wanted.items():
            assert found[f"{name}@{k}"] == pytest.approx(value, abs=1e-9), (name, k)
    assert found["gauc"] == pytest.approx(plain_gauc(scores, items), abs=1e-9)


def test_gauc_is_rounded_as_asked():
    """One of three other candidates is below the held-out item; 1/3 in 32 bits is 0.33333334326744."""
    scores = torch.tensor([[MASKED, 4.0, 3.0, 2.0, 1.0]])
    batch = (scores, {"user_id": torch.tensor([1])}, torch.tensor([0]), torch.tensor([3]))
    assert float(evaluated(["gauc"], [batch], n_items=5, topk=[1])["gauc"]) == round(1 / 3, 12)


def test_what_is_recommended_worked_out_by_hand():
    """Lists 1 2, 1 3 and 1 alone of four items; counts 6, 3, 1 and none."""
    scores = torch.tensor([[MASKED, 3, 2, 1, MASKED], [MASKED, 3, 1, 2, 1], [MASKED, 1] + 3 * [MASKED]])
    batch = scores, {"user_id": torch.tensor([1, 2, 3])}, torch.tensor([0]), torch.tensor([1])
    names = ["ItemCoverage", "ShannonEntropy", "GiniIndex", "AveragePopularity", "TailPercentage"]
    found = evaluated(names, [batch], counts={1: 6, 2: 3, 3: 1}, n_items=5, topk=[2], tail_ratio=0.7)
    assert found["itemcoverage@2"] == pytest.approx(3 / 4)
    assert found["shannonentropy@2"] == pytest.approx(-(0.6 * math.log(0.6) + 0.4 * math.log(0.2)))
    # counts 0, 1, 1, 3 with weights -3, -1, 1, 3, over 4 items times 5 places
    assert found["giniindex@2"] == pytest.approx((-1 + 1 + 9) / 20)
    assert found["averagepopularity@2"] == pytest.approx((4.5 + 3.5 + 6) / 3)
    assert found["tailpercentage@2"] == pytest.approx((0.5 + 0.5 + 0) / 3)  # items 3 and 2: 0.7 of 3
    many = evaluated(
        ["TailPercentage"], [batch], counts={1: 6, 2: 3, 3: 1}, n_items=5, topk=[2], tail_ratio=2
    )
    assert many["tailpercentage@2"] == pytest.approx((0 + 0.5 + 0) / 3)  # item 3 alone has 2 rows at most


def test_a_uniform_choice_has_the_entropy_of_the_catalogue_and_no_inequality():
    scores = torch.full((4, 5), MASKED).fill_diagonal_(1.0).roll(1, 1)
    batch = scores, {"user_id": torch.arange(4)}, torch.tensor([0]), torch.tensor([1])
    found = evaluated(["ShannonEntropy", "GiniIndex", "ItemCoverage"], [batch], n_items=5, topk=[1])
    assert found == {
        "shannonentropy@1": pytest.approx(math.log(4)),
        "giniindex@1": 0,
        "itemcoverage@1": 1,
    }


def test_metrics_of_single_rows_are_plain_sums():
    draw = torch.Generator().manual_seed(3)
    scores = torch.randint(1, 5, (60,), generator=draw).double() / 5  # with ties
    labels = (torch.rand(60, generator=draw) < 0.4).double()
    batches = [
        (scores[:25], {"label": labels[:25]}, None, None),
        (scores[25:], {"label": labels[25:]}, None, None),
    ]
    found = evaluated(VALUES, batches, EvaluatorType.VALUE)
    rows = list(zip(scores.tolist(), labels.tolist(), strict=True))
    pairs = [(one, other) for one, label in rows if label for other, second in rows if not second]
    assert found == {
        "auc": pytest.approx(sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)),
        "mae": pytest.approx(sum(abs(score - label) for score, label in rows) / 60),
        "rmse": pytest.approx(math.sqrt(sum((score - label) ** 2 for score, label in rows) / 60)),
        "logloss": pytest.approx(-sum(math.log(s if label else 1 - s) for s, label in rows) / 60),
    }


def test_rows_of_sampled_candidates_are_ranked_by_user():
    """Two users with two candidates each: a row of the table for a user, a row of columns for a candidate."""
    scores = torch.full((2, 6), MASKED)
    scores[0, [1, 2]], scores[1, [3, 4]] = torch.tensor([0.9, 0.1]), torch.tensor([0.2, 0.7])
    columns = {"user_id": torch.tensor([9, 9, 4, 4])}
    found = evaluated(["Recall"], [(scores, columns, torch.tensor([0, 1]), torch.tensor([1, 3]))], topk=[1])
    assert found == {"recall@1": 0.5}


def test_a_cut_off_above_the_catalogue_is_refused(write_parts, tmp_path):
    """Each of four users has one item in train, one in valid, one in test, and one nowhere."""
    parts = {
        name: [(f"u{user}", f"i{(user + step) % 4}") for user in range(4)]
        for step, name in enumerate(("train", "valid", "test"))
    }
    data = write_parts(**parts)
    options = {**data.overrides, "topk": [2, 5], "valid_metric": "Recall@2", "run_dir": str(tmp_path / "run")}
    with pytest.raises(UsageError, match="topk is 5, but data set 'toy' has only 4 items"):
        run("Pop", overrides=options)
    result = run("Pop", overrides={**options, "topk": [2, 4]})
    assert (result["test"]["recall@4"], result["test"]["precision@4"]) == (1, 1 / 4)
