"""RecBole's models as they run here: the losses, gradients and lists of RecBole's own classes."""

import json
import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recbole_diffusion import load_run
from recbole_diffusion.compat import GeneralRecommender, InputType, Interaction, get_model, init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.sampling import require_negatives
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.model import ease, recbole_computed
from recbole_diffusion.options.negatives import BY_SCORES, BY_VECTORS, MIXED, OF_RECBOLE
from recbole_diffusion.quick_start import run
from recbole_diffusion.sampler.choose import SAMPLERS
from recbole_diffusion.storage.yaml_io import load_yaml
from recbole_diffusion.testing import Built
from recbole_diffusion.trainer import checkpoint


@pytest.fixture(scope="module")
def movies():
    """Return a function that gives configuration and training loader of a model on ml-100k."""
    made = {}

    def prepared(model, **options):
        config = Config(model, "ml-100k", overrides={"use_gpu": False, **options})
        if "dataset" not in made:
            init_seed(1, True)
            made["dataset"], *_ = prepare_data(config, create_dataset(config))
        return config, made["dataset"]

    return prepared


def pair_of(config, loader):
    """Return the model as it runs here and RecBole's own, with the same first weights."""
    models = []
    for kind in (config.model_class, get_model(config.model)):
        init_seed(3, True)
        models.append(kind(config, loader._dataset))
    assert type(models[0]) is not type(models[1])
    return models


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("BPR", {}),
        ("LightGCN", {"n_layers": 0}),
        ("LightGCN", {"n_layers": 3, "reg_weight": 0.01}),
        ("LightGCN", {"n_layers": 2, "reg_weight": 0.1, "require_pow": True}),
    ],
)
def test_loss_and_gradients_are_those_of_recboles_class(movies, model, options):
    config, loader = movies(model, embedding_size=16, **options)
    ours, theirs = pair_of(config, loader)
    for batch in [next(iter(loader)) for _ in range(2)]:
        losses = [one.calculate_loss(batch) for one in (ours, theirs)]
        assert torch.allclose(*losses, rtol=1e-6, atol=1e-7)
        gradients = [
            torch.autograd.grad(loss.sum(), list(one.parameters()))
            for loss, one in zip(losses, (ours, theirs), strict=True)
        ]
        for mine, other in zip(*gradients, strict=True):
            assert mine.abs().max() > 1e-6
            assert torch.allclose(mine, other, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["MultiVAE", "MultiDAE", "MacridVAE", "RecVAE", "CDAE", "DiffRec", "DMF"])
def test_pairs_have_recboles_scores_and_each_user_one_row(movies, monkeypatch, name):
    config, loader = movies(name)
    ours, theirs = pair_of(config, loader)
    ours.eval(), theirs.eval()
    given = torch.Generator().manual_seed(5)
    ids = {field: torch.randint(1, 9, (50,), generator=given) for field in ("user_id", "item_id")}
    pairs = Interaction(ids)
    getter = "get_user_embedding" if name == "DMF" else "get_rating_matrix"
    rows, get_rows = [], getattr(ours, getter)
    monkeypatch.setattr(ours, getter, lambda users: rows.append(users) or get_rows(users))
    with torch.no_grad():
        found = ours.predict(pairs)
        torch.testing.assert_close(found, theirs.predict(pairs))
    assert [len(users) for users in rows] == [len(ids["user_id"].unique())]


@pytest.mark.parametrize("name", ["LightGCN", "NGCF", "SGL", "NCL", "SpectralCF", "DGCF"])
def test_pairs_are_scored_by_one_propagation_of_all_vectors(movies, monkeypatch, name):
    config, loader = movies(name)
    ours, theirs = pair_of(config, loader)
    ours.eval(), theirs.eval()
    passes, forward = [], ours.forward
    monkeypatch.setattr(ours, "forward", lambda *words: passes.append(1) or forward(*words))
    for first in (1, 20):
        pairs = Interaction({field: torch.arange(first, first + 40) for field in ("user_id", "item_id")})
        torch.testing.assert_close(ours.predict(pairs), theirs.predict(pairs).detach())
    assert len(passes) == 1


def test_lightgcn_has_the_vectors_and_the_files_of_recboles_class(movies):
    config, loader = movies("LightGCN", embedding_size=16, n_layers=3)
    ours, theirs = pair_of(config, loader)
    for mine, other in zip(ours.forward(), theirs.forward(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-5, atol=1e-8)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    users = Interaction({"user_id": torch.arange(1, 9)})
    found = [one.eval().full_sort_predict(users).view(8, -1) for one in (ours, theirs)]
    assert torch.allclose(*found, rtol=1e-4, atol=1e-8)
    ours.calculate_loss(next(iter(loader)))
    assert ours.restore_user_e is None  # the vectors of an evaluation are dropped when training goes on


def test_an_epoch_ends_with_the_weights_of_recboles_own_classes(movies):
    """Same rows, same negatives, and losses within rounding: BPR learns what RecBole's BPR learns."""
    weights = []
    for side in range(2):
        config, loader = movies("BPR", embedding_size=16)
        model = pair_of(config, loader)[side]
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        loader.generator.manual_seed(1)
        init_seed(4, True)
        for batch in loader:
            optimizer.zero_grad()
            model.calculate_loss(batch).backward()
            optimizer.step()
        weights.append(model.item_embedding.weight.detach())
    assert torch.allclose(*weights, atol=2e-4)
    assert (weights[0] - pair_of(config, loader)[0].item_embedding.weight).abs().mean() > 0.05


def test_lightgcn_trains_under_autocast(checkerboard):
    options = {"embedding_size": 8, "epochs": 1, "enable_amp": True}
    result = run("LightGCN", overrides={**checkerboard.overrides, **options})
    assert len(result["epoch_seconds"]) == 1


def test_a_model_of_recbole_that_mixed_precision_breaks_is_refused_in_a_line(checkerboard):
    with pytest.raises(
        UsageError, match=r"^NGCF cannot be trained in mixed precision.*leave out enable_amp$"
    ):
        run("NGCF", overrides={**checkerboard.overrides, "epochs": 1, "enable_amp": True})
    assert list(checkerboard.data_path.parent.glob("**/NGCF-*")) == []


def dense_ease(loader, reg_weight):
    rows = loader._dataset.inter_matrix(form="csr").toarray().astype(np.float64)
    inverse = np.linalg.inv(rows.T @ rows + reg_weight * np.eye(rows.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize(
    ("reg_weight", "by_users"), [(1.0, False), (250.0, False), (1.0, True), (250.0, True)]
)
def test_ease_has_the_weights_of_the_formula_and_the_lists_of_recboles_class(
    movies, monkeypatch, reg_weight, by_users
):
    monkeypatch.setattr(recbole_computed, "by_users", lambda rows, penalties: by_users)
    config, loader = movies("EASE", reg_weight=reg_weight)
    ours, theirs = pair_of(config, loader)
    weights = ours.item_similarity
    if by_users:
        assert weights is None
    else:
        assert weights.dtype == np.float32
        assert weights.flags.c_contiguous
        np.testing.assert_allclose(weights, dense_ease(loader, reg_weight), atol=2e-7)
        np.testing.assert_allclose(weights, np.asarray(theirs.item_similarity), atol=2e-7)
    everyone = Interaction({"user_id": torch.arange(1, ours.n_users)})
    found, wanted = (one.full_sort_predict(everyone).view(ours.n_users - 1, -1) for one in (ours, theirs))
    assert torch.allclose(found, wanted, atol=3e-5)
    same = found.topk(20).indices == wanted.topk(20).indices
    assert same.float().mean() > 0.999
    pairs = Interaction({"user_id": torch.tensor([1, 7, 7]), "item_id": torch.tensor([5, 5, 90])})
    assert torch.allclose(ours.predict(pairs), theirs.predict(pairs), atol=3e-5)


def test_ease_takes_the_memory_of_two_single_precision_matrices(movies, monkeypatch):
    monkeypatch.setattr(ease, "BLOCK", 2**14)
    _, loader = movies("EASE")
    rows = loader._dataset.inter_matrix(form="csr")
    ease.ease_weights(rows, 1.0)  # what is loaded for it is there
    tracemalloc.start()
    weights = ease.ease_weights(rows, 1.0)
    left, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    others = 10 * rows.data.nbytes  # copies of the interactions
    assert others < weights.nbytes
    assert peak < 2 * weights.nbytes + others
    assert left < 1.01 * weights.nbytes


def test_a_long_inversion_is_told_before_it_begins(monkeypatch, caplog):
    monkeypatch.setattr(ease, "TOLD", 6)
    with caplog.at_level("INFO"):
        ease.ease_weights(sp.eye(5, format="csr"), 1.0)
        assert not caplog.text
        ease.ease_weights(sp.eye(6, format="csr"), 1.0)
    assert "inverting a matrix of 6 x 6, about 0 s in which nothing is shown" in caplog.text


def test_the_strips_of_ease_go_with_the_matrix_that_they_are_of(movies, monkeypatch):
    monkeypatch.setattr(recbole_computed, "by_users", lambda rows, penalties: False)
    config, loader = movies("EASE")
    model = config.model_class(config, loader._dataset)
    user = Interaction({"user_id": torch.tensor([1])})
    before = model.full_sort_predict(user)
    stored = {name: value * 2 for name, value in model.other_parameter().items()}
    model.load_other_parameter(stored)
    assert model._strips == (None, None)
    assert torch.allclose(model.full_sort_predict(user), 4 * before)
    # A model by users takes the checkpoint of one by items.
    monkeypatch.setattr(recbole_computed, "by_users", lambda rows, penalties: True)
    other = config.model_class(config, loader._dataset)
    assert torch.allclose(other.full_sort_predict(user), before, atol=1e-5)
    other.load_other_parameter(stored)
    assert torch.allclose(other.full_sort_predict(user), 4 * before)
    # And one by users that of another: its rows, with its penalty.
    turned = model.interaction_matrix[:, ::-1].tocsr()
    third = config.model_class(config, loader._dataset)
    third.load_other_parameter({"interaction_matrix": turned, "reg_weight": 7.0})
    wanted = turned[1].toarray() @ ease.ease_weights(turned, 7.0)
    np.testing.assert_allclose(third.full_sort_predict(user), wanted, atol=3e-5)
    assert set(third.other_parameter()) == {"interaction_matrix", "reg_weight"}


def test_a_matrix_without_inverse_says_what_gives_it_one(checkerboard):
    with pytest.raises(
        RunError, match=r"EASE inverts a matrix .* no inverse.*a larger reg_weight gives it one"
    ):
        run("EASE", overrides={**checkerboard.overrides, "reg_weight": 0.0})


@pytest.mark.parametrize("model", ["EASE", "ItemKNN", "Pop", "NCEPLRec", "Random"])
def test_a_model_that_is_computed_draws_no_batch_and_has_one_empty_epoch(checkerboard, monkeypatch, model):
    def drawn(_):
        raise AssertionError("a batch was drawn")

    monkeypatch.setattr("recbole_diffusion.data.train_loader.TensorTrainLoader.__iter__", drawn)
    options = {"epochs": 7, "rank": 4} if model == "NCEPLRec" else {"epochs": 7}
    result = run(model, overrides={**checkerboard.overrides, **options})
    folder = result["run_dir"]
    lines = [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [{"total": 0.0}]
    assert result["best_epoch"] == 0
    assert result["seconds"]["build"] > 0
    assert f"{model} was computed when it was made" in Path(folder, "log.txt").read_text()
    again = {**checkerboard.overrides, **options, "epochs": 0, "load_checkpoint": f"{folder}/best.pt"}
    assert run(model, overrides=again)["test"] == result["test"]


@pytest.mark.parametrize(
    ("model", "option", "values"),
    [("EASE", "reg_weight", (9.0, 7.0)), ("ItemKNN", "k", (5, 3)), ("EDLAE", "dropout_prob", (0.2, 0.4))],
)
def test_what_other_options_computed_is_not_loaded_in_their_place(checkerboard, model, option, values):
    folder = run(model, overrides={**checkerboard.overrides, option: values[0]})["run_dir"]
    again = {**checkerboard.overrides, "epochs": 0, "load_checkpoint": f"{folder}/best.pt"}
    told = rf"computed with {option} {values[0]}, .*--{option}={values[0]}, or leave .* continue_from out"
    with pytest.raises(UsageError, match=told):
        run(model, overrides={**again, option: values[1]})
    with pytest.raises(UsageError, match=told):
        run(model, continue_from=folder, overrides={option: values[1]})
    run(model, overrides={**again, option: values[0]})


def test_a_computed_model_tells_a_checkpoint_of_another_model_or_of_unknown_options(checkerboard, caplog):
    """The options of another model are not compared with its own; a checkpoint alone has none to compare."""
    file = Path(run("EASE", overrides=checkerboard.overrides)["run_dir"]) / "best.pt"
    given = {**checkerboard.overrides, "epochs": 0, "reg_weight": 7.0}
    with pytest.raises(RunError, match="holds weights of EASE, not of EDLAE"):
        run("EDLAE", overrides={**given, "load_checkpoint": str(file)})
    alone = shutil.copy(file, checkerboard.folder / "alone.pt")
    run("EASE", overrides={**given, "load_checkpoint": str(alone)})
    assert "alone.pt has no config.yaml of its run beside it: which options of EASE" in caplog.text


def test_an_array_is_stored_without_a_copy_of_it():
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.shares_memory(checkpoint.to_plain(matrix)["data"].numpy(), matrix)
    other = np.asmatrix(matrix).T
    assert (checkpoint.from_plain(checkpoint.to_plain(other)) == other).all()
    assert checkpoint.from_plain(checkpoint.to_plain(np.float64(3.5))) == 3.5
    matrix.flags.writeable = False
    assert not np.shares_memory(checkpoint.to_plain(matrix)["data"].numpy(), matrix)


# The option negative_sampler.


class OutsidePairs(GeneralRecommender):
    """A model of pairs from outside, without vectors; it keeps the negatives that it was given."""

    input_type = InputType.PAIRWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.negatives = "a name that it has for something else"
        self.items = torch.nn.Embedding(self.n_items, 1)

    def calculate_loss(self, interaction):
        self.given = interaction[self.NEG_ITEM_ID]
        positive, negative = (self.items(interaction[name]) for name in (self.ITEM_ID, self.NEG_ITEM_ID))
        return -torch.nn.functional.logsigmoid(positive - negative).mean()

    def predict(self, interaction):
        return self.items(interaction[self.ITEM_ID]).squeeze(1)

    def full_sort_predict(self, interaction):
        return self.items.weight.T.expand(len(interaction[self.USER_ID]), -1)


@pytest.mark.parametrize(
    ("model", "sampler"),
    [
        *(("LightGCN", name) for name in BY_VECTORS),
        *(("BPR", name) for name in ("ar", "realhns")),
        *(("NGCF", name) for name in ("dns", "sl")),
    ],
)
def test_the_loss_is_recboles_with_the_chosen_negatives(checkerboard, model, sampler):
    options = {"negative_sampler": sampler, "embedding_size": 8, "warm_epochs": 0}
    options |= {"message_dropout": 0.0, "hidden_size_list": [8]} if model == "NGCF" else {}
    built = Built(model, checkerboard.name, {**checkerboard.overrides, **options})
    init_seed(built.config.general.seed, True)
    theirs = get_model(model)(built.config, built.train._dataset)
    batch, ours = built.batch(), built.model
    assert ours.NEG_ITEM_ID not in batch
    ours.begin_epoch(0)
    vectors, chosen = ours.inner_products(), []
    ours.negative_choice.register_forward_hook(lambda module, given, found: chosen.append(found))
    loss = ours.calculate_loss(batch)
    ((negatives, mixed),) = chosen
    assert mixed is None
    train = built.train._dataset.inter_matrix(form="csr").toarray()
    users = batch[ours.USER_ID]
    assert not train[users, negatives].any()
    assert negatives.min() > 0
    whole = Interaction({**batch.interaction, ours.NEG_ITEM_ID: negatives})
    assert torch.allclose(loss, theirs.calculate_loss(whole), rtol=1e-5)
    scores = vectors.users(users) @ vectors.items.T
    if sampler == "dns":  # the best of a pool is above the mean of what the user lacks
        assert scores.gather(1, negatives[:, None]).mean() > scores[:, 1:].mean() + scores[:, 1:].std() / 2
    if sampler == "ar":  # 2 % of 50 items is one, the best, or another where the user has it
        best = scores[:, 1:].argmax(1) + 1
        free = train[users, best] == 0
        assert torch.equal(negatives[free], best[free])


def test_what_constructors_print_for_their_authors_stays_off_the_screen(tmp_path, capsys):
    (tmp_path / "timed").mkdir()
    lines = [f"u{user}\ti{(user + step) % 9}\t{step}" for user in range(6) for step in range(5)]
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (tmp_path / "timed/timed.inter").write_text("\n".join([header, *lines]) + "\n")
    options = {"data_path": str(tmp_path), "use_gpu": False, "hidden_size": 8, "topk": [1]}
    options |= {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "valid_metric": "Recall@1"}
    assert Built("FEARec", "timed", options).model.hidden_size == 8
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("model", ["DiffRec", "LDiffRec"])
def test_time_aware_rows_are_in_the_order_of_64_bit_times(tmp_path, model):
    """Times are five seconds apart, and 32 bits hold every 128th second."""
    (tmp_path / "timed").mkdir()
    rows = [
        (user, (7 * user + 3 * step) % 40, 1_732_000_000 + 5 * step)
        for user in range(30)
        for step in range(12)
    ]
    lines = [f"u{user}\ti{item}\t{time}" for user, item, time in reversed(rows)]
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (tmp_path / "timed/timed.inter").write_text("\n".join([header, *lines]) + "\n")
    options = {"data_path": str(tmp_path), "load_col": {"inter": ["user_id", "item_id"]}, "use_gpu": False}
    built = Built(model, "timed", {**options, "time-aware": True, "w_min": 0.1, "w_max": 1.0})
    known = {(f"u{user}", f"i{item}") for user, item, _ in rows}
    for uid in range(1, built.model.n_users):
        user = built.dataset.id2token("user_id", uid)
        items = built.model.history_item_id[uid][built.model.history_item_value[uid] > 0]
        found = built.dataset.id2token("item_id", items.numpy())
        times = {f"i{item}": time for of, item, time in rows if f"u{of}" == user}
        assert {(user, item) for item in found} <= known
        assert [times[item] for item in found] == sorted(times[item] for item in found)
        weights = built.model.history_item_value[uid][: len(found)]
        assert torch.allclose(weights, torch.linspace(0.1, 1.0, len(found)))


def test_a_run_of_rounded_times_says_so_when_it_is_used(checkerboard, tmp_path, caplog):
    (tmp_path / "timed").mkdir()
    rows = (f"u{u}\ti{(7 * u + 3 * n) % 40}\t{1_732_000_000 + 5 * n}" for u in range(30) for n in range(12))
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (tmp_path / "timed/timed.inter").write_text("\n".join([header, *rows]) + "\n")
    options = {"data_path": str(tmp_path), "epochs": 1, "topk": [5], "valid_metric": "Recall@5"}
    options |= {"time-aware": True, "use_gpu": False, "run_dir": str(tmp_path / "run")}
    result = run("DiffRec", "timed", overrides=options)
    assert result["time_order"] == "64 bits"
    load_run(tmp_path / "run")
    assert "of an earlier version" not in caplog.text
    file = tmp_path / "run/result.json"
    stored = json.loads(file.read_text())
    del stored["time_order"]
    file.write_text(json.dumps(stored))
    load_run(tmp_path / "run")
    assert "is of an earlier version, which ordered a user's items for time-aware by times" in caplog.text


@pytest.mark.parametrize(("model", "layers"), [("BPR", 0), ("LightGCN", 2)])
def test_mixgcf_mixes_the_layers_of_the_model(checkerboard, model, layers):
    options = {"negative_sampler": "mixgcf", "embedding_size": 8}
    options |= {"n_layers": layers, "reg_weight": 0.5} if layers else {}
    built = Built(model, checkerboard.name, {**checkerboard.overrides, **options})
    batch, ours, chosen = built.batch(), built.model, []
    ours.negative_choice.register_forward_hook(lambda module, given, found: chosen.append(found))
    loss = ours.calculate_loss(batch)
    ((ids, mixed),) = chosen
    U, V = (table.weight.detach() for table in (ours.user_embedding, ours.item_embedding))
    if layers:
        U, V = ours.forward()
    users, items = batch[ours.USER_ID], batch[ours.ITEM_ID]
    margin = (U[users] * V[items]).sum(1) - (U[users] * mixed).sum(1)
    expected = -torch.log(1e-10 + torch.sigmoid(margin)).mean()
    if layers:
        free = ours.user_embedding(users), ours.item_embedding(items), ours.item_embedding(ids)
        expected = expected + 0.5 * ours.reg_loss(*free, require_pow=ours.require_pow).squeeze()
    assert torch.allclose(loss.squeeze(), expected, rtol=1e-5)
    loss.backward()
    moved = torch.cat([items, ids]) if layers else items  # the penalty of LightGCN has the ids too
    assert ours.item_embedding.weight.grad[moved].abs().sum(1).min() > 0


@pytest.mark.parametrize("sampler", BY_SCORES)
def test_a_model_from_outside_is_given_chosen_negatives(checkerboard, sampler):
    options = {"negative_sampler": sampler, "candidate_items": 200}
    built = Built(OutsidePairs, checkerboard.name, {**checkerboard.overrides, **options})
    batch = built.batch()
    built.model.calculate_loss(batch)
    given, users = built.model.given, batch[built.model.USER_ID]
    train = built.train._dataset.inter_matrix(form="csr").toarray()
    assert not train[users, given].any()
    assert isinstance(built.model.negatives, str)
    if sampler == "dns":  # of 200 draws among 30 items each is there
        scores = built.model.items.weight.detach().T - 99.0 * torch.from_numpy(train).clamp(max=1)
        assert torch.equal(given, scores[users, 1:].argmax(1) + 1)
    assert built.model.training


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("NGCF", {"negative_sampler": "mixgcf"}, "mixgcf makes vectors, which its loss does not take"),
        (
            "ConvNCF",
            {"negative_sampler": "ar"},
            "takes uniform, popularity, dns or null with ConvNCF; ar needs",
        ),
        ("NeuMF", {"negative_sampler": "dns"}, "NeuMF takes no negative_sampler: its loss does not compare"),
        ("EASE", {"negative_sampler": "dns"}, "EASE takes no negative_sampler"),
        ("BPR", {"negative_sampler": "hard"}, "it takes uniform | popularity"),
        ("BPR", {"negative_sampler": "dns", "hardest": 33}, "hardest is 33 but candidate_items only 32"),
        ("BPR", {"window_low": 0.3}, "window_low is 0.3 and window_high 0.2"),
    ],
)
def test_a_sampler_that_a_model_cannot_take_is_refused(model, options, message):
    with pytest.raises(UsageError) as found:
        Config(model, "ml-100k", overrides=options)
    assert message in str(found.value)


@pytest.mark.parametrize(
    ("by_popularity", "message"),
    [
        (False, "user 'b' has all 3 items, which leaves no negative to draw"),
        (True, "user 'a' has all 1 item that have interactions, so that popularity leaves no negative"),
    ],
)
def test_a_user_without_a_negative_is_named(by_popularity, message):
    dense = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 1]])[: 2 if by_popularity else 3]
    part = SimpleNamespace(uid_field="user", field2id_token={"user": ["[PAD]", "a", "b"]})
    with pytest.raises(UsageError, match=message):
        require_negatives(part, sp.csr_matrix(dense), by_popularity, "")
    require_negatives(part, sp.csr_matrix(np.eye(3)[[0, 1]]), False, "")


def test_every_sampler_is_an_option_and_the_table_names_models_of_recbole():
    assert set(MIXED) == set(SAMPLERS)
    assert all(get_model(model).input_type == InputType.PAIRWISE for model in OF_RECBOLE)


def test_a_sampled_run_goes_on_as_if_never_stopped_and_its_configuration_has_what_is_read(
    checkerboard, tmp_path
):
    common = {**checkerboard.overrides, "embedding_size": 8, "negative_sampler": "realhns", "warm_epochs": 1}
    common |= {"train_batch_size": 200, "worker": 1}  # whose loader is RecBole's without a sampler
    whole = run("LightGCN", overrides={**common, "epochs": 3, "run_dir": str(tmp_path / "whole")})
    run("LightGCN", overrides={**common, "epochs": 2, "run_dir": str(tmp_path / "half")})
    resumed = run(resume=tmp_path / "half", overrides={"epochs": 3})
    assert resumed["test"] == whole["test"]
    kept = load_yaml(tmp_path / "whole" / "config.yaml")
    names = {"negative_sampler", "candidate_items", "realhns", "window_low", "window_high", "warm_epochs"}
    assert kept.keys() & Config("LightGCN", "ml-100k").negatives.__dataclass_fields__.keys() == names


def test_without_a_sampler_nothing_is_added_to_a_run(checkerboard):
    built = Built("BPR", checkerboard.name, {**checkerboard.overrides, "ar_share": 0.5})
    assert built.model.negative_choice is None
    assert not built.config.resolved.keys() & built.config.negatives.__dataclass_fields__.keys()
    assert "no effect of ar_share (negative_sampler is null)" in built.config.notes


def test_dgcf_draws_no_more_than_there_are_of_the_fewer(tmp_path):
    folder = tmp_path / "data" / "wide"
    folder.mkdir(parents=True)
    rows = [f"u{user}\ti{(user + step) % 7}" for user in range(40) for step in range(5)]
    (folder / "wide.inter").write_text("\n".join(["user_id:token\titem_id:token", *rows]) + "\n")
    options = {"data_path": str(folder.parent), "embedding_size": 8, "n_factors": 2, "epochs": 1, "topk": [2]}
    options |= {"valid_metric": "MRR@2", "use_gpu": False, "run_dir": str(tmp_path / "run")}
    assert run("DGCF", "wide", overrides=options)["test"]  # one batch of 40 users and 7 items
