"""Evaluation in a run: RecBole's numbers from one ranking, and scores that cannot be ranked."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from recbole_diffusion import load_run, run
from recbole_diffusion.compat import (
    Collector,
    Evaluator,
    EvaluatorType,
    FullSortEvalDataLoader,
    Interaction,
    metric_types,
)
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.ratings import has_ratings
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.evaluation import candidates, search, vector_ranking
from recbole_diffusion.evaluation.lists import USER_METRICS, TopKLists
from recbole_diffusion.evaluation.metrics import RunEvaluator
from recbole_diffusion.evaluation.ranking import tie_keys
from recbole_diffusion.evaluation.rated_released import row_means
from recbole_diffusion.evaluation.rated_scores import RatedScores
from recbole_diffusion.evaluation.score_check import not_finite
from recbole_diffusion.model.recbole_models import asking
from recbole_diffusion.options.linear_term import BY_USER
from recbole_diffusion.registry import model_class
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.testing.checkerboard import write_parts
from recbole_diffusion.trainer import evaluating
from recbole_diffusion.trainer.factory import trainer_for
from recbole_diffusion.trainer.weight_choice import WEIGHTS, at_an_end, best_weight

SMALL = {"topk": [5], "valid_metric": "Recall@5"}


@pytest.fixture(scope="module")
def few_tastes(tmp_path_factory):
    """40 users and 60 items of few different counts; a tenth of a user's rows are there twice."""
    folder, draw = tmp_path_factory.mktemp("ties"), random.Random(5)
    rows = [(f"u{user}", f"i{item}") for user in range(40) for item in draw.sample(range(60), 20)]
    rows += draw.sample(rows, 80)
    (folder / "ties").mkdir()
    lines = ["user_id:token\titem_id:token", *("\t".join(row) for row in rows)]
    (folder / "ties/ties.inter").write_text("\n".join(lines) + "\n")
    return {
        "data_path": str(folder),
        "use_gpu": False,
        "allow_overlap": True,
        "load_col": {"inter": ["user_id", "item_id"]},
        **SMALL,
    }


def recall_of(trained, exclude, k=5):
    """Return the mean recall of the served lists against the run's test part."""
    lists = trained.recommend(k=k, exclude=exclude)
    items = lists.groupby("user")["item"].agg(set)
    part = trained.parts["test"]
    users, wanted = (
        part.id2token(field, part.inter_feat[field].numpy()) for field in (part.uid_field, part.iid_field)
    )
    held_out = {user: set(wanted[users == user]) for user in np.unique(users)}
    return np.mean([len(found & items[user]) / len(found) for user, found in held_out.items()])


def test_a_metric_does_not_depend_on_the_other_cut_offs_or_on_the_batch(few_tastes, tmp_path):
    options = {**few_tastes, "topk": [5], "eval_batch_size": 61 * 7}
    first = run("Pop", "ties", overrides={**options, "run_dir": str(tmp_path / "a")})
    options = {**few_tastes, "topk": [5, 26, 50]}
    second = run("Pop", "ties", overrides={**options, "run_dir": str(tmp_path / "b")})
    assert {name: second["test"][name] for name in first["test"]} == first["test"]


def test_a_model_of_pairs_is_given_few_of_a_full_ranking_at_a_time(few_tastes, tmp_path, monkeypatch):
    asked = []
    whole = model_class("FM").predict
    monkeypatch.setattr(
        model_class("FM"), "predict", lambda self, some: asked.append(len(some)) or whole(self, some)
    )
    options = {**few_tastes, "epochs": 1, "eval_args": {"mode": "full"}, "metrics": ["Recall", "NDCG"]}
    results, most = [], []
    for size in (10**6, 100):
        monkeypatch.setattr(evaluating, "PAIRS", size)
        asked.clear()
        results.append(run("FM", "ties", overrides={**options, "run_dir": str(tmp_path / f"{size}")})["test"])
        most.append(max(asked))
    assert most == [40 * 61, 100]
    assert results[0] == results[1]


@pytest.mark.parametrize("repeatable", [False, True])
@pytest.mark.parametrize("model", ["Pop", "ItemKNN"])
def test_the_history_left_out_gives_the_lists_of_the_test(few_tastes, tmp_path, model, repeatable):
    options = {**few_tastes, "repeatable": repeatable, "run_dir": str(tmp_path / "run")}
    result = run(model, "ties", overrides={**options, **({"k": 3} if model == "ItemKNN" else {})})
    assert recall_of(load_run(tmp_path / "run"), "history") == pytest.approx(
        result["test"]["recall@5"], abs=1e-6
    )


@pytest.mark.parametrize("model", ["EASE", "EDLAE"])  # which no gradient step trains
@pytest.mark.parametrize(("value", "said"), [(torch.nan, "2,500 are NaN"), (-torch.inf, "2,500 are inf")])
def test_scores_that_are_no_numbers_fail_the_run(checkerboard, tmp_path, monkeypatch, value, said, model):
    monkeypatch.setattr(
        model_class(model),
        "full_sort_predict",
        lambda self, users: torch.full((len(users), self.n_items), value),
    )
    options = {**checkerboard.overrides, **SMALL, "run_dir": str(tmp_path / "run")}
    with pytest.raises(
        RunError, match=f"{model} cannot be evaluated in epoch 0: .*{said}.*; look at the options of {model}"
    ):
        run(model, overrides=options)
    assert not (tmp_path / "run/result.json").exists()


@pytest.mark.parametrize("mode", ["full", "uni20"])
def test_weights_that_diverge_in_the_last_epoch_fail_the_run(checkerboard, tmp_path, mode, monkeypatch):
    bpr, steps = model_class("BPR"), []

    def loss(self, interaction):
        steps.append(1)
        if len(steps) == 3:
            self.item_embedding.weight.data[4] = torch.nan
        return self.item_embedding.weight[:2].sum()  # finite: nothing is seen in training

    monkeypatch.setattr(bpr, "calculate_loss", loss)
    options = {**checkerboard.overrides, "train_batch_size": 2000, "epochs": 3}
    options |= {**SMALL, "eval_args": {"mode": mode}}
    with pytest.raises(RunError, match=r"in epoch 2: .*NaN; its training .* smaller learning_rate"):
        run("BPR", overrides={**options, "run_dir": str(tmp_path / "run")})


@pytest.mark.parametrize(
    ("last", "told"), [(1, "No epoch was finished"), (2, "The last good state is in .*run")]
)
def test_a_loss_that_is_none_tells_what_is_kept(checkerboard, tmp_path, monkeypatch, last, told):
    steps = []

    def loss(self, interaction):
        steps.append(1)
        return self.item_embedding.weight[:2].sum() * (torch.nan if len(steps) == last else 1)

    monkeypatch.setattr(model_class("BPR"), "calculate_loss", loss)
    options = {**checkerboard.overrides, "train_batch_size": 2000, "epochs": 3}
    wanted = rf"loss is nan in epoch {last - 1}; try a smaller learning_rate .*\. {told}$"
    with pytest.raises(RunError, match=wanted):
        run("BPR", overrides={**options, **SMALL, "run_dir": str(tmp_path / "run")})


def test_one_score_for_all_items_of_every_user_fails_the_run(checkerboard, tmp_path, monkeypatch):
    """Users may differ; and one user whose items differ is enough."""

    def alike(self, users):
        return users[self.USER_ID].float()[:, None].repeat(1, self.n_items)

    def alike_but_for_one(self, users):
        scores = alike(self, users)
        scores[users[self.USER_ID] == 17, 3] += 1
        return scores

    options = {**checkerboard.overrides, **SMALL}
    monkeypatch.setattr(model_class("EASE"), "full_sort_predict", alike)
    with pytest.raises(RunError, match="EASE cannot be evaluated in epoch 0: for each user all items"):
        run("EASE", overrides={**options, "run_dir": str(tmp_path / "alike")})
    monkeypatch.setattr(model_class("EASE"), "full_sort_predict", alike_but_for_one)
    assert run("EASE", overrides={**options, "run_dir": str(tmp_path / "one")})["test"]["recall@5"] < 0.4


def test_unseen_items_of_which_nothing_is_known_are_chance_and_said_to_be(write_parts, tmp_path, caplog):
    """Everyone has i0 ... i3; what is held out is in no training row, and all that is unseen scores 0."""
    train = [(f"u{user}", f"i{item}") for user in range(6) for item in range(4)]
    new = [(f"u{user}", f"new{user % 3}") for user in range(6)]
    data = write_parts(train=train, valid=new[:3], test=new[3:])
    options = {**data.overrides, "topk": [3], "valid_metric": "Recall@3", "run_dir": str(tmp_path / "run")}
    assert run("ItemKNN", overrides=options)["test"]["recall@3"] == 1.0
    assert (
        "all items that the user has not seen have the same score; the metrics are those of chance"
        in caplog.text
    )


def test_a_baseline_may_score_all_items_alike(two_domains, tmp_path):
    result = run("GlobalMean", overrides={**two_domains.overrides, "run_dir": str(tmp_path / "run")})
    assert 0 < result["test"]["ndcg@5"] < 1


def test_what_is_not_finite_is_counted():
    scores = torch.tensor([[1.0, torch.nan, torch.inf], [-torch.inf, 0.0, 2.0]])
    assert not_finite(scores) == "of 6 scores, 1 is NaN and 2 are infinite"
    assert not_finite(torch.full((4,), 3e38)) == ""  # whose sum overflows


def test_popularity_is_the_number_of_training_rows_whatever_the_batch(few_tastes, tmp_path):
    found = []
    for size in (7, 4096):
        folder = tmp_path / f"run{size}"
        run("Pop", "ties", overrides={**few_tastes, "train_batch_size": size, "run_dir": str(folder)})
        trained = load_run(folder)
        rows = trained.parts["train"].inter_feat[trained.parts["train"].iid_field]
        assert trained.model.item_cnt.ravel().tolist() == torch.bincount(rows, minlength=61).tolist()
        found.append(trained.result["test"])
    assert found[0] == found[1]


def test_metrics_of_what_is_recommended_come_alone_and_with_a_tail(few_tastes, tmp_path):
    options = {**few_tastes, "valid_metric": "AveragePopularity@5", "run_dir": str(tmp_path / "run")}
    metrics = ["AveragePopularity", "TailPercentage"]
    test = run("Pop", "ties", overrides={**options, "metrics": metrics, "tail_ratio": 0.9})["test"]
    counts = np.bincount(load_run(tmp_path / "run").parts["train"].inter_feat["item_id"])[1:]
    assert counts.mean() < test["averagepopularity@5"] <= counts.max()
    assert 0 < test["tailpercentage@5"] < 0.9


RANKING = sorted(name for name, kind in metric_types.items() if kind == EvaluatorType.RANKING)
UNCORRECTED = ("recall", "ndcg", "mrr", "hit", "precision", "map")  # RecBole's digits
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
        monkeypatch.setattr("recbole_diffusion.trainer.evaluating.USERS", 7)
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


def test_predictions_of_unrated_items_are_counted_by_tables_and_not_told_by_vectors(tmp_path):
    """Zeros, which they once were, would say that nothing is predicted for them."""
    draw = random.Random(6)
    cells = [(f"u{user}", f"i{item}", draw.randint(1, 5)) for user in range(30) for item in range(40)]
    draw.shuffle(cells)
    parts = {"train": cells[:500], "valid": cells[500:600], "test": cells[600:700]}
    data = write_parts(tmp_path, "rows", parts)
    options = {**data.overrides, "rating_scale": [1, 5], "metrics": ["Recall"], "topk": [3]}
    trainer, loaders = built("MF", {**options, "valid_metric": "Recall@3"}, tmp_path / "run")
    whole_numbers(trainer.model)
    counts = []
    for by_vectors in (True, False):
        trainer.model.has_item_vectors = by_vectors
        trainer.evaluate(loaders["valid"], load_best_model=False)
        counts.append(trainer.rated.counts())
    unrated = counts[1].pop("unrated")
    assert counts[0] == counts[1]
    known = np.isin(*([user for user, _, _ in parts[part]] for part in ("train", "valid"))).sum()
    assert sum(unrated) == len(loaders["valid"].users) * 40 - known - 100


def test_a_user_s_vector_is_computed_once_for_the_list_and_the_ratings(rated_rows, tmp_path, monkeypatch):
    """That of a cold user is a transfer."""
    trainer, loaders = built("BPR", {**rated_rows, "metrics": ["Recall"]}, tmp_path / "run")
    products, asked = trainer.model.inner_products(), []
    counting = replace(products, users=lambda users: asked.append(len(users)) or products.users(users))
    monkeypatch.setattr(trainer.model, "inner_products", lambda: counting)
    assert "rated_ndcg@5" in trainer.evaluate(loaders["valid"], load_best_model=False)
    assert asked == [len(loaders["valid"].users)]


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


WEIGHED = {"hidden_size": 8, "steps": 3, "seed": 4, "linear_term": "ease", "linear_weight": "valid"}


def test_the_weight_of_the_linear_term_is_that_of_the_best_validation(few_tastes, tmp_path):
    """Against an evaluation by each weight; a run of the same weights by the chosen number is equal."""
    options = {**few_tastes, **WEIGHED, "linear_reg_weight": 2.0, "linear_k": 30}
    found = run("TVDiff", "ties", overrides={**options, "epochs": 3, "run_dir": str(tmp_path / "chosen")})
    trained = load_run(tmp_path / "chosen")
    chosen = trained.model.chosen_weight
    assert chosen == found["diagnostics"]["linear_weight"]
    by_weight = {}
    for weight in WEIGHTS:
        trained.model.chosen_weight = weight
        by_weight[weight] = trained.evaluate(["valid"])["valid"]["recall@5"]
    assert len(set(by_weight.values())) > 3
    assert by_weight[chosen] == max(by_weight.values()) == pytest.approx(found["best_valid_score"], abs=1e-4)
    lines = RunFolder(tmp_path / "chosen").metrics.read_text().splitlines()
    assert json.loads(lines[found["best_epoch"]])["linear_weight"] == chosen
    given = {"load_checkpoint": found["run_dir"] + "/best.pt", "epochs": 0, "linear_weight": chosen}
    again = run("TVDiff", "ties", overrides={**options, **given, "run_dir": str(tmp_path / "given")})
    assert (again["valid"], again["test"]) == (found["valid"], found["test"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"valid_metric": "GAUC", "metrics": ["Recall", "GAUC"]}, "valid_metric is GAUC; it takes recall,"),
        ({"eval_args": {"mode": "uni20"}}, "eval_args.mode is uni20; it needs full"),
        ({"eval_args": {"split": {"RS": [0.9, 0, 0.1]}}}, "there is no validation part"),
    ],
)
def test_a_weight_that_no_validation_can_choose_is_refused(few_tastes, tmp_path, given, told):
    with pytest.raises(UsageError, match=told):
        run("TVDiff", "ties", overrides={**few_tastes, **WEIGHED, **given, "run_dir": str(tmp_path / "run")})
    assert not (tmp_path / "run").exists()


def test_of_equal_weights_the_smallest_is_taken_and_an_end_of_the_range_is_told():
    """One user, whose second part is the same for all items: every weight ranks as the first part does."""

    class Parts(torch.nn.Module):
        USER_ID, device = "user_id", torch.device("cpu")

        def weighed_parts(self, batch):
            return torch.tensor([[0.0, 3.0, 2.0, 1.0]]), torch.ones(1, 4)

    batch = Interaction({"user_id": torch.tensor([1])})
    loader = [(batch, None, torch.tensor([0]), torch.tensor([2]))]
    weight, value = best_weight(Parts(), loader, "MRR@3")
    assert (weight, value) == (WEIGHTS[0], 0.5)
    assert at_an_end(weight) == ", the smallest tried: a number beyond it may do better"
    assert at_an_end(WEIGHTS[-1]).startswith(", the largest")
    assert at_an_end(1.0) == ""
    assert tuple(USER_METRICS) == BY_USER
