"""The papers' figures: each shows what the run has recorded or its model gives, or says what is missing."""

import functools
import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import manifold
from support.small import MODALITIES, OPTIONS, with_features
from support.thermodynamics import original_thermodynamics, thermodynamics

from recbole_diffusion import load_run, run
from recbole_diffusion.data.cross_domain import ratings_of
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.rows.tvdiff_options import TVDiffOptions
from recbole_diffusion.registry import BASELINES, MODELS
from recbole_diffusion.report.figure import colour_of
from recbole_diffusion.report.paper import ratings, tvdiff
from recbole_diffusion.report.paper import thermodynamics as thermodynamics_figures
from recbole_diffusion.report.paper.ccdrec import USERS
from recbole_diffusion.report.paper.cold_users import transferred_by_method
from recbole_diffusion.report.paper_figures import PAPER_FIGURES, paper_figures
from recbole_diffusion.report.runs import read_run
from recbole_diffusion.storage.preset import read_preset
from recbole_diffusion.storage.properties import properties_path
from recbole_diffusion.storage.yaml_io import load_yaml
from recbole_diffusion.testing import FAST

PUBLISHED = {"BPR": [-500.0, 250.0]}
RATINGS = {"edges": [0, 1, 2], "rated": [3, 1], "unrated": [0, 4], "actual": [2, 2]}


def refuse(_):
    raise UsageError("no weights here")


@pytest.mark.parametrize("one", PAPER_FIGURES, ids=lambda one: one.maker)
def test_each_figure_has_its_maker_and_models(one):
    module, _, name = one.maker.partition(":")
    assert callable(getattr(importlib.import_module(f"recbole_diffusion.report.paper.{module}"), name))
    assert set(one.models) <= {*MODELS, *BASELINES}


def test_false_negatives_and_hardness_by_epoch(make_run):
    counted, without = (
        make_run("a", model="CNSDiff", config={"false_negative_part": "test"}),
        make_run("b", model="CNSDiff", seed=1),
    )
    for k, record in enumerate(counted.epochs):
        record["diagnostics"] = {
            "false_negative_rate": 0.1 * k,
            "score@5": 2.0 + k,
            "score@9": 1.0,
            "cosine_with_positive@5": 0.5,
        }
    methods = {"Pop": [make_run("c", model="Pop")], "CNSDiff": [counted, without]}
    (rates, hardness), notes = paper_figures(methods, None)
    assert [note.partition(":")[0] for note in notes] == [
        "Without accuracy by hyper-parameter (CNSDiff, Figure 4)",
        "Without false hard negatives by group (CNSDiff, Figures 1 and 6)",
    ]
    assert [panel.title for panel in rates.panels] == ["false hard negatives", "validation"]
    (series,) = rates.panels[0].series  # of the run that counted
    assert (series.x, series.y) == ((1, 2, 3), (0.0, 0.1, 0.2))
    assert series.colour == colour_of(1)  # as in the other figures of the page
    assert [series.name for series in hardness.panels[0].series] == ["step 5", "step 9"]
    assert hardness.panels[0].series[0].y == (2.0, 3.0, 4.0)


CHAIN = {"negative_sampler": "cnsdiff", "steps": 20, "start": 10, "stride": 4, "alignment_weight": 0.1}


def test_accuracy_by_option_joins_the_runs_that_differ_in_it_alone(make_run):
    def two(name, recall, **options):
        config = CHAIN | {"sampling_weight": 1e-3} | options
        return [
            make_run(f"{name}-{seed}", recall + 0.02 * seed, seed, model="CNSDiff", config=config)
            for seed in (0, 1)
        ]

    methods = {
        "usual": two("usual", 0.2),
        "long": two("long", 0.3, steps=50),
        "weak": two("weak", 0.1, sampling_weight=1e-6),
        "strong": two("strong", 0.4, sampling_weight=0.5),
        "many": two("many", 0.25, stride=2),
        "two options": two("other", 0.9, steps=100, alignment_weight=0.5),
        "uniform": two("uniform", 0.8, negative_sampler="uniform", sampling_weight=0.1),
    }
    (figure,), _ = paper_figures(methods, None)
    steps, negatives, sampling = figure.panels  # no two differ in alignment_weight alone
    for panel, x, y in (
        (steps, [20, 50], [0.21, 0.31]),
        (negatives, [3, 6], [0.21, 0.26]),  # levels 10, 14, 18 and 10, 12, ..., 20
        (sampling, [1e-6, 1e-3, 0.5], [0.11, 0.21, 0.41]),
    ):
        (line,) = panel.series
        assert (list(line.x), line.name) == (x, "test")
        assert line.y == pytest.approx(y)
        assert line.error == pytest.approx([0.02 / 2**0.5] * len(x))
    assert (steps.x_log, sampling.x_log) == (False, True)


def test_false_hard_negatives_stand_beside_accuracy_by_popularity_and_time(make_run):
    def counted(name, seed, **config):
        tables = {
            kind: [{"group": group, "recall@20": 0.1 * (group + 1) + 0.02 * seed} for group in (0, 1)]
            for kind in ("item_popularity", "interaction_time")
        }
        one = make_run(name, seed=seed, model="CNSDiff", groups={"test": tables}, config=config)
        for k, record in enumerate(one.epochs):  # the second is the chosen one
            record["diagnostics"] = {
                f"false_negative_rate@{word}_{group}": 0.1 * group + 0.01 * k + 0.02 * seed
                for word in ("popularity", "time")
                for group in (1, 2)
            }
        return one

    methods = {
        "Pop": [make_run("pop", model="Pop")],
        "CNSDiff": [counted("a", 0), counted("b", 1)],
        "without": [make_run("c", model="CNSDiff")],
    }
    figures, _ = paper_figures(methods, None)
    assert [one.title.rpartition("(")[2] for one in figures] == ["CNSDiff, Figure 1)", "CNSDiff, Figure 6)"]
    for figure in figures:
        scores, rates = figure.panels
        assert scores.series[0].y == pytest.approx([0.11, 0.21])
        assert rates.series[0].y == pytest.approx([0.12, 0.22])  # at epoch 1, mean of two seeds
        assert [list(panel.series[0].x) for panel in figure.panels] == [["1", "2"]] * 2
        assert rates.series[0].colour == colour_of(1)


def test_what_lacks_is_said(make_run):
    figures, notes = paper_figures(
        {"CNSDiff": [make_run("a", model="CNSDiff")], "TVDiff": [make_run("b", model="TVDiff")]}, None
    )
    assert figures == []
    assert len(notes) == 5
    assert "--models=false" in notes[0]
    assert "--false_negative_part=test_ood" in notes[1]
    assert "no weights here" in paper_figures({"TVDiff": [make_run("c", model="TVDiff")]}, refuse)[1][0]


def test_ratings_by_epoch_and_at_the_end(make_run):
    report = {"test": {"counts": RATINGS, "distribution": {"kl": 0.25}}}
    one = make_run("a", model="DGRM", rated=report)
    for record in one.epochs:
        record["ratings"] = RATINGS
    (by_epoch, at_the_end), notes = paper_figures({"DGRM": [one]}, None)
    assert notes == []
    rated, unrated = by_epoch.panels
    assert [series.name for series in rated.series] == ["actual", "epoch 0", "epoch 1", "epoch 2"]
    assert (rated.series[1].y, unrated.series[-1].y) == ([0.75, 0.25], [0.0, 1.0])
    assert [(series.name, series.y) for series in at_the_end.panels[0].series] == [
        ("actual", [0.5, 0.5]),
        ("DGRM, KL 0.250", [0.75, 0.25]),
    ]


CALIBRATION = {
    "edges": [1.0, 3.0, 5.0, 7.0],
    "rows": [3, 0, 1],
    "predicted": [2.0, 0.0, 6.0],
    "actual": [2.5, 0.0, 5.0],
    "error": [0.25, 0.0, 0.0],
}


def test_calibration_shows_the_bins_that_have_rows_and_how_far_they_are_off(make_run):
    report = {"test": {"counts": RATINGS, "calibration": CALIBRATION}}
    methods = {"DGRM": [make_run("a", model="DGRM", rated=report)], "BPR": [make_run("b")]}
    notes = []
    curve, sizes = ratings.calibration(methods, None, notes).panels
    line, dgrm = curve.series
    assert (line.x, line.y) == ([1.0, 7.0], [1.0, 7.0])
    assert (dgrm.name, dgrm.x, dgrm.y) == ("DGRM (0.625)", [2.0, 6.0], [2.5, 5.0])  # (3 * 0.5 + 1) / 4
    assert dgrm.error == [0.5, 0.0]
    assert (sizes.series[0].x, sizes.series[0].y) == (["1–3", "3–5", "5–7"], [3, 0, 1])
    assert notes == []
    assert ratings.calibration({"BPR": methods["BPR"]}, None, notes) is None


def test_calibration_of_an_older_run_is_computed_with_its_model(make_run):
    older = make_run("a", model="MF", rated={"test": {"counts": RATINGS}})
    loaded = SimpleNamespace(
        rated_reports=lambda parts: {part: {"calibration": CALIBRATION} for part in parts}
    )
    notes = []
    assert ratings.calibration({"MF": [older]}, lambda _: loaded, notes).panels[0].title.startswith("test: ")
    assert notes == []
    assert ratings.calibration({"MF": [older]}, None, notes) is None
    assert "Calibration lacks MF: the run is older than this figure" in notes[0]


def test_first_and_last_epoch_are_among_those_shown():
    records = [{"epoch": epoch} for epoch in range(40)]
    shown = [record["epoch"] for record in ratings.evenly_spaced(records)]
    assert (shown[0], shown[-1], len(shown)) == (0, 39, ratings.MOST_EPOCHS)
    assert ratings.evenly_spaced(records[:1]) == records[:1]


def test_shares_sum_to_one_or_are_nothing():
    assert ratings.shares([3, 1]) == [0.75, 0.25]
    assert ratings.shares([0, 0]) == [0.0, 0.0]


@pytest.mark.parametrize(("model", "how"), [("TVDiff", "l1"), ("LightGCN", "softmax")])
def test_energy_and_entropy_are_those_of_the_model(checkerboard, tmp_path, monkeypatch, model, how):
    small = {"hidden_size": 8} if model == "TVDiff" else {"embedding_size": 8}
    options = {**checkerboard.overrides, "epochs": 1, "topk": [5], "valid_metric": "Recall@5", **small}
    run(model, overrides={**options, "run_dir": str(tmp_path / "run")})
    loaded = load_run(tmp_path / "run")
    record = type("Record", (), {"model": model, "path": tmp_path})()
    (figure,), notes = paper_figures({model: [record]}, lambda _: loaded)
    assert notes == []
    monkeypatch.setattr(
        thermodynamics_figures, "published", lambda: {3: {loaded.config["dataset"]: PUBLISHED}}
    )
    (again, released), _ = paper_figures({model: [record]}, lambda _: loaded)
    assert again.panels[2].series[1].x == figure.panels[2].series[1].x
    from recbole_diffusion.data.graph import binary_interactions
    from recbole_diffusion.sampler.interaction_csr import InteractionCSR

    matrix = binary_interactions(loaded.parts["train"])
    positives = InteractionCSR.from_scipy(matrix)
    found = thermodynamics(
        lambda ids: loaded.model.full_sort_predict({"user_id": ids}).view(len(ids), -1), positives, how=how
    )
    original = original_thermodynamics(positives)
    energies, entropies, away = figure.panels
    of_model = away.series[1]
    assert (away.series[0].x, away.series[0].y) == ([0.0], [0.0])
    assert of_model.x[0] == pytest.approx((found.energy - original.energy) / found.users, rel=1e-6)
    assert of_model.y[0] == pytest.approx((found.entropy - original.entropy) / found.users, rel=1e-6)
    for panel in (energies, entropies):
        assert all(sum(series.y) == pytest.approx(1) for series in panel.series)
    found = thermodynamics(
        lambda ids: loaded.model.full_sort_predict({"user_id": ids}).view(len(ids), -1),
        positives,
        how=how,
        reading="released",
    )
    original = original_thermodynamics(positives, "released")
    (away,) = released.panels
    of_paper, of_model = away.series
    assert (of_paper.name, of_paper.x) == ("paper, BPR", [-500 / found.users])
    assert of_paper.y == [250 / found.users]
    assert of_model.x[0] == pytest.approx((found.energy - original.energy) / found.users, rel=1e-6)
    assert of_model.y[0] == pytest.approx((found.entropy - original.entropy) / found.users, rel=1e-6)


def test_embeddings_and_negatives_of_ccdrec(checkerboard, tmp_path, monkeypatch):
    # The fewest iterations that it takes: where the points end is not asked for.
    monkeypatch.setattr(manifold, "TSNE", functools.partial(manifold.TSNE, max_iter=250))
    data = with_features(checkerboard)
    options = {**data.overrides, **OPTIONS, "steps": 8, "epochs": 1, "topk": [5], "valid_metric": "Recall@5"}
    options |= {"curriculum_interval": 2, "curriculum_end": 8, "candidate_ratio": 0.5}
    run("CCDRec", overrides={**options, "run_dir": str(tmp_path / "run")})
    loaded = load_run(tmp_path / "run")
    record = type("Record", (), {"model": "CCDRec", "path": tmp_path})()
    before = torch.random.get_rng_state()
    (embeddings, negatives), notes = paper_figures({"CCDRec": [record]}, lambda _: loaded)
    assert notes == []
    assert torch.equal(before, torch.random.get_rng_state())
    untrained, trained = embeddings.panels
    kinds = ["item", *MODALITIES, "fused item", "scored item", "user"]
    for panel in (untrained, trained):
        assert [series.name for series in panel.series] == kinds * USERS
        assert {len(series.x) for series in panel.series} == {20, 1}  # 20 training items a user, and the user
    assert untrained.series[0].x != trained.series[0].x
    steps = [f"negatives, step {step} of 8" for step in (6, 4, 2, 0)]
    assert [[series.name for series in panel.series] for panel in negatives.panels] == [
        [*steps, "positive items", "user"]
    ] * 2
    assert all(np.isfinite(series.x).all() for panel in negatives.panels for series in panel.series)


@pytest.fixture
def cold_user_run(two_domains, tmp_path):
    """Return a function that trains a model of cold users; it returns the result, the run and its record."""

    def trained(model, **more):
        options = {**FAST, "epochs": 1, "mf_epochs": 2, "stage_cache": str(tmp_path / "cache"), **more}
        folder = tmp_path / f"{model} {len(more)}"
        result = run(model, overrides={**two_domains.overrides, **options, "run_dir": str(folder)})
        return result, load_run(folder), read_run(folder)

    return trained


def test_transferred_users_of_diffcdr(cold_user_run):
    result, loaded, record = cold_user_run("DiffCDR", hidden_size=8)
    figures, notes = paper_figures({"DiffCDR": [record]}, lambda _: loaded)
    assert notes == []
    assert [one.name for one in figures] == [
        "cold and warm users",
        "transferred by method",
        "transferred users",
    ]
    figure = figures[-1]
    names = ["source users", "1 evaluation", "5 evaluations", "30 evaluations", "aligned"]
    told = list(result["diagnostics"]["distance_to_target"].values())[
        : len(names)
    ]  # and one mean vector, which is no panel
    assert [panel.title for panel in figure.panels] == [
        f"{name}, distance {far:.3f}" for name, far in zip(names, told, strict=True)
    ]
    many = len(loaded.model.shared)
    for panel in figure.panels:
        truth, made = panel.series
        assert (len(truth.x), len(made.x)) == (many, many)
        assert truth.x == figure.panels[0].series[0].x
        assert made.x != truth.x


def test_methods_of_the_same_target_factors_share_a_figure(cold_user_run):
    made = {
        "EMCDR": cold_user_run("EMCDR"),
        "PTUPCDR": cold_user_run("PTUPCDR"),
        "no biases": cold_user_run("EMCDR", bias=False),
    }
    one, other = transferred_by_method(
        {name: loaded for name, (_, loaded, _) in made.items()}, {"EMCDR": 0, "PTUPCDR": 1, "no biases": 2}
    )
    model, part = made["EMCDR"][1].model, made["EMCDR"][1].parts["test"]
    training, test = one.panels
    names = [series.name.split(",")[0] for series in training.series]
    assert names == ["target users", "EMCDR", "PTUPCDR"]
    assert [series.name.split(",")[0] for series in other.panels[0].series] == ["target users", "no biases"]
    assert len(training.series[0].x) == len(model.shared)
    # The target vector of a test user is a ridge regression on the hidden ratings.
    rows, items = ratings_of(part), model.target.item_vectors().detach().double()
    users, gaps = torch.unique(rows.users), []
    assert len(test.series[0].x) == len(users)
    for user in users:
        own = rows.users == user
        v, offsets = items[rows.items[own]], model.target.item_offsets().detach().double()
        penalty = torch.full((v.shape[1],), float(own.sum()) * model.options.mf_reg_weight).double()
        penalty[-1] = model.options.mf_bias_reg_weight
        right = v.T @ (rows.ratings[own] - offsets[rows.items[own]])
        truth = torch.linalg.solve(v.T @ v + torch.diag(penalty), right)
        gaps.append((model.cold_vectors(user[None])[0] - truth).norm().item())
    assert test.series[1].name == f"EMCDR, {np.mean(gaps):.3f}"


def test_errors_before_and_after_the_warm_start_by_method(make_run):
    runs = {
        "EMCDR": [
            make_run(
                str(seed),
                model="EMCDR",
                seed=seed,
                test_cold={"rated_mae": 0.8 + seed / 10, "rated_rmse": 1.0},
                test_warm={"rated_mae": 0.7, "rated_rmse": 0.9},
            )
            for seed in (0, 2)
        ]
    }
    (figure, *_), _ = paper_figures(runs, None)
    cold, warm = figure.panels[0].series
    assert (cold.x, cold.y, warm.y) == (["EMCDR"], [pytest.approx(0.9)], [pytest.approx(0.7)])
    assert (cold.error, warm.error) == ([pytest.approx(0.02**0.5)], [0.0])
    figures, notes = paper_figures({"TGT": [make_run("none", model="TGT")]}, None)
    assert figures == []
    assert "--warm_start_share" in notes[0]


BASE = {"denoiser": "anisotropic", "entropy_loss": "bpr", "negative_sampler": "uniform", "gamma": 0.5}
BASE |= {"batch_by": "interaction", "temperature": 5.0, "steps": 5, "topology": "symmetric"}
BASE |= {"noise_scale": 1e-4, "noise_min": 5e-4, "noise_max": 5e-3, "hidden_size": 1000}


def test_tv_diffs_figures_hold_runs_that_differ_in_one_option_against_the_papers_numbers(make_run):
    def method(name, recalls, **options):
        config = {**BASE, **options}
        return [
            make_run(f"{name}-{seed}", recall, seed, model="TVDiff", dataset="lastfm", config=config)
            for seed, recall in enumerate(recalls)
        ]

    by_user = {"batch_by": "user", "entropy_loss": "bce", "epochs": 400}
    methods = {
        "base": method("base", [0.3, 0.32]),
        "bce": method("bce", [0.29], **by_user),
        "two": method("two", [0.28], steps=2),
        "nine": method("nine", [0.27], steps=9),
        "bounds": method("bounds", [0.26], noise_min=1e-3),
        "both": method("both", [0.2], steps=2, noise_min=1e-3),
        "hard": method("hard", [0.31], negative_sampler="ar_gsp"),
        "harder": method("harder", [0.33], negative_sampler="ar_gsp", gamma=0.06),
        "LightGCN": [make_run("other", model="LightGCN", dataset="lastfm")],
    }
    figures, notes = paper_figures(methods, None)
    assert [note for note in notes if "Figures 4 to 11" in note] == []
    of = {figure.name: figure for figure in figures}
    assert sorted(of) == [f"tv-diff figure {number}" for number in (10, 4, 5, 7, 8)]
    recall, ndcg = of["tv-diff figure 8"].panels
    paper, *here = recall.series
    assert recall.ticks[1] == ["2", "5", "10", "40", "50", "100", "9"]
    assert (paper.name, paper.y[:2]) == ("paper", (0.30893, 0.31327))
    assert ndcg.series[0].y[0] == 0.29465
    assert [(one.name, one.x) for one in here] == [
        ("here, noise_min=0.0005", (0, 1, 6)),
        ("here, noise_min=0.001", (0, 1)),
    ]
    assert here[0].y == pytest.approx((0.28, 0.31, 0.27))
    assert here[0].error == pytest.approx([0.0, 0.0141421, 0.0], rel=1e-4)
    views = of["tv-diff figure 4"].panels[0]
    assert views.ticks[1] == ["vanilla", "I", "I+II", "I+II+III"]
    assert [series.name for series in views.series] == ["paper", "here"]
    assert (views.series[1].x, views.series[1].y) == ((2, 3), pytest.approx((0.31, 0.31)))
    assert "row of DiffRec" in of["tv-diff figure 4"].note
    assert of["tv-diff figure 5"].panels[0].series[1].x == (1, 2)
    assert of["tv-diff figure 7"].panels[0].ticks[1][-1] == "0.5"
    pairs = of["tv-diff figure 10"].panels[0]
    assert pairs.ticks[1][:3] == ["0.0005, 0.005", "0.0005, 0.01", "0.001, 0.005"]
    assert pairs.series[1].x == (0, 2)


def test_tv_diffs_figures_say_what_they_lack(make_run):
    one = {"a": [make_run("a", model="TVDiff", config=BASE)]}
    assert tvdiff.varied(one, {"a": 0}) == []
    two = {**one, "b": [make_run("b", 0.3, model="TVDiff", config={**BASE, "entropy_loss": "nll"})]}
    two["c"] = [make_run("c", model="TVDiff", config={**BASE, "entropy_loss": "nll", "batch_by": "user"})]
    entropy = {figure.name: figure for figure in tvdiff.varied(two, {"a": 0, "b": 1, "c": 2})}[
        "tv-diff figure 5"
    ]
    assert [series.name for series in entropy.panels[0].series] == ["here"]
    assert entropy.panels[0].series[0].y == pytest.approx((0.2, 0.3))
    assert "no numbers for toy" in entropy.note
    assert "at the same place: c." in entropy.note


def test_the_papers_numbers_are_there_for_each_figure_and_name_points_that_can_be_run():
    found = tvdiff.published()
    assert list(found) == list(range(3, 12))
    for one in tvdiff.FIGURES:
        for rows in found[one.number].values():
            for text, values in rows.items():
                assert len(values) == len(tvdiff.METRICS)
                assert all(0 < value < 1 for value in values)
                point = tvdiff.parsed(text)
                assert isinstance(point, str) or len(point) == len(one.names), text
    options = TVDiffOptions.__dataclass_fields__
    for number, name in ((5, "entropy_loss"), (11, "topology")):
        for rows in found[number].values():
            assert set(rows) <= set(options[name].metadata["choices"])


@pytest.mark.parametrize("name", ["paper", "released"])
def test_the_presets_have_the_points_of_the_papers_table_1(name):
    """Its recall@20 on LastFM is that of T = 5, on Amazon-Beauty of one temperature and pair of bounds."""
    table = {"lastfm": (0.3133, {8: ["steps"]}), "amazon-beauty": (0.1475, {})}
    table["amazon-beauty"][1].update({6: ["temperature"], 8: ["steps"], 10: ["noise_min", "noise_max"]})
    defaults = load_yaml(properties_path() / "model/TVDiff.yaml")
    for dataset, (recall, figures) in table.items():
        options = {**defaults, **read_preset(name, "TVDiff", dataset).options}
        for number, names in figures.items():
            rows = tvdiff.published()[number][dataset]
            point = {tvdiff.parsed(text): row for text, row in rows.items()}[
                tuple(options[one] for one in names)
            ]
            assert point[0] == pytest.approx(recall, abs=6e-5), (dataset, number)
