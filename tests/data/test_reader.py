"""FastReading reads what RecBole reads, by pandas' C engine, and names a malformed file's wrong line."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import recbole
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_diffusion.compat import Dataset, Interaction, KnowledgeBasedDataset, SequentialDataset
from recbole_diffusion.compat import RecBoleConfig as Config
from recbole_diffusion.data.atomic_file import AtomicFileError
from recbole_diffusion.data.reader import FastReading, ManyRows

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\tnote:token\n"
USER = "user_id:token\tage:float\tcity:token\tfriends:token_seq\n"
ITEM = "item_id:token\ttitle:token\tgenres:token_seq\tvector:float_seq\tprice:float\n"
TABLES = (
    "field2type",
    "field2source",
    "field2seqlen",
    "field2bucketnum",
    "field2id_token",
    "field2token_id",
    "alias",
    "feat_name_list",
    "file_size_list",
    "_rest_fields",
    "_preloaded_weight",
    "item2entity",
)


class Fast(FastReading, Dataset):
    """RecBole's general data set, read fast."""


class FastKnowledge(FastReading, KnowledgeBasedDataset):
    """RecBole's knowledge graph data set, read fast."""


class FastSequential(FastReading, SequentialDataset):
    """RecBole's sequential data set, read fast."""


def make_config(folder: Path, model: str = "BPR", dataset: str = "toy", **options: object) -> Config:
    """Return a RecBole configuration for ``folder/toy/toy.*``, whatever the tests' command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["x"])
        made = Config(
            model=model, dataset=dataset, config_dict={"data_path": str(folder), "load_col": None, **options}
        )
    torch.autograd.set_detect_anomaly(
        False
    )  # RecBole's own look-up of a model switches it on for all tests that follow
    return made


def write_files(folder: Path, encoding: str = "utf-8", **contents: str | bytes) -> None:
    """Write ``toy.<suffix>`` files; a double underscore in a keyword stands for a dot."""
    (folder / "toy").mkdir(exist_ok=True)
    for suffix, text in contents.items():
        raw = text if isinstance(text, bytes) else text.encode(encoding)
        (folder / "toy" / f"toy.{suffix.replace('__', '.')}").write_bytes(raw)


def write_example(folder: Path, separator: str = "\t", encoding: str = "utf-8") -> None:
    """Write three files with gaps, quotes, non-ASCII tokens, sequences and numbers of every look."""
    rows = [
        f"u{i % 7}\tí{i * i % 11}\t{i % 5 + 1}\t{978300760 + 3600 * (i % 13)}\tn{i % 3}" for i in range(60)
    ]
    rows[5] = "u5\tí3\t\t978300761\t"
    rows[6] = "\tí3\t2\t978300762\tnone"
    rows[7] = "u1\t\t2.5\t978300763\tna"
    rows[8] = 'u1\tí9\t1e0\t978300764\t"a ""quoted""\tnote"'
    rows[9] = 'u1\tí4\t.30000000000000004\t978300765\ta "half" quote'
    users = [f"u{i}\t{20 + i / 3}\tcité {i % 2}\t{' '.join(f'u{j}' for j in range(i))}" for i in range(9)]
    users[3] = "u3\t\t\t"
    users[4] = "u1\t99\ttwice\tu1"
    items = [f"í{i}\tTítle {i}\t{'a' * (i % 4)} b  c{i % 3}\t{i / 7} {i}\t{i / 10}" for i in range(12)]
    items[2] = 'í2\t"One, ""two"" three"\t\t\t'
    items[3] = "í3\tnone\tsolo\t1 2 3 4 5\t-1e-3"
    bodies = {
        "inter": INTER + "\n".join(rows) + "\n",
        "user": USER + "\r\n".join(users),
        "item": ITEM + "\n".join(items) + "\n\n",
    }
    write_files(
        folder, encoding, **{suffix: text.replace("\t", separator) for suffix, text in bodies.items()}
    )


def assert_equal(ours: object, theirs: object, where: str) -> None:
    """Compare two values down to types, array types and the order of dictionaries."""
    assert type(ours) is type(theirs) or isinstance(ours, ManyRows), where
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for key in theirs:
            assert_equal(ours[key], theirs[key], f"{where}[{key!r}]")
    elif isinstance(theirs, pd.DataFrame):
        assert list(ours.columns) == list(theirs.columns), where
        assert list(ours.dtypes) == list(theirs.dtypes), where
        pd.testing.assert_index_equal(ours.index, theirs.index)
        for name in theirs:
            assert_equal(ours[name].values, theirs[name].values, f"{where}.{name}")
    elif isinstance(theirs, Interaction):
        assert_equal(ours.interaction, theirs.interaction, where)
    elif isinstance(theirs, torch.Tensor):
        assert_equal(ours.numpy(), theirs.numpy(), where)
    elif isinstance(theirs, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), where
        if theirs.dtype == object:
            for row, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
                assert_equal(mine, other, f"{where}[{row}]")
        else:
            np.testing.assert_array_equal(ours, theirs, err_msg=where)
    else:
        assert ours == theirs or (ours != ours and theirs != theirs), where


def assert_same_data(ours: Dataset, theirs: Dataset) -> None:
    """Compare two data sets: the frames and every table about their fields."""
    for name in TABLES:
        assert_equal(getattr(ours, name, None), getattr(theirs, name, None), name)
    for name in theirs.feat_name_list:
        assert_equal(getattr(ours, name), getattr(theirs, name), name)


def load_both(config: Config, fast: type = Fast, plain: type = Dataset) -> tuple[Dataset, Dataset]:
    """Make both data sets, compare them, and return them."""
    ours, theirs = fast(config), plain(config)
    assert_same_data(ours, theirs)
    return ours, theirs


def assert_same_parts(ours: Dataset, theirs: Dataset) -> None:
    """Split both data sets from the same random state and compare what comes out."""
    parts = []
    for data in (ours, theirs):
        torch.manual_seed(7)
        parts.append(data.build())
    assert len(parts[0]) == len(parts[1])
    for mine, other in zip(*parts, strict=True):
        assert_same_data(mine, other)
    assert sum(map(len, parts[0])) > 0


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of pandas engines that files were read with, filled as they are."""
    used, read_csv = [], pd.read_csv

    def spy(*args: object, **options: object) -> pd.DataFrame:
        used.append(options["engine"])
        return read_csv(*args, **options)

    monkeypatch.setattr(pd, "read_csv", spy)
    return used


SPLITS = {
    "random": {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "RO", "group_by": "user", "mode": "full"},
    "in time": {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "TO", "group_by": None, "mode": "full"},
    "leave one out": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
    "leave out for test": {"split": {"LS": "test_only"}, "order": "RO", "group_by": "user", "mode": "full"},
    "time based": {"split": {"TS": [0.6, 0.2, 0.2]}, "order": "TO", "group_by": "user", "mode": "full"},
}
OPTIONS = {
    "plain": {},
    "load_col": {"load_col": {"inter": ["item_id", "user_id"], "item": "*"}},
    "load_col of two files": {
        "load_col": {"inter": ["user_id", "item_id", "note"], "user": ["user_id", "friends"]}
    },
    "unload_col": {"unload_col": {"inter": ["note", "rating"], "item": ["title"], "user": ["friends"]}},
    "nothing left of a file": {"unload_col": {"user": ["user_id", "age", "city", "friends"]}},
    "seq_len": {"seq_len": {"genres": 1, "vector": 9}},
    "alias": {"alias_of_user_id": ["friends"]},
    "filters": {
        "val_interval": {"rating": "[1,4]"},
        "user_inter_num_interval": "[3,inf)",
        "rm_dup_inter": "first",
    },
    "threshold": {"threshold": {"rating": 3}, "normalize_all": True, "filter_inter_by_user_or_item": False},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_same_data_set(tmp_path: Path, options: dict) -> None:
    write_example(tmp_path)
    assert_same_parts(*load_both(make_config(tmp_path, **options)))


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_the_same_split(tmp_path: Path, split: dict) -> None:
    write_example(tmp_path)
    assert_same_parts(*load_both(make_config(tmp_path, eval_args=split)))


@pytest.mark.parametrize("separator", [",", "|", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_separators_and_encodings(tmp_path: Path, engines: list[str], separator: str, encoding: str) -> None:
    write_example(tmp_path, separator, encoding)
    config = make_config(
        tmp_path, field_separator=separator, encoding=encoding, load_col={"inter": "*", "item": "*"}
    )
    Fast(config)
    assert engines == ["c", "c"]
    ours, _ = load_both(config)
    assert "í3" in ours.field2token_id["item_id"]


def test_quoted_fields_are_read_as_the_python_engine_does(tmp_path: Path, engines: list[str]) -> None:
    inter = INTER + 'u1\t"i\t1"\t1\t1\t"two\nlines"\nu2\ti"2"\t"2"\t2\t"""\n"""\nu3\t""\t3\t3\t\'\n'
    write_files(tmp_path, inter=inter)
    assert set(Fast(make_config(tmp_path)).field2token_id["note"]) == {"[PAD]", "two\nlines", '"\n"'}
    assert engines == ["c"]
    load_both(make_config(tmp_path))


def test_rows_that_a_quote_makes_part_of_a_field_are_counted(tmp_path: Path, caplog) -> None:
    header = "user_id:token\titem_id:token\trating:float\n"
    rows = ["u1\ti1\t3", 'u2\t"i2\t4', "u3\ti3\t1", "u4\ti4\t1", 'u5\ti5"\t2', 'u6\t"i6"\t2']
    write_files(tmp_path, inter=header + "\n".join(rows) + "\n\n")
    dataset = Fast(make_config(tmp_path))
    assert len(dataset.inter_feat) == 3
    assert "toy.inter: 3 lines lie inside quoted fields and are not read as rows" in caplog.text


def test_benchmark_parts(tmp_path: Path) -> None:
    seq = "user_id:token\titem_id:token\tseq:token_seq\tx:float\n"
    write_files(
        tmp_path,
        train__inter=seq + "a\t1\tp q r\t1\nb\t2\t\t\n",
        valid__inter=seq + "a\t2\tp\t3\n",
        test__inter=seq + "c\t1\tq r\t4\n",
    )
    config = make_config(tmp_path, benchmark_filename=["train", "valid", "test"])
    ours, theirs = load_both(config)
    assert ours.file_size_list == [2, 1, 1]
    assert ours.field2seqlen["seq"] == 3
    assert_same_parts(ours, theirs)


def test_a_benchmark_part_may_be_empty(tmp_path: Path) -> None:
    head = "user_id:token\titem_id:token\tx:float\n"
    write_files(
        tmp_path, train__inter=head + "a\t1\t1\nb\t2\t2\n", valid__inter=head, test__inter=head + "b\t1\t4\n"
    )
    assert load_both(make_config(tmp_path, benchmark_filename=["train", "valid", "test"]))[
        0
    ].file_size_list == [2, 0, 1]


def test_additional_file(tmp_path: Path) -> None:
    write_example(tmp_path)
    write_files(tmp_path, itememb="iid:token\temb:float_seq\ní1\t0.1 0.2\ní2\t0.3 -0.4\n")
    options = {
        "additional_feat_suffix": ["itememb"],
        "alias_of_item_id": ["iid"],
        "preload_weight": {"iid": "emb"},
    }
    load_both(make_config(tmp_path, **options))


EXAMPLES = {
    "general": ("BPR", Fast, Dataset, {"unload_col": {"item": ["class"]}}),
    "with sequences": ("BPR", Fast, Dataset, {"user_inter_num_interval": "[20,inf)", "rm_dup_inter": "last"}),
    "knowledge": ("CKE", FastKnowledge, KnowledgeBasedDataset, {"load_col": None}),
    "sequential": (
        "GRU4Rec",
        FastSequential,
        SequentialDataset,
        # Of fewer users: each row becomes a sequence.
        {"MAX_ITEM_LIST_LENGTH": 5, "train_neg_sample_args": None, "user_inter_num_interval": "[400,inf)"},
    ),
}


@pytest.mark.parametrize(("model", "fast", "plain", "options"), EXAMPLES.values(), ids=EXAMPLES)
def test_ml_100k(model: str, fast: type, plain: type, options: dict) -> None:
    folder = Path(recbole.__file__).parent / "dataset_example"
    ours, theirs = load_both(make_config(folder, model, "ml-100k", **options), fast, plain)
    assert len(ours.inter_feat) > (8_000 if model == "GRU4Rec" else 90_000)
    assert_same_parts(ours, theirs)


PYTHON_ONLY = {
    "bare carriage returns": ({}, "user_id:token\titem_id:token\ra\t1\rb\t2\r"),
    "leading blank": ({}, "user_id:token\titem_id:token\n a\t1\n  b\t2\n"),
    "NUL": ({}, "user_id:token\titem_id:token\na\0a\t1\nb\t2\n"),
    "beyond 2**53": ({}, "user_id:token\titem_id:token\tx:float\na\t1\t1700000000123456789\nb\t2\t.5\n"),
    "booleans with a gap": ({}, "user_id:token\titem_id:token\tx:float\na\t1\tTrue\nb\t2\t\nc\t1\tFalse\n"),
    "unusual numbers": ({}, "user_id:token\titem_id:token\tx:float\na\t1\t1\nb\t2\t٣\nc\t2\t1e400\n"),
    "rows that are not there": ({}, 'user_id:token\titem_id:token\na\t1\n""\n\xa0\nb\t2\n'),
}


@pytest.mark.parametrize(("options", "text"), PYTHON_ONLY.values(), ids=PYTHON_ONLY)
def test_what_the_engines_read_differently_is_read_by_the_python_engine(
    tmp_path: Path, engines: list[str], options: dict, text: str
) -> None:
    write_files(tmp_path, inter=text)
    config = make_config(tmp_path, **options)
    Fast(config)
    assert engines[-1] == "python"
    load_both(config)


C_READS = {
    "booleans": "a\t1\tTrue\nb\t2\tFalse\n",
    "nanoseconds": "a\t1\t1700000000123456789\nb\t2\t1700000000123456788\n",
    "all missing": "a\t1\t\nb\t2\tNA\n",
    "17 digits": "a\t1\t0.30000000000000004\nb\t2\t8.41e-21\n",
    "blank lines": "\na\t1\t1\n\n\nb\t2\t2\n\n",
    "no last line end": "a\t1\t1\nb\t2\t2",
    "Windows": "a\t1\t1\r\nb\t2\t2\r\n",
}


@pytest.mark.parametrize("rows", C_READS.values(), ids=C_READS)
def test_odd_files_that_the_c_engine_reads_alike(tmp_path: Path, engines: list[str], rows: str) -> None:
    write_files(tmp_path, inter="user_id:token\titem_id:token\tx:float\n" + rows)
    config = make_config(tmp_path)
    Fast(config)
    assert engines == ["c"]
    load_both(config)


WORDS_OF_PANDAS = ["NA", "null", "None", "nan", "NaN", "N/A", "NULL", "<NA>", "-inf"]


@pytest.mark.parametrize("separator", ["\t", "::", "§"])
@pytest.mark.parametrize("first", ["a", " a"], ids=["by the C engine", "by the Python engine"])
def test_words_that_pandas_takes_for_missing_are_tokens(
    tmp_path: Path, engines: list[str], first: str, separator: str
) -> None:
    rows = [[first, "i", "1", "x"], *([word, word, "2", f"{word} y"] for word in WORDS_OF_PANDAS[:-1])]
    rows += [["-inf", "NA", "NA", "NA"], ["b", "", "", ""]]
    heads = ["user_id:token", "item_id:token", "rating:float", "words:token_seq"]
    text = "\n".join(separator.join(row) for row in [heads, *rows]) + "\n"
    write_files(tmp_path, inter=text)
    found = Fast(make_config(tmp_path, field_separator=separator, normalize_all=False))
    assert engines == ["python" if first == " a" else "c"]
    assert list(found.field2id_token["user_id"]) == ["[PAD]", first, *WORDS_OF_PANDAS]
    assert list(found.field2id_token["item_id"]) == ["[PAD]", "i", *WORDS_OF_PANDAS[:-1]]
    assert set(found.field2id_token["words"]) == {"[PAD]", "x", "y", *WORDS_OF_PANDAS[:-1]}
    assert found.inter_feat["rating"].tolist() == [1, *[2] * 8, 17 / 9]  # NA is no number: the mean


@pytest.mark.parametrize("separator", ["::", ", ", "||", ".*", "\t\t", "§"])
def test_a_long_separator_is_taken_literally(tmp_path: Path, separator: str) -> None:
    rows = [["user_id:token", "item_id:token", "rating:float"], ["a", '"1', "2"], ["b|c", "2", "3.5"]]
    rows = [[field.replace('"', "") for field in row] for row in rows] if len(separator) == 1 else rows
    write_files(tmp_path, inter="\r\n".join(separator.join(row) for row in rows))
    found = Fast(make_config(tmp_path, field_separator=separator, normalize_all=False))
    for column, name in enumerate(("user_id", "item_id")):
        assert list(found.field2id_token[name]) == ["[PAD]", *(row[column] for row in rows[1:])]
    assert found.inter_feat["rating"].tolist() == [2, 3.5]
    write_files(tmp_path, inter="\n".join(separator.join(row) for row in [*rows, ["c", "1"]]))
    with pytest.raises(AtomicFileError, match=r"line 4: found 2 fields, expected 3 as in the header"):
        Fast(make_config(tmp_path, field_separator=separator))


def test_a_plain_header_with_a_long_separator_is_named(tmp_path: Path) -> None:
    write_files(tmp_path, inter="1::10::5\n1::11::4\n")
    with pytest.raises(
        AtomicFileError,
        match=r"toy.inter, line 1: found the column '1', expected name:type .*separated by '::'",
    ):
        Fast(make_config(tmp_path, field_separator="::"))


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    write_files(tmp_path, inter="user_id:token\titem_id:token\na\t1\n", encoding="utf-8-sig")
    assert list(Fast(make_config(tmp_path)).field2type) == ["user_id", "item_id"]


HEAD = "user_id:token\titem_id:token\trating:float\n"
FAULTS = {
    "too few": (HEAD + "a\t1\t2\nb\t2\n", 3, "2 fields", "3 as in the header"),
    "too many": (HEAD + "a\t1\t2\n\nb\t2\t3\t4\n", 4, "4 fields", "3 as in the header"),
    "too many at first": (HEAD + "a\t1\t2\t3\nb\t2\t3\n", 2, "4 fields", "3 as in the header"),
    "one surplus, one missing": (HEAD + "a\t1\t2\t3\nb\t2\n", 2, "4 fields", "3 as in the header"),
    "too few below quotes": (HEAD + '"a\nb"\t1\t2\nb\t2\n', 4, "2 fields", "3 as in the header"),
    "unquoted": (HEAD + 'a\t1\t2\n"b"c\t2\t1\n', 3, "cannot be split", "CSV quoting"),
    "unclosed": (HEAD + 'a\t1\t2\n"b\t2\t1\n', 3, "cannot be split", "CSV quoting"),
    "word": (HEAD + "a\t1\t2\nb\t2\tfour\n", 3, "'four' in the column 'rating'", "a number"),
    "word below a blank line": (
        HEAD + "a\t1\tNA\n\n\nb\t2\tfour\n",
        5,
        "'four' in the column 'rating'",
        "a number",
    ),
    "word in a file for RecBole": (
        HEAD + "a\t1\t2\r b\t2\tfour\r",
        3,
        "'four' in the column 'rating'",
        "a number",
    ),
    "boolean among numbers": (HEAD + "a\t1\t2\nb\t2\tTrue\n", 3, "'True' in the column 'rating'", "a number"),
    "word in a sequence": (
        "user_id:token\titem_id:token\tv:float_seq\na\t1\t2 3\nb\t2\t2 x\n",
        3,
        "'2 x' in the column 'v'",
        "a number",
    ),
    "underscores": (HEAD + "a\t1\t2\nb_2\t2\t1_0\n", 3, "'1_0' in the column 'rating'", "a number"),
    "an underscore in a sequence": (
        "user_id:token\titem_id:token\tv:float_seq\na\t1\t2 3\nb\t2\t2 1_0\n",
        3,
        "'2 1_0' in the column 'v'",
        "a number",
    ),
    "empty": ("", 1, "an empty file", "a header"),
    "first line empty": ("\n" + HEAD, 1, "an empty line", "a header"),
    "no rows": (HEAD, 2, "the end of the file", "at least one row"),
    "no rows of one column": ("user_id:token\n\n \n", 2, "the end of the file", "at least one row"),
    "no rows, no line end": (HEAD.strip(), 2, "the end of the file", "at least one row"),
    "no type": ("user_id:token\titem_id\na\t1\n", 1, "the column 'item_id'", "token or float"),
    "no name": ("user_id:token\t:token\na\t1\n", 1, "the column ':token'", "name:type"),
    "two colons": ("user_id:token\titem:id:token\na\t1\n", 1, "the column 'item:id:token'", "name:type"),
    "unknown type": ("user_id:token\titem_id:string\na\t1\n", 1, "the column 'item_id:string'", "token_seq"),
    "other separator": (
        "user_id:token,item_id:token\na,1\n",
        1,
        "the column 'user_id:token,item_id:token'",
        "name:type",
    ),
    "twice": (
        "user_id:token\titem_id:token\tuser_id:token\na\t1\tb\n",
        1,
        "the column 'user_id:token' again",
        "name:type",
    ),
    "trailing separator": ("user_id:token\titem_id:token\t\na\t1\t\n", 1, "the column ''", "name:type"),
    "not UTF-8": ((HEAD + "a\t1\t2\n\xe9t\xe9\t2\t3\n").encode("latin-1"), 3, r"b'\xe9t\xe9", "utf-8 text"),
}


@pytest.mark.parametrize(("text", "line", "found", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_malformed_file_is_named_with_line_and_remedy(
    tmp_path: Path, text: str | bytes, line: int, found: str, expected: str
) -> None:
    write_files(tmp_path, inter=text)
    with pytest.raises(AtomicFileError) as caught:
        Fast(make_config(tmp_path))
    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert message.startswith(f"{tmp_path / 'toy' / 'toy.inter'}, line {line}: found ")
    was, _, rest = message.partition(", expected ")
    assert found in was
    assert expected in rest.partition("; ")[0]
    assert len(rest.partition("; ")[2]) > 10
    assert "\n" not in message


def test_a_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    write_files(tmp_path, inter=HEAD + f"a\t1\t{'x' * 5000}\n")
    with pytest.raises(AtomicFileError) as caught:
        Fast(make_config(tmp_path))
    assert len(str(caught.value)) < 500


def test_a_number_is_not_asked_for_where_the_column_is_not_loaded(tmp_path: Path) -> None:
    write_files(tmp_path, inter=HEAD + "a\t1\tfour\n")
    load_both(make_config(tmp_path, load_col={"inter": ["user_id", "item_id"]}))


def test_a_file_of_which_nothing_is_asked_is_not_examined(tmp_path: Path) -> None:
    write_files(tmp_path, inter=HEAD + "a\t1\t4\n", user="no header")
    load_both(make_config(tmp_path, load_col={"inter": ["user_id", "item_id"]}))


def test_what_recbole_does_with_malformed_rows(tmp_path: Path) -> None:
    """What the module's docstring says about RecBole, so that it stays true."""
    config = make_config(tmp_path)
    write_files(tmp_path, inter=HEAD + "a\t1\t2\t9\nb\t2\t3\t9\n")
    assert list(Dataset(config).field2token_id["user_id"]) == ["[PAD]", "1", "2"]
    write_files(tmp_path, inter=HEAD + "a\t1\t2\nb\t2\t4\ty\nc\t3\n")
    theirs = Dataset(config)
    assert theirs.inter_feat["rating"].tolist() == [2, 4, 3]
    write_files(tmp_path, inter=HEAD + "a\t1\t2\nb\n")
    assert list(Dataset(config).field2token_id["user_id"]) == ["[PAD]", "a"]
    write_files(tmp_path, inter=HEAD)
    with pytest.raises(ValueError, match="filtering settings"):
        Dataset(config)
    write_files(tmp_path, inter=HEAD + "a\t1\tfour\n")
    with pytest.raises(ValueError, match="float") as caught:
        Dataset(config)
    assert "toy" not in str(caught.value)
    assert "line" not in str(caught.value)


@pytest.mark.parametrize(
    "index",
    [[4, 0, 0], [True, False, True, False, True], [], slice(1, 3), np.array([2, 1]), torch.tensor([3]), 2],
)
def test_rows_taken_at_once_are_the_rows_that_recbole_takes(index: object) -> None:
    columns = {"a": torch.arange(5), "b": torch.arange(10.0).reshape(5, 2)}
    taken = ManyRows(columns)[index]
    assert_equal(taken, Interaction(columns)[index], "rows")
    assert type(taken) is Interaction


@given(st.lists(st.integers(0, 9), max_size=50))
def test_groups_are_those_of_recbole(ids: list[int]) -> None:
    ours = Fast._grouped_index(None, np.array(ids, dtype=np.int64))
    assert list(ours) == list(Dataset._grouped_index(None, np.array(ids, dtype=np.int64)))


@pytest.mark.parametrize("last", [1, 2])
@given(ids=st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_leaving_the_last_out_takes_the_rows_that_recbole_takes(ids: list[int], last: int) -> None:
    keys = np.array(ids)
    ours = Fast._split_index_by_leave_one_out(None, Fast._grouped_index(None, keys), last)
    theirs = Dataset._split_index_by_leave_one_out(None, Dataset._grouped_index(None, keys), last)
    assert [part.tolist() for part in ours] == theirs


NUMBERED = {
    "whole numbers": ["1", "12", "0", "100", "12"],
    "leading zeros": ["7", "007", "00", "0", "07"],
    "leading zero at first": ["01", "1", "1", "2", "3"],
    "signs": ["1", "+1", "-1", "-0", "0"],
    "blanks": ["1", " 1", "1 ", "2", "3"],
    "fractions": ["1", "1.0", "1e0", "2", "3"],
    "words": ["1", "x", "True", "NA", "1"],
    "a gap": ["1", "", "2", "3", "4"],
    "quotes": ["1", '"1"', '"01"', "2", "3"],
    "a large number": ["1", str(2**63), str(2**64), "2", "3"],
    "digits of other scripts": ["1", "١", "2", "²", "3"],
}


@pytest.mark.parametrize("tokens", NUMBERED.values(), ids=NUMBERED)
def test_ids_that_are_numbers_are_the_tokens_of_the_file(tmp_path: Path, tokens: list[str]) -> None:
    rows = [f"{token}\t{number}\t{number}" for number, token in enumerate(tokens, start=1)]
    write_files(tmp_path, inter=HEAD + "\n".join(rows) + "\n")
    data = Fast(make_config(tmp_path))
    wanted = [token.strip('"') for token in tokens if token]
    assert data.id2token("user_id", data.inter_feat["user_id"].to_numpy()).tolist() == wanted
    assert data.field2id_token["user_id"].tolist() == ["[PAD]", *dict.fromkeys(wanted)]
    if "NA" not in tokens:
        load_both(make_config(tmp_path))


INTERVALS = ["[0,inf)", "(-1,inf)", "(0.5,inf)", "[2,inf)", "[0,3]", "[1,2];[4,inf)", None]


@pytest.mark.parametrize("users", INTERVALS)
@pytest.mark.parametrize("items", ["[0,inf)", "[2,inf)"])
def test_the_same_rows_are_left_by_numbers_of_interactions(
    tmp_path: Path, users: str | None, items: str
) -> None:
    people = "user_id:token\tage:float\nu1\t1\nu4\t4\nu9\t9\n"
    rows = [f"u{user}\ti{(3 * user + item) % 7}\t1" for user in range(1, 7) for item in range(user)]
    write_files(tmp_path, inter=HEAD + "\n".join(rows) + "\n", user=people)
    assert_same_outcome(make_config(tmp_path, user_inter_num_interval=users, item_inter_num_interval=items))


TOKENS = st.text(st.sampled_from("ab1 \"',;é𝄞\\#"), max_size=4)
NUMBERS = st.one_of(
    st.floats(allow_nan=True).map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["", "NA", "1e5", ".5", "True"]),
)
WORDS = st.lists(st.sampled_from(["u", "vv", "", "Na"]), max_size=3).map(" ".join)
VECTORS = st.lists(st.floats(width=32).map(repr), max_size=3).map(" ".join)
KINDS = {"token": TOKENS, "float": NUMBERS, "token_seq": WORDS, "float_seq": VECTORS}
QUICK = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Return a valid atomic file: any columns beside user and item, quoted where needed or at random."""
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), max_size=4))
    lines = ["\t".join(["user_id:token", "item_id:token", *(f"f{i}:{kind}" for i, kind in enumerate(kinds))])]
    for number in range(draw(st.integers(1, 5))):
        values = [f"u{number}", f"i{number % 2}", *(draw(KINDS[kind]) for kind in kinds)]
        quoted = draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
        lines.append(
            "\t".join(
                '"' + value.replace('"', '""') + '"' if quote or value.startswith('"') else value
                for value, quote in zip(values, quoted, strict=True)
            )
        )
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + "\n"


def outcome(kind: type, config: Config) -> Dataset | Exception:
    """Return the data set, or what RecBole raises for it (which ours must then raise too)."""
    try:
        return kind(config)
    except AtomicFileError:
        raise
    except (ValueError, IndexError) as error:
        return error


def assert_same_outcome(config: Config) -> None:
    """Compare the data sets, or the errors in the place of one."""
    ours, theirs = outcome(Fast, config), outcome(Dataset, config)
    if isinstance(theirs, Exception):
        assert (type(ours), str(ours)) == (type(theirs), str(theirs))
    else:
        assert_same_data(ours, theirs)


@QUICK
@given(table=tables())
def test_any_table_is_read_as_recbole_reads_it(shared: Config, table: str) -> None:
    write_files(Path(shared["data_path"]).parent, inter=table)
    try:
        assert_same_outcome(shared)
    except AtomicFileError as error:
        assert "'True'" in str(error)  # among numbers: RecBole refuses it as well, without a line


@QUICK
@given(rows=st.text(st.sampled_from('a1"\t\n\r '), max_size=30))
def test_any_text_is_read_as_recbole_reads_it_or_refused(shared: Config, rows: str) -> None:
    write_files(Path(shared["data_path"]).parent, inter="user_id:token\titem_id:token\nu\ti\n" + rows)
    try:
        assert_same_outcome(shared)
    except AtomicFileError as error:
        assert " fields, " in str(error) or "cannot be split" in str(error)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Return one configuration for all examples of a property; each example rewrites the file."""
    return make_config(tmp_path_factory.mktemp("shared"))


# a has 3 rows, b has 2, c has 1, d none.
COUNTS = {
    "the higher interval first": ("[3,inf);[1,1]", ["a", "c"]),
    "the lower interval first": ("[1,1];[3,inf)", ["a", "c"]),
    "one": ("[2,3]", ["a", "b"]),
    "none left out": ("[0,inf)", ["a", "b", "c", "d"]),
    "those with a row": ("(0,inf)", ["a", "b", "c"]),
}


@pytest.mark.parametrize(("interval", "kept"), COUNTS.values(), ids=COUNTS)
def test_items_with_a_file_are_filtered_by_all_intervals(
    tmp_path: Path, interval: str, kept: list[str]
) -> None:
    rows = "".join(f"u{n}\t{item}\n" for n, item in enumerate("aaabbc"))
    write_files(tmp_path, inter="user_id:token\titem_id:token\n" + rows, item="item_id:token\na\nb\nc\nd\n")
    found = Fast(make_config(tmp_path, item_inter_num_interval=interval))
    assert sorted(found.field2id_token["item_id"][1:]) == kept
