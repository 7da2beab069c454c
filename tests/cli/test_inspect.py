"""``inspect``: counts by hand, splits as a run gets them, its formats, and one line for what is wrong."""

import json
import re
from pathlib import Path

import pytest

from recbole_diffusion.cli import main as cli
from recbole_diffusion.compat import init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, parts_of, seed_of_split
from recbole_diffusion.report.data_page import lines_of, options_text, time_figure
from recbole_diffusion.report.data_splits import AS_GIVEN, WAYS
from recbole_diffusion.report.data_summary import summary_of

SECONDS = 1_700_000_000


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Users with 12 rows each, one with 1, one with 2, one with a pair twice; return the rows."""
    lines = [
        (f"u{user}", f"i{(user * 7 + place * place) % 30}", 1 + place % 5, SECONDS + 60 * place + user)
        for user in range(40)
        for place in range(12)
    ]
    lines = list({row[:2]: row for row in lines}.values())
    lines += [("one", "i0", 5, SECONDS), ("two", "i0", 4, SECONDS), ("two", "i1", 4, SECONDS)]
    lines += [("twice", f"i{item}", 3, SECONDS + item) for item in (5, 6, 7, 8, 9, 9)]
    folder = tmp_path / "dataset" / "shop"
    folder.mkdir(parents=True)
    text = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (folder / "shop.inter").write_text(text + "".join("\t".join(map(str, row)) + "\n" for row in lines))
    monkeypatch.chdir(tmp_path)
    return lines


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (["202403311230", "202404010815"], "2024-03-31 12:30:00 to 2024-04-01 08:15:00 (dates and times as "),
        (["20240331", "20240401"], "2024-03-31 to 2024-04-01 (days as 20240331, by their digits)"),
        (
            ["1711843200", "1711843260", "1711843320000"],
            "(seconds since 1970, by their size); 1 row has a number of another form or unit, first "
            "1711843320000 (dataset/tiny/tiny.inter, line 4); rows are ordered by the numbers as they are: "
            "write one unit",
        ),
        (
            ["1711843200", "5"],
            "1970-01-01 00:00:05 to 2024-03-31 (seconds since 1970, by their size); 1 row ",
        ),
        (
            ["1711843200", "2147483647"],
            "to 2038-01-19 03:14:07 (seconds since 1970, by their size); 1 row after today",
        ),
        (["3", "4"], "3 to 4 (numbers that are not times since 1970)"),
    ],
)
def test_numbers_are_taken_for_the_times_that_convert_takes_them_for(tmp_path, monkeypatch, times, said):
    (tmp_path / "dataset" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    lines = [f"u{place % 2}\ti{place}\t{time}\n" for place, time in enumerate(times)]
    header = "user_id:token\titem_id:token\ttimestamp:float\n"
    (tmp_path / "dataset" / "tiny" / "tiny.inter").write_text(header + "".join(lines))
    found = summary_of("tiny", [], {"use_gpu": False, "topk": [1], "valid_metric": "Recall@1"})
    (line,) = [line for line in lines_of(found) if line.startswith("times")]
    assert said in line.replace(f"{tmp_path}/", "")
    assert time_figure(found).panels[0].series


def of_shop(**options):
    return summary_of("shop", [], {"use_gpu": False, **options})


@pytest.fixture
def printed(capsys):
    """Return a function that runs a command line, which must succeed, and returns what it prints."""

    def run(*words: str) -> str:
        assert cli.main(words) == 0
        return capsys.readouterr().out

    return run


def test_the_numbers_are_those_of_the_rows(shop):
    found = of_shop()
    pairs = {row[:2] for row in shop}
    users, items = {user for user, _ in pairs}, {item for _, item in pairs}
    assert (found.rows, found.rows_read) == (len(shop), len(shop))
    assert (found.users, found.items, found.repeats) == (len(users), len(items), 1)
    assert found.density == pytest.approx(len(pairs) / (len(users) * len(items)))
    rows_of = [sum(row[0] == user for row in shop) for user in users]
    assert (found.of_users["least"], found.of_users["most"]) == (min(rows_of), max(rows_of))
    assert (found.of_users["one"], found.of_users["two"]) == (1, 1)
    counts = sorted((sum(row[1] == item for row in shop) for item in items), reverse=True)
    assert found.item_counts.tolist() == counts
    assert found.top["10 %"] == pytest.approx(sum(counts[:3]) / len(shop))
    assert found.ratings == {
        "least": 1, "most": 5, "values": 5, "missing": 0,
        "mean": round(sum(row[2] for row in shop) / len(shop), 4),
    }  # fmt: skip
    assert found.times["unit"].startswith("seconds since 1970")
    assert found.times["from"] == "2023-11-14 22:13:20"
    assert found.times["tied"] == 4  # both rows of "two", and of the pair that "twice" has twice


def test_rows_with_the_label_0_are_told(shop, printed):
    path = Path("dataset/shop/shop.inter")
    assert of_shop().negatives == 0
    assert of_shop(threshold={"rating": 4}).negatives == sum(row[2] < 4 for row in shop)
    header, *lines = path.read_text().splitlines()
    labelled = [f"{line}\t{number % 2}" for number, line in enumerate(lines)]
    path.write_text("\n".join([header + "\tlabel:float", *labelled]) + "\n")
    zeros = (len(shop) + 1) // 2
    assert f"labels    {zeros} rows with the label 0" in printed("inspect", "--dataset=shop")


def test_filters_of_a_run_count(shop):
    found = of_shop(rm_dup_inter="last", user_inter_num_interval="[3,inf)")
    assert (found.rows, found.rows_read) == (len(shop) - 4, len(shop))
    assert (found.users, found.repeats) == (41, 0)


BY_TIME = {"latest rows of each user", "last two rows of each user", "latest rows of all"}
BY_TIME |= {"rows after one moment"}


@pytest.mark.parametrize("valid_part", ["iid", "latest", "shifted"])
@pytest.mark.parametrize("title", WAYS)
def test_each_split_is_the_one_that_a_run_gets(shop, title, valid_part):
    options = {"rm_dup_inter": "last", "use_gpu": False}
    options |= {"valid_shift": "temporal"} if valid_part == "shifted" else {"valid_part": valid_part}
    (split,) = [one for one in of_shop(**options).splits if one.title == title]
    if valid_part != "iid" and title in BY_TIME:
        assert "divides by time" in split.refused
        return
    columns = {"load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]}}
    config = Config("BPR", "shop", overrides={**options, **columns, **WAYS[title]})
    init_seed(seed_of_split(config), config["reproducibility"])
    parts = parts_of(config, create_dataset(config))
    found = {name: part.inter_feat for name, part in parts.items()}
    users = {name: {int(user) for user in one["user_id"]} for name, one in found.items()}
    items = {name: {int(item) for item in one["item_id"]} for name, one in found.items()}
    assert {name: one["rows"] for name, one in split.parts.items()} == {
        name: len(one) for name, one in found.items()
    }
    assert {name: one["users"] for name, one in split.parts.items()} == {
        name: len(one) for name, one in users.items()
    }
    assert split.untested == 43 - len(users[list(users)[-1]])
    unknown = sum(
        int(user) not in users["train"] or int(item) not in items["train"]
        for name, one in found.items()
        if name != "train"
        for user, item in zip(one["user_id"], one["item_id"], strict=True)
    )
    assert (split.unknown, split.overlap) == (unknown, 0)
    assert all(sum(shares) == pytest.approx(1, abs=1e-3) for shares in split.popularity.values())


def test_pairs_in_two_parts_are_counted(shop):
    path = Path("dataset/shop/shop.inter")
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *lines, *lines]) + "\n")
    found = of_shop()
    assert found.repeats == len(shop) + 1
    (split,) = [one for one in found.splits if one.own]
    assert split.title == "random rows of each user"
    assert split.overlap > 50


def test_the_split_of_the_options_is_marked_and_comes_first_where_it_is_another(shop):
    splits = {one.title: one for one in of_shop(shift="temporal").splits}
    assert [title for title, one in splits.items() if one.own] == ["shifted in time"]
    assert splits["random rows"].options == {"shift": "none", **WAYS["random rows"]}
    args = {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "RO", "group_by": "user"}
    first = of_shop(eval_args=args).splits[0]
    assert (first.title, first.own, first.options) == (AS_GIVEN, True, {"eval_args": args})
    assert first.parts["train"]["rows"] < 0.65 * len(shop)


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        ("timestamp:float", "", r"1 row has no time \(.*shop.inter, line 2\)"),
        ("timestamp:token", "2024-01-01", "'timestamp' is token and not a number"),
        ("moment:float", "5", "there is no column of times 'timestamp'"),
    ],
)
def test_splits_by_time_need_times_and_say_why_there_are_none(shop, header, value, said):
    path = Path("dataset/shop/shop.inter")
    first, second, *rest = path.read_text().splitlines()
    first = first.replace("timestamp:float", header)
    path.write_text("\n".join([first, second.rpartition("\t")[0] + "\t" + value, *rest]) + "\n")
    by_title = {one.title: one for one in of_shop().splits}
    for title in ("latest rows of each user", "rows after one moment", "shifted in time"):
        assert not by_title[title].parts
        assert re.search(said, by_title[title].refused)
    assert by_title["random rows of each user"].parts["train"]["rows"] > 100


def test_a_split_that_cannot_be_made_says_why_and_the_others_are_there(shop):
    path = Path("dataset/shop/shop.inter")
    header = path.read_text().splitlines()[0]
    path.write_text(header + "\n" + "".join(f"u{user}\ti{user}\t3\t{user}\n" for user in range(20)))
    by_title = {one.title: one for one in of_shop().splits}
    assert "is empty" in by_title["last two rows of each user"].refused
    assert by_title["random rows"].parts["train"]["rows"] == 16


def test_parts_of_files_are_described_as_they_are(checkerboard):
    options = {name: one for name, one in checkerboard.overrides.items() if name != "dataset"}
    found = summary_of("checkerboard", [], options)
    (split,) = found.splits
    assert split.title == AS_GIVEN
    assert {name: one["rows"] for name, one in split.parts.items()} == {
        "train": 1000, "valid": 100, "test": 150,
    }  # fmt: skip
    assert (found.rows, found.times, split.untested, split.overlap) == (1250, None, 0, 0)


def test_the_text_has_what_there_is_to_know(shop, printed):
    out = printed("inspect", "--dataset=shop", "--use_gpu=False")
    assert out.startswith(f"shop: {len(shop)} rows, 43 users, 30 items, density ")
    assert "repeats   1 row of a pair that is there already; --rm_dup_inter=last" in out
    assert "1 have one, 1 have two" in out
    assert "ratings   1 to 5" in out
    assert "* random rows of each user" in out
    assert '--eval_args="{group_by: user, order: TO, split: {LS: valid_and_test}}"' in out
    assert "valid_iid" not in out
    shifted = printed("inspect", "--dataset=shop", "--use_gpu=False", "--valid_shift=popularity")
    assert "Valid is the part that valid_shift cuts from train; the split's own, valid_iid" in shifted


def test_its_options_of_a_split_are_words_of_a_command_line():
    text = options_text(WAYS["latest rows of all"])
    assert text == '--eval_args="{group_by: none, order: TO, split: {RS: [0.8, 0.1, 0.1]}}"'
    assert options_text({"shift": "popularity"}) == "--shift=popularity"


def test_json_and_page_and_pictures_have_the_same_numbers(shop, tmp_path, printed, monkeypatch):
    drawn = []

    def write(figures, folder, suffix):  # drawing has tests of its own, and takes its time
        drawn.extend(figures)
        return [folder / f"{figure.name}.{suffix}" for figure in figures]

    monkeypatch.setattr("recbole_diffusion.report.pictures.write_pictures", write)
    plain = json.loads(printed("inspect", "--dataset=shop", "--format=json"))
    assert plain["rows"] == len(shop) and len(plain["splits"]) == len(WAYS)
    printed("inspect", "--dataset=shop", "--output=shop.json")
    assert json.loads((tmp_path / "shop.json").read_text()) == plain
    out = printed(
        "inspect", "--dataset=shop", "--output=shop.html", "--pictures=pics", "--pictures_format=svg"
    )
    page = (tmp_path / "shop.html").read_text()
    assert "Which items a split tests" in page and "Popularity of items" in page
    assert f"{plain['splits'][0]['parts']['train']['rows']:,}" in page
    assert "also   3 pictures in pics" in out
    assert [figure.name for figure in drawn] == ["popularity", "time", "splits by popularity"]
    rows, items = drawn[0].panels[0].series[0], [row[1] for row in shop]
    most = max(items.count(item) for item in items)
    assert (rows.name, rows.y[0], rows.x[-1]) == ("items", most, 30)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["inspect"], "no arguments given"),
        (["inspect", "--output=a.txt"], "--dataset is missing"),
        (["inspect", "--dataset=shp"], r"data set 'shp' is not there"),
        (["inspect", "--dataset=douban_book_music"], "is a pair of domains, douban_book and douban_music"),
        (["inspect", "--dataset=shop", "--model=BPR"], "inspect takes no --model"),
        (["inspect", "--dataset=shop", "--shfit=temporal"], "did you mean 'shift'"),
        (["inspect", "--dataset=shop", "--output=a.pdf"], "no known ending"),
        (["inspect", "--dataset=shop", "--format=html"], "name its file with --output"),
        (["inspect", "--dataset=shop", "--format=xml"], "it takes text | json | html"),
        (["inspect", "--dataset=shop", "--output=nowhere/a.txt"], "there is no folder"),
        (["inspect", "--dataset=shop", "--output=dataset"], "is a folder"),
        (["inspect", "--dataset=shop", "--USER_ID_FIELD=who"], "has no column who"),
        (["inspect", "--dataset=shop", "--user_inter_num_interval=[99,inf)"], "no interactions left"),
        (["inspect", "--dataset=shop", "--val_interval={price: '[1,2]'}"], "val_interval names the column"),
        (["inspect", "shop"], "unexpected argument"),
    ],
)
def test_a_wrong_request_is_one_line_and_leaves_nothing(shop, tmp_path, capsys, words, said):
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    (line,) = [one for one in err.splitlines() if one.startswith("error: ")]
    assert said in line and "Traceback" not in err and not out
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_that_is_there_is_kept(shop, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("mine")
    assert cli.main(["inspect", "--dataset=shop", "--output=a.txt"]) == 2
    assert "replace it with --overwrite" in capsys.readouterr().err
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert cli.main(["inspect", "--dataset=shop", "--output=a.txt", "--overwrite"]) == 0
    assert "density" in (tmp_path / "a.txt").read_text()
