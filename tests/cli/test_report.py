"""``report``: pages of real runs and a sweep; what is missing is said, refusals leave nothing behind."""

import random
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from recbole_diffusion import load_run, run
from recbole_diffusion.cli import main as cli
from recbole_diffusion.report import recommendations


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of two TVDiff and two BPR runs on one data set, which each seed splits at random."""
    folder = tmp_path_factory.mktemp("trained")
    draw = random.Random(3)
    (folder / "toy").mkdir()
    pairs = [f"u{user}\ti{item}" for user in range(30) for item in draw.sample(range(40), 15)]
    (folder / "toy/toy.inter").write_text("\n".join(["user_id:token\titem_id:token", *pairs]) + "\n")
    titles = [f"i{item}\tThe {item}th item" for item in range(39)]  # one has no row
    (folder / "toy/toy.item").write_text("\n".join(["item_id:token\titem_title:token", *titles]) + "\n")
    options = {
        "data_path": str(folder),
        "epochs": 2,
        "use_gpu": False,
        "topk": [5],
        "valid_metric": "Recall@5",
    }
    options |= {"load_col": {"inter": ["user_id", "item_id"]}}
    for model, size in (("TVDiff", "hidden_size"), ("BPR", "embedding_size")):
        for seed in (0, 1):
            run(
                model,
                "toy",
                overrides={
                    **options,
                    size: 8,
                    "seed": seed,
                    "run_dir": str(folder / "runs" / f"{model}-{seed}"),
                },
            )
    return folder / "runs"


def test_one_run(trained, tmp_path, capsys):
    out = tmp_path / "one.html"
    assert cli.main(["report", str(trained / "TVDiff-0"), f"--output={out}"]) == 0
    assert "5 figures" in capsys.readouterr().out
    text = out.read_text()
    for said in (
        "TVDiff on toy",
        "Loss of TVDiff, by part",
        "recall@5 by group of items and users",
        "Energy and entropy",
        "hidden_size: 8",
    ):
        assert said in text
    assert len(text.encode()) < 2_000_000


def test_several_runs_and_pictures(trained, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out, pictures = tmp_path / "all.html", tmp_path / "pictures"
    words = [f"--glob={trained}/*", f"--output={out}", f"--pictures={pictures}", "--pictures_format=svg"]
    assert cli.main(["report", *words]) == 0
    assert "also   7 pictures" in capsys.readouterr().out
    assert len(list(pictures.glob("*.svg"))) == 7
    text = out.read_text()
    assert "the same 2 splits" in text
    assert "paired t-test over users of recall@5" in text


def cells_of(text, title):
    """Return heading and rows of the table with this caption."""
    (table,) = re.findall(rf"<caption>{title}</caption>(.*?)</table>", text, re.DOTALL)
    rows = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    ]
    return rows[0], rows[1:]


def test_lists_of_users_are_beside_each_other_with_titles_and_hits(trained, tmp_path, capsys):
    out, folders = tmp_path / "lists.html", [str(trained / name) for name in ("TVDiff-0", "BPR-0")]
    assert cli.main(["report", *folders, f"--output={out}", "--users=u3,u7"]) == 0
    text = out.read_text()
    runs = {Path(folder).name[:-2]: load_run(folder) for folder in folders}
    for user in ("u3", "u7"):
        head, rows = cells_of(text, f"User {user}")
        parts = {name: tokens_of(runs["BPR"], part, user) for name, part in runs["BPR"].parts.items()}
        columns = list(zip(*rows, strict=True))
        had, held = {*parts["train"], *parts["valid"]}, set(parts["test"])
        assert (head[1], head[-1]) == (f"has in train and valid ({len(had)})", f"held out ({len(held)})")
        listed = []
        for name, loaded in runs.items():
            best = list(loaded.recommend([user], k=10, exclude="history")["item"])
            place = next(place for place, cell in enumerate(head) if cell.startswith(name))
            right = [("✓ " if item in held else "") + titled(item) for item in best]
            assert list(columns[place]) == right
            hits = len(held & set(best))
            assert head[place].endswith(f": {hits} hit{'' if hits == 1 else 's'}")
            listed += best
        found = [("✓ " if item in listed else "") + titled(item) for item in parts["test"]]
        assert sorted(cell for cell in columns[-1] if cell) == sorted(found)


def titled(item):
    return item if item == "i39" else f"The {item[1:]}th item"


def tokens_of(loaded, part, user):
    rows = part.inter_feat[part.uid_field].numpy() == loaded.users.numbers_of([user])[0]
    return list(loaded.items.tokens[part.inter_feat[part.iid_field].numpy()[rows]])


def test_items_are_counted_in_the_lists_of_all_tested_users(trained, tmp_path):
    runs = {name: load_run(trained / f"{name}-0") for name in ("TVDiff", "BPR")}
    found = recommendations.recommended(runs, [])
    table = runs["BPR"].recommend(k=10, exclude="history")
    tested = set(runs["BPR"].users.tokens[np.unique(runs["BPR"].parts["test"].inter_feat["user_id"])])
    by_hand = Counter(item for user, item in zip(table["user"], table["item"], strict=True) if user in tested)
    numbers = runs["BPR"].items.numbers_of(by_hand)
    assert found.lists["BPR"].sum() == sum(by_hand.values())
    assert list(found.lists["BPR"][numbers]) == list(by_hand.values())
    (panel,) = recommendations.shares_by_popularity(found, {"TVDiff": 0, "BPR": 1}).panels
    assert [series.name for series in panel.series] == ["rows of train", "TVDiff", "BPR"]
    assert [sum(series.y) for series in panel.series] == pytest.approx([1.0] * 3)
    first = np.argsort(-found.train[1:], kind="stable")[:4] + 1  # 40 items in ten groups
    assert panel.series[2].y[0] == pytest.approx(found.lists["BPR"][first].sum() / found.lists["BPR"].sum())


def test_users_are_drawn_from_each_quarter_of_activity(trained):
    loaded = load_run(trained / "BPR-0")
    assert recommendations.drawn_users(loaded) == (drawn := recommendations.drawn_users(loaded))
    rows = Counter(loaded.users.tokens[loaded.parts["train"].inter_feat["user_id"].numpy()])
    assert len(set(drawn)) == 4
    assert [rows[user] for user in drawn] == sorted((rows[user] for user in drawn), reverse=True)


def test_the_gini_coefficient_is_that_of_a_hand_computation():
    assert recommendations.gini(np.array([2, 2, 2])) == 0
    assert recommendations.gini(np.array([0, 0, 4])) == pytest.approx(2 / 3)
    assert recommendations.gini(np.array([1, 3])) == pytest.approx(1 / 4)
    assert recommendations.gini(np.array([0, 0])) == 0


def test_a_damaged_item_file_costs_the_titles_alone(trained, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(trained.parent / "toy", data / "toy")
    (data / "toy/toy.item").write_text("item_id\tsomething\n")
    words = ["report", str(trained / "BPR-0"), f"--data_path={data}", f"--output={tmp_path / 'a.html'}"]
    assert cli.main(words) == 0
    assert "Items have ids instead of titles" in capsys.readouterr().out
    assert "<caption>User u" in (tmp_path / "a.html").read_text()


def test_different_random_splits_are_refused_by_their_fingerprints(trained, tmp_path, capsys):
    assert cli.main(["compare", str(trained / "TVDiff-0"), str(trained / "BPR-1")]) == 2
    assert "different splits" in capsys.readouterr().err


def test_without_weights_the_page_says_so(trained, tmp_path, capsys):
    shutil.copytree(trained / "TVDiff-0", tmp_path / "copy")
    (tmp_path / "copy" / "best.pt").unlink()
    assert cli.main(["report", str(tmp_path / "copy"), f"--output={tmp_path / 'a.html'}"]) == 0
    assert "Without energy and entropy" in capsys.readouterr().out
    assert "best.pt is missing" in (tmp_path / "a.html").read_text()


def test_without_data_the_page_says_so(trained, tmp_path, capsys):
    words = [
        "report",
        str(trained / "TVDiff-0"),
        f"--output={tmp_path / 'a.html'}",
        f"--data_path={tmp_path}",
    ]
    assert cli.main(words) == 0
    assert "is not there" in (tmp_path / "a.html").read_text()


def test_a_sweep(sweep, write_run, tmp_path, capsys):
    out = tmp_path / "sweep.html"
    assert cli.main(["report", str(sweep), f"--output={out}"]) == 0
    assert "Sweep of BPR on toy" in out.read_text()
    assert cli.main(["report", str(sweep), str(write_run()), f"--output={out}", "--overwrite"]) == 2
    assert "has its own page" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["report", "--help"], 0, ""),
        (["report"], 2, ""),
        (["report", "RUNS/TVDiff-0"], 2, "--output is missing"),
        (["report", "--output=a.html"], 2, "no run is named"),
        (["report", "RUNS", "--output=a.html"], 2, "4 runs are inside"),
        (["report", "RUNS/TVDiff-0", "--output=a.html", "--pictures_format=gif"], 2, "png | svg | pdf"),
        (["report", "RUNS/BPR-0", "--output=a.html", "--users=u3,nobody"], 2, "'nobody', who is not in"),
        (["report", "RUNS/BPR-0", "--output=a.html", "--users=,"], 2, "names 0 users; it takes 1 to 12"),
        (["report", "RUNS/BPR-0", "--output=a.html", "--users=u3", "--models=false"], 2, "loads none"),
        (["report", "RUNS/BPR-0", "--output=a.html", "--item_title=item_titel"], 2, "mean 'item_title'?"),
        (["report", "RUNS/BPR-0", "RUNS/BPR-1", "--output=a.html", "--watch"], 2, "takes one folder"),
        (["report", "RUNS/BPR-0", "--output=a.html", "--watch", "--every=0"], 2, "every"),
    ],
)
def test_requests_that_cannot_be_met(trained, capsys, monkeypatch, tmp_path, words, code, said):
    monkeypatch.chdir(tmp_path)
    assert cli.main([word.replace("RUNS", str(trained)) for word in words]) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
