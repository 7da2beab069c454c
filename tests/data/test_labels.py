"""Labels: 0 and 1 in a column of their own, and columns that say the part of each row."""

import pytest

from recbole_diffusion.cli import main as cli
from recbole_diffusion.data.labelled import is_labelled, read_labelled
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.quick_start import run

ROWS = [(u, (u + step) % 20, (u + step) % 2, 10 * u + step) for u in range(12) for step in range(12)]


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a data set with labels of its own, and returns options of a run."""

    def made(label=lambda value: value, column: str = "label:float") -> dict:
        folder = tmp_path / "data" / "labels"
        folder.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"u{u}\ti{i}\t{label(value)}\t{time}\n" for u, i, value, time in ROWS)
        (folder / "labels.inter").write_text(
            f"user_id:token\titem_id:token\t{column}\ttimestamp:float\n{rows}"
        )
        return {
            "data_path": str(tmp_path / "data"),
            "runs_path": str(tmp_path / "runs"),
            "epochs": 1,
            "use_gpu": False,
        }

    return made


RANKED = {"topk": [3], "valid_metric": "Recall@3"}


@pytest.mark.parametrize("model", ["EASE", "ItemKNN", "Pop", "SASRec"])
def test_models_that_read_no_label_are_not_trained_on_zeros(write, model):
    options = {**write(), **RANKED}
    if model != "SASRec":
        options["train_neg_sample_args"] = None
    with pytest.raises(UsageError, match=f"the label 0, but {model} reads no labels here"):
        run(model, "labels", overrides=options)


def test_a_label_of_minus_one_is_no_positive(write):
    with pytest.raises(UsageError, match="72 of 144 rows of data set 'labels' the label 0"):
        run("BPR", "labels", overrides={**write(lambda value: 2 * value - 1), **RANKED})


@pytest.mark.parametrize(
    "label", [lambda value: 1 + 4 * value, lambda value: 0.2 + value, lambda value: 2 * value - 1]
)
def test_other_labels_are_refused_where_they_are_read(write, label):
    options = {**write(label), "load_col": {"inter": ["user_id", "item_id", "label"]}}
    with pytest.raises(UsageError, match="rows have a label other than 0 and 1"):
        run("FM", "labels", overrides=options)


@pytest.mark.parametrize("metric", ["AUC", "LogLoss", "MAE"])
@pytest.mark.parametrize("mode", ["uni3", "pop3", {"valid": "labeled", "test": "uni3"}])
def test_metrics_of_labels_are_refused_where_drawn_candidates_take_their_place(write, metric, mode):
    """RecBole gives held-out rows the label 1, whatever theirs is."""
    options = {**write(), "load_col": {"inter": ["user_id", "item_id", "label"]}}
    asked = {"metrics": [metric], "valid_metric": metric, "eval_args": {"mode": mode}}
    with pytest.raises(UsageError, match=r"3 gives each held-out row the label 1 .* but 72 of 144 rows"):
        run("FM", "labels", overrides={**options, **asked})


def test_a_metric_without_a_value_ends_the_run(write):
    labels = iter([1] + [0] * (len(ROWS) - 1))  # one positive, which cannot be in both held-out parts
    options = {**write(lambda _: next(labels)), "load_col": {"inter": ["user_id", "item_id", "label"]}}
    with pytest.raises(RunError, match="auc of FM cannot be computed: rows of both labels are needed"):
        run("FM", "labels", overrides=options)


@pytest.mark.parametrize(("least", "label"), [(-1, 1), (0, 1), (6, 0)])
@pytest.mark.parametrize("metrics", [["AUC"], ["LogLoss"]])
def test_a_threshold_that_parts_nothing_is_refused_where_labels_are_read(write, least, label, metrics):
    options = {**write(column="rating:float"), "threshold": {"rating": least}, "metrics": metrics}
    options["load_col"] = {"inter": ["user_id", "item_id", "rating"]}
    with pytest.raises(
        UsageError, match=f"gives all 144 rows of data set .labels. the label {label}, but FM"
    ):
        run("FM", "labels", overrides=options)


@pytest.mark.parametrize("value", [0, 1])
def test_a_column_with_one_label_alone_is_refused_where_it_is_read(write, value):
    options = {**write(lambda _: value), "load_col": {"inter": ["user_id", "item_id", "label"]}}
    with pytest.raises(UsageError, match=f"'label' gives all 144 rows .* the label {value}, but FM"):
        run("FM", "labels", overrides={**options, "metrics": ["LogLoss"]})


def test_a_threshold_below_all_values_is_told_where_no_label_is_read(write, caplog):
    options = {**write(column="rating:float"), **RANKED, "threshold": {"rating": 0}}
    options["load_col"] = {"inter": ["user_id", "item_id", "rating"]}
    run("EASE", "labels", overrides=options)
    assert "gives all 144 rows of data set 'labels' the label 1, so that it has no effect" in caplog.text


def test_split_does_not_make_positives_of_zeros(write, tmp_path, capsys):
    path = write()["data_path"]
    argv = [
        "split",
        "--dataset=labels",
        f"--data_path={path}",
        "--shift=popularity",
        f"--output={tmp_path / 'o'}",
    ]
    assert cli.main(argv) == 2
    assert "72 of 144 rows of data set 'labels' have the label 0" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_context_model_that_ranks_gets_negatives(write):
    options = {**write(column="rating:float"), **RANKED, "eval_args": {"mode": "full"}}
    found = run("FM", "labels", overrides={**options, "load_col": {"inter": ["user_id", "item_id"]}})
    assert 0 <= found["test"]["recall@3"] <= 1


def test_a_typed_column_of_parts_is_refused(write):
    with pytest.raises(UsageError, match="line 1: the column x_label has a type"):
        run("EASE", "labels", overrides={**write(column="x_label:float"), **RANKED})


def test_interactions_of_users_without_a_row_in_the_user_file_are_counted(write, tmp_path, caplog):
    options = {**write(column="rating:float"), **RANKED}
    (tmp_path / "data/labels/labels.user").write_text(
        "user_id:token\tage:float\n" + "".join(f"u{u}\t9\n" for u in range(8))
    )
    columns = {"inter": ["user_id", "item_id"], "user": ["user_id", "age"]}
    run("Pop", "labels", overrides={**options, "load_col": columns})
    assert "48 of the 144 interactions of data set 'labels' are left out" in caplog.text


@pytest.mark.parametrize(("age", "told"), [(9, False), (10, True)])
def test_contradictory_rows_of_a_user_are_told(write, tmp_path, caplog, age, told):
    options = {**write(column="rating:float"), **RANKED}
    rows = "".join(f"u{u}\t9\n" for u in range(12)) + f"u3\t{age}\n"
    (tmp_path / "data/labels/labels.user").write_text("user_id:token\tage:float\n" + rows)
    columns = {"inter": ["user_id", "item_id"], "user": ["user_id", "age"]}
    run("Pop", "labels", overrides={**options, "load_col": columns})
    assert ("has different rows for 1 user; the first of each counts" in caplog.text) == told


@pytest.mark.parametrize("shift", ["none", "popularity"])
def test_a_shift_tells_that_it_divides_given_parts_anew(write, tmp_path, caplog, shift):
    options = {**write(), **RANKED}
    rows = "".join(
        f"u{u}\ti{i}\t{0 if step < 8 else 1 + step % 2}\n"
        for step, (u, i, *_) in zip(list(range(12)) * 12, ROWS, strict=True)
    )
    (tmp_path / "data/labels/labels.inter").write_text("userID\titemID\tx_label\n" + rows)
    run("Pop", "labels", overrides={**options, "load_col": {"inter": ["user_id", "item_id"]}, "shift": shift})
    assert ("the parts in x_label have no effect: shift splits all rows anew" in caplog.text) == (
        shift != "none"
    )


@pytest.fixture
def labelled_file(tmp_path):
    def written(rows, header="userID\titemID\trating\tx_label"):
        path = tmp_path / "baby.inter"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return written


def test_rows_come_by_part(labelled_file):
    path = labelled_file(["a\tx\t1\t2", "b\ty\t1\t0", "c\tz\t1\t1", "a\ty\t1\t0"])
    assert is_labelled(path)
    frame, sizes = read_labelled(path, "user_id", "item_id")
    assert sizes == [2, 1, 1]
    assert frame.to_dict("list") == {"user_id": ["b", "a", "c", "a"], "item_id": ["y", "y", "z", "x"]}


def test_atomic_files_are_not_taken_for_labelled_ones(labelled_file, tmp_path):
    assert not is_labelled(labelled_file([], "user_id:token\titem_id:token\tx_label:float"))
    assert not is_labelled(tmp_path / "none.inter")


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (
            ["a\tx\t1\t3", "a\tx\t1\t0"],
            "userID\titemID\trating\tx_label",
            "line 2: x_label is none of 0, 1, 2",
        ),
        (["a\tx\t1\t0", "\tx\t1\t0"], "userID\titemID\trating\tx_label", "line 3: a user or item is missing"),
        (["a\tx\t1\t0", "a\tx\t1\t2"], "userID\titemID\trating\tx_label", "no row of part valid"),
        (["a\tx\t1\t0\tmore"], "userID\titemID\trating\tx_label", "baby.inter cannot be read: "),
        (
            ["a\tx\t1\t0", "a\tx\t1\t0\tmore"],
            "userID\titemID\trating\tx_label",
            "cannot be read: .* line 3, saw 5",
        ),
        (["a\tx\t1\t0"], "who\titemID\trating\tx_label", "has no column userID or user_id, only who, itemID"),
        (
            ["a\tx\t1\t0", 'a\t"y\t1\t0', "b\tx\t1\t1", 'c\t"y\t1\t2'],
            "userID\titemID\trating\tx_label",
            "row 2 below the header: a field has a line end inside",
        ),
    ],
)
def test_faults_are_named(labelled_file, rows, header, message):
    with pytest.raises(UsageError, match=message):
        read_labelled(labelled_file(rows, header), "user_id", "item_id")
