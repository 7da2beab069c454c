"""Users with exactly the items of another one are told where they are many."""

import numpy as np
import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data


@pytest.fixture
def prepared(tmp_path):
    """Return a function that prepares 40 users of 8 items each, and copies of some under other names."""
    folder = tmp_path / "data" / "log"
    folder.mkdir(parents=True)

    def of(copies, items=80):
        draw = np.random.default_rng(3)
        rows = [(f"u{user}", item) for user in range(40) for item in draw.choice(items, 8, replace=False)]
        rows += [(f"copy of {user}", item) for user, item in rows if int(user[1:]) < copies]
        lines = [f"{user}\ti{item}" for user, item in rows]
        (folder / "log.inter").write_text("\n".join(["user_id:token\titem_id:token", *lines]) + "\n")
        options = {"data_path": str(folder.parent), "topk": [2], "valid_metric": "MRR@2", "use_gpu": False}
        config = Config("ItemKNN", "log", overrides=options)
        prepare_data(config, create_dataset(config))

    return of


def test_many_users_that_are_there_twice_are_told(prepared, caplog):
    prepared(20)
    assert (
        "data set 'log': 40 of the 60 users with 5 items and more have exactly those of another, such as u0 "
        "and copy of u0: if they are one person under two names"
    ) in caplog.text


@pytest.mark.parametrize(("copies", "items"), [(0, 80), (2, 80), (20, 40)])
def test_few_of_them_or_of_few_items_are_not_told(prepared, caplog, copies, items):
    prepared(copies, items)
    assert "exactly those of another" not in caplog.text
