"""Numbers of a comparison against plain computations."""

import statistics

import numpy as np
import pytest
from scipy import stats
from support.finished_runs import PARTS

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.comparison import compare
from recbole_diffusion.report.comparison_table import comparison_tables
from recbole_diffusion.report.runs import read_run
from recbole_diffusion.report.tables import comma_separated

DRAW = np.random.default_rng(0)
BEST, SECOND, WORST = (DRAW.random((2, 40)) + add for add in (0.5, 0.4, 0.0))

TWO = ("test_iid", "test_ood")


@pytest.fixture
def three(make_run):
    """Three methods with two seeds each, and their users' metrics."""
    runs = []
    for model, users in (("Pop", WORST), ("TVDiff", BEST), ("EASE", SECOND)):
        runs += [
            make_run(f"{model}-{seed}", float(users[seed].mean()), seed, users[seed], model=model)
            for seed in (0, 1)
        ]
    return runs


def test_means_deviations_and_tests(three):
    found = compare(three)
    assert (found.by, found.metrics, found.best) == (
        "recall@20",
        ["recall@20", "ndcg@20"],
        {"test": "TVDiff"},
    )
    assert [method.name for method in found.ranked("test")] == ["TVDiff", "EASE", "Pop"]
    method = next(one for one in found.methods if one.name == "EASE")
    values = [float(users.mean()) for users in SECOND]
    assert method.metrics["test"]["recall@20"].mean == pytest.approx(statistics.fmean(values))
    assert method.metrics["test"]["recall@20"].deviation == pytest.approx(statistics.stdev(values))
    assert method.epoch_seconds.mean == 2.0
    p = {
        name: stats.ttest_rel(BEST.mean(0), users.mean(0)).pvalue
        for name, users in (("EASE", SECOND), ("Pop", WORST))
    }
    tests = {one.name: one.tests["test"]["p_holm"] for one in found.methods if one.tests}
    assert tests == {
        "EASE": pytest.approx(max(p["EASE"], 2 * p["Pop"]), rel=1e-4),
        "Pop": pytest.approx(2 * p["Pop"], rel=1e-3),
    }
    assert "2 comparisons" in found.about_p[-1]


def test_presets_have_a_column_where_they_differ(make_run):
    runs = [
        make_run("a", 0.1, 0, model="TVDiff", config={"steps": 5}, preset="paper"),
        make_run("b", 0.1, 1, model="TVDiff", config={"steps": 5}, preset=None),
        make_run("c", 0.2, 0, model="EASE", preset="paper"),
        make_run("d", 0.3, 0, model="Pop"),  # a result.json without the key
    ]
    (table,) = comparison_tables(compare(runs))
    assert table.columns[:3] == ["method", "preset", "seeds"]
    assert {row[0].text: row[1].text for row in table.rows} == {
        "TVDiff": "paper, -",
        "EASE": "paper",
        "Pop": "-",
    }
    (table,) = comparison_tables(compare(runs[2:3]))
    assert "preset" not in table.columns
    other = {"config": {"steps": 9}, "preset": "paper", "preset_replaced": {"steps": 5}}
    (table,) = comparison_tables(compare([runs[2], make_run("e", 0.1, 0, model="TVDiff", **other)]))
    assert {row[1].text for row in table.rows} == {"paper", "paper, but steps 9 (paper: 5)"}


def test_users_of_random_splits_are_averaged_over_splits(make_run):
    config = {"benchmark_filename": None, "eval_args": {"order": "RO"}}
    runs = []
    for seed in (0, 1):
        parts = PARTS | {"test": {"rows": 4, "fingerprint": f"{seed:016x}"}}
        for model, users in (("EASE", SECOND), ("Pop", WORST)):
            kept = users[seed][: 40 - 10 * seed]  # the second split has fewer test users
            runs.append(
                make_run(f"{model}-{seed}", kept.mean(), seed, kept, model=model, config=config, parts=parts)
            )
    tested = next(method for method in compare(runs).methods if method.name == "Pop").tests["test"]
    plain = {
        name: np.r_[users[:, :30].mean(0), users[0, 30:]]
        for name, users in (("EASE", SECOND), ("Pop", WORST))
    }  # ten users are in the first split alone
    assert tested["users"] == 40
    assert tested["p"] == pytest.approx(stats.ttest_rel(plain["EASE"], plain["Pop"]).pvalue, rel=1e-3)


def test_less_error_is_better(make_run):
    runs = [
        make_run(
            f"r{k}",
            test={"rated_mae": error, "recall@20": 0.1},
            model=model,
            config={"valid_metric": "rated_mae"},
        )
        for k, (model, error) in enumerate((("A", 0.9), ("B", 0.7)))
    ]
    found = compare(runs)
    assert (found.metrics, found.by, found.best) == (["rated_mae"], "rated_mae", {"test": "B"})
    assert [cell.best for cell in comparison_tables(found)[0].rows[0] if cell.text == "0.7000"] == [True]


def test_selection_on_test_is_marked(make_run):
    runs = [make_run("a", selection="test"), make_run("b", model="EASE", selection="test")]
    found = compare(runs)
    assert "Chosen on the test part itself: BPR, EASE." in found.notes[0]
    table = comparison_tables(found)[0]
    assert [row[table.columns.index("chosen on")].text for row in table.rows] == ["TEST", "TEST"]


def test_runs_without_users_are_named_as_not_tested(three, make_run):
    found = compare([*three, make_run("old", model="ItemKNN")])
    assert "Not tested, since recall@20 was not stored per user: ItemKNN." in found.about_p
    assert {method.name for method in found.methods if method.tests} == {"EASE", "Pop"}


def test_a_metric_of_all_users_together_is_not_said_to_be_missing(make_run):
    runs = [make_run(name, model=name, test={"giniindex@10": 0.5, "recall@10": 0.1}) for name in "AB"]
    found = compare(runs, metrics=["giniindex@10"])
    assert found.about_p == [
        "Not tested: giniindex@10 is one number of all users together, without a value for each."
    ]


def test_users_without_a_value_are_left_out(make_run):
    """A rated ranking has none for a user without relevant items."""
    kept = np.r_[np.full(3, np.nan), np.ones(37)]
    runs = [
        make_run(name, recall, 0, users[0] * kept, model=name)
        for name, recall, users in (("A", 0.9, BEST), ("B", 0.1, WORST))
    ]
    tested = next(method for method in compare(runs).methods if method.name == "B").tests["test"]
    assert tested["users"] == 37
    assert tested["p"] == pytest.approx(stats.ttest_rel(BEST[0, 3:], WORST[0, 3:]).pvalue, rel=1e-3)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"metrics": "recal@20"}, "did you mean 'recall@20'"),
        ({"by": "hit@20"}, "not every run has the metric 'hit@20'"),
    ],
)
def test_unknown_metrics(three, asked, said):
    with pytest.raises(UsageError, match=said):
        compare(three, **asked)


def test_metrics_may_be_chosen(three):
    assert compare(three, metrics="mrr@20, recall@20").metrics == ["mrr@20", "recall@20"]
    assert compare(three, metrics="all").metrics == ["recall@20", "ndcg@20", "mrr@20"]


def test_csv_holds_unrounded_numbers(three):
    lines = comma_separated(comparison_tables(compare(three))).splitlines()
    head, first = lines[0].split(","), lines[1].split(",")
    values = dict(zip(head, first, strict=True))
    assert (values["table"], values["method"], values["p (Holm)"]) == ("test", "TVDiff", "best")
    assert float(values["recall@20"]) == statistics.fmean(float(users.mean()) for users in BEST)
    assert float(values["recall@20 deviation"]) > 0


def test_runs_may_be_given_by_name_and_a_reference_be_tested_that_is_not_the_best(three):
    named = {run.model[::-1]: [one for one in three if one.model == run.model] for run in three}
    found = compare(named, reference="ESAE")
    assert [method.name for method in found.methods] == ["poP", "ffiDVT", "ESAE"]
    assert found.best == {"test": "ffiDVT"}
    tests = {method.name: method.tests["test"] for method in found.methods if method.tests}
    assert {name: row["best"] for name, row in tests.items()} == {"poP": "ESAE", "ffiDVT": "ESAE"}
    plain = stats.ttest_rel(SECOND.mean(0), BEST.mean(0)).pvalue
    assert tests["ffiDVT"]["p"] == pytest.approx(plain, rel=1e-3)
    assert tests["ffiDVT"]["difference"] == pytest.approx(SECOND.mean() - BEST.mean(), rel=1e-4)
    assert "of recall@20 against ESAE, users averaged over seeds" in found.about_p[-1]
    table = comparison_tables(found, ranked=False)[0]
    column = table.columns.index("p (Holm)")
    assert [row[0].text for row in table.rows] == ["poP", "ffiDVT", "ESAE"]
    assert table.rows[2][column].text == "reference"


def test_without_a_test_there_is_no_p(three):
    found = compare(three, test="none")
    assert not any(method.tests for method in found.methods)
    assert found.notes == []
    assert "p (Holm)" not in comparison_tables(found)[0].columns


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"reference": "EASY"}, "did you mean 'EASE'"),
        ({"test": "z"}, "it takes t, wilcoxon, bootstrap, none"),
    ],
)
def test_unknown_references_and_tests(three, asked, said):
    with pytest.raises(UsageError, match=said):
        compare(three, **asked)


def test_only_what_every_run_has_is_compared(make_run):
    runs = [
        make_run(f"r{k}", model=model, test=test)
        for k, (model, test) in enumerate(
            [
                ("A", {"recall@20": 0.3, "ndcg@20": 0.2, "mrr@20": 0.1}),
                ("B", {"hit@20": 0.5, "ndcg@20": 0.1, "recall@20": 0.2}),
            ]
        )
    ]
    assert compare(runs, metrics="all").metrics == ["recall@20", "ndcg@20"]
    with pytest.raises(UsageError, match="not every run has the metric 'mrr@20'"):
        compare(runs, metrics="mrr@20")
    alone = make_run("alone", model="C", test={"precision@20": 0.1})
    with pytest.raises(UsageError, match="no metric in common"):
        compare([*runs, alone])


def test_rated_metrics_are_shown_only_if_they_chose_the_epochs_of_every_run(make_run):
    test = {"recall@20": 0.3, "ndcg@20": 0.2, "rated_ndcg@5": 0.6}
    by_rated, by_recall = (
        make_run(model, model=model, test=test, config={"valid_metric": metric})
        for model, metric in (("A", "rated_ndcg@5"), ("B", "Recall@20"))
    )
    assert compare([by_rated]).metrics == ["rated_ndcg@5"]
    assert compare([by_rated, by_recall]).metrics == ["recall@20", "ndcg@20"]


def test_a_method_without_users_on_one_of_two_parts_is_named_as_not_tested(write_run):
    values = {"recall@20": 0.3, "ndcg@20": 0.2}
    parts = {name: {"rows": 4, "fingerprint": f"{k:016x}"} for k, name in enumerate(("train", "valid", *TWO))}
    runs = []
    for model, kept in (("A", TWO), ("B", TWO[:1])):
        path = write_run(model, model=model, test=values, parts=parts, **dict.fromkeys(TWO, values))
        columns = {f"{part}/recall@20": np.linspace(0, 1, 9, dtype=np.float32) for part in kept}
        users = {f"{part}/users": np.array([f"u{k}" for k in range(9)]) for part in kept}
        np.savez_compressed(path / "user_metrics.npz", **columns, **users)
        runs.append(read_run(path))
    assert "Not tested, since recall@20 was not stored per user: B." in compare(runs).about_p


def test_runs_that_read_another_source_or_other_features_are_told(make_run):
    def beside(ratings="a", image="b"):
        source = {"rows": 9, "fingerprint": "1" * 16, "columns": {"rating": ratings}}
        return {"source": source, "features image": {"rows": 4, "fingerprint": image}}

    runs = [
        make_run("one", model="EMCDR", beside_parts=beside()),
        make_run("two", model="CMF", beside_parts=beside()),
        make_run("earlier", model="TGT"),
    ]
    assert not [note for note in compare(runs, test="none").notes if "Not only the methods" in note]
    runs.append(make_run("three", model="SSCDR", beside_parts=beside(ratings="c", image="d")))
    notes = compare(runs, test="none").notes
    assert "Not only the methods differ: the source domain has other ratings in one and in three." in notes
    assert any("'image', features of items, are others" in note for note in notes)


@pytest.mark.parametrize(("users", "told"), [(3, True), (19, True), (20, False)])
def test_few_tested_users_are_told(make_run, users, told):
    runs = [
        make_run(model, 0.5, users=np.full(users, 0.5) + sign * np.linspace(0, 0.1, users), model=model)
        for model, sign in (("A", 0), ("B", -1))
    ]
    for run, values in zip(runs, (0.5, 0.45), strict=True):
        run.result["test"]["recall@20"] = values
    said = f"Only {users} users were tested"
    assert any(said in line for line in compare(runs).about_p) == told


def test_test_rows_that_a_run_has_learned_are_told(make_run):
    """The log of the run has said it; who reads the table has not read the log."""
    pairs = {"train & test": 15, "valid & test": 1, "train & valid": 2}
    leaky = {"overlap": {"pairs": pairs}, "config": {"allow_overlap": True}}
    runs = [make_run("A", model="A", **leaky), make_run("B", model="B", **leaky)]
    runs.append(make_run("C", model="C", origin={"seen_rows": {"valid": 2, "test": 1}}))
    notes = [note for note in compare(runs, test="none").notes if "unseen" in note]
    assert notes == [
        "Not metrics of unseen items, A, B: 15 pairs of test are in train too, and 1 pair of test is in "
        "valid too.",
        "Not metrics of unseen items, C: the weights that it began with were trained on 1 row of test.",
    ]


@pytest.mark.parametrize(
    "config",
    [
        {},  # a sequential model, whose next item may be one that the user had
        {"allow_overlap": True, "repeatable": True},
        {"allow_overlap": True, "eval_args": {"mode": {"valid": "labeled", "test": "labeled"}}},
    ],
)
def test_seen_items_that_are_ranked_by_design_are_no_caveat(make_run, config):
    run = make_run("A", model="A", overlap={"pairs": {"train & test": 15}}, config=config)
    seen = make_run("B", model="B", origin={"seen_rows": None})
    assert not [note for one in (run, seen) for note in compare([one]).notes if "unseen" in note]


def test_methods_whose_last_epoch_was_the_best_are_told(make_run):
    """As a baseline of one epoch beside a model that was trained to its end."""

    def note(**config):
        runs = [make_run(f"{len(config)}{config.get('epochs')}", model="A", config=config)]
        runs.append(make_run(f"other{config.get('epochs')}", model="B", config={"epochs": 90}))
        return [line for line in compare(runs, test="none").notes if "last epoch" in line]

    assert note(epochs=2) == [  # two epochs, of which the second was the best
        "The best validation was that of the last epoch they were given (epochs): A. More epochs may change "
        "their place."
    ]
    assert note(epochs=3) == []


def test_a_method_that_nothing_trains_has_no_last_epoch(make_run):
    run = make_run("A", model="A", config={"epochs": 2})
    for epoch in run.epochs:
        epoch["loss"] = {"total": 0.0}
    notes = compare([run, make_run("B", model="B", config={"epochs": 9})], test="none").notes
    assert not any("last epoch" in note for note in notes)


def test_a_method_that_its_seeds_do_not_change_is_told(make_run):
    """As EASE on one split: its deviation of 0 says nothing of how much a seed changes."""
    fixed = [make_run(f"EASE-{seed}", 0.5, seed, model="EASE") for seed in (1, 2, 3)]
    drawn = [make_run(f"BPR-{seed}", 0.4 + seed / 100, seed) for seed in (1, 2)]

    def told(runs):
        return [note for note in compare(runs, test="none").notes if "seed" in note]

    assert told([*fixed, *drawn]) == [
        "All runs have the same numbers: EASE. The seed changes nothing there, and a deviation of 0 is not "
        "one over seeds."
    ]
    assert told([fixed[0], *drawn]) == []  # one run has no deviation
