"""What a careless user gives: one line saying what, where and what to do; the exit code; nothing lost."""

import random
import re

import pytest
import torch

from recbole_diffusion.cli import main as cli
from recbole_diffusion.config import Config
from recbole_diffusion.quick_start import run

SMALL = {"epochs": 1, "hidden_size": 8, "steps": 3}


@pytest.fixture
def refused(capfd, tmp_path, monkeypatch):
    """Return a function that runs a failing command line and returns its one line of error."""
    monkeypatch.chdir(tmp_path)

    def check(words: list[str], code: int) -> str:
        before = {path for path in tmp_path.rglob("*") if path.is_file()}
        capfd.readouterr()
        assert cli.main(words) == code
        err = capfd.readouterr().err
        *log, line = err.splitlines()
        assert line.startswith("error: ")
        assert not [other for other in log if other.startswith("error: ")]
        assert "Traceback" not in err
        assert "Warning" not in err
        after = {path for path in tmp_path.rglob("*") if path.is_file()}
        assert before <= after
        if code == cli.USAGE:
            assert after == before  # a wrong request leaves nothing behind
            assert not [other for other in log if "run folder" in other]
        return line

    return check


REQUESTS = {
    "embeding_size=3": r"unknown option 'embeding_size' \(did you mean 'embedding_size'\?\)",
    "hidden_size=wide": "'hidden_size' is 'wide'; it takes int in",
    "gamma=0": r"'gamma' is 0.0; it takes float in \(0, 1\]",
    "steps=0": r"'steps' is 0; it takes int in \[1, inf\)",
    "epochs=-1": r"'epochs' is -1; it takes int in \[0, inf\)",
    "topk=0": "'topk' is 0; it takes a whole number from 1",
    "topk=a": "'topk' is 'a'",
    "topk=[10, 20, 51]": "topk is 51, but data set 'checkerboard' has only 50 items",
    "metrics=Foo": "unknown metric 'Foo'; metrics takes .*Recall",
    "valid_metric=MRR@7": "valid_metric is 'MRR@7', which is not computed.*mrr@20",
    "learner=foo": "'learner' is 'foo'; it takes adam",
    "seed=abc": "'seed' is 'abc'",
    "config_files=missing.yaml": "cannot read configuration file 'missing.yaml'",
    "resume=/nowhere": "no run in /nowhere",
    "resume=": "'resume' is given without a value",
    "model=": "'model' is given without a value",
    "model=Nonsense": "unknown model 'Nonsense'; this package has .*TVDiff",
    "model=tvdiff": r"unknown model 'tvdiff' \(did you mean 'TVDiff'\?\)",
    "dataset=": "'dataset' is given without a value",
    "dataset=a/b": "dataset 'a/b' is a path",
    "dataset=chekerboard": (
        "data set 'chekerboard' is not there: .*train.inter.* missing in "
        r".*\(did you mean 'checkerboard'\?\)"
    ),
    "data_path=/nowhere": "checkerboard.train.inter.* missing in /nowhere/checkerboard .*--data_path",
    "eval_args={spilt: {RS: [8, 1, 1]}}": r"unknown name 'spilt' in eval_args \(did you mean 'split'\?\)",
    "benchmark_filename=train": "'benchmark_filename' is 'train'; it takes two parts",
    "benchmark_filename=[train, vaild, test]": "checkerboard.vaild.inter missing in",
    "load_col={inter: [user_id, itm_id]}": "has no column item_id, itm_id, only user_id; check load_col",
    "USER_ID_FIELD=who": "checkerboard.train.inter has no column who",
    "load_checkpoint=/nowhere.pt": "no checkpoint at /nowhere.pt",
    "train_neg_sample_args={distribution: gauss}": "'gauss'; it takes uniform",
    "use_gpu=perhaps": "'use_gpu' is 'perhaps'; it takes bool",
}


@pytest.mark.parametrize("option", REQUESTS)
def test_a_wrong_request(checkerboard, refused, option):
    name, _, value = option.partition("=")
    words = ["--model=TVDiff", *checkerboard.words(**SMALL)]
    words = [word for word in words if not word.startswith(f"--{name}=")] + [f"--{name}={value}"]
    assert re.search(REQUESTS[option], refused(words, cli.USAGE))


def test_a_yaml_with_a_tab_names_file_and_line(checkerboard, refused, tmp_path):
    (tmp_path / "mine.yaml").write_text("epochs: 1\n\tsteps: 2\n")
    line = refused(["--model=TVDiff", *checkerboard.words(), "--config_files=mine.yaml"], cli.USAGE)
    assert re.search("'mine.yaml' is not valid YAML.*line 2", line)


def test_a_run_folder_that_is_a_file_or_in_use(checkerboard, refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/mine").write_text("mine")
    words = ["--model=TVDiff", *checkerboard.words(**SMALL)]
    assert "cannot make the run folder" in refused([*words, "--run_dir=file"], cli.USAGE)
    assert "is not empty; name another" in refused([*words, "--run_dir=used"], cli.USAGE)
    words = [word for word in words if not word.startswith("--runs_path")]
    assert "cannot make the run folder" in refused([*words, "--runs_path=file/runs"], cli.USAGE)


# Data.


def words_of(data, **options) -> list[str]:
    return ["--model=TVDiff", *data.words(**SMALL, **options)]


MALFORMED = {
    "a field too many": ("u1\ti1\nu2\ti2\tmore\n", r"toy.train.inter, line 3: found 3 fields, expected 2"),
    "a field too few": ("u1\ti1\nu2\n", r"toy.train.inter, line 3: found 1 fields, expected 2"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_row_names_file_and_line(write_parts, refused, case):
    rows, message = MALFORMED[case]
    pairs = [("u1", "i1"), ("u2", "i2")]
    data = write_parts(train=pairs, valid=pairs, test=pairs)
    (data.folder / "toy.train.inter").write_text("user_id:token\titem_id:token\n" + rows)
    assert re.search(message, refused(words_of(data), cli.USAGE))


def test_an_empty_part_is_named(write_parts, refused):
    pairs = [(f"u{k}", f"i{k % 7}") for k in range(30)]
    data = write_parts(train=pairs, valid=[], test=pairs)
    assert "the valid part of data set 'toy' is empty" in refused(
        words_of(data, topk=[2], valid_metric="MRR@2"), cli.USAGE
    )


def test_a_user_with_every_item_is_told(write_parts, refused):
    pairs = [(f"u{k}", f"i{k % 7}") for k in range(30)]
    data = write_parts(train=[*pairs, *(("greedy", f"i{k}") for k in range(7))], valid=pairs, test=pairs)
    line = refused(words_of(data, topk=[2], valid_metric="MRR@2", allow_overlap=True), cli.USAGE)
    assert re.search(r"data set 'toy'.*1 user has interacted with all items \(7\), such as 'greedy'", line)


@pytest.fixture
def whole(write_parts):
    """A data set in one file, to be split by RecBole."""
    pairs = [(f"u{k % 10}", f"i{k % 13}") for k in range(130)]
    data = write_parts(all=pairs)
    (data.folder / "toy.all.inter").rename(data.folder / "toy.inter")
    del data.overrides["benchmark_filename"]
    data.overrides |= {"topk": [2], "valid_metric": "MRR@2"}
    return data


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"user_inter_num_interval": "[100,inf)"},
            "has no interactions left after filtering; loosen user_inter_num_interval",
        ),
        ({"val_interval": {"user_id": ["nobody"]}}, "left after filtering; loosen val_interval$"),
        (
            {"val_interval": {"rating": "[3,inf)"}},
            "val_interval names the column 'rating', which is not loaded; add it to load_col",
        ),
        (
            {"eval_args": {"order": "TO"}},
            "splits by time, but .*toy.inter has no column 'timestamp', only user_id, item_id; "
            "name its time column",
        ),
        ({"eval_args": {"split": {"TS": [0.8, 0.1, 0.1]}}}, "splits by time"),
        (
            {"metrics": ["AUC"], "valid_metric": "AUC", "eval_args": {"mode": "labeled"}},
            "labeled needs the column 'label'",
        ),
        (
            {"rating_scale": [1, 5], "valid_metric": "rated_ndcg@5"},
            "valid_metric is 'rated_ndcg@5', which needs the ratings .* without the column 'rating'; name it "
            "in load_col",
        ),
        ({"additional_feat_suffix": "extra"}, "toy.extra. not found"),
    ],
)
def test_options_that_the_data_does_not_fit(whole, refused, options, message):
    assert re.search(message, refused(words_of(whole, **options), cli.USAGE))


def test_pairwise_baselines_need_negatives(whole, refused):
    words = ["--model=BPR", *whole.words(epochs=1, train_neg_sample_args=None)]
    assert "BPR learns from pairs and needs negatives" in refused(words, cli.USAGE)


@pytest.mark.parametrize(
    "options",
    [{"user_inter_num_interval": "[100,inf)"}, {"eval_args": {"order": "TO"}}],
    ids=["filter", "order"],
)
def test_options_without_effect_on_given_parts_are_told(checkerboard, tmp_path, options):
    run("BPR", overrides={**checkerboard.overrides, **options, "epochs": 1, "run_dir": str(tmp_path / "run")})
    name = "eval_args.order" if "eval_args" in options else "user_inter_num_interval"
    assert (
        f"WARNING the parts of benchmark_filename are taken as they are: no effect of {name}\n"
        in (tmp_path / "run/log.txt").read_text()
    )


# Checkpoints.


@pytest.fixture
def trained(checkerboard, tmp_path):
    """The folder of a finished run of BPR."""
    run(
        "BPR",
        overrides={
            **checkerboard.overrides,
            "epochs": 1,
            "embedding_size": 8,
            "run_dir": str(tmp_path / "done"),
        },
    )
    return tmp_path / "done"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], "best.pt is damaged"),
        (lambda whole: random.Random(1).randbytes(len(whole)), "best.pt is damaged"),
        (lambda whole: b"", "best.pt is damaged"),
    ],
    ids=["truncated", "random", "empty"],
)
def test_a_damaged_checkpoint(checkerboard, refused, trained, content, message):
    path = trained / "best.pt"
    path.write_bytes(content(path.read_bytes()))
    words = ["--model=BPR", *checkerboard.words(epochs=0, embedding_size=8, load_checkpoint=str(path))]
    assert message in refused(words, cli.FAILED)


def test_a_checkpoint_of_another_shape_or_model(checkerboard, refused, trained):
    path = str(trained / "best.pt")
    words = ["--model=BPR", *checkerboard.words(epochs=0, embedding_size=16, load_checkpoint=path)]
    assert "best.pt does not fit this model, its options or its data set: " in refused(words, cli.FAILED)
    words = ["--model=TVDiff", *checkerboard.words(**{**SMALL, "epochs": 0}, load_checkpoint=path)]
    assert "best.pt holds weights of BPR, not of TVDiff" in refused(words, cli.FAILED)


def test_recboles_own_checkpoint_needs_trust_and_then_scores_the_same(
    checkerboard, refused, trained, tmp_path
):
    safe = torch.load(trained / "best.pt", weights_only=True)
    config = Config("BPR", overrides={**checkerboard.overrides, "embedding_size": 8})
    foreign = {
        "config": config,
        "epoch": 0,
        "state_dict": safe["state_dict"],
        "other_parameter": None,
        "optimizer": {},
    }
    torch.save(foreign, tmp_path / "BPR.pth", pickle_protocol=4)
    options = {"epochs": 0, "embedding_size": 8, "load_checkpoint": str(tmp_path / "BPR.pth")}
    line = refused(["--model=BPR", *checkerboard.words(**options)], cli.FAILED)
    assert re.search(
        "BPR.pth is not a checkpoint of this package, and reading it could run code.*--trust_checkpoint=True",
        line,
    )
    first = run(resume=trained)
    trusted = run("BPR", overrides={**checkerboard.overrides, **options, "trust_checkpoint": True})
    assert (trusted["valid"], trusted["test"]) == (first["valid"], first["test"])


def test_a_damaged_checkpoint_stops_a_resume_and_loses_nothing(refused, trained):
    (trained / "checkpoint.pt").write_bytes(b"x" * 100)
    before = {
        path.name: path.read_bytes()
        for path in trained.iterdir()
        if path.is_file() and path.name != "log.txt"
    }
    assert "checkpoint.pt is damaged" in refused([f"--resume={trained}", "--epochs=3"], cli.FAILED)
    assert {
        path.name: path.read_bytes()
        for path in trained.iterdir()
        if path.is_file() and path.name != "log.txt"
    } == before


def test_a_loss_that_is_not_finite_stops_with_a_remedy(checkerboard, refused, monkeypatch):
    from recbole_diffusion.model.rows.tvdiff import TVDiff

    monkeypatch.setattr(TVDiff, "calculate_loss", lambda self, batch: self.W_I.sum() * float("inf"))
    line = refused(["--model=TVDiff", *checkerboard.words(**SMALL)], cli.FAILED)
    assert re.search("the training loss is (-?inf|nan) in epoch 0; try a smaller learning_rate", line)
