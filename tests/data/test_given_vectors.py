"""Vectors of ``preload_weight``: what RecBole would end in a KeyError, a ValueError or an error of torch."""

import numpy as np
import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset
from recbole_diffusion.errors import UsageError

WIDTH = 4
GIVEN = {"preload_weight": {"ent_id": "ent_emb"}, "alias_of_item_id": ["ent_id"]}


@pytest.fixture
def load(tmp_path):
    """Return a function that reads a data set with vectors of its items, for a model that takes them."""
    folder = tmp_path / "toy"
    folder.mkdir()
    rows = [f"u{user}\ti{(user + place) % 6}\t{place}" for user in range(4) for place in range(4)]
    vectors = [f"i{item}\t" + " ".join([str(item)] * WIDTH) for item in range(6)]
    files = {
        "inter": ["user_id:token\titem_id:token\ttimestamp:float", *rows],
        "ent": ["ent_id:token\tent_emb:float_seq", *vectors],
        "kg": ["head_id:token\trelation_id:token\ttail_id:token", "e0\tr\te1"],
        "link": ["item_id:token\tentity_id:token", *(f"i{item}\te{item}" for item in range(6))],
    }
    for kind, lines in files.items():
        (folder / f"toy.{kind}").write_text("\n".join(lines) + "\n")
    columns = {kind: [one.split(":")[0] for one in lines[0].split("\t")] for kind, lines in files.items()}

    def made(vectors=None, **options):
        if vectors is not None:
            lines = ["ent_id:token\tent_emb:float_seq", *(f"i{item}\t{row}" for item, row in vectors)]
            (folder / "toy.ent").write_text("\n".join(lines) + "\n")
        overrides = {"data_path": str(tmp_path), "use_gpu": False, "topk": [1], "valid_metric": "Recall@1"}
        overrides |= {"load_col": columns, "additional_feat_suffix": ["ent"], "embedding_size": WIDTH}
        return create_dataset(Config("GRU4RecKG", "toy", overrides={**overrides, **GIVEN, **options}))

    return made


def test_each_id_has_the_vector_of_its_row(load):
    dataset = load()
    found = dataset.get_preload_weight("ent_id")
    for item in range(6):
        assert np.array_equal(found[dataset.token2id("ent_id", f"i{item}")], [item] * WIDTH)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"alias_of_item_id": None},
            "the ids 'ent_id', and nothing says whose .* as alias_of_item_id: .ent_id",
        ),
        ({"preload_weight": {"ent_id": "vectors"}}, "the column 'vectors' is not loaded; it takes a loaded"),
        ({"preload_weight": {"ent_id": "user_id"}}, "the column 'user_id' is token; .* float or float_seq"),
        ({"preload_weight": {"item_id": "ent_emb"}}, "'item_id' and 'ent_emb' are columns of two files"),
        ({"preload_weight": ["ent_id"]}, "it takes the column of vectors by the column of ids"),
        (
            {"preload_weight": None},
            "GRU4RecKG reads given vectors of ent_id, and preload_weight has ent_id not",
        ),
        ({"embedding_size": 8}, r"have 4 numbers, and embedding_size is 8; set it to 4, or give"),
    ],
)
def test_what_cannot_be_read_is_refused(load, options, told):
    with pytest.raises(UsageError, match=told):
        load(**options)


WHOLE = [(item, " ".join([str(item)] * WIDTH)) for item in range(6)]


@pytest.mark.parametrize(
    ("vectors", "told"),
    [
        ([*WHOLE[:5], (5, "1 2")], "4 numbers each, but i5 has fewer .2."),
        ([*WHOLE[:4], (4, "1 2"), (5, "")], "4 numbers each, but i4, i5 have fewer .0."),
        ([*WHOLE[:5], (5, "1 nan 2 3")], "i5 has NaN or infinite numbers"),
        ([*WHOLE[:5], (5, "1 inf 2 3")], "i5 has NaN or infinite numbers"),
        ([*WHOLE, (2, "1 2 3 4")], "i2 has two vectors; keep one row of each id"),
    ],
)
def test_a_vector_that_is_short_or_none_or_given_twice_is_refused(load, vectors, told):
    with pytest.raises(UsageError, match=told):
        load(vectors)


def test_an_id_given_twice_with_one_vector_and_ids_without_a_vector_are_taken(load, caplog):
    dataset = load([*WHOLE[1:4], WHOLE[3]])
    found = dataset.get_preload_weight("ent_id")
    assert np.array_equal(found[dataset.token2id("ent_id", "i3")], [3] * WIDTH)
    assert not found[dataset.token2id("ent_id", "i0")].any()
    assert "1 of 4 ids has no row, and so a vector of zeros" in caplog.text
