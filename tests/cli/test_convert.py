"""``convert``: what it writes, prints and never overwrites; a run on its data set and on the table itself."""

import json
import shutil

import pandas as pd
import pytest

from recbole_diffusion import load_run, run
from recbole_diffusion.cli import main as cli
from recbole_diffusion.errors import UsageError
from recbole_diffusion.storage import atomic

SMALL = {"epochs": 1, "embedding_size": 8, "topk": [5], "valid_metric": "recall@5", "use_gpu": False}
NAMED = {"user": "customer", "item": "sku", "time": "date"}
WORDS = [f"--{role}={name}" for role, name in NAMED.items()]


@pytest.fixture
def sales(tmp_path, monkeypatch):
    """A CSV file of 30 customers and 25 articles with dates; the working directory is around it."""
    monkeypatch.chdir(tmp_path)
    days = pd.date_range("2024-01-01", periods=12)
    table = pd.DataFrame(
        [
            (f"{user:03}", f"a,{(user * 7 + place * place) % 25}", days[place])
            for user in range(30)
            for place in range(12)
        ],
        columns=["customer", "sku", "date"],
    ).drop_duplicates(["customer", "sku"])
    table.to_csv("sales.csv", index=False)
    return table


@pytest.fixture
def refused(capsys):
    """Return a function that runs a failing command line and returns its one line of error."""

    def check(*words: str, code: int = 2) -> str:
        assert cli.main(words) == code
        out, err = capsys.readouterr()
        (line,) = err.splitlines()
        assert line.startswith("error: ") and not out
        return line

    return check


def converted(*words: str) -> None:
    assert cli.main(["convert", "sales.csv", *WORDS, "--output=dataset/sales", *words]) == 0


def test_it_writes_a_typed_header_a_record_and_says_how_to_go_on(sales, tmp_path, capsys):
    converted()
    out = capsys.readouterr().out
    lines = (tmp_path / "dataset/sales/sales.inter").read_text().splitlines()
    assert lines[0] == "user_id:token\titem_id:token\ttimestamp:float"
    assert lines[1] == "000\ta,0\t1704067200"
    assert len(lines) == len(sales) + 1
    record = json.loads((tmp_path / "dataset/sales/convert.json").read_text())
    assert (record["rows"], record["users"], record["repeated_rows"]) == (len(sales), 30, 0)
    assert record["source"]["file"] == "sales.csv" and len(record["source"]["sha256"]) == 64
    assert record["columns"]["item_id:token"] == "sku"
    assert "recbole-diffusion --model=BPR --dataset=sales\n" in out
    assert "times    date: ISO dates without a zone, taken as UTC, from 2024-01-01 to 2024-01-12" in out


def test_the_command_that_it_names_runs_also_with_repeats_and_elsewhere(sales, tmp_path, capsys):
    pd.concat([sales, sales[:40]]).to_csv("sales.csv", index=False)
    assert cli.main(["convert", "sales.csv", *WORDS, "--output=elsewhere/shop", "--format=parquet"]) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[-2:] == [f"--data_path={tmp_path / 'elsewhere'}", "--rm_dup_inter=last"]
    assert (tmp_path / "elsewhere/shop/shop.inter.parquet").is_file()
    options = [f"--{name}={value}" for name, value in SMALL.items()]
    assert cli.main([*last[1:], *options, "--run_dir=one"]) == 0


def test_what_is_there_is_replaced_by_force_alone_and_only_if_convert_made_it(
    sales, tmp_path, refused, capsys
):
    folder = tmp_path / "dataset" / "sales"
    converted()
    (folder / "sales.item").write_text("item_id:token\n")
    before = (folder / "sales.inter").read_bytes()
    capsys.readouterr()
    again = ["convert", "sales.csv", *WORDS, "--output=dataset/sales"]
    assert "holds sales.inter already; replace it with --force" in refused(*again)
    assert (folder / "sales.inter").read_bytes() == before
    sales[:50].to_csv("sales.csv", index=False)
    converted("--force", "--format=parquet")
    capsys.readouterr()
    assert sorted(one.name for one in folder.iterdir()) == [
        "convert.json", "sales.inter.parquet", "sales.item",
    ]  # fmt: skip
    (folder / "convert.json").unlink()
    assert "not made by convert" in refused(*again, "--force")
    (folder / "sales.inter.parquet").rename(folder / "sales.train.inter")
    assert "another form of a data set" in refused(*again, "--force")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["convert"], "no arguments given"),
        (["convert", "sales.csv", *WORDS], "--output is missing"),
        (["convert", "sales.csv", *WORDS, "--output="], "--output is missing"),
        (["convert", "a.csv", "b.csv", "--output=x"], "takes one file, a.csv and b.csv given"),
        (["convert", "none.csv", *WORDS, "--output=x"], "there is no file none.csv"),
        (["convert", ".", *WORDS, "--output=x"], "is a folder"),
        (["convert", "sales.csv", *WORDS, "--output=sales.csv"], "is a file; name a folder"),
        (["convert", "sales.csv", *WORDS, "--output=s3://b/x"], "an address"),
        (["convert", "sales.csv", "--user=custmer", "--item=sku", "--output=x"], "did you mean 'customer'"),
        (["convert", "sales.csv", *WORDS, "--output=x", "--form=yelp"], "does not have the form"),
        (["convert", "sales.csv", *WORDS, "--output=x", "--format=xml"], "it takes atomic | parquet"),
        (["convert", "sales.csv", *WORDS, "--outptu=x"], "did you mean 'output'"),
    ],
)
def test_a_wrong_request_is_one_line_and_leaves_nothing(sales, tmp_path, refused, words, said):
    before = sorted(tmp_path.rglob("*"))
    assert said in refused(*words)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_folders_is_never_taken_for_that_of_a_data_set(sales, tmp_path, refused):
    (tmp_path / "dataset" / "other").mkdir(parents=True)
    assert "name a folder of the data set alone" in refused(
        "convert", "sales.csv", *WORDS, "--output=dataset"
    )


def test_a_full_disk_is_one_line_and_keeps_what_was_there(sales, tmp_path, refused, capsys, monkeypatch):
    converted()
    before = (tmp_path / "dataset/sales/sales.inter").read_bytes()
    capsys.readouterr()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "_sync", full)
    line = refused("convert", "sales.csv", *WORDS, "--output=dataset/sales", "--force", code=1)
    assert "No space left" in line and "the version before it is untouched" in line
    assert (tmp_path / "dataset/sales/sales.inter").read_bytes() == before
    assert not [one for one in (tmp_path / "dataset").iterdir() if one.name.startswith(".")]


# A run on the table itself.


def test_a_run_on_a_table_has_the_result_of_one_on_its_data_set(sales, tmp_path):
    converted()
    of_set = run("BPR", "sales", overrides={**SMALL, "run_dir": "set"})
    for number, data in enumerate((sales, "sales.csv")):
        own = run("BPR", data=data, **NAMED, overrides={**SMALL, "run_dir": f"own{number}"})
        assert (own["valid"], own["test"]) == (of_set["valid"], of_set["test"])
        prints = [
            {name: one["fingerprint"] for name, one in found["parts"].items()} for found in (own, of_set)
        ]
        assert prints[0] == prints[1]
    assert (of_set["dataset"], own["dataset"]) == ("sales", "sales")
    assert not (tmp_path / "runs").exists()


def test_its_folder_serves_and_goes_on_after_it_has_moved_and_the_table_is_gone(sales, tmp_path):
    found = run("BPR", data="sales.csv", **NAMED, overrides={**SMALL, "run_dir": "first"})
    (tmp_path / "sales.csv").unlink()
    lists = load_run("first").recommend(k=3)
    assert len(lists) == 90 and set(lists["user"]) == set(sales["customer"])
    shutil.move("first", "second")
    again = load_run("second")
    assert again.recommend(k=3).equals(lists) and not again.changed.parts
    assert cli.main(["recommend", "--run=second", "--all", "--k=3", "--output=lists.csv"]) == 0
    longer = run(resume="second", overrides={"epochs": 2})
    assert len(longer["epoch_seconds"]) == 2 and longer["parts"] == found["parts"]


def test_its_columns_are_loaded_and_told_and_its_command_repeats_it(sales, tmp_path):
    table = sales.assign(stars=4.0, colour="red", customer=sales["customer"].where(sales.index != 3))
    found = run(
        "BPR",
        "shop",
        data=table,
        **NAMED,
        rating="stars",
        keep=["colour"],
        overrides={**SMALL, "run_dir": "a"},
    )
    log = (tmp_path / "a" / "log.txt").read_text()
    assert "1 row without user or item left out (row 4)" in log
    assert "data: times date: dates without a zone, taken as UTC" in log
    record = json.loads((tmp_path / "a/data/shop/data.json").read_text())
    assert record["rows"] == len(table) - 1
    assert f"--data_path={tmp_path / 'a' / 'data'}" in found["command"]
    assert "[user_id, item_id, rating, timestamp, colour]" in found["command"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"data": "sales.csv", "user": "customer"}, "which column has the items"),
        (
            {"data": "sales.csv", **NAMED, "overrides": {"data_path": "x"}},
            "data_path is 'x', but data is given",
        ),
        ({"data": "sales.csv", **NAMED, "overrides": {"USER_ID_FIELD": "u"}}, "USER_ID_FIELD is 'u'"),
        ({"data": "sales.csv", **NAMED, "overrides": {"topk": [90]}}, "topk is 90"),
        ({"data": "sales.csv", **NAMED, "resume": "x"}, "data is given with resume"),
        ({"data": "sales.csv", **NAMED, "overide": {}}, "did you mean 'overrides'"),
        ({"data": "sales.csv", **NAMED, "time_formt": "x"}, "did you mean 'time_format'"),
        ({"dataset": "ml-100k", "user": "customer"}, "has no argument 'user' without data"),
        ({"dataset": "ml-100k", "resum": "x"}, "did you mean 'resume'"),
    ],
)
def test_a_wrong_run_on_a_table_is_refused_and_leaves_nothing(sales, tmp_path, arguments, said):
    with pytest.raises(UsageError, match=said):
        run("BPR", **{"overrides": {}, **arguments})
    assert not list(tmp_path.glob("runs/*"))


def test_a_table_that_repeats_pairs_is_refused_as_a_data_set_would_be(sales):
    table = pd.concat([sales, sales])
    with pytest.raises(UsageError, match="rm_dup_inter"):
        run("BPR", data=table, **NAMED, overrides=SMALL)
    found = run("BPR", data=table, **NAMED, overrides={**SMALL, "rm_dup_inter": "last"})
    assert sum(part["rows"] for part in found["parts"].values()) == len(sales)


def test_a_folder_that_a_kill_has_left_with_a_copy_alone_is_taken_again(sales, tmp_path):
    found = run("BPR", data=sales, **NAMED, overrides={**SMALL, "run_dir": "a"})
    (tmp_path / "b" / ".data.17.part" / "data").mkdir(parents=True)
    shutil.copytree(tmp_path / "a/data", tmp_path / "b/data")
    again = run("BPR", data=sales[:200], **NAMED, overrides={**SMALL, "run_dir": "b"})
    assert sum(one["rows"] for one in again["parts"].values()) == 200 != len(sales)
    assert sorted(one.name for one in (tmp_path / "b").iterdir() if one.is_dir()) == ["data", "tensorboard"]
    (tmp_path / "c/data").mkdir(parents=True)
    (tmp_path / "c/data/mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        run("BPR", data=sales, **NAMED, overrides={**SMALL, "run_dir": "c"})
    assert (tmp_path / "c/data/mine.txt").read_text() == "mine" and found["run_dir"]


def test_load_col_of_a_file_is_kept(sales, tmp_path):
    (tmp_path / "c.yaml").write_text("load_col: {inter: [user_id, item_id]}\n")
    run("BPR", data=sales, **NAMED, config_files=["c.yaml"], overrides={**SMALL, "run_dir": "a"})
    assert "load_col:\n  inter: [user_id, item_id]\n" in (tmp_path / "a/config.yaml").read_text()


def test_another_format_takes_the_place_of_the_first_in_a_folder_with_brackets(sales, tmp_path):
    for words in ([], ["--force", "--format=parquet"]):
        assert cli.main(["convert", "sales.csv", *WORDS, "--output=dataset/sales[1]", *words]) == 0
    names = sorted(file.name for file in (tmp_path / "dataset/sales[1]").iterdir())
    assert names == ["convert.json", "sales[1].inter.parquet"]
