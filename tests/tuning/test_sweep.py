"""Whole sweeps on a Ray that this module starts once: what they do when trials fail, and what they leave."""

import contextlib
import csv
import dataclasses
import io
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.page_package import MODEL, write_package
from support.small import OPTIONS, with_features
from tuning.conftest import BROKEN, DAMAGED

from recbole_diffusion.cli.tune import summary
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.registry import outside
from recbole_diffusion.report.sweep_page import _final
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.tuning import driver, phases
from recbole_diffusion.tuning.driver import read_settings, sweep
from recbole_diffusion.tuning.ray_session import check_cluster, ray_session

ROOT = Path(__file__).resolve().parents[2]
GRID = {"search": "grid", "max_concurrent": 2, "max_failures": 1, "grace_period": 2}
ONE_BY_ONE = {**GRID, "max_concurrent": 1}  # in one process, which takes 5 seconds to load torch


@pytest.fixture(scope="module", autouse=True)
def shared_ray(tmp_path_factory):
    """A private Ray, a model from outside on its PYTHONPATH; afterwards none of its processes is left."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    outside = str(write_package(tmp_path_factory.mktemp("on_pythonpath")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([outside, os.environ.get("PYTHONPATH", "")]))
        patch.syspath_prepend(outside)
        with ray_session(read_settings({"max_concurrent": 1}), tmp_path_factory.getbasetemp()):
            yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert psutil.wait_procs(left, timeout=20)[1] == []


@pytest.fixture(scope="module")
def searched(sweepable, tmp_path_factory):
    """A grid of seven trials: one cannot work, one is killed in its third epoch, one has a damaged folder."""
    folder = tmp_path_factory.mktemp("searched") / "sweep"
    happened = {}

    def on_report(trial):
        if "damaged" not in happened:
            happened["damaged"] = DAMAGED
            happened["priority"] = psutil.Process(trial.pid).nice()
            damaged = folder / f"trials/{DAMAGED:03d}"
            damaged.mkdir(parents=True)
            (damaged / "config.yaml").write_text("{ not: yaml")
            (damaged / "checkpoint.pt").write_bytes(b"PK")
        if "killed" not in happened and trial.epochs == 3 and not trial.test:
            happened["killed"] = trial.number
            os.kill(trial.pid, signal.SIGKILL)

    output = io.StringIO()
    settings = {**GRID, "space": str(sweepable.space), "sweep_dir": str(folder), "final_seeds": 2}
    found = sweep(
        "MultiVAE",
        sweepable.dataset,
        overrides=sweepable.overrides,
        settings=settings,
        on_report=on_report,
        output=output,
    )
    return found, happened, output.getvalue()


def result_of(found, trial):
    return json.loads((Path(found["sweep_dir"]) / trial["folder"] / "result.json").read_text())


def test_a_model_from_outside_is_searched_and_runs_in_the_workers(sweepable, tmp_path, monkeypatch):
    """Each process imports it, since the user has named it; a sweep's folder alone makes no process do so."""
    options = {**sweepable.overrides, "hidden_size": 8, "dropout_prob": 0.5, "epochs": 2}
    del options["mlp_hidden_size"]
    settings = {**ONE_BY_ONE, "sweep_dir": str(tmp_path / "sweep"), "final_seeds": 1}
    found = sweep(MODEL, sweepable.dataset, overrides=options, settings=settings, output=io.StringIO())
    assert found["model"] == MODEL
    assert [trial["state"] for trial in found["trials"]] == ["finished"] * 2  # of RowDiffusion.tune.yaml
    assert result_of(found, found["final"][0])["model"] == MODEL
    monkeypatch.setattr(outside, "_named", {})  # as in a new process
    with pytest.raises(UsageError, match="runs only if you name it"):
        sweep(resume=tmp_path / "sweep", output=io.StringIO())
    assert sweep(MODEL, resume=tmp_path / "sweep", output=io.StringIO())["winner"] == found["winner"]


# Faults.


def test_a_trial_that_always_raises_fails_alone(searched):
    found, _, output = searched
    states = [trial["state"] for trial in found["trials"]]
    assert [number for number, state in enumerate(states) if state == "failed"] == [BROKEN]
    assert set(states) - {"failed"} <= {"finished", "stopped"}
    failed = found["trials"][BROKEN]
    assert (failed["failures"], failed["score"]) == (2, None)  # once, and once more
    assert "the arrays of MultiVAE do not fit" in failed["error"]
    assert f"trial {BROKEN:03d} failed" in output


@pytest.mark.parametrize("scheduler", ["asha", "none"])
def test_a_trial_whose_options_are_refused_is_not_tried_again(checkerboard, tmp_path, scheduler):
    overrides = {**with_features(checkerboard).overrides, **OPTIONS, "epochs": 2}
    settings = {
        **ONE_BY_ONE,
        "space": {"knn_k": {"choice": [3, 5000]}},
        "scheduler": scheduler,
        "max_failures": 2,
        "sweep_dir": str(tmp_path / "sweep"),
        "final_seeds": 0,
        "grace_period": 1,
    }
    found = sweep(
        "FREEDOM",
        overrides.pop("dataset", "checkerboard"),
        overrides={key: value for key, value in overrides.items() if key not in ("knn_k", "runs_path")},
        settings=settings,
        output=io.StringIO(),
    )
    assert [trial["state"] for trial in found["trials"]] == ["finished", "failed"]
    assert found["trials"][1]["failures"] == 1
    assert found["trials"][1]["score"] is None
    assert found["trials"][1]["error"].startswith("UsageError: knn_k is 5000, but data set")


def test_a_killed_trial_goes_on_from_its_checkpoint(searched):
    found, happened, output = searched
    trial = found["trials"][happened["killed"]]
    assert trial["failures"] == 1
    assert trial["state"] in ("finished", "stopped")
    log = (Path(found["sweep_dir"]) / trial["folder"] / "log.txt").read_text()
    assert log.count("resumed after epoch 2") + log.count("resumed after epoch 3") == 1
    assert f"trial {happened['killed']:03d} continues from its checkpoint after failure 1" in output


def test_a_trial_has_the_priority_of_the_command(searched):
    _, happened, _ = searched
    assert happened["priority"] == psutil.Process().nice()


def test_a_damaged_folder_does_not_stop_the_sweep(searched):
    found, happened, _ = searched
    trial = found["trials"][happened["damaged"]]
    assert trial["state"] in ("finished", "stopped")
    assert (Path(found["sweep_dir"]) / f"{trial['folder']}.damaged-1" / "checkpoint.pt").read_bytes() == b"PK"


# The search.


def test_hopeless_trials_are_stopped_and_the_best_one_is_not(searched):
    found, *_ = searched
    stopped = [trial for trial in found["trials"] if trial["state"] == "stopped"]
    assert stopped
    assert all(trial["options"]["learning_rate"] < 3e-2 for trial in stopped)
    assert all(2 <= trial["epochs"] < 9 for trial in stopped)
    best = found["trials"][found["winner"]]
    assert (best["options"]["learning_rate"], best["state"]) == (3e-2, "finished")
    assert best["score"] == max(trial["score"] for trial in found["trials"] if trial["score"] is not None)


def test_the_score_is_that_of_the_run_folder(searched):
    found, *_ = searched
    for trial in found["trials"]:
        if trial["state"] == "finished":
            result = result_of(found, trial)
            assert (result["best_valid_score"], result["best_epoch"]) == (trial["score"], trial["best_epoch"])
            assert result["seed"] == trial["seed"]


def test_only_the_final_runs_touch_the_test_part(searched):
    found, *_ = searched
    for trial in found["trials"]:
        folder = RunFolder(Path(found["sweep_dir"]) / trial["folder"])
        assert not folder.user_metrics.exists()
        assert not folder.result.exists() or result_of(found, trial)["test"] is None
        assert "test" not in trial["metrics"]
    assert [trial["state"] for trial in found["final"]] == ["finished"] * 2
    assert [trial["seed"] for trial in found["final"]] == [5, 6]
    scores = [result_of(found, trial)["test"]["ndcg@5"] for trial in found["final"]]
    mean = found["final_metrics"]["test"]["ndcg@5"]
    assert (mean["mean"], mean["std"], mean["runs"]) == (statistics.mean(scores), statistics.stdev(scores), 2)


# What is left.


def test_the_best_configuration_gives_the_final_run_again(searched, tmp_path):
    found, *_ = searched
    best = yaml_io.load_yaml(Path(found["sweep_dir"]) / "best.yaml")
    assert best["learning_rate"] == 3e-2
    again = run(
        config_files=[Path(found["sweep_dir"]) / "best.yaml"],
        overrides={"run_dir": str(tmp_path / "again"), "use_gpu": False},
    )
    assert again["test"] == found["final"][0]["metrics"]["test"]


def test_the_table_has_a_row_for_each_trial(searched):
    found, *_ = searched
    with (Path(found["sweep_dir"]) / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [trial["state"] for trial in found["trials"]]
    rates = [float(row["learning_rate"]) if row["learning_rate"] else None for row in rows]
    assert rates == [trial["options"].get("learning_rate") for trial in found["trials"]]
    assert float(rows[found["winner"]]["score"]) == found["trials"][found["winner"]]["score"]


def test_the_folder_holds_what_the_readme_says(searched):
    found, *_ = searched
    folder = Path(found["sweep_dir"])
    names = {path.name for path in folder.iterdir()} - {"pictures"}
    assert names == {"sweep.json", "trials.csv", "best.yaml", "trials", "final", "lock"}
    stored = json.loads((folder / "sweep.json").read_text())
    assert {**stored, "sweep_dir": found["sweep_dir"]} == found
    starts = [trial["startup_seconds"] for trial in found["trials"] if trial["state"] != "failed"]
    assert max(starts) > 1 > min(starts)  # a process loads torch once
    assert "start-up" in summary(found)


@pytest.mark.parametrize("part", [None, "test", "valid_unshifted"])
def test_a_summary_has_one_column_of_text_whatever_parts_were_evaluated(part):
    """Without final runs (--final_seeds=0, or none that ended) there is no part."""
    trial = {"state": "finished", "score": 0.5, "epochs": 1, "startup_seconds": 1.0}
    trial |= {"number": 0, "folder": "trials/000", "best_epoch": 0, "options": {"k": 5}}
    metrics = {part: {"recall@5": {"mean": 0.5, "std": 0.0, "runs": 1}}} if part else {}
    found = {"model": "ItemKNN", "dataset": "d", "selection": "validation", "valid_metric": "recall@5"}
    found |= {"trials": [trial], "winner": 0, "final": [], "final_metrics": metrics}
    lines = summary({**found, "seconds": {"search": 1.0}, "sweep_dir": "/runs/s"}).splitlines()[1:]
    texts = ("trial trials", "k=5", "recall@5 0.5", "1.00 s per", "search 1.0", "/runs/s")
    expected = [text for text in texts if part or not text.startswith("recall")]
    assert {line.index(text) for line, text in zip(lines, expected, strict=True)} == {
        len(part) + 1 if part == "valid_unshifted" else len("start-up ")
    }


@pytest.mark.parametrize(
    ("runs", "text"), [(1, "recall@5 0.5000  (1 seed)"), (2, "0.5000 ± 0.1000  (2 seeds)")]
)
def test_one_final_run_has_no_deviation(runs, text):
    values = {"recall@5": {"mean": 0.5, "std": 0.1 if runs > 1 else 0.0, "runs": runs}}
    trial = {"state": "finished", "score": 0.5, "epochs": 1, "startup_seconds": None, "number": 0}
    found = {
        "model": "BPR",
        "dataset": "d",
        "selection": "validation",
        "valid_metric": "recall@5",
        "winner": 0,
    }
    found |= {
        "trials": [{**trial, "folder": "trials/000", "best_epoch": 0, "options": {"k": 5}}],
        "final": [],
    }
    found |= {"final_metrics": {"test": values}, "seconds": {}, "sweep_dir": "/runs/s"}
    assert text in summary(found) and "with this score" not in summary(found)
    alike = [
        {**found["trials"][0], "number": number, "score": score} for number, score in ((1, 0.5), (2, 0.4))
    ]
    said = "epoch 0 (the first of 2 with this score)\n"
    assert said in summary({**found, "trials": [*found["trials"], *alike]})
    assert _final(found).rows[0][2].text == text.split("  (")[0].removeprefix("recall@5 ")


# Resume.


def test_resuming_a_sweep_that_has_ended_runs_nothing(searched, monkeypatch):
    found, *_ = searched
    record = json.loads((Path(found["sweep_dir"]) / "sweep.json").read_text())
    record["trials"][BROKEN]["state"] = "finished"  # it alone would be tried again
    (Path(found["sweep_dir"]) / "sweep.json").write_text(json.dumps(record))
    monkeypatch.setattr(phases, "run_trials", lambda *_, **__: pytest.fail("a trial was run"))
    again = sweep(resume=found["sweep_dir"], output=io.StringIO())
    assert (again["winner"], again["final_metrics"]) == (found["winner"], found["final_metrics"])
    with pytest.raises(UsageError, match="num_samples cannot change now"):
        sweep(resume=found["sweep_dir"], settings={"num_samples": 3})
    with pytest.raises(UsageError, match="has the model 'MultiVAE', not 'EASE'"):
        sweep("EASE", resume=found["sweep_dir"])


def test_a_killed_driver_goes_on_and_repeats_no_finished_trial(sweepable, tmp_path):
    folder = tmp_path / "sweep"
    options = {"space": sweepable.small, "epochs": 40, "max_concurrent": 1, "final_seeds": 0}
    words = sweepable.words(sweep_dir=folder, search="grid", scheduler="none", **options)
    command = [sys.executable, str(ROOT / "run_recbole_diff.py"), "tune", *words]
    driver_process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begun = folder / "trials/001/metrics.jsonl"
    while not begun.is_file() or len(begun.read_text().splitlines()) < 3:
        assert driver_process.poll() is None
        time.sleep(0.02)
    children = psutil.Process(driver_process.pid).children(recursive=True)
    workers = [
        child for child in children if child.name().startswith("ray::") and "Agent" not in child.name()
    ]
    scratch = {
        word.partition("=")[2]
        for child in children
        for word in child.cmdline()
        if word.startswith("--temp-dir=")
    }
    driver_process.kill()
    driver_process.wait()
    assert workers
    assert (
        psutil.wait_procs(workers, timeout=60)[1] == []
    )  # its trials die with it, and do not write any more
    states = [trial["state"] for trial in json.loads((folder / "sweep.json").read_text())["trials"]]
    assert states[0] == "finished" != states[1]
    result = (folder / "trials/000/result.json").stat().st_mtime_ns

    reported = []
    found = sweep(resume=folder, on_report=lambda trial: reported.append(trial.name), output=io.StringIO())
    assert [trial["state"] for trial in found["trials"]] == ["finished"] * 2
    assert set(reported) == {"001"}
    assert (folder / "trials/000/result.json").stat().st_mtime_ns == result
    assert "resumed after epoch" in (folder / "trials/001/log.txt").read_text()
    assert found["winner"] == max(range(2), key=lambda number: found["trials"][number]["score"])
    assert found["final"] == []
    for process in children:  # Ray's own processes look for their driver less often
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for path in scratch:
        shutil.rmtree(path, ignore_errors=True)


def test_a_time_budget_ends_the_search_and_a_resume_has_it_again(sweepable, tmp_path):
    settings = {
        **ONE_BY_ONE,
        "scheduler": "none",
        "space": str(sweepable.space),
        "final_seeds": 0,
        "time_budget": 0.2,
    }
    overrides = {**sweepable.overrides, "epochs": 2, "latent_dimension": 8}
    folder = tmp_path / "sweep"
    with pytest.raises(RunError, match="the time budget ended before a validation"):
        sweep(
            "MultiVAE",
            sweepable.dataset,
            overrides=overrides,
            settings={**settings, "sweep_dir": str(folder)},
            output=io.StringIO(),
        )
    states = {trial["state"] for trial in json.loads((folder / "sweep.json").read_text())["trials"]}
    assert states <= {"cut", "waiting"}
    _, record, options = driver.open_sweep(folder, {})
    assert ([trial.state for trial in record.trials], options.budget_seconds) == (["waiting"] * 3, 0.2)
    assert driver.open_sweep(folder, {"time_budget": "1h"})[2].budget_seconds == 3600


# Resources.


def test_a_trial_that_fits_no_node_is_an_error():
    for name, words in (("trial_cpus", "asks for 1000 CPU"), ("trial_gpus", "asks for 1000 GPU")):
        options = dataclasses.replace(read_settings({}), **{name: 1000})
        with pytest.raises(UsageError, match=words):
            check_cluster(options)


def test_two_drivers_cannot_run_one_sweep(searched):
    found, *_ = searched
    folder, _, _ = driver.open_sweep(found["sweep_dir"], {})
    with folder.locked(), pytest.raises(UsageError, match="another process"):
        sweep(resume=found["sweep_dir"])


# Without a search.


@pytest.fixture(scope="module")
def seeded(sweepable, tmp_path_factory):
    """The given options with two seeds, each on a split of its own."""
    settings = {"search": "none", "final_seeds": 2, "resplit": True, "max_concurrent": 1}
    folder = tmp_path_factory.mktemp("seeded") / "sweep"
    output = io.StringIO()
    found = sweep(
        "EASE",
        sweepable.dataset,
        overrides={**overrides_of(sweepable), "reg_weight": 20.0},
        settings={**settings, "sweep_dir": str(folder)},
        output=output,
    )
    return found, output.getvalue()


def overrides_of(sweepable):
    return {name: value for name, value in sweepable.overrides.items() if name != "mlp_hidden_size"}


def test_without_a_search_each_seed_is_the_run_that_it_would_be_alone(seeded, sweepable, tmp_path):
    found, output = seeded
    assert [trial["seed"] for trial in found["final"]] == [5, 6]
    alone = run(
        "EASE",
        sweepable.dataset,
        overrides={
            **overrides_of(sweepable),
            "reg_weight": 20.0,
            "seed": 6,
            "run_dir": str(tmp_path / "alone"),
        },
    )
    assert (
        alone["test"] == result_of(found, found["final"][1])["test"] != found["final"][0]["metrics"]["test"]
    )
    prints = [result_of(found, trial)["parts"]["test"]["fingerprint"] for trial in found["final"]]
    assert prints[1] == alone["parts"]["test"]["fingerprint"] != prints[0]
    assert "test run 000-seed-6 finished" in output
    assert "2 of 2 done" in output


def test_without_a_search_the_first_seed_stands_for_the_trial(seeded):
    found, _ = seeded
    (trial,) = found["trials"]
    assert (trial["folder"], trial["options"], found["winner"]) == ("final/000-seed-5", {}, 0)
    assert trial["score"] == result_of(found, trial)["best_valid_score"]
    assert "1 trial (1 finished)" in summary(found)
    best = yaml_io.load_yaml(Path(found["sweep_dir"]) / "best.yaml")
    assert (best["reg_weight"], best["seed"], best["split_seed"]) == (20.0, 5, 5)


def test_without_a_search_a_failure_is_told(sweepable, tmp_path, monkeypatch):
    def fail(_, trials):
        trials[0].state, trials[0].error = "failed", "RuntimeError: negative dimension"

    monkeypatch.setattr(phases, "run_trials", fail)
    settings = {"search": "none", "final_seeds": 1, "sweep_dir": str(tmp_path / "sweep")}
    with pytest.raises(RunError, match="seed 5 has failed: RuntimeError: negative dimension"):
        sweep(
            "EASE",
            sweepable.dataset,
            overrides=overrides_of(sweepable),
            settings=settings,
            output=io.StringIO(),
        )
    trials = json.loads((tmp_path / "sweep/sweep.json").read_text())["trials"]
    assert [(trial["state"], trial["score"]) for trial in trials] == [("failed", None)]
