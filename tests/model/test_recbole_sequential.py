"""RecBole's sequential models as they run here: drawn items, and the full rankings of SHAN."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recbole_diffusion.compat import Interaction, construct_transform, get_model, init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.unseen_histories import tell_unseen_histories
from recbole_diffusion.model import base
from recbole_diffusion.quick_start import run

HISTORIES, EACH = 12, 8


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Return a function that gives a model as it runs here, RecBole's own, and pairs of the test part."""
    folder = tmp_path_factory.mktemp("sessions")
    (folder / "shop").mkdir()
    draw = np.random.default_rng(0)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(20):
        items = draw.permutation(40)[: 6 + user % 5]
        lines += [f"u{user}\ti{item}\t{time}" for time, item in enumerate(items)]
    (folder / "shop/shop.inter").write_text("\n".join(lines) + "\n")
    kinds = ["item_id:token\tclass:token_seq", *(f"i{item}\tk{item % 4} l{item % 3}" for item in range(40))]
    (folder / "shop/shop.item").write_text("\n".join(kinds) + "\n")
    made = {}

    def prepared(name):
        options = {"data_path": str(folder), "use_gpu": False, "MAX_ITEM_LIST_LENGTH": 8}
        if name == "S3Rec":
            columns = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]}
            options |= {"load_col": columns, "item_attribute": "class"}
        config, key = Config(name, "shop", overrides=options), name == "S3Rec"
        if key not in made:
            made[key] = prepare_data(config, create_dataset(config))
        train, _, test = made[key]
        turn = construct_transform(config)  # names a column in the configuration, which SHAN reads
        models = []
        for kind in (config.model_class, get_model(name)):
            init_seed(3, True)
            models.append(kind(config, train._dataset).eval())
        assert type(models[0]) is not type(models[1])
        rows = test["test"]._dataset.inter_feat[torch.arange(HISTORIES)]
        if name == "SHAN":
            rows = turn(train._dataset, rows)
        pairs = rows.repeat(EACH)
        draw = torch.Generator().manual_seed(1)
        items = torch.randint(1, train._dataset.item_num, (len(pairs),), generator=draw)
        pairs.update(Interaction({"item_id": items}))
        return *models, rows, pairs

    return prepared


def of_all(model, rows, pairs):
    """Return the scores that a full ranking has of the pairs."""
    scores = model.full_sort_predict(rows).view(len(rows), -1)
    return scores[torch.arange(len(pairs)) % len(rows), pairs["item_id"]]


@pytest.mark.parametrize(
    "name",
    ["SASRec", "BERT4Rec", "GRU4Rec", "RepeatNet", "SRGNN", "NARM", "STAMP", "NextItNet", "FEARec", "S3Rec"],
)
@torch.no_grad()
def test_drawn_items_have_recboles_scores_by_one_pass_over_each_history(sessions, monkeypatch, name):
    ours, theirs, rows, pairs = sessions(name)
    passed, whole = [], ours.full_sort_predict
    monkeypatch.setattr(ours, "full_sort_predict", lambda some: passed.append(len(some)) or whole(some))
    torch.testing.assert_close(ours.predict(pairs), theirs.predict(pairs))
    assert passed == [HISTORIES]
    monkeypatch.setattr(base, "CELLS", 5 * ours.n_items)
    torch.testing.assert_close(ours.predict(pairs), theirs.predict(pairs))
    assert passed[1:] == [5, 5, 2]
    # A history of its own for each pair: no row of all items is made.
    torch.testing.assert_close(ours.predict(rows), theirs.predict(rows))
    assert len(passed) == 4


@torch.no_grad()
def test_drawn_items_have_the_scores_of_cores_full_ranking(sessions):
    ours, theirs, rows, pairs = sessions("CORE")
    torch.testing.assert_close(ours.predict(pairs), of_all(theirs, rows, pairs))
    torch.testing.assert_close(ours.predict(rows), of_all(theirs, rows, rows))
    assert not torch.allclose(theirs.predict(pairs), of_all(theirs, rows, pairs), atol=0.1)


@torch.no_grad()
def test_a_full_ranking_of_shan_has_the_scores_that_its_training_compares(sessions):
    ours, theirs, rows, pairs = sessions("SHAN")
    wanted = theirs.predict(pairs)  # which reads the turned history, as its loss does
    torch.testing.assert_close(of_all(ours, rows, pairs), wanted)
    assert not torch.allclose(of_all(theirs, rows, pairs), wanted, rtol=1e-3, atol=0)


def test_histories_that_nextitnet_does_not_see_are_told(sessions, caplog):
    *_, rows, _ = sessions("NextItNet")
    lengths = rows["item_length"]
    part = SimpleNamespace(inter_feat=rows)
    given = {"model": "NextItNet", "dataset": "shop", "ITEM_LIST_LENGTH_FIELD": "item_length"}
    given |= {
        "MAX_ITEM_LIST_LENGTH": 14,
        "kernel_size": 3,
        "block_num": 1,
        "dilations": [1],
    }  # reaches 6 back
    tell_unseen_histories(given, "test", part)
    few = int((lengths < 8).sum())
    assert 0 < few < len(rows)
    assert f"reaches 6 places back: the histories of {few} rows of test of data set 'shop'" in caplog.text
    assert "MAX_ITEM_LIST_LENGTH to 6 or less" in caplog.text
    caplog.clear()
    tell_unseen_histories({**given, "block_num": 2}, "test", part)
    tell_unseen_histories({**given, "model": "SASRec"}, "test", part)
    assert not caplog.text
    tell_unseen_histories({**given, "kernel_size": 1}, "test", part)  # each place by itself
    assert caplog.text.strip().endswith("one list; enlarge kernel_size, which is 1")


@torch.no_grad()
def test_nextitnet_sees_as_far_back_as_the_warning_says(sessions):
    ours, *_ = sessions("NextItNet")
    reach = 3 * 2 * (1 + 4) * 5
    items = torch.ones(2, reach + 2, dtype=torch.long)
    items[1, 1] = 2  # the furthest place that counts
    seen = ours.full_sort_predict(Interaction({"item_id_list": items}))
    assert not torch.equal(seen[0], seen[1])
    items[1, :2] = torch.tensor([2, 1])
    unseen = ours.full_sort_predict(Interaction({"item_id_list": items}))
    assert torch.equal(unseen[0], unseen[1])


def test_ksr_trains_with_the_vectors_that_its_files_give(tmp_path):
    draw, folder = np.random.default_rng(0), tmp_path / "shop"
    folder.mkdir()
    files = {
        "inter": ["user_id:token\titem_id:token\ttimestamp:float"],
        "link": ["item_id:token\tentity_id:token", *(f"i{item}\te{item}" for item in range(12))],
        "kg": ["head_id:token\trelation_id:token\ttail_id:token"],
        "ent": ["ent_id:token\tent_vec:float_seq"],
        "rel": ["rel_id:token\trel_vec:float_seq"],
    }
    for user in range(8):
        files["inter"] += [f"u{user}\ti{item}\t{time}" for time, item in enumerate(draw.permutation(12)[:6])]
    files["kg"] += [f"e{item}\tr{item % 2}\tt{item % 3}" for item in range(12)]
    for kind, names in (("ent", [f"e{item}" for item in range(12)]), ("rel", ["r0", "r1"])):
        files[kind] += [f"{name}\t{' '.join(f'{one:.2f}' for one in draw.normal(size=8))}" for name in names]
    for kind, lines in files.items():
        (folder / f"shop.{kind}").write_text("\n".join(lines) + "\n")
    columns = {kind: [one.split(":")[0] for one in lines[0].split("\t")] for kind, lines in files.items()}
    options = {
        "data_path": str(tmp_path),
        "use_gpu": False,
        "epochs": 1,
        "topk": [2],
        "valid_metric": "MRR@2",
        "load_col": columns,
        "additional_feat_suffix": ["ent", "rel"],
        "embedding_size": 8,
        "preload_weight": {"ent_id": "ent_vec", "rel_id": "rel_vec"},
        "kg_embedding_size": 8,
        "alias_of_entity_id": ["ent_id"],
        "alias_of_relation_id": ["rel_id"],
        "hidden_size": 8,
        "eval_args": {"mode": "uni4"},
        "run_dir": str(tmp_path / "run"),
    }
    assert 0 <= run("KSR", "shop", overrides=options)["test"]["recall@2"] <= 1
