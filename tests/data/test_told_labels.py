"""Columns that give the label away are told where a model with features reads them."""

import logging

import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data

HEADER = "user_id:token\titem_id:token\tlabel:float\tstars:token\twatched:float\thour:token\tage:float"


@pytest.fixture
def told(tmp_path, caplog):
    """Return a function that prepares 20 users x 12 rows, and returns what is told of labels."""
    folder = tmp_path / "data" / "views"
    folder.mkdir(parents=True)
    lines = []
    for number in range(240):
        stars = number * 7 % 5 + 1
        watched = 100 * (stars > 3) + number % 90
        cells = (f"u{number // 12}", f"i{number * 5 % 31}", int(stars > 3), f"s{stars}", watched)
        lines.append("\t".join(map(str, (*cells, number % 24, number % 50))))
    (folder / "views.inter").write_text("\n".join([HEADER, *lines]) + "\n")

    def of(*columns, model="FM", **more):
        options = {
            "data_path": str(folder.parent),
            "load_col": {"inter": ["user_id", "item_id", "label", *columns]},
            "eval_args": {"mode": "labeled"},
            "metrics": ["AUC"],
            "valid_metric": "AUC",
            "train_neg_sample_args": None,
            "use_gpu": False,
        }
        config = Config(model, "views", overrides={**options, **more})
        with caplog.at_level(logging.WARNING):
            prepare_data(config, create_dataset(config))
        return [line for line in caplog.messages if "tells the label" in line]

    return of


def test_a_token_of_which_the_label_was_made_is_told(told):
    (line,) = told("stars")
    assert line.startswith(
        "the column 'stars' of data set 'views' tells the label of 240 of 240 rows, by its token"
    )
    assert line.endswith("leave it out with unused_col: {inter: [stars]}")


def test_a_number_that_is_known_after_the_event_alone_is_told(told):
    (line,) = told("watched", model="DeepFM", numerical_features=["watched"])
    assert (
        "the column 'watched' of data set 'views' tells the label of 240 of 240 rows, by its number" in line
    )


def test_columns_that_do_not_tell_the_label_or_are_not_read_are_not_told(told):
    assert not told("hour", "age", "watched", numerical_features=["age"])
    assert not told("stars", unused_col={"inter": ["stars"]})
