"""A sweep without Ray: its trials run in this process, one after the other, to the same results."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import time

import pytest
import torch

from recbole_diffusion.cli.tune import tune
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.tuning import driver, local_runner
from recbole_diffusion.tuning.driver import read_settings, sweep
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.plan import make_record

SPACE = {"learning_rate": {"choice": [0.001, 0.01, 0.1]}, "embedding_size": {"choice": [4, 8]}}
SETTINGS = {"space": SPACE, "max_concurrent": 0, "final_seeds": 2, "num_samples": 3}


def test_trials_run_here_and_each_is_the_run_that_its_options_give(checkerboard, tmp_path):
    from recbole_diffusion.quick_start import run

    overrides = {**checkerboard.overrides, "epochs": 2}
    overrides.pop("runs_path", None)
    seen = []
    found = sweep(
        "BPR",
        overrides=overrides,
        dataset=overrides.pop("dataset", "checkerboard"),
        settings={**SETTINGS, "sweep_dir": str(tmp_path / "sweep")},
        on_report=lambda trial: seen.append(trial.number),
    )
    assert [trial["state"] for trial in found["trials"]] == ["finished"] * 3
    assert sorted(set(seen)) == [0, 1, 2]
    assert [len(found["final"]), found["final"][0]["state"]] == [2, "finished"]
    assert "without Ray no trial is stopped early" in found["notes"][-1]
    one = found["trials"][1]
    alone = run(
        "BPR",
        "checkerboard",
        test=False,
        overrides={
            **overrides,
            **found["options"],
            **one["options"],
            "seed": one["seed"],
            "run_dir": str(tmp_path / "alone"),
        },
    )
    assert alone["best_valid_score"] == one["score"]


def test_the_log_of_a_trial_has_what_is_told_of_its_data_and_the_terminal_has_it_once(
    checkerboard, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest would hide what is shown
    overrides = {**checkerboard.overrides, "epochs": 1, "eval_args": {"split": {"RS": [0.5, 0.2, 0.3]}}}
    overrides.pop("runs_path", None)
    sweep(
        "BPR",
        overrides=overrides,
        dataset=overrides.pop("dataset"),
        settings={**SETTINGS, "num_samples": 2, "final_seeds": 1, "sweep_dir": str(tmp_path / "sweep")},
    )
    told = "are taken as they are: no effect of eval_args.split"
    logs = [path.read_text() for path in (tmp_path / "sweep").rglob("log.txt")]
    assert [log.count(told) for log in logs] == [1, 1, 1]
    assert capsys.readouterr().err.count(told) == 1


def test_trials_with_one_linear_term_compute_it_once(checkerboard, tmp_path, monkeypatch):
    from recbole_diffusion.model import ease_scores
    from recbole_diffusion.quick_start import run

    computed = []

    def counted(make):
        def of(scores, interactions, penalties):
            computed.append(float(penalties[1]))
            time.sleep(0.3)
            make(scores, interactions, penalties)

        return of

    for one in (ease_scores.ByUsers, ease_scores.ByItems):
        monkeypatch.setattr(one, "__init__", counted(one.__init__))
    overrides = {**checkerboard.overrides, "epochs": 1, "hidden_size": 4, "linear_term": "ease"}
    overrides.pop("runs_path", None)
    space = {"linear_reg_weight": {"choice": [5.0, 50.0]}, "linear_weight": {"choice": [0.5, 2.0]}}
    settings = {"space": space, "search": "grid", "max_concurrent": 0, "final_seeds": 2}
    found = sweep(
        "TVDiff",
        overrides=overrides,
        dataset=overrides.pop("dataset", "checkerboard"),
        settings={**settings, "sweep_dir": str(tmp_path / "sweep")},
    )
    winner = found["trials"][found["winner"]]
    best = winner["options"]["linear_reg_weight"]
    # One term for each regularisation of the search; the final runs have the last one if it is theirs.
    assert computed == [5.0, 50.0, *([best] if best == 5.0 else [])]
    alone = {**overrides, **found["options"], **winner["options"], "run_dir": str(tmp_path / "alone")}
    result = run("TVDiff", "checkerboard", test=False, overrides={**alone, "seed": winner["seed"]})
    assert result["best_valid_score"] == winner["score"]
    assert computed[-1] == best
    # Each run tells the time that its scores take, though another has spent it.
    results = [
        json.loads((tmp_path / "sweep" / one["folder"] / "result.json").read_text())
        for one in [*found["trials"], *found["final"]]
    ]
    assert min(one["seconds"]["build"] for one in results) > 0.3
    assert len(computed) == (4 if best == 5.0 else 3)  # outside of a sweep nothing is kept


@pytest.mark.parametrize(("error", "tries"), [(RunError, 2), (UsageError, 1)])
def test_a_trial_that_fails_is_tried_again_unless_it_was_refused(
    checkerboard, tmp_path, monkeypatch, error, tries
):
    from recbole_diffusion.tuning import local_runner

    real, calls = local_runner.run_trial, []

    def failing(trial, *rest):
        calls.append(trial["number"])
        if trial["number"] == 0:
            raise error("no luck")
        real(trial, *rest)

    monkeypatch.setattr(local_runner, "run_trial", failing)
    overrides = {**checkerboard.overrides, "epochs": 1}
    found = sweep(
        "BPR",
        overrides=overrides,
        dataset=overrides.pop("dataset", "checkerboard"),
        settings={**SETTINGS, "max_failures": 1, "final_seeds": 0, "sweep_dir": str(tmp_path / "sweep")},
    )
    assert calls.count(0) == tries
    assert [trial["state"] for trial in found["trials"]] == ["failed", "finished", "finished"]
    assert found["trials"][0]["error"] == f"{error.__name__}: no luck"


def test_an_option_that_this_version_refuses_ends_a_resume_in_words(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides, "epochs": 1}
    dataset, folder = overrides.pop("dataset", "checkerboard"), tmp_path / "sweep"
    settings = {**SETTINGS, "num_samples": 1, "final_seeds": 0, "sweep_dir": str(folder)}
    sweep("BPR", overrides=overrides, dataset=dataset, settings=settings)
    record = json.loads((folder / "sweep.json").read_text())
    record["options"]["learner"] = "sparse_adam"
    (folder / "sweep.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"sweep cannot go on with this version: .*learner.*begin a new"):
        sweep(resume=folder, settings={"final_seeds": 1})


def test_trials_of_a_preset_that_had_other_values_are_told_when_a_sweep_goes_on(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides, "epochs": 1, "preset": "released", "train_batch_size": 256}
    dataset, folder = overrides.pop("dataset", "checkerboard"), tmp_path / "sweep"
    space = tmp_path / "space.yaml"
    space.write_text("learning_rate: {choice: [0.01, 0.02]}\n")
    settings = {**SETTINGS, "space": str(space), "num_samples": 1, "final_seeds": 0, "sweep_dir": str(folder)}
    sweep("CNSDiff", overrides=overrides, dataset=dataset, settings=settings)
    assert not any("earlier version" in note for note in sweep(resume=folder)["notes"])
    file = folder / "trials/000/config.yaml"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("alignment_form")))
    said = [note for note in sweep(resume=folder)["notes"] if "earlier version" in note]
    assert said[0].startswith(
        "1 trial of an earlier version had alignment_form: cosine, where it is released now: scores"
    )


def test_trials_that_were_ranked_among_other_items_are_told_when_a_sweep_goes_on(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides, "epochs": 1, "eval_args": {"mode": "uni9"}}
    dataset, folder = overrides.pop("dataset", "checkerboard"), tmp_path / "sweep"
    settings = {**SETTINGS, "num_samples": 1, "final_seeds": 0, "sweep_dir": str(folder)}
    sweep("BPR", overrides=overrides, dataset=dataset, settings=settings)
    assert not any("earlier version" in note for note in sweep(resume=folder)["notes"])
    file = folder / "trials/000/result.json"
    result = json.loads(file.read_text())
    del result["candidates_seed"]
    file.write_text(json.dumps(result))
    for _ in range(2):
        said = [note for note in sweep(resume=folder)["notes"] if "earlier version" in note]
        assert len(said) == 1
        assert said[0].startswith("1 trial of an earlier version had other items beside the held-out ones")


def test_a_sweep_of_untrained_models_is_told(checkerboard):
    def notes(model, **more):
        settings = read_settings({"search": "none"})
        values = {**checkerboard.overrides, "epochs": 0, **more}
        return make_record(model, checkerboard.name, [], values, settings, "tune")[0].notes

    assert any(note.startswith("epochs is 0 and no weights are given") for note in notes("BPR"))
    assert notes("EASE") == []
    assert notes("BPR", epochs=1) == []


@pytest.mark.parametrize("ended", [True, False], ids=["winner", "waiting"])
def test_a_searched_option_that_is_refused_by_now_ends_a_resume_at_once(checkerboard, tmp_path, ended):
    overrides = {**checkerboard.overrides, "epochs": 1}
    dataset, folder = overrides.pop("dataset", "checkerboard"), tmp_path / "sweep"
    settings = {**SETTINGS, "num_samples": 1, "final_seeds": 0, "sweep_dir": str(folder)}
    sweep("BPR", overrides=overrides, dataset=dataset, settings=settings)
    record = json.loads((folder / "sweep.json").read_text())
    (trial,) = record["trials"]
    trial["options"] = {"learning_rate": -1.0}
    if not ended:
        record["winner"], trial["state"], trial["score"] = None, "waiting", None
    (folder / "sweep.json").write_text(json.dumps(record))
    with pytest.raises(
        UsageError, match=r"cannot go on with this version: .*learning_rate.*begin a new sweep"
    ):
        sweep(resume=folder, settings={"final_seeds": 1})
    assert not (folder / "final").exists()


def test_a_sweep_whose_final_runs_all_fail_has_failed(checkerboard, tmp_path, monkeypatch, capsys):
    from recbole_diffusion.tuning import local_runner

    real = local_runner.run_trial

    def failing(trial, *rest):
        if trial["test"]:
            raise RunError("no luck")
        real(trial, *rest)

    monkeypatch.setattr(local_runner, "run_trial", failing)
    values = {**checkerboard.overrides, "epochs": 1}
    words = [f"--{name}={json.dumps(value)}" for name, value in values.items()]
    own = ["--search=random", "--num_samples=1", "--final_seeds=1", "--max_failures=0", "--max_concurrent=0"]
    space = tmp_path / "space.yaml"
    space.write_text("learning_rate: {choice: [0.01, 0.02]}\n")
    places = [f"--space={space}", f"--sweep_dir={tmp_path / 'sweep'}"]
    code = tune(["--model=BPR", "--dataset=checkerboard", *words, *own, *places])
    assert "failed   final/000-seed-" in capsys.readouterr().out
    assert code == 1


def test_ray_is_not_imported():
    code = (
        "import sys; from recbole_diffusion.tuning import driver, local_runner; "
        "from recbole_diffusion.tuning.options import check_installed; "
        "check_installed(driver.read_settings({'max_concurrent': 0})); sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"max_concurrent": 0, "search": "optuna"}, "trials without Ray, which search optuna needs"),
        ({"max_concurrent": 0, "ray_address": "auto"}, "trials without Ray, which ray_address 'auto' needs"),
        ({"storage": "s3://bucket/sweeps"}, "storage is 's3://bucket/sweeps', an address; it takes a folder"),
        ({"sweep_dir": "gs://b"}, "sweep_dir is 'gs://b', an address"),
    ],
)
def test_what_cannot_be_is_refused(settings, told):
    with pytest.raises(UsageError, match=told):
        read_settings(settings)


def test_a_grace_period_above_the_epochs_is_refused(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides, "epochs": 3}
    with pytest.raises(UsageError, match="grace_period is 4, above the 3 epochs of a trial"):
        sweep(
            "BPR",
            overrides=overrides,
            dataset=overrides.pop("dataset", "checkerboard"),
            settings={**SETTINGS, "grace_period": 4, "sweep_dir": str(tmp_path / "sweep")},
        )


def test_seeds_of_final_runs_that_are_no_seeds_are_refused_before_the_search(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides, "seed": 2**32 - 2}
    name = overrides.pop("dataset", "checkerboard")
    settings = {**SETTINGS, "final_seeds": 3, "sweep_dir": str(tmp_path / "sweep")}
    with pytest.raises(UsageError, match="would have the seed 4294967296, above 4294967295"):
        sweep("BPR", overrides=overrides, dataset=name, settings=settings)
    assert not (tmp_path / "sweep").exists()


def test_a_sweep_does_not_go_on_with_other_data_than_it_began_with(checkerboard, tmp_path):
    """Else the final runs would be on data that the winner was not chosen on."""
    overrides = {**checkerboard.overrides}
    name = overrides.pop("dataset", "checkerboard")
    space = {"k": {"choice": [2]}}
    settings = {"space": space, "max_concurrent": 0, "final_seeds": 0, "sweep_dir": str(tmp_path / "sweep")}
    found = sweep("ItemKNN", overrides=overrides, dataset=name, settings=settings)
    file = next(checkerboard.folder.glob("*.inter"))
    before = file.read_text()
    file.write_text(before.rstrip("\n").rpartition("\n")[0] + "\n")  # without its last row
    with pytest.raises(
        UsageError, match=r"data of the sweep has changed .* data has 1,249 rows where it had 1,250"
    ):
        sweep(resume=found["sweep_dir"], settings={"final_seeds": 1})
    file.write_text(before)
    again = sweep(resume=found["sweep_dir"], settings={"final_seeds": 1})
    assert again["final"][0]["state"] == "finished"


def small_sweep(checkerboard, folder, **settings):
    """Run a sweep of one trial of one epoch."""
    overrides = {**checkerboard.overrides, "epochs": 1}
    overrides.pop("runs_path", None)
    given = {**SETTINGS, "num_samples": 1, "final_seeds": 0, "sweep_dir": str(folder), **settings}
    return sweep("BPR", overrides.pop("dataset"), overrides=overrides, settings=given)


def test_a_sweep_without_ray_goes_on_where_ray_is_not_installed(checkerboard, tmp_path, monkeypatch, capsys):
    small_sweep(checkerboard, tmp_path / "sweep")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert tune([f"--resume={tmp_path / 'sweep'}"]) == 0
    assert "1 finished" in capsys.readouterr().out


def test_a_resume_that_waited_for_another_process_reads_what_that_one_has_written(
    checkerboard, tmp_path, monkeypatch
):
    """Else it would write the record of before over the results of the other process."""
    folder = tmp_path / "sweep"
    small_sweep(checkerboard, folder)
    before = SweepFolder.locked

    @contextlib.contextmanager
    def another_ends(own):
        with before(own):
            record = json.loads(own.record.read_text())
            record["notes"].append("of the other process")
            own.record.write_text(json.dumps(record))
            yield

    monkeypatch.setattr(SweepFolder, "locked", another_ends)
    assert "of the other process" in sweep(resume=folder)["notes"]


def test_a_sweep_in_this_process_leaves_its_threads_as_they_were(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads = torch.get_num_threads()
    with local_runner.trials_here():
        local_runner.use_threads(threads + 1)
        assert torch.get_num_threads() == threads + 1
    assert (torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")) == (threads, None)


def test_a_sweep_whose_trials_have_run_stays_whatever_is_refused_then(checkerboard, tmp_path, monkeypatch):
    def refused(*_):
        raise UsageError("no figures")

    monkeypatch.setattr(driver, "draw_figures", refused)
    with pytest.raises(UsageError, match="no figures"):
        small_sweep(checkerboard, tmp_path / "sweep")
    assert (tmp_path / "sweep/trials/000/result.json").is_file()


def test_a_note_is_in_a_sweep_once_however_often_it_goes_on(checkerboard, tmp_path):
    folder = tmp_path / "sweep"
    small_sweep(checkerboard, folder, num_samples=2)
    for _ in range(2):
        record = json.loads((folder / "sweep.json").read_text())
        record["trials"][1]["state"] = "cut"
        (folder / "sweep.json").write_text(json.dumps(record))
        notes = sweep(resume=folder)["notes"]
    assert sum("without Ray" in note for note in notes) == 1


def test_what_no_trial_could_evaluate_is_refused_before_the_search(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides, "topk": [60], "valid_metric": "Recall@60"}
    name = overrides.pop("dataset", "checkerboard")
    settings = {**SETTINGS, "sweep_dir": str(tmp_path / "sweep")}
    with pytest.raises(UsageError, match="topk is 60, but data set"):
        sweep("BPR", overrides=overrides, dataset=name, settings=settings)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("when", [{"embedding_size": 16}, {"embedding_size": [4, 16]}, {"learner": "adamm"}])
def test_a_condition_that_cannot_occur_is_refused(checkerboard, tmp_path, when):
    overrides = {**checkerboard.overrides, "epochs": 3}
    space = SPACE | {"weight_decay": {"choice": [0.0, 0.1], "when": when}}
    with pytest.raises(UsageError, match=r"embedding_size to be|learner.*adamm"):
        sweep(
            "BPR",
            overrides=overrides,
            dataset=overrides.pop("dataset", "checkerboard"),
            settings={**SETTINGS, "space": space, "sweep_dir": str(tmp_path / "sweep")},
        )
