"""From a configuration to a data set and three loaders."""

import pytest

from recbole_diffusion.compat import FullSortEvalDataLoader, SequentialDataset, TrainDataLoader
from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.loader import PositiveLoader
from recbole_diffusion.data.preparation import create_dataset, prepare_data, refusals_of
from recbole_diffusion.errors import UsageError

TIMED = {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}}


def prepared(model, data, **options):
    config = Config(model, overrides={**data.overrides, **options})
    train, valid, tests = prepare_data(config, create_dataset(config))
    return train, valid, *tests.values()


def test_our_model_gets_its_loader_and_the_parts_in_order(checkerboard):
    train, valid, test = prepared("TVDiff", checkerboard)
    assert isinstance(train, PositiveLoader)
    assert isinstance(valid, FullSortEvalDataLoader)
    assert [len(part._dataset) for part in (train, valid, test)] == [1000, 100, 150]


def test_a_baseline_gets_recboles_loader_over_our_data_set(checkerboard):
    train, valid, test = prepared("BPR", checkerboard)
    assert isinstance(train, TrainDataLoader)
    assert isinstance(train._dataset, InteractionDataset)
    assert [len(part._dataset) for part in (train, valid, test)] == [1000, 100, 150]


def test_the_evaluation_withholds_what_the_checkerboard_says(checkerboard):
    *_, test = prepared("TVDiff", checkerboard)
    dataset = test._dataset
    found = {}
    for interaction, _, rows, items in test:
        users = dataset.id2token("user_id", interaction["user_id"].numpy())
        for row, item in zip(rows.tolist(), dataset.id2token("item_id", items.numpy()), strict=True):
            found.setdefault(str(users[row]), set()).add(str(item))
    assert found == checkerboard.withheld


def test_seen_items_are_masked_in_the_evaluation(checkerboard):
    *_, test = prepared("TVDiff", checkerboard)
    dataset = test._dataset
    interaction, (rows, items), *_ = next(iter(test))
    user = str(dataset.id2token("user_id", int(interaction["user_id"][0])))
    masked = {str(token) for token in dataset.id2token("item_id", items[rows == 0].numpy())}
    assert checkerboard.known[user] < masked  # train, and the validation part
    assert not masked & checkerboard.withheld[user]
    assert len(masked) == 22


@pytest.mark.parametrize(("cells", "batches"), [(51, 50), (510, 5), (51 * 7, 8), (10**6, 1), (1, 50)])
def test_a_batch_of_a_full_ranking_has_as_many_users_as_its_cells_allow(checkerboard, cells, batches):
    *_, test = prepared("BPR", checkerboard, eval_batch_size=cells)  # 50 users, 50 items and the padding
    sizes = [len(interaction) for interaction, *_ in test]
    assert (len(sizes), sum(sizes)) == (batches, 50)


def test_a_batch_of_a_sequential_model_has_as_many_sequences_as_its_cells_allow(tmp_path):
    rows = [f"{user}\t{(user + step) % 9}\t{step}\n" for user in range(12) for step in range(5)]
    (tmp_path / "toy").mkdir()
    header = "user_id:token\titem_id:token\ttimestamp:float\n"
    (tmp_path / "toy" / "toy.inter").write_text(header + "".join(rows))
    # Nine items and the padding: 50 cells are five sequences.
    options = {"data_path": str(tmp_path), "eval_batch_size": 50, "topk": [3], "valid_metric": "Recall@3"}
    config = Config("GRU4Rec", "toy", overrides=options)
    *_, tests = prepare_data(config, create_dataset(config))
    assert [len(interaction) for interaction, *_ in tests["test"]] == [5, 5, 2]


def test_shuffle_can_be_turned_off(checkerboard):
    first, second = (next(iter(prepared("TVDiff", checkerboard, shuffle=False)[0])) for _ in range(2))
    assert first["item_id"].tolist() == second["item_id"].tolist()
    rows = prepared("TVDiff", checkerboard)[0].dataset.inter_feat
    assert first["item_id"].tolist() == rows["item_id"][: len(first)].tolist()


def test_sequential_models_get_recboles_own_data_set():
    config = Config("GRU4Rec", "ml-100k", overrides={**TIMED, "train_neg_sample_args": None})
    assert isinstance(create_dataset(config), SequentialDataset)


def test_the_same_seed_gives_the_same_split():
    def parts(seed):
        from recbole_diffusion.compat import init_seed

        config = Config("TVDiff", "ml-100k", overrides={"seed": seed})
        init_seed(seed, True)
        train, valid, tests = prepare_data(config, create_dataset(config))
        return [part._dataset.inter_feat["item_id"].tolist() for part in (train, valid, *tests.values())]

    first = parts(1)
    assert [len(part) for part in first] == pytest.approx([80_000, 10_000, 10_000], abs=1000)
    assert parts(1) == first
    assert parts(2) != first


@pytest.mark.parametrize(
    "error",
    [ValueError("bad"), KeyError("bad"), NotImplementedError("bad")],
    ids=lambda error: type(error).__name__,
)
def test_recboles_refusals_become_ours(checkerboard, error):
    config = Config("BPR", overrides=checkerboard.overrides)
    with (
        pytest.raises(
            UsageError, match=r"'checkerboard' in .* cannot be used with these options: .*bad"
        ) as caught,
        refusals_of(config),
    ):
        raise error
    assert caught.value.__cause__ is error


def test_our_own_errors_and_bugs_pass_through(checkerboard):
    config = Config("BPR", overrides=checkerboard.overrides)
    with pytest.raises(UsageError, match="mine"), refusals_of(config):
        raise UsageError("mine")
    with pytest.raises(TypeError, match="bug"), refusals_of(config):
        raise TypeError("bug")


@pytest.mark.parametrize("largest", [50, 51])
def test_cut_offs_end_at_the_number_of_items(checkerboard, largest):
    if largest == 50:
        prepared("BPR", checkerboard, topk=[20, largest])
    else:
        with pytest.raises(UsageError, match="topk is 51, but data set 'checkerboard' has only 50 items"):
            prepared("BPR", checkerboard, topk=[20, largest])


# Of 50 items a user has 20 in train, 2 in valid and 3 in test; 50 have a row. A repeatable run draws any item
# but the one held out.
@pytest.mark.parametrize(
    ("mode", "repeatable", "told"),
    [
        ("uni24", False, []),
        ("uni25", False, ["uni25: 50 of the 50 users of test have 25 items or fewer to draw from"]),
        ("pop28", False, [f"pop28: 50 of the 50 users of {part} have 28" for part in ("valid", "test")]),
        ("uni48", True, []),
        ("uni49", True, [f"uni49: 50 of the 50 users of {part} have 49" for part in ("valid", "test")]),
        ("full", False, []),
    ],
)
def test_a_draw_of_all_items_that_are_left_is_told(checkerboard, caplog, mode, repeatable, told):
    prepared("BPR", checkerboard, eval_args={"mode": mode}, repeatable=repeatable)
    said = [line for line in caplog.messages if "to draw from" in line]
    assert len(said) == len(told)
    assert all(wanted in line for wanted, line in zip(told, said, strict=True))
