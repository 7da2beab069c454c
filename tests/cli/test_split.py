"""``split``: the files that it writes, and that a run of them has the same parts as in memory."""

import json
import random
import shlex

import pandas as pd
import pytest

from recbole_diffusion.cli import split as split_command
from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.split import PARTS
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.storage import yaml_io

SMALL = {"topk": [1, 2], "valid_metric": "MRR@2", "use_gpu": False}
HEADER = (
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\t"
    "place:token\twords:token_seq\tscores:float_seq"
)


@pytest.fixture
def source(tmp_path):
    """Folder around a data set with every kind of column, empty fields, quotes and an item file."""
    draw = random.Random(5)
    lines = [HEADER]
    for user in range(20):
        for item in draw.sample(range(25), 12):
            place, words = (
                draw.choice(["", "north", 'the "south"']),
                " ".join(draw.sample(["a", "b", "c"], 2)),
            )
            quoted = '"' + place.replace('"', '""') + '"' if '"' in place else place
            rating = draw.choice(["1", "2.5", "0.1"])
            lines.append(
                f"u{user}\ti{item}\t{rating}\t{1_700_000_000 + draw.randrange(9999)}\t{quoted}\t{words}\t0.5 "
                f"{user}"
            )
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    (folder / "toy.inter").write_text("\n".join(lines) + "\n")
    (folder / "toy.item").write_text(
        "item_id:token\tcolour:token\n" + "".join(f"i{item}\tred\n" for item in range(25))
    )
    (folder / "toy.kg").write_text("not to be copied\n")
    return folder.parent


@pytest.fixture
def splitting(source, tmp_path, capsys):
    """Return a function that splits with options over the usual ones and returns exit code and output."""

    def split(**options) -> tuple[int, str]:
        usual = {
            "dataset": "toy",
            "data_path": str(source),
            "shift": "popularity",
            "output": str(tmp_path / "out" / "new"),
        }
        usual |= {"load_col": None, "use_gpu": False}
        words = [
            f"--{name}={yaml_io.dump_value(value)}"
            for name, value in {**usual, **options}.items()
            if value != "leave out"
        ]
        return split_command.split(words), capsys.readouterr().out

    return split


def rows_of(dataset) -> list[list[tuple]]:
    """Return the rows of each part with tokens instead of numbers, for the columns that can be compared."""
    parts = []
    for part in dataset.build():
        columns = [
            part.id2token(name, part.inter_feat[name].numpy()) for name in ("user_id", "item_id", "place")
        ]
        columns += [part.inter_feat[name].numpy() for name in ("rating", "timestamp")]
        words = [" ".join(part.id2token("words", row[row > 0])) for row in part.inter_feat["words"].numpy()]
        scores = [tuple(row) for row in part.inter_feat["scores"].tolist()]
        parts.append(sorted(zip(*(map(str, column) for column in columns), words, scores, strict=True)))
    return parts


@pytest.mark.parametrize("shift", ["popularity", "temporal"])
def test_a_run_of_the_files_has_the_parts_of_the_split_in_memory(splitting, source, tmp_path, shift):
    assert splitting(shift=shift, shift_seed=7)[0] == 0
    folder = tmp_path / "out" / "new"
    written = Config("BPR", "new", [folder / "new.yaml"], {"data_path": str(folder.parent), **SMALL})
    options = {"data_path": str(source), "load_col": None, "shift": shift, "shift_seed": 7, **SMALL}
    in_memory = InteractionDataset(Config("BPR", "toy", overrides=options))
    assert rows_of(InteractionDataset(written)) == rows_of(in_memory)
    record = json.loads((folder / "split.json").read_text())
    assert {name: record[name] for name in in_memory.split_summary} == in_memory.split_summary


def test_the_folder_holds_the_parts_the_features_the_record_and_the_options(splitting, source, tmp_path):
    splitting()
    folder = tmp_path / "out" / "new"
    parts = [f"new.{part}.inter" for part in PARTS]
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        [*parts, "new.item", "new.yaml", "split.json"]
    )
    assert [file.name for file in folder.parent.iterdir()] == ["new"]
    assert (folder / "new.item").read_bytes() == (source / "toy" / "toy.item").read_bytes()
    record = json.loads((folder / "split.json").read_text())
    assert (record["kind"], record["seed"], record["source"]["dataset"]) == ("popularity", 2024, "toy")
    assert {len(digest) for digest in record["source"]["sha256"].values()} == {64}
    assert sorted(record["source"]["sha256"]) == ["toy.inter", "toy.item"]
    assert shlex.split(record["command"])[:3] == ["recbole-diffusion", "split", "--dataset=toy"]
    settings = yaml_io.load_yaml(folder / "new.yaml")
    columns = ["user_id", "item_id", "rating", "timestamp", "place", "words", "scores"]
    assert settings["benchmark_filename"] == list(PARTS)
    assert settings["load_col"] == {"inter": columns, "item": "*"}


def test_the_rows_are_those_of_the_source(splitting, source, tmp_path):
    splitting()
    read = {"sep": "\t", "dtype": str, "keep_default_na": False}
    before = pd.read_csv(source / "toy" / "toy.inter", **read)
    after = pd.concat([pd.read_csv(tmp_path / "out" / "new" / f"new.{part}.inter", **read) for part in PARTS])
    before["scores:float_seq"] = before["scores:float_seq"].map(
        lambda text: " ".join(str(float(one)) for one in text.split())
    )
    before["rating:float"], after["rating:float"] = (
        before["rating:float"].map(float),
        after["rating:float"].map(float),
    )
    keys = list(before.columns)
    assert sorted(map(tuple, after[keys].values)) == sorted(map(tuple, before[keys].values))


def test_only_the_columns_that_were_loaded_are_written(splitting, tmp_path):
    splitting(load_col={"inter": ["user_id", "item_id"]})
    folder = tmp_path / "out" / "new"
    for part in PARTS:
        assert (folder / f"new.{part}.inter").read_text().splitlines()[0] == "user_id:token\titem_id:token"
    assert yaml_io.load_yaml(folder / "new.yaml")["load_col"] == {"inter": ["user_id", "item_id"]}


def test_other_separators_and_names_of_columns_are_kept(splitting, source, tmp_path):
    text = "who:token|what:token|when:float\n"
    text += "".join(
        f"u{user}|i{(user + item) % 20}|{item * 1000.5}\n" for user in range(20) for item in range(10)
    )
    (source / "toy" / "toy.inter").write_text(text)
    (source / "toy" / "toy.item").unlink()
    names = {"USER_ID_FIELD": "who", "ITEM_ID_FIELD": "what", "TIME_FIELD": "when", "field_separator": "|"}
    splitting(shift="temporal", **names)
    folder = tmp_path / "out" / "new"
    config = Config(
        "BPR",
        "new",
        [folder / "new.yaml"],
        {"data_path": str(folder.parent), "normalize_all": False, **SMALL},
    )
    parts = InteractionDataset(config).build()
    assert [part.uid_field for part in parts] == ["who"] * 4
    assert sum(map(len, parts)) == 200
    assert set(parts[3].inter_feat["when"].tolist()) <= {8004.0, 9004.5}


def test_ids_with_a_lone_carriage_return_are_read_again_from_the_parts(splitting, source, tmp_path):
    text = "user_id:token\titem_id:token\trating:float\n"
    text += "".join(
        f'"u\r{user}"\t"i""{(user + item) % 20}\n"\t{item or ""}\n'
        for user in range(20)
        for item in range(10)
    )
    (source / "toy" / "toy.inter").write_bytes(text.encode())
    (source / "toy" / "toy.item").unlink()
    splitting(shift="popularity")
    folder = tmp_path / "out" / "new"
    config = Config("BPR", "new", [folder / "new.yaml"], {"data_path": str(folder.parent), **SMALL})
    parts = InteractionDataset(config).build()
    assert sum(map(len, parts)) == 200
    assert set(parts[0].field2id_token["user_id"][1:]) == {f"u\r{user}" for user in range(20)}
    assert set(parts[0].field2id_token["item_id"][1:]) == {f'i"{item}\n' for item in range(20)}


def test_the_exposed_set_is_written_as_the_last_part(splitting, source, tmp_path):
    small = tmp_path / "small.inter"
    rows = [f"u1\ti{item}\t4\t1700000000\tnorth\ta b\t0.5 1" for item in range(12)]
    small.write_text("\n".join([HEADER, *rows]) + "\n")
    _, output = splitting(shift="exposure", shift_test=str(small))
    written = pd.read_csv(tmp_path / "out" / "new" / "new.test_ood.inter", sep="\t")
    assert set(written["item_id:token"]) == {f"i{item}" for item in range(12)}
    assert set(written["user_id:token"]) == {"u1"}
    assert "pairs of exposed" in output
    record = json.loads((tmp_path / "out" / "new" / "split.json").read_text())
    assert sorted(record["source"]["sha256"]) == ["small.inter", "toy.inter", "toy.item"]


def test_the_table_says_sizes_and_shares(splitting, tmp_path):
    code, output = splitting()
    record = json.loads((tmp_path / "out" / "new" / "split.json").read_text())
    lines = output.splitlines()
    assert code == 0
    assert lines[0] == "popularity shift, seed 2024"
    assert lines[1].split() == list(PARTS)
    assert lines[2].split() == ["rows", *(str(record["parts"][part]["rows"]) for part in PARTS)]
    first = [f"{record['popularity_deciles'][part][0]:.4f}" for part in PARTS]
    assert next(line for line in lines if line.startswith("1:")).split()[-4:] == first
    use = shlex.split(lines[-1])
    assert f"--data_path={tmp_path / 'out'}" in use
    assert f"--config_files={tmp_path / 'out' / 'new' / 'new.yaml'}" in use


def test_the_name_may_differ_from_the_folder(splitting, tmp_path):
    splitting(name="other")
    assert (tmp_path / "out" / "new" / "other" / "other.train.inter").is_file()
    splitting(output=str(tmp_path / "out" / "same"), name="same")
    assert (tmp_path / "out" / "same" / "same.yaml").is_file()


# Refusals.


def test_a_folder_with_files_is_refused_and_left_alone(splitting, tmp_path):
    folder = tmp_path / "out" / "new"
    folder.mkdir(parents=True)
    splitting()  # an empty one is fine
    before = {file: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(UsageError, match=r"new exists already and is not an empty folder; name another"):
        splitting(shift="temporal")
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": "leave out"}, r"--shift is missing; split takes --shift=none \| popularity"),
        ({"output": "leave out"}, "--output is missing"),
        ({"name": "a/b"}, "--name is 'a/b'; it takes a name without folders"),
        ({"model": "BPR"}, "split takes no --model"),
        ({"dataset": "leave out"}, "--dataset is missing; usage: recbole-diffusion split"),
        ({"dataset": "tyo"}, r"did you mean 'toy'\?"),
        ({"shift_sed": 3}, "unknown option 'shift_sed' .did you mean 'shift_seed'"),
        ({"ouput": "x"}, "unknown option 'ouput' .did you mean 'output'.*; split --help=all lists"),
        ({"val_intervl": "[3,inf)"}, "unknown option 'val_intervl' .did you mean 'val_interval'"),
        ({"source_domain": {"dataset": "toy"}}, "unknown option 'source_domain'"),
        ({"output": ""}, "--output is missing"),
        ({"name": ""}, "option 'name' is given without a value"),
        ({"shift_rest": [0.5, 0.5]}, "'shift_rest' is"),
        ({"shift_ratio": 0.95}, "test_ood would take"),
    ],
)
def test_wrong_requests_write_nothing(splitting, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        splitting(**options)
    assert not (tmp_path / "out").exists()


def test_a_failure_while_writing_leaves_nothing(splitting, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(split_command.shutil, "copyfile", full)
    with pytest.raises(RunError, match="No space left on device; nothing was kept"):
        splitting()
    assert list((tmp_path / "out").iterdir()) == []


def test_help_names_every_option(capsys):
    assert split_command.split(["--help"]) == 0
    shown = capsys.readouterr().out
    for option in (
        "output",
        "name",
        "dataset",
        "shift",
        "shift_seed",
        "shift_ratio",
        "shift_rest",
        "shift_test",
    ):
        assert f"--{option}=" in shown


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_are_split_into_the_parts_of_the_atomic_files(splitting, source, tmp_path, kind):
    columns = {"inter": ["user_id", "item_id", "rating", "timestamp"], "item": ["item_id", "colour"]}
    assert splitting(load_col=columns, output=str(tmp_path / "out" / "atomic"))[0] == 0
    for name in ("inter", "item"):
        frame = pd.read_csv(source / "toy" / f"toy.{name}", sep="\t", dtype={"user_id:token": str})
        frame = frame[
            [
                f"{column}:{'float' if column in ('rating', 'timestamp') else 'token'}"
                for column in columns[name]
            ]
        ]
        frame.columns = columns[name]
        path = source / "toy" / f"toy.{name}.{kind}"
        frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path, index=False)
        (source / "toy" / f"toy.{name}").unlink()
    assert splitting(load_col=columns, output=str(tmp_path / "out" / "table"))[0] == 0
    atomic, table = tmp_path / "out" / "atomic", tmp_path / "out" / "table"
    for part in ("train", "valid", "test_iid", "test_ood"):
        assert (table / f"table.{part}.inter").read_text() == (atomic / f"atomic.{part}.inter").read_text()
    assert (table / f"table.item.{kind}").is_file()
    written = Config("BPR", "table", [table / "table.yaml"], {"data_path": str(table.parent), **SMALL})
    assert "colour" in InteractionDataset(written).item_feat
