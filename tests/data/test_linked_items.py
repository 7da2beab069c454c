"""Data sets with a graph of knowledge: what is left out is told, wrong links are refused."""

import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.preparation import create_dataset, parts_of
from recbole_diffusion.errors import UsageError

GRAPH = {"kg": ["head_id", "relation_id", "tail_id"], "link": ["item_id", "entity_id"]}
PAIRS = [(f"u{user}", f"i{(user + step) % 8}") for user in range(6) for step in range(5)]
LINKS = [(f"i{item}", f"e{item}") for item in range(7)]  # i7 has none
INTER = "user_id:token\titem_id:token"


@pytest.fixture
def shop(tmp_path):
    """Return a function that writes a data set of 6 users and 8 items with its graph, and what reads it."""
    folder = tmp_path / "data" / "shop"
    folder.mkdir(parents=True)

    def file(name, header, rows):
        (folder / f"shop.{name}").write_text("\n".join([header, *("\t".join(row) for row in rows)]) + "\n")

    def written(links=LINKS, parts=None, more=(), **options):
        for name, rows in (parts or {"": PAIRS}).items():
            file(f"{name}.inter".lstrip("."), INTER, rows)
        triples = [(f"e{number}", f"r{number % 2}", f"e{(number * 3 + 1) % 10}") for number in range(10)]
        file("kg", "head_id:token\trelation_id:token\ttail_id:token", [*triples, *more])
        file("link", "item_id:token\tentity_id:token", links)
        inter = {"inter": ["user_id", "item_id"]}
        usual = {"load_col": {**inter, **GRAPH}, "topk": [2], "valid_metric": "MRR@2", "use_gpu": False}
        usual |= {"benchmark_filename": list(parts) if parts else None, "data_path": str(folder.parent)}
        return Config("CFKG", "shop", overrides={**usual, **options})

    return written


def test_interactions_with_items_that_the_graph_lacks_are_counted(shop, caplog):
    dataset = create_dataset(shop())
    gone = sum(item == "i7" for _, item in PAIRS)
    assert gone > 0 and len(dataset.inter_feat) == len(PAIRS) - gone
    assert f"{gone} of the 30 interactions of data set 'shop' are left out, whose item has no" in caplog.text
    kept = [row for row, (_, item) in enumerate(PAIRS) if item != "i7"]
    assert dataset.row_numbers.tolist() == kept  # of which messages name the lines
    assert isinstance(dataset, InteractionDataset)


@pytest.mark.parametrize(
    ("links", "options", "message"),
    [
        (
            [*LINKS, ("i1", "e9")],
            {},
            "several rows for item_id 'i1' .1 row too many in all.; each has one entity_id",
        ),
        ([*LINKS, ("i7", "e1")], {}, "several rows for entity_id 'e1'"),
        (
            [*LINKS, ("i7", "")],
            {},
            "1 row of the .link file of data set 'shop' has no value of item_id or entity_id",
        ),
        ([("x", "e1"), ("i1", "y")], {}, "no interaction of data set 'shop' has an item that the graph"),
        (
            LINKS,
            {"entity_kg_num_interval": "[99,inf)"},
            "no interaction of .* or loosen entity_kg_num_interval",
        ),
        (
            LINKS,
            {"load_col": {"inter": ["user_id", "item_id"]}},
            "CFKG reads head_id, relation_id, tail_id of",
        ),
        (
            LINKS,
            {"load_col": {"inter": ["user_id", "item_id"], "kg": GRAPH["kg"]}},
            "name the columns in load_col.link",
        ),
    ],
)
def test_a_graph_that_cannot_be_read_right_is_refused(shop, links, options, message):
    with pytest.raises(UsageError, match=message):
        create_dataset(shop(links, **options))


def test_a_filter_that_is_no_interval_is_refused_and_not_left_out(shop):
    for name in ("entity_kg_num_interval", "relation_kg_num_interval"):
        with pytest.raises(UsageError, match=f"option {name!r} is '3'; it takes an interval"):
            shop(**{name: "3"})


def test_links_of_unknown_items_or_entities_do_not_change_the_ids_of_given_parts(shop):
    parts = {"train": PAIRS[::2], "valid": PAIRS[1::4], "test": PAIRS[3::4]}
    made = [
        create_dataset(shop(links, parts)) for links in (LINKS, [*LINKS, ("none", "e8"), ("i7", "nowhere")])
    ]
    one, other = made
    assert one.field2id_token["item_id"].tolist() == other.field2id_token["item_id"].tolist()
    assert one.field2id_token["entity_id"].tolist() == other.field2id_token["entity_id"].tolist()
    assert [len(part) for part in parts_of(other.config, other).values()] == [
        len(rows) for rows in parts.values()
    ]
    linked = one.field2id_token["entity_id"][: one.item_num].tolist()
    assert [token for token in linked if token.startswith("e")] == [
        f"e{token[1:]}" for token in one.field2id_token["item_id"].tolist() if token not in ("[PAD]", "i7")
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_interactions_in_the_graph_are_told(shop, caplog, turned):
    edges = [(user, "buys", f"e{item[1:]}") for user, item in PAIRS if item != "i7"]
    create_dataset(shop(more=[edge[::-1] if turned else edge for edge in edges]))
    count = len(edges)
    assert f"{count} of the {count} interactions of data set 'shop' stand in its .kg file too" in caplog.text


def test_relations_that_are_many_are_told(shop, caplog):
    create_dataset(shop(more=[(f"e{one % 7}", f"e{20 + one}", f"r{one % 2}") for one in range(60)]))
    assert (
        "the .kg file of data set 'shop' has 62 relations (relation_id) for 70 triples of 12 tails"
        in caplog.text
    )


def test_a_usual_graph_is_not_told(shop, caplog):
    create_dataset(shop())
    assert ".kg file" not in caplog.text
