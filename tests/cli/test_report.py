"""``report``: pages of real runs and a sweep; what is missing is said, refusals leave nothing behind."""

import random
import shutil

import pytest

from recbole_diffusion import run
from recbole_diffusion.cli import main as cli


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of two TVDiff and two BPR runs on one data set, which each seed splits at random."""
    folder = tmp_path_factory.mktemp("trained")
    draw = random.Random(3)
    (folder / "toy").mkdir()
    pairs = [f"u{user}\ti{item}" for user in range(30) for item in draw.sample(range(40), 15)]
    (folder / "toy/toy.inter").write_text("\n".join(["user_id:token\titem_id:token", *pairs]) + "\n")
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
        (["report", "RUNS", "--output=a.html"], 2, "there are 4 runs inside"),
        (["report", "RUNS/TVDiff-0", "--output=a.html", "--pictures_format=gif"], 2, "png | svg | pdf"),
    ],
)
def test_requests_that_cannot_be_met(trained, capsys, monkeypatch, tmp_path, words, code, said):
    monkeypatch.chdir(tmp_path)
    assert cli.main([word.replace("RUNS", str(trained)) for word in words]) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
