"""A split by user tells where it holds rows out of few users alone."""

import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data


@pytest.fixture
def prepared(tmp_path):
    """Return a function that prepares 6 users of 8 rows and others of 2."""
    folder = tmp_path / "data" / "log"
    folder.mkdir(parents=True)

    def of(others, **options):
        sizes = [8] * 6 + [2] * others
        rows = [
            f"u{user}\ti{(user + 3 * row) % 20}\t{row}"
            for user, size in enumerate(sizes)
            for row in range(size)
        ]
        header = "user_id:token\titem_id:token\ttimestamp:float"
        (folder / "log.inter").write_text("\n".join([header, *rows]) + "\n")
        options = {"data_path": str(folder.parent), "topk": [2], "valid_metric": "MRR@2", **options}
        config = Config("ItemKNN", "log", overrides={**options, "use_gpu": False})
        prepare_data(config, create_dataset(config))

    return of


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ({"RS": [0.8, 0.1, 0.1]}, "valid has rows of 6 of the 26 users"),
        ({"RS": [0.4, 0.3, 0.3]}, "valid has rows of 6 of the 26 users"),  # two rows are train and test
    ],
)
def test_few_evaluated_users_are_told(prepared, caplog, split, told):
    prepared(20, eval_args={"split": split})
    assert told in caplog.text
    assert f"since the others have too few rows for eval_args.split {split}" in caplog.text


def test_users_with_few_rows_that_are_a_minority_are_not_told(prepared, caplog):
    prepared(5)
    assert "metrics speak of" not in caplog.text


def test_a_split_at_a_moment_holds_out_whom_it_will(prepared, caplog):
    prepared(20, eval_args={"split": {"TS": [0.7, 0.15, 0.15]}})
    assert "metrics speak of" not in caplog.text


def test_an_interval_that_has_each_row_is_told(prepared, caplog):
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    prepared(5, load_col=columns, val_interval={"timestamp": "[0,1e9)"})
    said = "no effect of val_interval {'timestamp': '[0,1e9)'}: each row of data set 'log' is within it"
    assert said in caplog.text
    caplog.clear()
    prepared(5, load_col=columns, val_interval={"timestamp": "[1,1e9)"})
    assert "no effect" not in caplog.text
