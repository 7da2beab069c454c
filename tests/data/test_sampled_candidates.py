"""Sampled candidates are those of the seed, the part and the user, whatever draws beside them."""

import numpy as np
import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data


def candidates(data, part="test", **options):
    """Return the drawn items by user, in their order."""
    config = Config("BPR", data.name, [], {**data.overrides, **options})
    _, valid, tests = prepare_data(config, create_dataset(config))
    found = {}
    for batch, rows, *_ in {"valid": valid, **tests}[part]:
        for user in batch["user_id"].unique().tolist():
            mine = batch["user_id"] == user
            found[user] = batch["item_id"][mine & (batch["label"] == 0)].tolist()
        np.random.random(int(rows[-1]) + 1)  # noqa: NPY002, training draws in between
    return found


@pytest.mark.parametrize("mode", ["uni7", "pop7"])
def test_candidates_do_not_depend_on_batches_or_on_what_is_drawn_in_between(checkerboard, mode):
    options = {"eval_args": {"mode": mode}}
    first = candidates(checkerboard, **options)
    assert {len(items) for items in first.values()} == {3 * 7}
    np.random.random(5)  # noqa: NPY002
    assert candidates(checkerboard, **options) == first
    assert candidates(checkerboard, **options, eval_batch_size=30) == first
    assert len({tuple(items) for items in first.values()}) == len(first)  # users have their own


def test_parts_and_seeds_of_the_split_have_candidates_of_their_own(checkerboard):
    options = {"eval_args": {"mode": "uni7"}}
    first = candidates(checkerboard, **options, seed=1)
    assert candidates(checkerboard, **options, seed=2) != first
    assert candidates(checkerboard, **options, seed=2, split_seed=1) == first
    valid = candidates(checkerboard, "valid", **options, seed=1)
    assert all(valid[user] != items[: len(valid[user])] for user, items in first.items())


def test_an_evaluation_leaves_the_generator_of_training_alone(checkerboard):
    config = Config("BPR", checkerboard.name, [], {**checkerboard.overrides, "eval_args": {"mode": "uni7"}})
    _, valid, tests = prepare_data(config, create_dataset(config))
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].tolist(), np.random.get_state()[2]  # noqa: NPY002
    for loader in (valid, tests["test"], valid):
        assert len(list(loader)) > 0
    assert (np.random.get_state()[1].tolist(), np.random.get_state()[2]) == before  # noqa: NPY002
