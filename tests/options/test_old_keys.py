"""Options of older releases of RecBole say in today's options what they said then."""

import pytest

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.old_keys import refuse_old, without_harmless


@pytest.mark.parametrize(
    ("old", "written"),
    [
        (
            {"eval_setting": "RO_RS,full"},
            "eval_args: {split: {RS: [0.8, 0.1, 0.1]}, order: RO, group_by: user, mode: full}",
        ),
        (
            {"eval_setting": "TO_RS, pop50", "split_ratio": [8, 1, 1], "group_by_user": False},
            "eval_args: {split: {RS: [8, 1, 1]}, order: TO, group_by: none, mode: pop50}",
        ),
        (
            {"leave_one_num": 2},
            "eval_args: {split: {LS: valid_and_test}, order: RO, group_by: user, mode: full}",
        ),
        (
            {"neg_sampling": {"popularity": 3}},
            "train_neg_sample_args: {distribution: popularity, sample_num: 3}",
        ),
        ({"neg_sampling": None}, "train_neg_sample_args: null"),
        ({"training_neg_sample_num": 0}, "train_neg_sample_args: null"),
        ({"min_item_inter_num": 5, "max_item_inter_num": 50}, 'item_inter_num_interval: "[5,50]"'),
        ({"max_user_inter_num": 50}, 'user_inter_num_interval: "[0,50]"'),
        (
            {
                "lowest_val": {"rating": 2},
                "highest_val": {"rating": 4, "age": 60},
                "not_equal_val": {"price": 0},
            },
            "val_interval: {'rating': '[2,4]', 'age': '(-inf,60]', 'price': '(-inf,0);(0,inf)'}",
        ),
        ({"equal_val": {"rating": 5}}, "val_interval: {'rating': '[5,5]'}"),
    ],
)
def test_an_old_option_is_written_as_today(old, written):
    with pytest.raises(UsageError) as refused:
        refuse_old(old)
    assert str(refused.value).endswith(f"write {written}")


def test_an_option_that_nothing_replaces_is_to_be_left_out():
    with pytest.raises(
        UsageError, match=r"RecBole no longer has real_time_process: leave real_time_process out$"
    ):
        refuse_old({"real_time_process": True})


def test_what_changes_nothing_is_taken_out_and_told_only_where_it_says_something():
    left, notes = without_harmless(
        {"checkpoint_dir": "saved", "save_dataset": False, "ip": None, "epochs": 3}
    )
    assert (left, notes) == (
        {"epochs": 3},
        ["no effect of checkpoint_dir (a run writes one folder, which run_dir names)"],
    )
    assert without_harmless({"epochs": 3}) == ({"epochs": 3}, [])
