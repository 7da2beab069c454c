"""Reading finished runs, refused by name where damaged; numbers of different rules never in one table."""

import pytest
from support.finished_runs import PARTS

from recbole_diffusion.compat import smaller_metrics
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.report.compared_metrics import SMALLER, smaller_is_better
from recbole_diffusion.report.comparison import compare
from recbole_diffusion.report.comparison_table import comparison_tables
from recbole_diffusion.report.protocols import of_one_meaning
from recbole_diffusion.report.runs import find_folders, read_run, read_runs

PART = {"rows": 1, "fingerprint": "f" * 16}


def test_a_run_is_read_whole(make_run):
    run = make_run("BPR-3", recall=0.25, seed=3, users=[0.0, 1.0])
    assert (run.model, run.seed, run.selection, run.valid_metric) == ("BPR", 3, "validation", "recall@20")
    assert run.test_parts == {"test": run.result["test"]}
    assert [record["epoch"] for record in run.epochs] == [0, 1, 2]
    assert run.users["test"]["recall@20"].tolist() == [0.0, 1.0]


def test_two_test_parts(make_run):
    run = make_run(
        test_iid={"recall@20": 0.1},
        test_ood={"recall@20": 0.2},
        parts=dict.fromkeys(("train", "test_iid", "test_ood"), PART),
    )
    assert list(run.test_parts) == ["test_iid", "test_ood"]


def test_a_test_part_beside_its_halves(make_run):
    """All hidden ratings of cold users, and the later half before and after a warm start."""
    halves = {"test_cold": {"recall@20": 0.1}, "test_warm": {"recall@20": 0.2}}
    run = make_run(recall=0.3, **halves, parts=dict.fromkeys(("train", "valid", "test", *halves), PART))
    assert run.test_parts == {"test": run.result["test"], **halves}


def test_a_run_without_metrics_by_user_or_epoch(make_run, write_run):
    path = write_run("copy")
    (path / "metrics.jsonl").unlink()
    run = read_run(path)
    assert run.epochs == []
    assert run.users is None


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (lambda path: (path / "result.json").unlink(), UsageError, "has not ended.*--resume="),
        (lambda path: (path / "config.yaml").unlink(), UsageError, "config.yaml is missing"),
        (
            lambda path: (path / "result.json").write_text('{"model": "BPR'),
            RunError,
            "result.json is damaged.*make it again with --resume=.*BPR-0",
        ),
        (
            lambda path: (path / "config.yaml").write_text("a: [b"),
            RunError,
            "the run in .*BPR-0 cannot be used: .*not valid YAML",
        ),
        (
            lambda path: (path / "config.yaml").write_text(""),
            RunError,
            "the run in .*BPR-0 cannot be used: .*names no model",
        ),
        (
            lambda path: (path / "result.json").write_text("[]"),
            RunError,
            "it is not an object; make it again with --resume=",
        ),
        (
            lambda path: (path / "result.json").write_text('{"model": "BPR"}'),
            RunError,
            "dataset, valid.* missing.*--resume=",
        ),
        (
            lambda path: (path / "metrics.jsonl").open("a").write('{"epoch'),
            RunError,
            "metrics.jsonl, line 4 is damaged.*--resume=",
        ),
        (lambda path: (path / "sweep.json").write_text("{}"), UsageError, "is a sweep"),
    ],
)
def test_what_is_wrong_is_said(write_run, spoil, error, said):
    path = write_run()
    spoil(path)
    with pytest.raises(error, match=said):
        read_run(path)


def test_a_metric_that_is_no_number_is_damage(write_run):
    with pytest.raises(RunError, match="test recall@20 is nan"):
        read_run(write_run(test={"recall@20": float("nan")}))


def test_a_run_without_test_part(write_run):
    with pytest.raises(UsageError, match="not evaluated on a test part"):
        read_run(write_run(test=None))


@pytest.mark.parametrize(
    ("users", "told"),
    [([0.9, 0.7], "0.8"), ([1.0, float("nan")], "nan"), ([1.0, float("inf")], "inf"), ([1.0], "1")],
)
def test_metrics_by_user_with_another_mean_than_the_result_are_refused(make_run, users, told):
    run = make_run(users=users, recall=0.5, metrics_version=2)
    with pytest.raises(
        RunError, match=rf"does not belong to result\.json .* recall@20 on test is {told} as .* 0\.5"
    ):
        _ = run.users


@pytest.mark.parametrize(("digits", "recall"), [(6, 0.333333), (1, 0.3)])
def test_metrics_by_user_have_the_mean_of_the_result_but_for_rounding(make_run, digits, recall):
    config = {"metric_decimal_place": digits}
    run = make_run(users=[1.0, 0.0, 0.0], recall=recall, metrics_version=2, config=config)
    assert run.users["test"]["recall@20"].tolist() == [1.0, 0.0, 0.0]


def test_damaged_metrics_by_user(make_run):
    run = make_run(users=[1.0, 0.0])
    (run.path / "user_metrics.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(RunError, match=r"user_metrics\.npz.*--resume="):
        _ = run.users


def test_a_folder_of_runs_points_to_glob(write_run):
    with pytest.raises(UsageError, match=r"1 run is inside, such as 'BPR-0': use --glob="):
        read_run(write_run().parent)


def test_folders_are_found_once(write_run, tmp_path):
    first, second = write_run("a"), write_run("b")
    (tmp_path / "runs" / "a-file").write_text("")
    assert find_folders([second], str(tmp_path / "runs" / "*")) == [second, first]
    for words in (([], None), ([], str(tmp_path / "nothing*"))):
        with pytest.raises(UsageError, match="--glob"):
            find_folders(*words)


def test_unfinished_runs_are_left_out_where_asked(write_run):
    first, second = write_run("a"), write_run("b")
    (second / "result.json").unlink()
    runs, left_out = read_runs([first, second], skip_unfinished=True)
    assert [run.path for run in runs] == [first]
    assert left_out == ["b is left out: no run has ended there"]
    with pytest.raises(UsageError, match="has not ended"):
        read_runs([first, second])


@pytest.mark.parametrize("lines", [[0], [0, 1, 1], [0, 2, 1]])
def test_epochs_that_are_missing_or_twice_are_refused(write_run, lines):
    folder = write_run("BPR-3")
    text = "".join(f'{{"epoch": {number}}}\n' for number in lines)
    (folder / "metrics.jsonl").write_text(text)
    with pytest.raises(
        RunError, match=rf"metrics.jsonl is damaged: it has {len(lines)} epochs?, .*result.json 2"
    ):
        read_run(folder)


FULL = {"eval_args": {"mode": {"valid": "full", "test": "full"}}}
LABELLED = {"eval_args": {"mode": {"valid": "labeled", "test": "labeled"}}}
SAMPLED = {"eval_args": {"mode": {"valid": "full", "test": "uni20"}}}

DIFFERENT = {
    "sampled": (FULL, SAMPLED, 2, 2, "all items ranked, .*mode uni20"),
    "sampled, the test part unnamed": ({}, {"eval_args": {"mode": {"valid": "uni9"}}}, 2, 2, "mode uni9"),
    "sampled in an old form": ({}, {"eval_args": {"mode": "pop50"}}, 2, 2, "mode pop50"),
    "other labels": (
        {**LABELLED, "threshold": {"rating": 3}},
        {**LABELLED, "threshold": {"rating": 4}},
        2,
        2,
        "labels by threshold {'rating': 3}.*labels by threshold {'rating': 4}",
    ),
    "labels of another column": (
        LABELLED,
        {**LABELLED, "LABEL_FIELD": "liked"},
        2,
        2,
        "labels of the column 'label'.*of the column 'liked'",
    ),
    "repeatable": ({"repeatable": False}, {"repeatable": True}, 2, 2, "earlier items ranked too"),
    "versions": (FULL, FULL, 1, 2, "version 1.*version 2.*run the older ones again"),
    "no version": (FULL, FULL, None, 2, "version 1.*version 2"),
}


@pytest.mark.parametrize("case", DIFFERENT)
@pytest.mark.parametrize("named", [False, True])
def test_runs_of_different_rules_are_refused(make_run, case, named):
    *configs, first, second, said = DIFFERENT[case]
    versions = [{} if one is None else {"metrics_version": one} for one in (first, second)]
    runs = [
        make_run(model, 0.2, 0, model=model, config=config, **version)
        for model, config, version in zip(("EASE", "BPR"), configs, versions, strict=True)
    ]
    with pytest.raises(UsageError, match=f"different rules cannot be compared: EASE .*{said}"):
        compare({run.model: [run] for run in runs} if named else runs)


def test_items_drawn_by_an_earlier_version_never_stand_beside_those_of_today(make_run):
    old = make_run("old", model="A", config=SAMPLED)
    new = make_run("new", model="B", config=SAMPLED, candidates_seed=0)
    said = r"old \(.*items drawn by an earlier version.*; new \(.*or run the older ones again"
    with pytest.raises(UsageError, match=said):
        compare([old, new])
    (note,) = compare([old, make_run("old-C", model="C", config=SAMPLED)]).notes
    assert "An earlier version drew the items beside the held-out ones anew in each run" in note
    assert compare([new, make_run("new-C", model="C", config=SAMPLED, candidates_seed=0)]).notes == []
    (note,) = compare([new, make_run("new-D", 0.2, 7, model="D", config=SAMPLED, candidates_seed=7)]).notes
    assert "of which the methods have others: B 0; D 7." in note
    mixed = [make_run(f"full-{k}", model=f"M{k}", config=FULL, **more) for k, more in enumerate(({}, {}))]
    assert compare(mixed).notes == []


def test_lists_made_of_different_items_are_told_or_refused(make_run):
    listed = {"recall@5": 0.5, "itemcoverage@5": 0.4}
    one = make_run("one", model="A", items=45, test=listed, valid=listed)
    two = make_run("two", model="B", items=600, test=listed, valid=listed)
    (first, second) = compare([one, two], metrics="all").notes
    assert "lists are made of different numbers of items, one of 45; two of 600." in first
    assert second == "Left out, since the runs differ in the number of items: itemcoverage@5."
    earlier = make_run("earlier", model="C", test=listed, valid=listed)
    assert compare([one, earlier]).notes == []
    drawn = {"config": SAMPLED, "candidates_seed": 0}
    runs = [make_run(f"s{items}", model=f"M{items}", items=items, **drawn) for items in (45, 600)]
    said = r"cannot be compared: s45 \(45 items\); s600 \(600 items\); load the same .item file"
    with pytest.raises(UsageError, match=said):
        compare(runs)
    assert compare([runs[0], make_run("s", model="E", items=45, **drawn)]).notes == []
    by_rows = {
        "config": {"eval_args": {"mode": "pop50"}},
        "candidates_seed": 0,
    }  # never draws one without rows
    runs = [make_run(f"p{items}", model=f"P{items}", items=items, **by_rows) for items in (45, 600)]
    assert compare(runs).notes == []


def test_an_earlier_run_whose_items_are_ordered_by_rounded_times_is_told(make_run):
    config = {"time-aware": True}
    runs = [
        make_run("old", model="DiffRec", config=config),
        make_run("new", 0.3, 1, model="DiffRec", config=config, time_order="64 bits"),
        make_run("other", model="EASE"),
    ]
    (note,) = compare(runs).notes
    assert note.startswith("DiffRec: 1 run of an earlier version, whose time-aware orders items by times")
    assert compare(runs[1:]).notes == []


def test_rules_that_are_the_same_in_other_words_are_one(make_run):
    configs = ({}, FULL, {"eval_args": {"mode": "full"}}, {"eval_args": None, "repeatable": False})
    mixed = {"eval_args": {"mode": {"valid": "uni20", "test": "full"}}}  # chosen otherwise, judged alike
    runs = [make_run(f"r{k}", model=f"M{k}", config=config) for k, config in enumerate((*configs, mixed))]
    assert len(compare(runs).methods) == 5


def test_metrics_that_an_option_changes_are_left_out_where_the_option_differs(make_run):
    test = {"recall@20": 0.2, "tailpercentage@20": 0.1, "rated_mae": 0.7}
    runs = [
        make_run(model, model=model, test=test, config={"tail_ratio": tail, "rating_scale": scale})
        for model, tail, scale in (("A", 0.1, [1, 5]), ("B", 0.2, [1.0, 5.0]))
    ]
    found = compare(runs, metrics="all")
    assert found.metrics == ["recall@20", "rated_mae"]
    assert "Left out, since the runs differ in tail_ratio: tailpercentage@20." in found.notes
    with pytest.raises(UsageError, match="not every run has the metric 'tailpercentage@20'"):
        compare(runs, metrics="tailpercentage@20")


def test_metrics_of_other_ratings_are_left_out(make_run):
    """Equal pairs are one split; the ratings of the test rows have a fingerprint of their own."""
    test = {"recall@20": 0.2, "rated_mae": 0.7}
    runs = [make_run(model, model=model, test=test, config={"rating_scale": [1, 5]}) for model in "ABC"]
    for run, ratings in zip(runs, ("0a", "0b", "0a"), strict=True):
        parts = {name: dict(part) for name, part in run.result["parts"].items()}
        parts["test"]["columns"] = {"rating": ratings}
        run.result["parts"] = parts
    found = compare(runs, metrics="all")
    assert found.metrics == ["recall@20"]
    assert "Left out, since the runs differ in the ratings of the test rows: rated_mae." in found.notes
    assert compare(runs[::2], metrics="all").metrics == [*test]


def test_seeds_with_splits_of_their_own_have_other_ratings_and_one_meaning(make_run):
    """Other pairs have other ratings: that says nothing about the ratings of equal pairs."""
    test = {"recall@20": 0.2, "rated_mae": 0.7}
    for mode, more in {"full": {}, "labeled": LABELLED}.items():
        config = {**more, "rating_scale": [1, 5]}
        runs = [
            make_run(f"{mode}-{seed}", model="A", seed=seed, test=test, config=config) for seed in range(2)
        ]
        for run, digits in zip(runs, ("0a", "0b"), strict=True):
            parts = {name: dict(part) for name, part in run.result["parts"].items()}
            parts["test"] |= {"fingerprint": digits, "columns": {"rating": digits, "label": digits}}
            run.result["parts"] = parts
        assert compare(runs, metrics="all").metrics == [*test]


def test_other_labels_of_equal_pairs_are_refused(make_run):
    runs = [make_run(f"A-{seed}", model="A", seed=seed, config=LABELLED) for seed in range(2)]
    for run, digits in zip(runs, ("0a", "0b"), strict=True):
        parts = {name: dict(part) for name, part in run.result["parts"].items()}
        parts["test"]["columns"] = {"label": digits}
        run.result["parts"] = parts
    with pytest.raises(UsageError, match="A-0 and A-1 have the same test rows with other labels"):
        compare(runs)


def test_errors_of_two_read_outs_never_stand_in_one_table(make_run):
    test = {"recall@20": 0.2, "rated_mae": 0.7, "rated_rmse": 0.9}
    runs = [
        make_run(model, model=model, test=test, config={"rating_scale": [1, 5], **option})
        for model, option in (("A", {"readout": "ordinal"}), ("B", {}), ("C", {"readout": "raw"}))
    ]
    found = compare(runs, metrics="all")
    assert found.metrics == ["recall@20"]
    assert "Left out, since the runs differ in readout: rated_mae, rated_rmse." in found.notes
    assert compare(runs[1:], metrics="all").metrics == [*test]


def test_what_recbole_calls_smaller_is_smaller_here():
    assert set(smaller_metrics) | {"mse"} == SMALLER
    for name in ("GiniIndex@10", "averagepopularity@5", "LogLoss", "MAE", "rated_rmse", "rated_mse"):
        assert smaller_is_better(name)
    for name in ("recall@10", "rated_ndcg@5", "auc", "itemcoverage@10", "shannonentropy@10"):
        assert not smaller_is_better(name)


def test_the_smaller_loss_and_the_smaller_inequality_are_the_best(make_run):
    runs = [
        make_run(model, model=model, test={"logloss": loss, "giniindex@20": gini, "auc": 0.6})
        for model, loss, gini in (("A", 0.6, 0.7), ("B", 0.5, 0.9))
    ]
    found = compare(runs, metrics="all", by="LogLoss")
    assert (found.by, found.best["test"]) == ("logloss", "B")
    (table,) = comparison_tables(found)
    best = {row[0].text: [cell.text for cell in row if cell.best] for row in table.rows}
    assert best == {"B": ["0.5000", "0.6000"], "A": ["0.7000", "0.6000"]}


def test_making_the_model_is_part_of_the_cost(make_run):
    seconds = {"load": 1.0, "train": 0.5, "valid": 1.0, "test": 1.0}
    old = make_run("a", model="BPR", seconds=seconds)
    (table,) = comparison_tables(compare([old]))
    assert "build s" not in table.columns
    new = make_run("b", model="EASE", seconds={**seconds, "build": 7.25})
    found = compare([old, new])
    (table,) = comparison_tables(found)
    column = table.columns.index("build s")
    assert {row[0].text: row[column].text for row in table.rows} == {"BPR": "", "EASE": "7.25"}
    assert {method.name: method.cost_seconds for method in found.methods} == {"BPR": 0.5, "EASE": 7.75}


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({}, "are the same: BPR with seed 0 and equal options"),
        ({"recall@20": 0.3}, "equal options, but not the same: test recall@20 is 0.2 and 0.3"),
        ({"hit@20": 0.5}, r"one run evaluated by different metrics \(only one has test hit@20\)"),
    ],
)
def test_two_runs_are_the_same_only_if_their_metrics_are(make_run, second, said):
    runs = [make_run("a", test={"recall@20": 0.2}), make_run("b", test={"recall@20": 0.2, **second})]
    with pytest.raises(UsageError, match=f"{said}.*leave one out"):
        compare(runs)


def test_runs_of_one_seed_on_other_splits_are_not_said_to_be_of_other_versions(make_run):
    cut = int(PARTS["train"]["fingerprint"], 16), int(PARTS["test"]["fingerprint"], 16)
    prints = {"train": cut[0] + 9, "test": cut[1] - 9 + 2**64 if cut[1] < 9 else cut[1] - 9}
    parts = PARTS | {name: {"rows": 4, "fingerprint": f"{one:016x}"} for name, one in prints.items()}
    runs = [
        make_run("a", 0.1, config={"split_seed": 7}),
        make_run("b", 0.2, config={"split_seed": 8}, parts=parts),
    ]
    with pytest.raises(UsageError, match="different splits") as refused:
        compare(runs)
    assert "versions" not in str(refused.value)


def test_metrics_by_popularity_are_left_out_where_the_rows_of_train_differ(make_run):
    test = {"recall@20": 0.2, "averagepopularity@20": 9.0, "tailpercentage@20": 0.1, "giniindex@20": 0.5}
    latest = {**PARTS, "train": {"rows": 4, "fingerprint": f"{8:016x}"}}
    latest["valid"] = {"rows": 4, "fingerprint": f"{5:016x}"}
    one = make_run("a", model="EASE", test=test)
    same, other = make_run("b", model="Pop", test=test), make_run("c", model="Pop", test=test, parts=latest)
    assert "averagepopularity@20" in compare([one, same], metrics="all").metrics
    metrics, notes = of_one_meaning(list(test), [one, other])
    assert metrics == ["recall@20", "giniindex@20"]
    assert (
        "the rows of train, by which items are popular: averagepopularity@20, tailpercentage@20" in notes[0]
    )


def test_metrics_that_a_run_has_rounded_are_told(make_run):
    runs = [make_run("a", model="EASE"), make_run("b", model="Pop", config={"metric_decimal_place": 2})]
    told = [note for note in compare(runs).notes if "rounded" in note]
    assert told == ["Pop: its metrics are rounded to 2 digits (metric_decimal_place)."]
