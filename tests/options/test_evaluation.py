"""What the evaluation options say together."""

import pytest

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.evaluation import (
    EVAL_ARGS,
    check,
    computed_metrics,
    fit,
    modes_of,
    parts_left_out,
)


@pytest.mark.parametrize(
    ("split", "left_out"),
    [
        ({"RS": [0.8, 0.1, 0.1]}, set()),
        ({"RS": [0.8, 0, 0.2]}, {"valid"}),
        ({"TS": [8, 2, 0]}, {"test"}),
        ({"LS": "valid_and_test"}, set()),
        ({"LS": "valid_only"}, {"test"}),
        ({"LS": "test_only"}, {"valid"}),
        (None, set()),
    ],
)
def test_a_share_of_zero_leaves_a_part_out(split, left_out):
    assert parts_left_out({"split": split}) == left_out


def test_the_modes_of_both_parts_count():
    assert modes_of({"mode": {"valid": "uni100", "test": "full"}}) == {"uni100", "full"}
    assert modes_of({"mode": "labeled"}) == {"labeled"}


def test_computed_metrics_have_their_cut_offs_where_they_have_any():
    assert computed_metrics(["Recall", "GAUC"], [5, 10]) == ["recall@5", "recall@10", "gauc"]
    assert computed_metrics("NDCG", 3) == ["ndcg@3"]


def values(**given):
    usual = {"metrics": ["Recall"], "topk": [10], "valid_metric": "Recall@10", "eval_args": dict(EVAL_ARGS)}
    return {**usual, "eval_batch_size": 2**24, **given}


def test_single_rows_are_scored_in_smaller_batches_unless_one_is_given():
    sampled = {"eval_args": {**EVAL_ARGS, "mode": "uni100"}}
    final = values(**sampled)
    (note,) = fit(final, sampled)
    assert final["eval_batch_size"] == 2**16
    assert "uni100: all negatives of a user are in one list" in note and "not comparable" in note
    final = values(**sampled)
    fit(final, {**sampled, "eval_batch_size": 2**24})
    assert final["eval_batch_size"] == 2**24
    final = values()
    fit(final, {})
    assert final["eval_batch_size"] == 2**24


def test_nothing_is_chosen_over_what_was_given_or_beside_what_is_wrong():
    final = values(valid_metric="MRR@7")
    assert (fit(final, {"valid_metric": "MRR@7"}), final["valid_metric"]) == ([], "MRR@7")  # check refuses it
    final = values(topk=[0])
    assert (fit(final, {"topk": [0]}), final["valid_metric"]) == ([], "Recall@10")


def test_a_metric_of_rated_items_gives_way_to_one_of_its_name_at_another_length():
    final = values(valid_metric="rated_ndcg@2")
    notes = fit(final, {}, ["rated_recall@5", "rated_ndcg@5"])
    assert final["valid_metric"] == "rated_ndcg@5"
    assert notes == ["valid_metric is rated_ndcg@5: metrics and topk do not give the default rated_ndcg@2"]


@pytest.mark.parametrize("tail_ratio", [0, -0.1, 1.5, 0.0, "0.2", True, [0.1]])
def test_a_tail_that_recbole_would_misread_is_refused(tail_ratio):
    """RecBole takes 0 and less for 0.1, and 1.5 for the items with one row."""
    with pytest.raises(UsageError, match=r"'tail_ratio' is .*share"):
        check(values(metrics=["Recall", "TailPercentage"], tail_ratio=tail_ratio))


def test_a_tail_that_nothing_reads_is_refused_and_a_right_one_taken():
    with pytest.raises(UsageError, match="only the metric TailPercentage reads it"):
        check(values(tail_ratio=0.2))
    for tail_ratio in (0.2, 1, 1.0, 5, None):
        check(values(metrics=["Recall", "TailPercentage"], tail_ratio=tail_ratio))
