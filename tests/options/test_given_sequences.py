"""Given parts of a sequential model: its histories are numbered as its items."""

import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError

PARTS = {"benchmark_filename": ["train", "valid", "test"]}
COLUMNS = {"inter": ["user_id", "item_id_list", "item_id"]}


def test_histories_get_the_numbering_of_items():
    config = Config("SASRec", "toy", overrides={**PARTS, "load_col": COLUMNS})
    assert config["alias_of_item_id"] == ["item_id_list"]
    assert any("alias_of_item_id has item_id_list" in note for note in config.notes)


def test_parts_without_histories_are_refused():
    with pytest.raises(UsageError, match="item_id_list:token_seq, which load_col does not name"):
        Config("SASRec", "toy", overrides={**PARTS, "load_col": {"inter": ["user_id", "item_id"]}})
