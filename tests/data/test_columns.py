"""Columns of the wrong type, rows without ids, gaps and labels that nothing reads are refused or told."""

from pathlib import Path

import numpy as np
import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.columns import labels_are_read
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.errors import UsageError

COLUMNS = {"user_id": "token", "item_id": "token", "rating": "float", "label": "float", "place": "token"}
SMALL = {"topk": [2], "valid_metric": "MRR@2", "use_gpu": False}
CTR = {
    "eval_args": {"mode": "labeled"},
    "metrics": ["AUC"],
    "valid_metric": "AUC",
    "train_neg_sample_args": None,
}
PAIR = ["user_id", "item_id"]


@pytest.fixture
def toy(tmp_path):
    """Return a function that writes 10 users x 12 of 20 items, with other types, values or columns."""

    def written(name="toy.inter", head=(), values=(), more=()):
        folder = tmp_path / "data" / "toy"
        folder.mkdir(parents=True, exist_ok=True)
        types, changed = COLUMNS | dict(head), dict(values)
        rows = []
        for row in range(120):
            user, item = row // 12, (row // 12 + row % 12) % 20
            cells = {
                "user_id": f"u{user}",
                "item_id": f"i{item}",
                "rating": row % 5 + 1,
                "label": int(row % 5 > 2),
                "place": ("NO", "SE", "12")[row % 3],
            }
            rows.append("\t".join(str(changed.get((row, field), cells[field])) for field in COLUMNS))
        header = "\t".join(f"{field}:{types[field]}" for field in COLUMNS)
        (folder / name).write_text("\n".join([header, *rows, *more]) + "\n")
        return {"dataset": "toy", "data_path": str(folder.parent), **SMALL}

    return written


def made(options, model="BPR", **more):
    return create_dataset(Config(model, overrides={**options, **more}))


def prepared(options, model="BPR", **more):
    config = Config(model, overrides={**options, **more})
    dataset = create_dataset(config)
    prepare_data(config, dataset)
    return dataset


@pytest.mark.parametrize("column", ["rating", "label"])
@pytest.mark.parametrize("model", ["BPR", "DGRM", "FM"])
def test_a_rating_or_label_of_tokens_is_refused(toy, column, model):
    columns = {"load_col": {"inter": [*PAIR, column]}}
    message = (
        rf"toy.inter, line 1: the column '{column}' is token, but .*_FIELD takes float; write {column}:float"
    )
    with pytest.raises(UsageError, match=message):
        made(
            toy(head={column: "token"}),
            model,
            **columns,
            **(CTR if model == "FM" else {"rating_scale": [1, 5]}),
        )


def test_an_id_of_numbers_is_refused(toy):
    with pytest.raises(UsageError, match="the column 'item_id' is float, but ITEM_ID_FIELD takes token"):
        made(toy(head={"item_id": "float"}, values={(row, "item_id"): row for row in range(120)}))


def test_rows_without_user_and_rows_without_item_go_and_no_others(toy, caplog):
    empty = {
        (3, "user_id"): "",
        (4, "item_id"): "",
        (70, "item_id"): "",
        (9, "user_id"): "",
        (9, "item_id"): "",
    }
    dataset = made(toy(values=empty), load_col={"inter": [*PAIR, "rating"]}, normalize_all=False)
    kept = [row % 5 + 1 for row in range(120) if row not in (3, 4, 9, 70)]
    assert dataset.inter_feat["rating"].tolist() == kept
    assert (dataset.user_num, dataset.item_num) == (11, 21)
    assert (dataset.inter_feat[PAIR] > 0).all(axis=None)
    assert "toy.inter, line 5, 6, 11, 72: 4 rows without user or item are left out" in caplog.text


@pytest.mark.parametrize("field", PAIR)
def test_the_token_of_recboles_padding_is_no_id(toy, field):
    with pytest.raises(
        UsageError, match=rf"toy.inter, line 22: '\[PAD\]' in the column '{field}' is RecBole's id of no user"
    ):
        made(toy(values={(20, field): "[PAD]"}))


@pytest.mark.parametrize(
    ("twin", "other"),
    [
        *((twin, "1") for twin in ("1 ", " 1", "1\u00a0", "1.0", "01", "0001", "'1", "1\u200b", "\u20601")),
        ("1.25e+03", "1250"),
        ("Ann@x.org", "ann@x.org"),
        ("Cafe\u0301", "caf\u00e9"),
    ],
)
def test_ids_that_look_alike_are_told(toy, caplog, twin, other):
    items = {(row, "item_id"): twin if row == 5 else other for row in (5, 17, 18)}
    dataset = made(toy(values=items))
    assert dataset.item_num == 23  # 20, both names, and the padding
    assert (
        "1 id of item_id differs from another one only in blanks, quotes, the form of a number, leading "
        f"zeros, capitals or the form of a letter, such as {twin!r} and {other!r}" in caplog.text
    )


@pytest.mark.parametrize(("name", "told"), [("9.0072E+15", True), ("9.0072e+15", False), ("B00E+1", False)])
def test_ids_that_a_spreadsheet_has_rounded_are_told(toy, caplog, name, told):
    made(toy(values={(row, "item_id"): name for row in (5, 17)}))
    text = f"1 id of item_id has the form that a spreadsheet gives to long numbers, such as {name!r}"
    assert (text in caplog.text) == told


@pytest.mark.parametrize("field", PAIR)
def test_an_id_of_blanks_is_refused(toy, field):
    with pytest.raises(
        UsageError, match=rf"toy.inter, line 22: '  ' in the column '{field}' is an id of blanks alone"
    ):
        made(toy(values={(20, field): "  "}), load_col={"inter": PAIR})


def test_parts_with_rows_without_ids_are_refused(toy):
    for part in ("train", "valid", "test"):
        options = toy(f"toy.{part}.inter", values={(8, "item_id"): ""} if part == "valid" else {})
    with pytest.raises(
        UsageError, match=r"toy.valid.inter, line 10: 1 row of the parts has no user or no item"
    ):
        made(options, benchmark_filename=["train", "valid", "test"], load_col=None)


def test_a_row_of_users_or_items_without_an_id_goes(toy, tmp_path, caplog):
    options = toy()
    (tmp_path / "data/toy/toy.item").write_text("item_id:token\tsize:float\ni1\t1\n\t7\ni2\t2\n")
    columns = {"inter": PAIR, "item": "*"}
    dataset = made(options, load_col=columns, filter_inter_by_user_or_item=True, normalize_all=False)
    assert dataset.item_feat["size"].tolist()[1:] in ([1, 2], [2, 1])
    assert "1 row of the .item file of data set toy has no id, and is left out" in caplog.text


@pytest.mark.parametrize("asked", [["NO"], [12, "NO"], ["12"]])
def test_a_list_of_tokens_may_name_numbers(toy, asked):
    dataset = made(toy(), load_col={"inter": [*PAIR, "place"]}, val_interval={"place": asked})
    assert set(dataset.field2id_token["place"]) == {"[PAD]", *map(str, asked)}


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ({"place": [False, "SE"]}, r"val_interval.place' is \[False, 'SE'\]; it takes tokens, in quotes"),
        ({"place": "[3,inf)"}, "the column 'place' is token; it takes a list of tokens"),
        ({"rating": ["3"]}, r"the column 'rating' is float; it takes an interval in quotes"),
        ({"nothing": "[3,inf)"}, "val_interval names the column 'nothing', which is not loaded"),
    ],
)
def test_a_filter_that_does_not_fit_its_column_is_refused(toy, intervals, message):
    with pytest.raises(UsageError, match=message):
        made(toy(), load_col=None, val_interval=intervals)


READ = [
    ("BPR", {}, False),
    ("EASE", {}, False),
    ("TVDiff", {}, False),
    ("NeuMF", {}, False),
    ("NeuMF", {"train_neg_sample_args": None}, True),
    ("FM", CTR, True),
    ("FM", {**CTR, "train_neg_sample_args": {"distribution": "uniform"}}, True),
    ("BPR", {"eval_args": {"mode": "labeled"}, "metrics": ["AUC"], "valid_metric": "AUC"}, True),
]


@pytest.mark.parametrize(("model", "options", "read"), READ)
def test_which_runs_read_labels(toy, model, options, read):
    given = {**toy(), "load_col": {"inter": [*PAIR, "rating"]}, "threshold": {"rating": 4}, **options}
    assert labels_are_read(Config(model, overrides=given)) is read
    if read:
        prepared(given, model)
        return
    message = (
        rf"threshold .*'rating': 4.* gives 72 of 120 rows of data set 'toy' the label 0, but {model} reads "
        r"no labels here: .*--val_interval=.*rating: '\[4,inf\)'.* --load_col=.*\[user_id, item_id, rating\]"
    )
    with pytest.raises(UsageError, match=message):
        prepared(given, model)
    filtered = {**given, "threshold": None, "val_interval": {"rating": "[4,inf)"}, "LABEL_FIELD": "none"}
    assert len(prepared(filtered, model).inter_feat) == 48


@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "not loaded"])
def test_a_column_of_labels_that_nothing_reads_is_refused(toy, loaded):
    columns = {"load_col": {"inter": [*PAIR, *(["label"] if loaded else [])]}}
    with pytest.raises(UsageError, match=r"the column 'label' gives 72 of 120 rows .* BPR reads no labels"):
        prepared(toy(), **columns)
    positive = {"load_col": {"inter": [*PAIR, "label"]}, "val_interval": {"label": "[1,inf)"}}
    assert len(prepared(toy(), **positive).inter_feat) == 48
    assert len(prepared(toy(), **columns, LABEL_FIELD="clicked").inter_feat) == 120
    prepared(toy(), "FM", **CTR, load_col={"inter": [*PAIR, "label"]})


def test_columns_of_labels_that_are_no_labels_or_all_positive_do_not_matter(toy):
    for values in ({(row, "label"): 1 for row in range(120)}, {(0, "label"): 0.5}):
        assert len(prepared(toy(values=values), load_col={"inter": PAIR}).inter_feat) == 120


def test_a_ranking_by_a_model_that_reads_labels_is_told(toy, caplog):
    given = {
        "load_col": {"inter": [*PAIR, "rating"]},
        "threshold": {"rating": 4},
        "train_neg_sample_args": None,
    }
    prepared(toy(), "NeuMF", **given)
    assert "the label 0, but a ranking counts held-out ones as hits too" in caplog.text


@pytest.mark.parametrize("field", ["rating", "place"])
def test_labels_are_not_made_of_gaps_or_tokens(toy, field):
    options = toy(values={(7, "rating"): ""})
    given = {
        "load_col": {"inter": [*PAIR, "rating", "place"]},
        "threshold": {field: 4},
        "normalize_all": False,
    }
    message = {
        "rating": r"line 9: no value in the column 'rating' \(1 row\), but threshold makes labels of it",
        "place": "threshold names the column 'place', which is token",
    }
    with pytest.raises(UsageError, match=message[field]):
        made(options, "NeuMF", **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threshold": {"rating": 3}}, "threshold names the column 'rating', which is not loaded; add it to"),
        ({"normalize_field": ["place"]}, "normalize_field names the column 'place', which is not loaded"),
        (
            {
                "threshold": {"rating": 3},
                "load_col": {"inter": [*PAIR, "rating"]},
                "normalize_field": ["rating"],
            },
            "normalize_field names the column 'rating', of which threshold makes labels; leave it out",
        ),
    ],
)
def test_a_column_that_is_not_there_is_named_with_the_option_that_names_it(toy, given, message):
    columns = {"load_col": {"inter": PAIR}, "normalize_all": None, "LABEL_FIELD": "liked"}
    with pytest.raises(UsageError, match=message):
        made(toy(), "NeuMF", **{**columns, **given})


def test_filters_of_a_labelled_file_are_told(toy, tmp_path, caplog):
    options = toy()
    rows = [f"u{user}\ti{(user + item) % 9}\t{max(0, item - 4)}" for user in range(9) for item in range(7)]
    (tmp_path / "data/toy/toy.inter").write_text("\n".join(["userID\titemID\tx_label", *rows]) + "\n")
    prepared(options, user_inter_num_interval="[2,inf)", rm_dup_inter="first", eval_args={"order": "TO"})
    said = "the parts of x_label in the file are taken as they are: no effect of user_inter_num_interval, "
    assert f"{said}rm_dup_inter, eval_args.order" in caplog.text


def test_options_of_a_shift_without_one_are_told(toy, caplog):
    prepared(toy(), load_col={"inter": [*PAIR, "label"]}, LABEL_FIELD="none", shift_ratio=0.3)
    assert "shift is none: no effect of shift_ratio" in caplog.text


def test_gaps_stay_gaps_in_written_parts(toy, tmp_path):
    from recbole_diffusion.data.split_files import write_parts

    empty = {(row, "rating"): "" for row in range(0, 120, 3)}
    dataset = made(
        toy(values=empty), shift="popularity", load_col={"inter": [*PAIR, "rating"]}, normalize_all=False
    )
    rows = dataset.rows_of_parts()
    files = [tmp_path / f"part{number}" for number in range(4)]
    write_parts(dataset, rows, files)
    found = [line.split("\t")[2] for file in files for line in file.read_text().splitlines()[1:]]
    source = ["" if row % 3 == 0 else str(row % 5 + 1) for row in range(120)]
    assert found == [source[row] for row in np.concatenate(rows)]


def test_parts_are_written_with_a_long_separator(toy, tmp_path):
    from recbole_diffusion.data.split_files import write_parts

    options = toy(values={(0, "place"): '"one", two'})
    file = tmp_path / "data/toy/toy.inter"
    file.write_text(file.read_text().replace('"', "'").replace("\t", "::"))
    given = {"shift": "popularity", "load_col": {"inter": [*PAIR, "place"]}, "field_separator": "::"}
    dataset = made(options, **given)
    write_parts(dataset, [np.arange(120)], [tmp_path / "part"])
    lines = (tmp_path / "part").read_text().splitlines()
    assert lines[:2] == ["user_id:token::item_id:token::place:token", "u0::i0::'one', two"]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            "BPR",
            {"alias_of_user_id": ["friend"]},
            "alias_of_user_id names the column 'friend', which is not loaded",
        ),
        (
            "BPR",
            {"alias_of_item_id": ["rating"]},
            "alias_of_item_id names the column 'rating', which is float",
        ),
        ("SASRec", {"ITEM_LIST_LENGTH_FIELD": "item_id"}, "ITEM_LIST_LENGTH_FIELD is 'item_id', a column of"),
        ("SASRec", {"LIST_SUFFIX": ""}, "LIST_SUFFIX is '', but a history needs another name"),
        ("SASRec", {"LIST_SUFFIX": None}, "LIST_SUFFIX is None, but a history needs another name"),
        (
            "SASRec",
            {"ITEM_LIST_LENGTH_FIELD": "place_list"},
            "'place_list', the name of the history of 'place'",
        ),
    ],
)
def test_names_of_columns_that_cannot_be_are_refused(toy, model, options, message):
    data = {**toy(), "load_col": None, "TIME_FIELD": "rating"}
    with pytest.raises(UsageError, match=message):
        made(data, model, **options)


def test_options_for_columns_that_are_not_there_are_told(toy, caplog):
    cut = {"tags": 3, "item_id": 2}
    made(toy(), unload_col={"inter": ["label", "place", "rank"]}, load_col=None, seq_len=cut)
    assert "no effect of unload_col for rank: " in caplog.text
    assert "no effect of seq_len for tags: no such column is loaded" in caplog.text
    assert "no effect of seq_len for item_id: it cuts columns of sequences" in caplog.text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"load_col": {"inter": PAIR}}, True),
        ({"load_col": {"inter": [*PAIR, "rating"]}, "unused_col": {"inter": ["rating"]}}, True),
        ({"load_col": {"inter": [*PAIR, "rating"]}}, False),
    ],
)
def test_a_scale_without_ratings_is_told(toy, caplog, options, told):
    made(toy(), rating_scale=[1, 5], **options)
    assert ("no effect of rating_scale: data set 'toy' has no ratings here" in caplog.text) == told


def test_what_val_interval_cannot_filter_is_refused_or_told(toy, tmp_path, caplog):
    options = toy()
    items = ["item_id:token\tkinds:token_seq", *(f"i{number}\ta b" for number in range(20))]
    (tmp_path / "data/toy/toy.item").write_text("\n".join(items) + "\n")
    loaded = {"load_col": {"inter": [*PAIR, "place"], "item": ["item_id", "kinds"]}}
    message = "val_interval names the column 'kinds', which is token_seq; it takes columns of one number or"
    with pytest.raises(UsageError, match=message):
        made(options, **loaded, val_interval={"kinds": ["a"]})
    found = made(options, **loaded, val_interval={"place": ["NO", "SW", 12]})
    assert "val_interval.place has 1 token that no row of data set 'toy' has: SW" in caplog.text
    assert len(found.inter_feat) == 80


@pytest.mark.parametrize("dropped", [True, False])
def test_interactions_without_features_are_told_whether_they_go_or_stay(toy, tmp_path, caplog, dropped):
    options = toy()
    items = ["item_id:token\tyear:float", *(f"i{number}\t{1980 + number}" for number in range(20))]
    (tmp_path / "data/toy/toy.item").write_text("\n".join(items) + "\n")
    given = {"load_col": {"inter": PAIR, "item": ["item_id", "year"]}, "val_interval": {"year": "[1990,inf)"}}
    found = made(options, **given, filter_inter_by_user_or_item=dropped)
    early = sum((row // 12 + row % 12) % 20 < 10 for row in range(120))
    assert len(found.inter_feat) == (120 - early if dropped else 120)
    what = "are left out" if dropped else "have a user or an item without a row"
    assert f"{early} of the 120 interactions of data set 'toy' {what}" in caplog.text


def test_a_label_that_is_not_loaded_and_no_number_is_named_with_its_line(toy):
    with pytest.raises(UsageError, match=r"toy.inter, line 5: found 'no' in the column 'label'"):
        made(toy(values={(3, "label"): "no"}), load_col={"inter": PAIR})


@pytest.mark.parametrize("filtered", [False, True])
def test_numbers_that_are_filled_with_the_mean_are_told(toy, caplog, filtered):
    empty = {(row, "rating"): "" for row in (3, 14, 60)}
    given = {"val_interval": {"rating": "(-inf,inf)"}} if filtered else {}
    prepared(toy(values=empty), load_col={"inter": [*PAIR, "rating"]}, LABEL_FIELD="none", **given)
    said = "data set 'toy': 3 rows have no value in the column 'rating' and get the mean of the others"
    assert (said in caplog.text) != filtered


@pytest.mark.parametrize("read", [True, False])
def test_numbers_of_items_that_are_filled_with_the_mean_are_told(priced, caplog, read):
    file = Path(priced["data_path"], "toy/toy.item")
    file.write_text(file.read_text().replace("\t0.3\n", "\t\n"))
    columns = {"item": FEATURES["item"], "inter": [*PAIR, "label"]}
    features = {"selected_features": ["kind"], "numerical_features": ["price"] if read else []}
    prepared(priced, "SASRecF", load_col=columns, **features)
    said = "data set 'toy': 1 of the 20 rows of item_id has no value in the column 'price' and gets the mean"
    assert (said in caplog.text) == read


@pytest.mark.parametrize("value", ["inf", "-1e39"])
def test_infinite_numbers_are_refused_with_their_lines(toy, value):
    options = {**toy(values={(3, "rating"): value}), "load_col": {"inter": [*PAIR, "rating"]}}
    message = r"toy.inter, line 5: .* in the column 'rating' \(1 such row\) is no number to compute with"
    with pytest.raises(UsageError, match=message):
        made(options)
    assert len(made(options, val_interval={"rating": "(-1e38,1e38)"}).inter_feat) == 119
    assert len(made(options, unused_col={"inter": ["rating"]}).inter_feat) == 120  # nothing computes with it


def test_a_run_whose_column_has_infinite_numbers_that_it_does_not_read_is_used_further(toy):
    """An earlier version has trained it; neither its data nor its options can be others now."""
    options = {**toy(values={(3, "rating"): "inf"}), "load_col": {"inter": [*PAIR, "rating"]}}
    assert len(create_dataset(Config("BPR", overrides=options, stored=True)).inter_feat) == 120


FEATURES = {"item": ["item_id", "kind", "price"], "inter": [*PAIR, "rating"]}


@pytest.fixture
def priced(toy):
    """Return the options of data with times and a file of items: a kind of tokens, and a price."""
    options = toy(head={"label": "float"}, values={(row, "label"): row for row in range(120)})
    rows = [f"i{item}\t{'ab'[item % 2]}\t{item / 10}" for item in range(20)]
    folder = Path(options["data_path"], "toy")
    (folder / "toy.item").write_text("\n".join(["item_id:token\tkind:token\tprice:float", *rows]) + "\n")
    return options | {"TIME_FIELD": "label", "LABEL_FIELD": "liked"}


def test_features_of_items_that_a_model_reads_are_taken(priced):
    columns = {"item": FEATURES["item"], "inter": [*PAIR, "label"]}
    features = {"selected_features": ["kind", "price"], "numerical_features": ["price"]}
    assert prepared(priced, "SASRecF", load_col=columns, **features).item_feat is not None


@pytest.mark.parametrize(("named", "told"), [([], True), (["price"], False)])
def test_columns_of_numbers_that_no_option_names_are_told(priced, caplog, named, told):
    prepared(priced, "FM", load_col=FEATURES, numerical_features=named, threshold={"rating": 3}, **CTR)
    assert (
        "FM reads the columns of numbers that numerical_features names, and not price" in caplog.text
    ) == told


def test_columns_of_a_file_that_is_not_there_are_told(toy, caplog):
    made(toy(), load_col={"inter": PAIR, "item": ["item_id", "kind"]})
    assert "no effect of load_col.item (item_id, kind): " in caplog.text
    assert "toy.item is not there" in caplog.text


@pytest.mark.parametrize(
    ("columns", "numbers", "read"),
    [
        ([*PAIR, "place"], [], "place"),
        ([*PAIR, "place", "rating"], ["rating"], "rating, place"),
        ([*PAIR, "rating"], [], None),
    ],
)
def test_a_ranking_of_all_items_refuses_what_only_interactions_have(toy, columns, numbers, read):
    ranked = {"eval_args": {"mode": "full"}, "metrics": ["MRR"], "LABEL_FIELD": "liked"}
    options = toy() | {"load_col": {"inter": columns}, "numerical_features": numbers, **ranked}
    if read is None:
        prepared(options, "FM")
        return
    with pytest.raises(
        UsageError, match=f"mode full ranks all items, but FM reads {read} of each interaction"
    ):
        prepared(options, "FM")
    prepared(options | {"eval_args": {"mode": "uni5"}}, "FM")
    unused = {"unused_col": {"inter": ["place", "rating"]}}
    prepared(options | unused, "FM")


@pytest.fixture
def twins(toy):
    """Return options of users and items who both have an age and a name, beside ratings of both."""
    options = toy()
    folder = Path(options["data_path"], "toy")
    for kind, letter, count in (("user", "u", 10), ("item", "i", 20)):
        rows = [f"{letter}{row}\t{row}\t{kind}{row}\t{row % 5}" for row in range(count)]
        head = f"{kind}_id:token\tage:float\tname:token\trating:float"
        (folder / f"toy.{kind}").write_text("\n".join([head, *rows]) + "\n")
    return options


@pytest.mark.parametrize(
    ("model", "column", "given"),
    [
        ("BPR", "name", {}),
        ("BPR", "age", {"numerical_features": ["age"]}),
        ("FM", "age", {"threshold": {"rating": 3}, **CTR}),
    ],
)
def test_a_column_that_users_and_items_both_have_is_refused_where_it_is_read(twins, model, column, given):
    """RecBole joins that of the items to each row in place of the users', and fails on tokens."""
    columns = {"inter": [*PAIR, "rating"], "user": ["user_id", column], "item": ["item_id", column]}
    given = {"LABEL_FIELD": "liked", **given}
    message = f"the column '{column}' is in the files .user and .item; RecBole .* reads that of .item: give"
    with pytest.raises(UsageError, match=message):
        made(twins, model, load_col=columns, **given)
    made(twins, model, load_col={**columns, "user": ["user_id"]}, **given)  # in one file alone


def test_a_filter_by_a_column_that_two_files_have_is_refused(twins):
    """RecBole would filter the items by theirs, and keep each interaction whatever its rating."""
    columns = {
        "load_col": {"inter": [*PAIR, "rating"], "item": ["item_id", "rating"]},
        "LABEL_FIELD": "liked",
    }
    with pytest.raises(UsageError, match=r"the column 'rating' is in the files \.inter and \.item"):
        made(twins, **columns, val_interval={"rating": "[4,inf)"})


def test_a_column_of_numbers_that_two_files_have_is_told_where_nothing_reads_it(twins, caplog):
    columns = {"load_col": {"inter": PAIR, "user": ["user_id", "age"], "item": ["item_id", "age"]}}
    made(twins, **columns)
    assert "the column 'age' is in the files .user and .item" in caplog.text


def test_vectors_of_one_name_that_nothing_reads_are_told(twins, tmp_path, caplog):
    for kind, letter, count in (("user", "u", 10), ("item", "i", 20)):
        rows = [f"{letter}{row}\t{row} 1{' 2' * (kind == 'item')}" for row in range(count)]
        text = "\n".join([f"{kind}_id:token\tvec:float_seq", *rows]) + "\n"
        (tmp_path / f"data/toy/toy.{kind}").write_text(text)
    columns = {"load_col": {"inter": PAIR, "user": ["user_id", "vec"], "item": ["item_id", "vec"]}}
    prepared({**twins, "LABEL_FIELD": "liked"}, **columns)
    assert "the column 'vec' is in the files .user and .item" in caplog.text
    with pytest.raises(UsageError, match="the column 'vec' is in the files"):
        made({**twins, "LABEL_FIELD": "liked"}, **columns, numerical_features=["vec"])


def test_numbers_of_a_further_file_need_not_be_finite(toy, tmp_path):
    options = toy()
    rows = [f"i{row}\t{'inf' if row == 3 else row}" for row in range(20)]
    (tmp_path / "data/toy/toy.more").write_text("\n".join(["other_id:token\tsize:float", *rows]) + "\n")
    given = {
        "load_col": {"inter": PAIR, "more": ["other_id", "size"]},
        "additional_feat_suffix": ["more"],
        "alias_of_item_id": ["other_id"],
        "numerical_features": ["size"],
    }
    assert len(made(options, LABEL_FIELD="liked", **given).more_feat) == 20


def test_items_may_not_have_a_column_of_the_users_name(twins, tmp_path):
    items = ["item_id:token\tuser_id:token", *(f"i{row}\tu{row % 10}" for row in range(20))]
    (tmp_path / "data/toy/toy.item").write_text("\n".join(items) + "\n")
    with pytest.raises(UsageError, match=r"the column 'user_id' is in the files \.inter and \.item"):
        made(twins, load_col={"inter": PAIR, "item": ["item_id", "user_id"]})


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({3: "inf"}, r"column 'price' .*, which has no number to compute with for item_id i3 \(1 such row\)"),
        (dict.fromkeys(range(20), ""), "names the column 'price' .*, in which no row has a number; leave it"),
    ],
)
@pytest.mark.parametrize("kind", ["float", "float_seq"])
def test_a_feature_that_is_no_number_is_refused_and_no_learning_rate_is_blamed(
    toy, tmp_path, cells, message, kind
):
    options = toy()
    items = [f"item_id:token\tprice:{kind}", *(f"i{row}\t{cells.get(row, row)}" for row in range(20))]
    (tmp_path / "data/toy/toy.item").write_text("\n".join(items) + "\n")
    given = {
        "load_col": {"inter": [*PAIR, "rating"], "item": ["item_id", "price"]},
        "LABEL_FIELD": "liked",
        "threshold": {"rating": 3},
        **CTR,
    }
    made(options, "FM", **given)  # nothing reads it
    with pytest.raises(UsageError, match=message):
        made(options, "FM", **given, numerical_features=["price"])


def test_users_and_items_are_two_columns(toy):
    with pytest.raises(UsageError, match="USER_ID_FIELD and ITEM_ID_FIELD are both 'user_id'"):
        made(toy(), ITEM_ID_FIELD="user_id")


@pytest.mark.parametrize(
    ("column", "given", "message"),
    [
        (
            "item_id",
            {},
            r"the column 'item_id' of the file \.more .*; give it a name of its own, such as more_item",
        ),
        (
            "other_id",
            {},
            r"the column 'other_id' of the file \.more .* has tokens, and nothing says whose ids",
        ),
        ("other_id", {"alias_of_item_id": ["other_id"]}, None),
    ],
)
def test_ids_of_a_further_file_need_a_name_and_an_alias(toy, tmp_path, column, given, message):
    options = toy()
    rows = [f"i{row}\t{row}" for row in range(20)]
    (tmp_path / "data/toy/toy.more").write_text("\n".join([f"{column}:token\tsize:float", *rows]) + "\n")
    given = {
        **given,
        "LABEL_FIELD": "liked",
        "load_col": {"inter": PAIR, "more": [column, "size"]},
        "additional_feat_suffix": ["more"],
    }
    if message is None:
        assert len(prepared(options, **given).more_feat) == 20
        return
    with pytest.raises(UsageError, match=message):
        made(options, **given)


def test_a_column_with_the_name_of_a_history_is_refused(toy):
    data = {**toy(head={"place_list": "token"}), "load_col": None, "TIME_FIELD": "rating"}
    file = Path(data["data_path"], "toy", "toy.inter")
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([f"{head}\tplace_list:token", *(f"{row}\tx" for row in rows)]) + "\n")
    with pytest.raises(UsageError, match="'place_list' of the interactions has the name of the history that"):
        made(data, "SASRec")
    assert "place_list" in made(data, "BPR").inter_feat.columns


RATED = {"load_col": {"inter": [*PAIR, "rating"]}}


@pytest.mark.parametrize(
    ("model", "options", "told"),
    [
        ("BPR", RATED, True),
        ("EASE", {**RATED, "train_neg_sample_args": None}, True),
        ("BPR", {"load_col": {"inter": PAIR}}, True),
        ("BPR", {"load_col": None, "unload_col": {"inter": ["rating", "label"]}}, False),
        ("BPR", {**RATED, "val_interval": {"rating": "(0,inf)"}}, False),
        ("DMF", RATED, False),
        ("MF", {**RATED, "rating_scale": [-1, 5]}, False),
        ("FM", {**RATED, "threshold": {"rating": 3}, **CTR}, False),
        ("FM", {"load_col": {"inter": [*PAIR, "rating", "label"]}, **CTR, "LABEL_FIELD": "label"}, False),
    ],
)
def test_ratings_below_one_that_nothing_reads_are_told(toy, caplog, model, options, told):
    values = {(row, "rating"): -1 for row in range(0, 120, 5)} | {(1, "rating"): 0}
    needs = {"topk": [2], "valid_metric": "MRR@2"} if model == "MF" else {}
    prepared(toy(values=values), model, **{"LABEL_FIELD": "none", **needs, **options})
    said = f"25 of the 120 ratings of data set 'toy' are 0 or below (column 'rating'), and {model} reads no"
    assert (said in caplog.text) == told


def test_a_column_of_ratings_that_nothing_reads_need_hold_no_numbers(toy, caplog):
    options = toy(values={(3, "rating"): -1, (4, "rating"): "none yet"})
    prepared(options, load_col={"inter": PAIR}, LABEL_FIELD="none")
    assert "ratings" not in caplog.text


def test_dislikes_are_left_out_with_the_column_of_times_kept(toy, caplog):
    options = {
        "load_col": {"inter": [*PAIR, "rating", "label"]},
        "TIME_FIELD": "label",
        "LABEL_FIELD": "none",
    }
    prepared(toy(values={(3, "rating"): -1}), **options)
    assert '--load_col="{inter: [user_id, item_id, rating, label]}"' in caplog.text


@pytest.mark.parametrize("lowest", [0, 1])
def test_a_parquet_file_is_asked_for_its_lowest_rating(tmp_path, caplog, lowest):
    pandas = pytest.importorskip("pandas")
    folder = tmp_path / "toy"
    folder.mkdir()
    rows = [
        (f"u{row // 12}", f"i{(row // 12 + row % 12) % 20}", float(row % 5 - 1 + lowest))
        for row in range(120)
    ]
    table = pandas.DataFrame(rows, columns=["user_id:token", "item_id:token", "rating:float"])
    table.to_parquet(folder / "toy.inter.parquet")
    prepared({"dataset": "toy", "data_path": str(tmp_path), **SMALL, "load_col": {"inter": PAIR}})
    assert ("48 of the 120 ratings" in caplog.text) == (lowest == 0)


def test_a_file_of_users_with_other_ids_is_named_where_no_row_is_left(toy):
    options = toy()
    users = "\n".join(["user_id:token\tage:float", *(f"{user}\t3" for user in range(10))])
    Path(options["data_path"], "toy", "toy.user").write_text(users + "\n")
    columns = {"inter": PAIR, "user": ["user_id", "age"]}
    with pytest.raises(
        UsageError, match=r"filtering; check that the \.user and \.item files .* have the ids"
    ):
        made(options, load_col=columns)
