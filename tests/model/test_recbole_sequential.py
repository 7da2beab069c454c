"""RecBole's sequential models as they run here: drawn items, and the full rankings of SHAN."""

import numpy as np
import pytest
import torch

from recbole_diffusion.compat import Interaction, construct_transform, get_model, init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.model import recbole_sequential

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
    made = {}

    def prepared(name):
        options = {"data_path": str(folder), "use_gpu": False, "MAX_ITEM_LIST_LENGTH": 8}
        config = Config(name, "shop", overrides=options)
        if "parts" not in made:
            made["parts"] = prepare_data(config, create_dataset(config))
        train, _, test = made["parts"]
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
    "name", ["SASRec", "BERT4Rec", "GRU4Rec", "RepeatNet", "SRGNN", "NARM", "STAMP", "NextItNet", "FEARec"]
)
@torch.no_grad()
def test_drawn_items_have_recboles_scores_by_one_pass_over_each_history(sessions, monkeypatch, name):
    ours, theirs, rows, pairs = sessions(name)
    passed, whole = [], ours.full_sort_predict
    monkeypatch.setattr(ours, "full_sort_predict", lambda some: passed.append(len(some)) or whole(some))
    torch.testing.assert_close(ours.predict(pairs), theirs.predict(pairs))
    assert passed == [HISTORIES]
    monkeypatch.setattr(recbole_sequential, "CELLS", 5 * ours.n_items)
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
