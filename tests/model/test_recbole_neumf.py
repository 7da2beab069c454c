"""NeuMF's scores of all items are those that RecBole's class gives pair by pair."""

import pytest
import torch

from recbole_diffusion.compat import Interaction, get_model, init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.model import recbole_neumf


@pytest.fixture(scope="module")
def movies():
    """Return a function that makes NeuMF on ml-100k, with weights that all matter."""
    made = {}

    def model(kind="ours", **options):
        options = {"mf_embedding_size": 5, "mlp_embedding_size": 7, "mlp_hidden_size": [6, 4], **options}
        config = Config("NeuMF", "ml-100k", overrides={"use_gpu": False, **options})
        if not made:
            init_seed(1, True)
            made["train"] = prepare_data(config, create_dataset(config))[0]._dataset
        built = (config.model_class if kind == "ours" else get_model("NeuMF"))(config, made["train"])
        generator = torch.Generator().manual_seed(4)
        for weight in built.parameters():
            weight.data = torch.randn(weight.shape, generator=generator) / 2
        return built

    return model


@pytest.mark.parametrize("pairs", [300, 4096])  # blocks of items of one user; blocks of users
@pytest.mark.parametrize(
    "options",
    [
        {"dropout_prob": 0.3},
        {"mlp_hidden_size": [6]},
        {"mlp_hidden_size": [6, 5, 4], "mf_train": True},
        {"mf_train": False},
        {"mlp_train": False},
    ],
)
def test_scores_of_all_items_are_those_of_the_pairs(movies, monkeypatch, options, pairs):
    monkeypatch.setattr(recbole_neumf, "PAIRS", pairs)
    ours, theirs = movies(**options).eval(), movies("theirs", **options).eval()
    users = torch.tensor([5, 1, 900, 5, 17])
    items = torch.arange(ours.n_items)
    pairs_of = {"user_id": users.repeat_interleave(len(items)), "item_id": items.repeat(len(users))}
    with torch.no_grad():
        found = ours.full_sort_predict(Interaction({"user_id": users}))
        expected = theirs.predict(Interaction(pairs_of)).view(len(users), -1)
    assert expected.std() > 0.05
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_dropout_of_the_pairs_is_left_to_the_pairs(movies):
    with pytest.raises(NotImplementedError):
        movies(dropout_prob=0.3).train().full_sort_predict(Interaction({"user_id": torch.tensor([1])}))
    with pytest.raises(NotImplementedError):
        movies("theirs").full_sort_predict(Interaction({"user_id": torch.tensor([1])}))
