"""Reading finished runs: what is incomplete, damaged or no run is refused by name."""

import pytest

from recbole_diffusion.errors import RunError, UsageError
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


def test_damaged_metrics_by_user(make_run):
    run = make_run(users=[1.0, 0.0])
    (run.path / "user_metrics.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(RunError, match=r"user_metrics\.npz.*--resume="):
        _ = run.users


def test_a_folder_of_runs_points_to_glob(write_run):
    with pytest.raises(UsageError, match=r"there are 1 runs inside, such as 'BPR-0': use --glob="):
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
        RunError, match=rf"metrics.jsonl is damaged: it has {len(lines)} epochs.*result.json 2"
    ):
        read_run(folder)
