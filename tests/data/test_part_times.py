"""Given held-out parts that are older than train are told."""

import logging

import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data

STEPS = {"train": range(4), "valid": (4,), "test": (5,)}  # of each user's rows


@pytest.fixture
def told(tmp_path, caplog):
    """Return a function that prepares parts of 20 users by the steps of each, and returns what is told."""
    folder = tmp_path / "data" / "log"
    folder.mkdir(parents=True)

    def of(steps, moment=lambda user, step: 1e9 + 1000 * step + user):
        for part, of_part in steps.items():
            rows = [
                f"u{user}\ti{(user + step) % 15}\t{moment(user, step):.0f}"
                for user in range(20)
                for step in of_part
            ]
            lines = ["user_id:token\titem_id:token\ttimestamp:float", *rows]
            (folder / f"log.{part}.inter").write_text("\n".join(lines) + "\n")
        options = {
            "data_path": str(folder.parent),
            "benchmark_filename": ["train", "valid", "test"],
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "topk": [2],
            "valid_metric": "MRR@2",
            "use_gpu": False,
        }
        config = Config("ItemKNN", "log", overrides=options)
        with caplog.at_level(logging.WARNING):
            prepare_data(config, create_dataset(config))
        return [line for line in caplog.messages if "asked for the past" in line]

    return of


def test_parts_in_order_of_time_are_not_told(told):
    assert not told(STEPS)


def test_parts_from_the_middle_are_not_told(told):
    assert not told({"train": (0, 1, 4, 5), "valid": (3,), "test": (2,)})


@pytest.mark.parametrize("apart", [0, 1e6])  # moments of each user alone, or of all
def test_parts_before_train_are_told(told, apart):
    lines = told(
        {"train": range(2, 6), "valid": (1,), "test": (0,)},
        lambda user, step: 1e9 + 1000 * step + apart * user,
    )
    assert [line.split(" of data set")[0] for line in lines] == [
        "20 of the 20 rows of valid",
        "20 of the 20 rows of test",
    ]
