"""One trial without Ray: reports, retries from its checkpoint, damaged folders, no test in a search."""

import contextlib
import copy
import os
import shutil

import pytest
import torch
from support.small import MODALITIES, with_features

from recbole_diffusion.compat import Dataset
from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.preparation import adopt_dataset, create_dataset, release_dataset
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer.base import RunMixin
from recbole_diffusion.tuning.context import read_by_data_set
from recbole_diffusion.tuning.trial import (
    BestSoFar,
    damage_of,
    exclusive,
    finished_result,
    run_trial,
    use_threads,
)
from recbole_diffusion.tuning.trial_records import validation_scores

OPTIONS = {
    "hidden_size": 8,
    "train_batch_size": 256,
    "negative_sampler": "uniform",
    "epochs": 4,
    "state": "ERROR",
}


class Stopped(BaseException):
    """As when Tune ends a trial: its report does not return."""


@pytest.fixture
def job(checkerboard, tmp_path):
    given = {
        name: value
        for name, value in checkerboard.overrides.items()
        if name not in ("dataset", "use_gpu", "runs_path")
    }
    shared = {
        "model": "TVDiff",
        "dataset": checkerboard.name,
        "use_gpu": False,
        "bigger": True,
        "sweep_dir": str(tmp_path / "sweep"),
    }
    return {**shared, "options": {**given, **OPTIONS, "split_seed": 3}}


@pytest.fixture
def trial():
    return {"folder": "trials/000", "options": {"steps": 4}, "seed": 11, "test": False}


def reports_of(trial, job, stop_after=None, prepared=None):
    reports = []

    def report(values):
        reports.append(values)
        if len(reports) == stop_after:
            raise Stopped

    with contextlib.suppress(Stopped):
        run_trial(trial, job, prepared, report)
    return [(one["epoch"], one["score"], one["best_epoch"], one.get("finished", False)) for one in reports]


def folder_of(trial, job):
    return RunFolder(f"{job['sweep_dir']}/{trial['folder']}")


def test_each_epoch_is_reported_with_the_best_score_so_far(trial, job):
    reports = reports_of(trial, job)
    folder = folder_of(trial, job)
    scores = [score for _, score in validation_scores(folder)]
    assert [epoch for epoch, *_ in reports] == [1, 2, 3, 4, 4]
    assert [score for _, score, *_ in reports[:4]] == [max(scores[: number + 1]) for number in range(4)]
    assert [finished for *_, finished in reports] == [False] * 4 + [True]
    assert reports[-1][1] == finished_result(folder)["best_valid_score"]


def test_a_trial_is_a_normal_run_that_can_be_repeated_alone(trial, job, tmp_path):
    reports_of(trial, job)
    folder = folder_of(trial, job)
    again = run(config_files=[folder.config], overrides={"run_dir": str(tmp_path / "again")}, test=False)
    result = finished_result(folder)
    assert (again["valid"], again["best_epoch"], again["seed"]) == (result["valid"], result["best_epoch"], 11)


def test_a_trial_that_dies_goes_on_and_ends_as_if_it_had_not(trial, job):
    straight = reports_of(trial | {"folder": "trials/straight"}, job)
    assert len(reports_of(trial, job, stop_after=2)) == 2
    assert reports_of(trial, job) == straight[2:]
    one, other = (
        finished_result(folder_of({"folder": name}, job)) for name in ("trials/straight", "trials/000")
    )
    assert one["valid"] == other["valid"]


def test_a_finished_trial_is_reported_and_not_run_again(trial, job, monkeypatch):
    first = reports_of(trial, job)
    monkeypatch.setattr(RunMixin, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert reports_of(trial, job) == first[-1:]


def test_no_test_metric_is_computed_in_a_search(trial, job, monkeypatch):
    seen = []
    evaluate = RunMixin.evaluate

    def watched(self, eval_data, *arguments, **named):
        seen.append(len(eval_data._dataset))
        return evaluate(self, eval_data, *arguments, **named)

    monkeypatch.setattr(RunMixin, "evaluate", watched)
    reports_of(trial, job)
    assert set(seen) == {100}  # 2 validation items of each of 50 users; the test part has 150
    folder = folder_of(trial, job)
    assert finished_result(folder)["test"] is None
    assert not folder.user_metrics.exists()


def test_a_final_run_evaluates_the_test_part(trial, job):
    reports = []
    run_trial(trial | {"test": True}, job, None, reports.append)
    assert reports[-1]["metrics"]["test"].keys() == reports[-1]["metrics"]["valid"].keys()


@pytest.fixture(scope="module")
def ran():
    """The reports of a whole run, and the folder of one that was stopped."""
    return {}


@pytest.mark.parametrize(
    "damage", ["config", "checkpoint", "checkpoint is a folder", "best", "no best", "other options", "junk"]
)
def test_a_damaged_folder_is_set_aside_and_the_trial_begun_again(trial, job, damage, ran, tmp_path_factory):
    folder = folder_of(trial, job)
    if not ran:
        ran["straight"] = reports_of(trial | {"folder": "trials/straight"}, job)
        reports_of(trial, job, stop_after=2)
        ran["folder"] = shutil.copytree(folder.path, tmp_path_factory.mktemp("stopped") / "000")
    else:
        shutil.copytree(ran["folder"], folder.path)
    if damage == "config":
        folder.config.write_text("{ not: yaml")
    elif damage == "checkpoint":
        folder.checkpoint.write_bytes(folder.checkpoint.read_bytes()[:1000])
    elif damage == "checkpoint is a folder":
        folder.checkpoint.unlink()
        folder.checkpoint.mkdir()
    elif damage == "best":
        folder.best.write_bytes(b"")
    elif damage == "no best":
        folder.best.unlink()
    elif damage == "other options":
        folder.config.write_text(folder.config.read_text().replace("steps: 4", "steps: 5"))
    else:
        for path in (folder.config, folder.checkpoint, folder.best, folder.metrics):
            path.unlink()
    assert reports_of(trial, job) == ran["straight"]
    assert folder.path.with_name("000.damaged-1").is_dir()


def test_a_folder_that_can_go_on_is_not_damaged(trial, job):
    reports_of(trial, job, stop_after=1)
    folder = folder_of(trial, job)
    assert damage_of(folder, {"steps": 4, "seed": 11}) is None
    older = folder.config.read_text().replace("aggregation: addition\n", "")  # written by an earlier version
    folder.config.write_text(older.replace("topology: symmetric", "topology: linkprop"))
    assert damage_of(folder, {"steps": 4, "topology": "three_step"}) is None
    assert damage_of(folder, {"steps": 4, "topology": "linkprop"}) == "its configuration has another topology"
    folder.checkpoint.unlink()
    folder.best.unlink()  # killed before its first checkpoint
    assert damage_of(folder, {"steps": 4, "seed": 11}) is None


def test_a_trial_that_goes_on_has_the_device_of_the_sweep_of_now(trial, job):
    """``trial_gpus`` may change with a resume."""
    reports_of(trial, job, stop_after=1)
    reports_of(trial, job | {"use_gpu": True})
    assert yaml_io.load_yaml(folder_of(trial, job).config)["use_gpu"] is True


@pytest.mark.parametrize("where", ["given", "searched"])
def test_a_trial_with_automatic_batches_goes_on_although_its_configuration_has_numbers(trial, job, where):
    searched = {**trial["options"], "learning_rate": 0.002}
    if where == "given":
        job["options"] |= {"train_batch_size": "auto"}
    else:
        searched |= {"train_batch_size": "auto"}
    trial = trial | {"options": searched}
    reports_of(trial, job, stop_after=2)
    folder = folder_of(trial, job)
    # As of data where an epoch would have too many batches of the model's own size.
    config = yaml_io.load_yaml(folder.config)
    folder.write_config({**config, "learning_rate": 2 * config["learning_rate"]})
    assert isinstance(config["train_batch_size"], int)
    assert [epoch for epoch, *_ in reports_of(trial, job)] == [3, 4, 4]
    assert not folder.path.with_name("000.damaged-1").exists()


def test_a_half_written_result_is_no_result(trial, job):
    reports_of(trial, job)
    folder = folder_of(trial, job)
    folder.result.write_text(folder.result.read_text()[:50])
    assert finished_result(folder) is None
    assert reports_of(trial, job)[-1][3]  # the checkpoint is whole: the end is done again
    assert finished_result(folder) is not None


def test_threads_are_set_for_torch_and_for_what_is_loaded_later(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = torch.get_num_threads()
    try:
        use_threads(1)
        assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (1, "1")
    finally:
        torch.set_num_threads(before)


def test_no_two_processes_run_one_trial(tmp_path):
    lock = tmp_path / "ray" / "trials-000.lock"
    with (
        exclusive(lock),
        pytest.raises(RunError, match="another process still runs this trial"),
        exclusive(lock, patience=0),
    ):
        pass
    with exclusive(lock, patience=0):  # free again
        pass


def test_a_score_that_is_no_number_is_beaten_by_any(tmp_path):
    best = BestSoFar(RunFolder(tmp_path), bigger=True)
    for epoch, score in enumerate((float("nan"), 0.1, float("nan"), 0.05)):
        best.observe(epoch, score)
    assert (best.epoch, best.score) == (1, 0.1)


# The shared data set.


def test_a_shared_data_set_gives_the_same_run(trial, job, checkerboard):
    alone = reports_of(trial | {"folder": "trials/alone"}, job)
    config = Config("TVDiff", checkerboard.name, [], {**job["options"], "use_gpu": False})
    prepared = release_dataset(create_dataset(config))
    assert prepared.config is None
    assert reports_of(trial, job, prepared=copy.deepcopy(prepared)) == alone
    assert reports_of(trial | {"folder": "trials/second"}, job, prepared=copy.deepcopy(prepared)) == alone


def test_two_domains_are_shared_too(two_domains):
    """Their data set has the target domain's configuration, not the run's."""
    options = {**two_domains.overrides, "load_col": {"inter": ["user_id", "item_id"]}}
    config = Config("EMCDR", overrides=options)
    alone = create_dataset(config)
    shared = adopt_dataset(config, copy.deepcopy(release_dataset(create_dataset(config))))
    assert shared.config["load_col"] == alone.config["load_col"] != options["load_col"]
    parts = [[len(part) for part in one.build()] for one in (alone, shared)]
    assert parts[0] == parts[1]


def test_a_data_set_of_other_options_is_refused(checkerboard):
    config = Config("BPR", overrides=checkerboard.overrides)
    prepared = release_dataset(create_dataset(config))
    other = Config("BPR", overrides={**checkerboard.overrides, "user_inter_num_interval": "[2,inf)"})
    with pytest.raises(UsageError, match=r"made for user_inter_num_interval .* and not '\[2,inf\)'"):
        adopt_dataset(other, prepared)


def test_options_without_effect_are_told_of_a_shared_data_set_too(checkerboard, caplog):
    config = Config("BPR", overrides={**checkerboard.overrides, "shift_ratio": 0.3})
    prepared = release_dataset(create_dataset(config))
    caplog.clear()
    adopt_dataset(config, prepared)
    assert "no effect of shift_ratio" in caplog.text


def test_a_data_set_class_says_which_options_it_reads():
    class Curious(InteractionDataset):
        reads_options = frozenset({"latent_dimension", "k"})

    assert read_by_data_set(Curious, ["n_layers", "latent_dimension, k"]) == ["k", "latent_dimension"]
    assert read_by_data_set(InteractionDataset, ["k", "shift", "latent_dimension"]) == []
    assert read_by_data_set(Dataset, ["k"]) == []  # RecBole's own


class Watched:
    """Options that note which of them are read."""

    def __init__(self, options):
        self.options, self.read = options, set()

    def __getattr__(self, name):
        if name in self.options.__dataclass_fields__:
            self.read.add(name)
        return getattr(self.options, name)


@pytest.mark.parametrize("model", ["FREEDOM", "EMCDR"])
def test_what_a_data_set_reads_of_the_models_options_is_declared(model, checkerboard, two_domains):
    data, more = (
        (with_features(checkerboard), {"modalities": MODALITIES}) if model == "FREEDOM" else (two_domains, {})
    )
    config = Config(model, data.name, overrides={**data.overrides, **more, "use_gpu": False})
    names = set(config.options.__dataclass_fields__)
    read, by_key = Watched(config.options), type(config).__getitem__
    config.options = read

    class Watching(type(config)):
        def __getitem__(self, name):
            read.read |= {name} & names
            return by_key(self, name)

    config.__class__ = Watching
    dataset = create_dataset(config)
    dataset.build()
    assert read.read == dataset.reads_options


def test_the_split_follows_split_seed_and_not_seed(sweepable, tmp_path):
    def tested(seed, split_seed):
        overrides = {
            **sweepable.overrides,
            "seed": seed,
            "split_seed": split_seed,
            "run_dir": str(tmp_path / f"{seed}-{split_seed}"),
        }
        del overrides["mlp_hidden_size"]
        return run("ItemKNN", sweepable.dataset, overrides={**overrides, "k": 10})[
            "test"
        ]  # nothing random but the split

    assert tested(1, 9) == tested(9, None) != tested(1, None)


@pytest.fixture
def staged_job(job):
    """Trials of a model of two stages, both judged by the metric of the run."""
    options = {**job["options"], "encoder_epochs": 3, "epochs": 2, "report_groups": 0}
    for name in ("hidden_size", "negative_sampler"):
        del options[name]
    return {**job, "model": "DDRM", "options": options}


def whole_reports(trial, job, stop_after=None):
    reports = []

    def report(values):
        reports.append(values)
        if len(reports) == stop_after:
            raise Stopped

    with contextlib.suppress(Stopped):
        run_trial({**trial, "options": {}}, job, None, report)
    return reports


def test_trials_of_several_stages_are_compared_by_the_epochs_of_the_last_one(trial, staged_job):
    """How long an earlier stage has taken, or whether it came from a cache, is no head start."""
    cached = {
        **staged_job,
        "options": {**staged_job["options"], "stage_cache": f"{staged_job['sweep_dir']}-c"},
    }
    first = whole_reports(trial | {"folder": "trials/first"}, cached)
    again = whole_reports(trial | {"folder": "trials/again"}, cached)
    assert [one["trained"] for one in first] == [4, 5, 5]
    assert [one["trained"] for one in again] == [1, 2, 2]
    for reports in (first, again):
        assert [one["epoch"] for one in reports] == [1, 2, 2]
        assert [one["score"] for one in reports] == [one["score"] for one in first]
        assert [one["best_epoch"] for one in reports] == [one["best_epoch"] for one in first]
    result = finished_result(folder_of({"folder": "trials/first"}, staged_job))
    assert [one["best_epoch"] for one in first[1:]] == [result["best_epoch"]] * 2


def test_a_trial_that_goes_on_does_not_take_the_score_of_an_earlier_stage_for_its_own(trial, staged_job):
    straight = whole_reports(trial | {"folder": "trials/straight"}, staged_job)
    folder = folder_of(trial, staged_job)
    assert len(whole_reports(trial, staged_job, stop_after=1)) == 1
    scores = validation_scores(folder)
    assert [epoch for epoch, _ in scores] == [0]
    assert BestSoFar(folder, bigger=True).score == scores[0][1] == straight[0]["score"]
    assert [one["score"] for one in whole_reports(trial, staged_job)] == [
        one["score"] for one in straight[1:]
    ]


def test_an_epoch_with_too_few_updates_gives_no_score(trial, staged_job):
    folder = folder_of(trial, staged_job)
    folder.path.mkdir(parents=True)
    folder.config.write_text("valid_metric: Recall@5\n")
    lines = [
        {"epoch": 0, "stage": "a", "stage_epoch": 0, "valid": {"recall@5": 0.9}, "chooses": False},
        {"epoch": 1, "stage": "b", "stage_epoch": 0, "valid": {"recall@5": 0.8}, "chooses": False},
        {"epoch": 2, "stage": "b", "stage_epoch": 1, "valid": {"recall@5": 0.3}},
    ]
    folder.write_metrics(lines)
    assert validation_scores(folder) == [(1, 0.3)]
