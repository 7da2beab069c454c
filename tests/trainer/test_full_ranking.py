"""A full ranking by blocks has the digits of RecBole's own loader, collector and metrics, one by one."""

import random

import numpy as np
import pytest
import torch

from recbole_diffusion.compat import Collector, Evaluator, EvaluatorType, FullSortEvalDataLoader, metric_types
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.ratings import has_ratings
from recbole_diffusion.errors import RunError
from recbole_diffusion.evaluation import candidates, search, vector_ranking
from recbole_diffusion.evaluation.lists import TopKLists
from recbole_diffusion.evaluation.metrics import RunEvaluator
from recbole_diffusion.evaluation.ranking import tie_keys
from recbole_diffusion.evaluation.rated_released import row_means
from recbole_diffusion.evaluation.rated_scores import RatedScores
from recbole_diffusion.model.recbole_models import asking
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer.factory import trainer_for

RANKING = sorted(name for name, kind in metric_types.items() if kind == EvaluatorType.RANKING)
UNCORRECTED = ("recall", "ndcg", "mrr", "hit", "precision", "map", "gauc")  # RecBole's own classes
USERS, ITEMS, TOPK = 60, 300, [1, 4, 7]
OPTIONS = {"topk": TOPK, "metrics": RANKING, "valid_metric": "Recall@4", "metric_decimal_place": 10}
PARTS = ["train", "valid", "test_iid", "test_ood"]


@pytest.fixture(scope="module")
def rated_rows(tmp_path_factory):
    """Ratings in four parts, a few pairs in two of them; the last user has seen all but five items."""
    folder, draw = tmp_path_factory.mktemp("rows"), random.Random(3)
    (folder / "rows").mkdir()
    rows = {name: [] for name in PARTS}
    for user in range(USERS):
        chosen = draw.sample(range(ITEMS), 60) if user < USERS - 1 else list(range(ITEMS - 5))
        for place, item in enumerate(chosen):
            name = PARTS[place % 10 - 6] if place % 10 > 6 else "train"
            rows[name].append((f"u{user}", f"i{item}", str(draw.randint(1, 5))))
    rows["train"] += [(f"u{item % USERS}", f"i{item}", "3") for item in range(ITEMS)]
    rows["test_iid"] += rows["train"][:20]
    for name, lines in rows.items():
        text = "\n".join(["user_id:token\titem_id:token\trating:float", *("\t".join(row) for row in lines)])
        (folder / "rows" / f"rows.{name}.inter").write_text(text + "\n")
    return {
        "data_path": str(folder),
        "use_gpu": False,
        "benchmark_filename": PARTS,
        "allow_overlap": True,
        "load_col": {"inter": ["user_id", "item_id", "rating"]},
        "rating_scale": [1, 5],
        "rm_dup_inter": None,
        **OPTIONS,
    }


def built(name, options, folder):
    """Return a trainer of an untrained model, and the loaders of valid and of the test parts."""
    config = Config(name, "rows", overrides=options)
    train, valid, tests = prepare_data(config, create_dataset(config))
    torch.manual_seed(1)
    model = config.model_class(config, train._dataset).to(config["device"])
    runs = RunFolder.create(name, "rows", str(folder), None)
    config["checkpoint_dir"] = str(runs.path)
    trainer = trainer_for(config, model, runs)
    trainer.eval_collector.data_collect(train)
    return trainer, {"valid": valid, **tests}


def without_ties(scores, users):
    """Return numbers in the order of the scores, equal ones in that of the tie rule; masked ones stay."""
    numbers = torch.full_like(scores, -torch.inf)
    for row, user in enumerate(users.tolist()):
        items = (scores[row] > -torch.inf).nonzero().view(-1)
        keys = tie_keys(torch.tensor(user), items).numpy()
        order = np.lexsort((keys, -scores[row, items].numpy()))
        numbers[row, items[order]] = torch.arange(len(items), 0, -1, dtype=scores.dtype)
    return numbers


def of_recbole(trainer, loader):
    """Return the metrics of RecBole's loader and collector, of whole tables whose order has no ties."""
    config, model, part = trainer.config, trainer.model.eval(), loader._dataset
    ours, theirs = trainer.eval_collector.data_struct, Collector(config)
    theirs.register.__dict__["rec.meanrank"] = False
    of_gauc = Collector(config.changed(metrics=["gauc"]))
    rated = RatedScores(part, config.rating, model.predicts_ratings) if has_ratings(part) else None
    with torch.no_grad():
        for batch in FullSortEvalDataLoader(config, part, loader._sampler):
            interaction, history, *positives = batch
            users = interaction[model.USER_ID]
            scores = model.full_sort_predict(asking(model, users)).view(len(users), -1).clone()
            if rated is not None:
                sums = scores[:, 1:].sum(1, dtype=torch.float64)
                rated.add_floors(users, row_means(sums, history[0], scores.shape[1] - 1))
            scores[:, 0] = scores[history] = -torch.inf
            theirs.eval_batch_collect(without_ties(scores, users), interaction, *positives)
            items = theirs.data_struct._data_dict["rec.items"][-len(users) :]
            items[scores.gather(1, items) == -torch.inf] = 0  # RecBole lists masked items too
            of_gauc.eval_batch_collect(scores, interaction, *positives)
            if rated is not None:
                rated.add(scores, users, *positives)
    struct = theirs.get_data_struct()
    struct._data_dict |= of_gauc.data_struct._data_dict | ours._data_dict
    metrics = RunEvaluator(config).evaluate(struct)
    own = [name for name in config["metrics"] if name in UNCORRECTED]
    metrics |= Evaluator(config.changed(metrics=own)).evaluate(struct)
    return metrics | {name: round(value, 10) for name, value in (rated.metrics() if rated else {}).items()}


def whole_numbers(model):
    """Set the weights to small whole numbers, so that products are exact and many scores are equal."""
    draw = torch.Generator().manual_seed(2)
    for weight in model.parameters():
        weight.data = torch.randint(-2, 3, weight.shape, generator=draw).to(weight.dtype)


@pytest.fixture(params=[1, 10**6], ids=["small blocks", "one block"])
def blocks(request, monkeypatch):
    """Blocks of seven users and tiles of fifty items, or all at once."""
    if request.param == 1:
        monkeypatch.setattr(vector_ranking, "USERS", 7)
        monkeypatch.setattr("recbole_diffusion.trainer.base.USERS", 7)
        monkeypatch.setattr(search.VectorSearch.__init__, "__defaults__", (50,))
    return {"eval_batch_size": 301 * 7 if request.param == 1 else 10**6}


@pytest.mark.parametrize("repeatable", [False, True])
@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("BPR", RANKING),
        ("BPR", [one for one in RANKING if one != "gauc"]),
        ("EASE", RANKING),
        ("Pop", RANKING),
    ],
    ids=["BPR by tables", "BPR by vectors", "EASE", "Pop"],
)
def test_each_metric_has_recboles_digits(
    rated_rows, tmp_path, name, metrics, repeatable, blocks, monkeypatch
):
    options = {**rated_rows, **blocks, "metrics": metrics, "repeatable": repeatable, "embedding_size": 3}
    options = {key: value for key, value in options.items() if key != "embedding_size" or name == "BPR"}
    trainer, loaders = built(name, options, tmp_path / "run")
    if name == "BPR":
        whole_numbers(trainer.model)
    by_vectors, tables = [], []
    plain = vector_ranking.VectorRanking.rank
    monkeypatch.setattr(
        vector_ranking.VectorRanking, "rank", lambda *given: by_vectors.append(1) or plain(*given)
    )
    for part, loader in loaders.items():
        lists = TopKLists(max(TOPK))
        found = trainer.evaluate(loader, load_best_model=False, lists=lists)
        expected = of_recbole(trainer, loader)
        assert {key: float(value) for key, value in found.items()} == {
            key: float(value) for key, value in expected.items()
        }, part
        assert lists.metric("recall", 4).mean() == pytest.approx(float(expected["recall@4"]), abs=1e-9)
        tables.append(len(lists))
    assert bool(by_vectors) == (name == "BPR" and "gauc" not in metrics)
    assert min(tables) > 40


def test_a_block_has_the_histories_and_the_held_out_items_of_recboles_loader(rated_rows, tmp_path):
    for repeatable in (False, True):
        _, loaders = built("BPR", {**rated_rows, "repeatable": repeatable}, tmp_path / str(repeatable))
        for name, ours in loaders.items():
            theirs = FullSortEvalDataLoader(ours.config, ours._dataset, ours._sampler)
            assert ours.users.tolist() == theirs.uid_list.tolist()
            for user in ours.users.tolist():
                assert ours.held_out.of(user).tolist() == sorted(theirs.uid2positive_item[user].tolist())
                assert ours.history.of(user).tolist() == sorted(theirs.uid2history_item[user].tolist()), name


def test_vectors_that_are_no_numbers_and_products_too_large_fail_the_run(rated_rows, tmp_path):
    options = {**rated_rows, "metrics": ["Recall"]}
    for number, (value, said) in enumerate([(torch.nan, "are NaN"), (3e38, "are infinite")]):
        trainer, loaders = built("BPR", options, tmp_path / str(number))
        trainer.model.item_embedding.weight.data[5] = value
        trainer.model.user_embedding.weight.data[:] = 4.0
        with pytest.raises(RunError, match=f"BPR cannot be evaluated before training: .* 60 {said}"):
            trainer.evaluate(loaders["valid"], load_best_model=False)


def test_equal_vectors_of_all_items_fail_the_run(rated_rows, tmp_path):
    trainer, loaders = built("BPR", {**rated_rows, "metrics": ["Recall"]}, tmp_path / "run")
    trainer.model.item_embedding.weight.data[:] = 1.0
    with pytest.raises(RunError, match="for each user all items have the same score"):
        trainer.evaluate(loaders["valid"], load_best_model=False)
    trainer.model.item_embedding.weight.data[7] = 2.0
    assert 0 <= trainer.evaluate(loaders["valid"], load_best_model=False)["recall@4"] < 0.5


def test_the_floor_keeps_every_cell_of_the_lists_and_few_others():
    scores = torch.randn(40, 2000, generator=torch.Generator().manual_seed(0))
    scores[3], scores[4, 10:] = -torch.inf, -torch.inf
    floor = candidates.floor_of(scores, 10)
    values, columns = candidates.cells_from(scores, floor, 10)
    assert torch.equal(values.topk(10).values, scores.topk(10).values)
    assert torch.equal(scores.gather(1, columns)[values > -torch.inf], values[values > -torch.inf])
    assert (values > -torch.inf).sum(1).double().mean() < 15
    assert candidates.floor_of(scores, 50) is None  # 400 groups of five
    assert candidates.cells_from(torch.ones(3, 50), torch.zeros(3, 1)) is None  # all of them
