"""A plan of two small models from its runs to its page; trials run in this process instead of in Ray's."""

import contextlib
import dataclasses
import gzip
import itertools
import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from benchmarks import _running, _stored, _tables, accuracy, all_systems
from benchmarks._layers import Layered, is_kept
from benchmarks._plan import Plan
from benchmarks._running import Runner
from benchmarks._stored import Folders, Packed, open_stored, outcome_of, pack
from benchmarks._tables import published_cells
from recbole_diffusion.config import Config
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.evaluation.lists import load_user_metrics
from recbole_diffusion.evaluation.significance import holm
from recbole_diffusion.report.paper import tvdiff
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.lock import locked
from recbole_diffusion.storage.preset import read_preset
from recbole_diffusion.tuning import driver, phases
from recbole_diffusion.tuning.context import write_report
from recbole_diffusion.tuning.trial import run_trial

ROOT = Path(__file__).resolve().parents[2]
PLANS = sorted((ROOT / "benchmarks/plans").glob("*.yaml"))
RESULTS = ROOT / "benchmarks/results"
# Of a plan that has yet to be run there is neither file.
PAGES = [
    file
    for file in PLANS
    if (RESULTS / f"{file.stem}_runs.jsonl.gz").exists() or (RESULTS / f"{file.stem}_accuracy.md").exists()
]
PLAN = {
    "title": "# Tiny",
    "text": "Two models.",
    "seeds": [5, 6],
    "metrics": ["recall@5", "ndcg@20"],
    "paired": "MultiVAE",
    "paired_metrics": ["recall@5", "ndcg@20"],
    "groups": "test",
    "protocols": {
        "honest": {
            "load_col": {"inter": ["user_id", "item_id"]},
            "use_gpu": False,
            "train_batch_size": 16,
            "topk": [5, 20],
            "valid_metric": "NDCG@20",
        }
    },
    "besides": {"checkpoint_interval": 1},
    "paper": {"parity": {"paper, MultiVAE": [0.5, None]}},
    "leave_out": ["diagnostics"],
    "rows": [
        {"name": "EASE", "model": "EASE", "datasets": ["parity"], "grid": {"reg_weight": [1.0, 1e6]}},
        {
            "name": "MultiVAE",
            "model": "MultiVAE",
            "datasets": ["parity"],
            "options": {"epochs": 4, "mlp_hidden_size": [16], "latent_dimension": 8, "learning_rate": 0.01},
        },
        {
            "name": "MultiVAE, scored again",
            "model": "MultiVAE",
            "datasets": ["parity"],
            "weights_of": "MultiVAE",
            "options": {"epochs": 0, "mlp_hidden_size": [16], "latent_dimension": 8, "learning_rate": 0.01},
        },
        {
            "name": "MultiVAE, of a grid",
            "model": "MultiVAE",
            "datasets": ["parity"],
            "weights_of": "MultiVAE",
            "options": {"epochs": 0, "mlp_hidden_size": [16], "latent_dimension": 8},
            "grid": {"learning_rate": [0.5, 0.01]},
        },
    ],
}


def write_plan(folder: Path, **changes) -> Path:
    file = folder / "tiny.yaml"
    file.write_text(yaml_io.dump_yaml({**PLAN, **changes}))
    return file


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Data of even and odd users, a plan, and its runs: interrupted in a second epoch, then resumed."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "data/parity").mkdir(parents=True)
    draw = random.Random(1)
    rows = [f"u{user}\ti{item}" for user in range(60) for item in draw.sample(range(user % 2, 50, 2), 20)]
    text = "\n".join(["user_id:token\titem_id:token", *rows]) + "\n"
    (folder / "data/parity/parity.inter").write_text(text)
    plan, stops = Plan.read(write_plan(folder)), ["final/000-seed-6"]
    ran = []

    def in_process(context, trials, *_):
        for trial in trials:
            ran.append((context.record.model, trial.folder))

            def report(values, trial=trial):
                write_report(trial, values, None, 0.0)
                if context.record.model == "MultiVAE" and trial.folder in stops and trial.epochs == 2:
                    stops.remove(trial.folder)
                    raise KeyboardInterrupt

            run_trial(dataclasses.asdict(trial), context.job, None, report)
            context.folder.write(context.record)

    with pytest.MonkeyPatch.context() as patch:
        for module in (driver, _running):
            patch.setattr(module, "ray_session", lambda *_: contextlib.nullcontext())
        patch.setattr(phases, "run_trials", in_process)
        patch.setattr(driver, "_prepare_data", lambda *_: None)
        patch.setattr(driver, "draw_figures", lambda _: "")
        runner = lambda: Runner(plan, str(folder / "data"), folder / "runs")  # noqa: E731
        with pytest.raises(KeyboardInterrupt):
            runner().run()
        before = list(ran)
        ran.clear()
        failed = runner().run()
        after = list(ran)
        ran.clear()
        assert runner().run() == {}
    return {"folder": folder, "plan": plan, "before": before, "after": after, "failed": failed, "third": ran}


def result_of(made, name: str) -> dict:
    return json.loads((made["folder"] / "runs/parity-honest" / name / "result.json").read_text())


def cells(text: str) -> dict[str, list[str]]:
    """Return the rows of the first table of a page by their first cell."""
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), text.splitlines())
    rows = list(itertools.takewhile(lambda line: line.startswith("|"), lines))
    split = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0]: row for row in split}


# The runs.


def test_an_interrupted_plan_goes_on_where_it_was(made):
    grid = [("EASE", "trials/000"), ("EASE", "trials/001")]
    winner = [("EASE", f"final/001-seed-{seed}") for seed in (5, 6)]
    assert made["before"] == [
        *grid,
        *winner,
        ("MultiVAE", "final/000-seed-5"),
        ("MultiVAE", "final/000-seed-6"),
    ]
    assert made["after"] == [("MultiVAE", "final/000-seed-6")]
    assert (made["failed"], made["third"]) == ({}, [])
    log = (made["folder"] / "runs/parity-honest/MultiVAE/final/000-seed-6/log.txt").read_text()
    assert "resumed after epoch" in log


@pytest.mark.parametrize("at_a_time", [0, 1])
def test_ray_is_started_unless_trials_run_in_this_process(tmp_path, monkeypatch, at_a_time):
    started = []

    def session(*_):
        started.append(True)
        return contextlib.nullcontext()

    monkeypatch.setattr(_running, "ray_session", session)
    monkeypatch.setattr(Runner, "_run", lambda self, experiment, _: self._fail(experiment, "not today"))
    plan, settings = Plan.read(write_plan(tmp_path)), {"max_concurrent": at_a_time}
    failed = Runner(plan, str(tmp_path), tmp_path / "runs", "EASE", settings).run()
    assert set(failed.values()) == {"not today"}
    assert started == [True] * at_a_time


def test_the_grid_is_searched_on_validation_and_its_best_point_run_with_each_seed(made):
    record = json.loads((made["folder"] / "runs/parity-honest/EASE/sweep.json").read_text())
    assert [trial["options"] for trial in record["trials"]] == [{"reg_weight": 1.0}, {"reg_weight": 1e6}]
    scores = [trial["score"] for trial in record["trials"]]
    assert record["winner"] == scores.index(max(scores)) == 1
    assert result_of(made, "EASE/trials/000")["test"] is None
    splits = {
        result_of(made, f"EASE/final/001-seed-{seed}")["parts"]["test"]["fingerprint"] for seed in (5, 6)
    }
    assert len(splits) == 2


def test_a_budget_is_spent_on_draws_from_the_models_own_space(made, tmp_path):
    rows = [
        {"name": "knn", "model": "ItemKNN", "datasets": ["parity"], "seeds": [5]},
        {"name": "one k", "model": "ItemKNN", "datasets": ["parity"], "seeds": [5], "options": {"k": 20}},
        {**PLAN["rows"][0], "seeds": [5]},
    ]
    changes = {"rows": rows, "paired": None, "groups": None, "trials": 6, "time_budget": "1h"}
    plan = Plan.read(write_plan(tmp_path, **changes))
    assert [one.trials for one in plan.experiments()] == [6, 6, None]
    settings = {"max_concurrent": 0}
    assert Runner(plan, str(made["folder"] / "data"), tmp_path / "runs", "", settings).run() == {}
    stored = Folders(tmp_path / "runs")
    knn, one_k, _ = plan.experiments()
    drawn = [trial["options"] for trial in stored.sweep(knn.folder)["trials"]]
    assert len(drawn) == 6 and all(set(point) == {"k", "shrink", "knn_method"} for point in drawn)
    # A space of fewer combinations is tried whole: four values of shrink.
    assert outcome_of(stored, one_k).searched == 4
    page = "\n".join(accuracy.page(plan, stored))
    assert "(6 trials)" in cells(page)["knn"][-1] and "(4 trials)" in cells(page)["one k"][-1]
    assert "6 draws from its search space, in 1h" in page
    accuracy.collect(plan, stored, tmp_path / "kept.gz")
    kept = open_stored(tmp_path / "kept.gz")
    assert all(is_kept(kept, one) for one in plan.experiments())
    more = Plan.read(write_plan(tmp_path, **changes | {"trials": 7}))
    assert [is_kept(kept, one) for one in more.experiments()] == [False, False, True]
    longer = Plan.read(write_plan(tmp_path, **changes | {"time_budget": "2h"}))
    assert [is_kept(kept, one) for one in longer.experiments()] == [False, False, True]
    found = r"the search \{'num_samples': 6, 'time_budget': '1h'\}, which is not what the plan says"
    with pytest.raises(UsageError, match=found):
        runner = Runner(more, str(made["folder"] / "data"), tmp_path / "runs", "knn", settings)
        runner._swept(next(more.experiments()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trials": 0}, "trials is 0; it takes a whole number from 1"),
        ({"trials": "many"}, "trials is 'many'"),
        ({"time_budget": "1h"}, "time_budget is of trials, of which there are none"),
    ],
)
def test_trials_that_are_none_are_refused(tmp_path, changes, words):
    with pytest.raises(UsageError, match=words):
        Plan.read(write_plan(tmp_path, **changes))


def test_weights_of_another_row_are_scored_seed_by_seed(made):
    for seed in (5, 6):
        again = result_of(made, f"MultiVAE,_scored_again/final/000-seed-{seed}")
        trained = result_of(made, f"MultiVAE/final/000-seed-{seed}")
        assert (again["test"], again["best_epoch"]) == (trained["test"], -1)


def test_a_grid_over_the_weights_of_another_row_is_searched_on_validation(made):
    folder = "MultiVAE,_of_a_grid"
    points = json.loads((made["folder"] / f"runs/parity-honest/{folder}/points.json").read_text())
    trained = result_of(made, "MultiVAE/final/000-seed-5")["best_valid_score"]
    assert points["scores"] == [trained, trained]  # the rate is nothing to weights that are there
    assert result_of(made, f"{folder}/trials/001")["test"] is None
    # Of equal points the first one.
    again = result_of(made, f"{folder}/final/000-seed-6")
    assert again["test"] == result_of(made, "MultiVAE/final/000-seed-6")["test"]
    assert not (made["folder"] / f"runs/parity-honest/{folder}/final/001-seed-5").exists()


def test_the_best_point_over_given_weights_is_taken():
    (one,) = [
        experiment
        for experiment in Plan.read(ROOT / "benchmarks/plans/tvdiff_linear.yaml").experiments()
        if str(experiment) == "TVDiff + EASE, width 64 on lastfm, honest"
    ]
    scores = [0.1, 0.3, None, 0.3, None, None]
    kept = json.loads(json.dumps(_stored.points_of(one, scores)))
    for content in (kept, scores):  # the second as older runs have it
        stored = SimpleNamespace(content={_stored.point_file(one): content}.get)
        assert _stored.chosen_point(stored, one) == (1, 3)
    assert _stored.chosen_point(SimpleNamespace(content=lambda _: None), one) == (0, 1)
    # Scores of another grid or of other options are never taken for the plan's.
    for other in (
        scores[:3],
        {**kept, "grid": {**kept["grid"], "linear_reg_weight": [50.0, 200.0]}},
        {**kept, "options": {**kept["options"], "linear_term": "edlae"}},
    ):
        with pytest.raises(UsageError, match="not what the plan says"):
            _stored.chosen_point(SimpleNamespace(content=lambda _, other=other: other), one)


def test_a_row_that_would_train_the_weights_of_another_on_is_refused(made):
    rows = [{**row, "options": {}} if row.get("weights_of") else row for row in PLAN["rows"]]
    (made["folder"] / "trained_on").mkdir(exist_ok=True)
    with pytest.raises(UsageError, match="would train the weights on; give it epochs: 0"):
        Plan.read(write_plan(made["folder"] / "trained_on", rows=rows))


def test_another_process_is_left_alone(made, monkeypatch):
    runs = made["folder"] / "runs"
    runner = Runner(made["plan"], "data", runs, only="EASE on parity")
    (experiment,) = runner.wanted
    monkeypatch.setattr(runner, "finished", lambda _: False)
    monkeypatch.setattr(runner, "_run", lambda *_: pytest.fail("it was run twice"))
    with locked(runs / "parity-honest/EASE.lock"):
        assert not runner._tried(experiment)


def test_a_failure_is_told_and_what_needs_it_is_not_tried(made, monkeypatch, capsys):
    runner = Runner(made["plan"], "data", made["folder"] / "none", only="MultiVAE")

    def fail(*_):
        raise UsageError("no data set")

    monkeypatch.setattr(_running, "ray_session", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(runner, "_swept", fail)
    failed = runner.run()
    assert failed["MultiVAE on parity, honest"] == "no data set"
    assert failed["MultiVAE, scored again on parity, honest"] == "there are no weights of MultiVAE"
    assert "no data set" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"options": {"epochs": 5}}, {"grid": {"learning_rate": [0.1]}}])
def test_a_sweep_of_other_options_is_refused(made, changes):
    rows = [{**PLAN["rows"][1], **changes}]
    (made["folder"] / "other").mkdir(exist_ok=True)
    plan = Plan.read(write_plan(made["folder"] / "other", rows=rows))
    runner = Runner(plan, "data", made["folder"] / "runs")
    with pytest.raises(UsageError, match="which is not what the plan says"):
        runner._swept(runner.wanted[0])


# The page.


@pytest.fixture(scope="module")
def collected(made):
    """The collected file, and where nothing else is."""
    file = made["folder"] / "tiny_runs.jsonl.gz"
    words = ["collect", str(made["folder"] / "tiny.yaml"), f"--runs={made['folder'] / 'runs'}"]
    assert accuracy.main([*words, f"--output={file}"]) == 0
    return file


@pytest.fixture(scope="module")
def page(made):
    return "\n".join(accuracy.page(made["plan"], open_stored(made["folder"] / "runs")))


def test_means_and_deviations_are_those_of_the_results(made, page):
    row, head = cells(page)["EASE"], cells(page)["method"]
    for metric in ("recall@5", "ndcg@20"):
        values = [result_of(made, f"EASE/final/001-seed-{seed}")["test"][metric] for seed in (5, 6)]
        mean, deviation = sum(values) / 2, abs(values[0] - values[1]) / 2**0.5
        assert row[head.index(metric)].strip("*") == f"{mean:.4f} ± {deviation:.4f}"
    assert (row[1], row[head.index("chosen point")]) == ("2", "reg_weight 1000000.0")
    assert cells(page)["*paper, MultiVAE*"][head.index("recall@5") :][:2] == ["0.5000", ""]
    assert "- **MultiVAE, scored again** (MultiVAE; parity): `epochs=0`" in page


def test_tests_are_over_users_with_holms_correction(made, page):
    def users(row: str, seed: int):
        point = "001" if row == "EASE" else "000"
        path = made["folder"] / f"runs/parity-honest/{row}/final/{point}-seed-{seed}/user_metrics.npz"
        return load_user_metrics(path)["test"]

    p = {}
    for name in ("EASE", "MultiVAE,_scored_again", "MultiVAE,_of_a_grid"):
        means = []
        for row in ("MultiVAE", name):
            tables = [users(row, seed) for seed in (5, 6)]
            of = [dict(zip(table["users"], table["recall@5"], strict=True)) for table in tables]
            both = sorted(of[0].keys() | of[1].keys())
            values = [[one[user] for one in of if user in one] for user in both]
            means.append([sum(map(float, some)) / len(some) for some in values])
        p[name] = stats.ttest_rel(*means).pvalue if means[0] != means[1] else 1.0
    adjusted = holm(p)
    lines = [line for line in page.splitlines() if line.startswith("| MultiVAE |") and "recall@5" in line]
    found = [line.strip("| ").split("|") for line in lines]
    assert [float(line[-2]) for line in found] == pytest.approx(list(p.values()), rel=0.06)
    assert [float(line[-1]) for line in found] == pytest.approx(list(adjusted.values()), rel=0.06)


def test_groups_are_means_over_seeds(made, page):
    groups = [
        result_of(made, f"EASE/final/001-seed-{seed}")["groups"]["test"]["item_popularity"] for seed in (5, 6)
    ]
    recall, share = (sum(one[0][name] for one in groups) / 2 for name in ("recall@20", "share@20"))
    assert f"| EASE                   | {recall:.4f} / {share:.2f}" in page


def test_the_collected_file_gives_the_same_page(made, collected, page):
    assert "\n".join(accuracy.page(made["plan"], open_stored(collected))) == page


def test_the_collected_file_has_no_path_and_the_same_bytes_again(made, collected):
    content = gzip.decompress(collected.read_bytes()).decode()
    assert str(made["folder"]) not in content
    again = made["folder"] / "again.jsonl.gz"
    accuracy.collect(made["plan"], open_stored(collected), again)
    assert again.read_bytes() == collected.read_bytes()
    lines = [json.loads(line) for line in content.splitlines()]
    assert [line.get("folder") or line["file"] for line in lines] == [
        "parity-honest/EASE",
        *(f"parity-honest/EASE/final/001-seed-{seed}" for seed in (5, 6)),
        "parity-honest/MultiVAE",
        *(
            f"parity-honest/MultiVAE,_{name}/final/000-seed-{seed}"
            for name in ("of_a_grid", "scored_again")
            for seed in (5, 6)
        ),
        *(f"parity-honest/MultiVAE/final/000-seed-{seed}" for seed in (5, 6)),
        "parity-honest/MultiVAE,_of_a_grid/points.json",
        "parity-honest/paired-test.json",
    ]


def test_the_command_line_writes_the_page(made, collected, capsys):
    out = made["folder"] / "page.md"
    plan = str(made["folder"] / "tiny.yaml")
    assert accuracy.main(["table", plan, f"--runs={collected}", f"--output={out}"]) == 0
    assert out.read_text() == capsys.readouterr().out
    assert accuracy.main(["table", plan, "--runs=nowhere"]) == 2
    assert "no runs in nowhere" in capsys.readouterr().err
    (made["folder"] / "half.gz").write_bytes(collected.read_bytes()[:100])
    assert accuracy.main(["table", plan, f"--runs={made['folder'] / 'half.gz'}"]) == 1
    assert "collect it again" in capsys.readouterr().err


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_a_committed_page_is_made_of_its_committed_runs(file):
    from benchmarks import rated_table

    make = rated_table.page if file.stem.startswith("dgrm") else accuracy.page
    lines = make(Plan.read(file), Packed(RESULTS / f"{file.stem}_runs.jsonl.gz"))
    assert "\n".join(lines).rstrip("\n") + "\n" == (RESULTS / f"{file.stem}_accuracy.md").read_text()


@pytest.mark.parametrize("file", [file for file in PLANS if file not in PAGES], ids=lambda file: file.stem)
def test_each_row_of_a_plan_that_has_no_runs_yet_has_options_that_can_be_read(file):
    for experiment in Plan.read(file).experiments():
        for point in (experiment.points[0], experiment.points[-1]):
            given = {**experiment.given, **point}
            config = Config(experiment.row.model, experiment.dataset, overrides=given)
            assert {name: config[name] for name in point} == point


# Runs of before plans ran on tune.


def test_older_runs_have_a_folder_for_each_point_and_seed(made, tmp_path):
    for number, seed in ((0, 5), (1, 5), (1, 6)):
        folder = tmp_path / f"parity-honest/EASE-{number}-{seed}"
        shutil.copytree(made["folder"] / f"runs/parity-honest/EASE/final/001-seed-{seed}", folder)
        config = yaml_io.load_yaml(folder / "config.yaml") | {"reg_weight": [1.0, 1e6][number]}
        (folder / "config.yaml").write_text(yaml_io.dump_yaml(config))
        result = json.loads((folder / "result.json").read_text()) | {"best_valid_score": 0.1 + number}
        (folder / "result.json").write_text(json.dumps(result))
    experiment = next(made["plan"].experiments())
    found = outcome_of(Folders(tmp_path), experiment)
    assert (found.chosen, found.seeds, found.searched) == ({"reg_weight": 1e6}, (5, 6), 2)
    accuracy.collect(made["plan"], Folders(tmp_path), tmp_path / "old.jsonl.gz")
    packed = Packed(tmp_path / "old.jsonl.gz")
    assert sorted(packed.runs) == [f"parity-honest/EASE-{one}" for one in ("0-5", "1-5", "1-6")]
    assert outcome_of(packed, experiment).chosen == found.chosen
    (tmp_path / "parity-honest/EASE-1-5/config.yaml").write_text("model: EASE\nvalid_metric: NDCG@20\n")
    with pytest.raises(UsageError, match=r"was made with \{'reg_weight': None\}"):
        outcome_of(Folders(tmp_path), experiment)


def test_a_test_part_that_was_left_out_is_told_by_its_values(tmp_path):
    config, of = {"valid_metric": "Recall@5"}, {"recall@5": 0.5}
    for name, other in (("own", {"recall@5": 0.1}), ("first", of)):
        result = {"test": of, "test_cold": other, "test_warm": {"recall@5": 0.2}}
        pack([{"folder": "a", "config": config, "result": result}], tmp_path / name)
    assert list(Packed(tmp_path / "own").run("a").test_parts) == ["test", "test_cold", "test_warm"]
    assert list(Packed(tmp_path / "first").run("a").test_parts) == ["test_cold", "test_warm"]


# Plans.


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sedes": [1]}, "unknown word 'sedes'"),
        ({"seeds": [1, 3]}, "write them without a gap"),
        ({"rows": [{"name": "A", "model": "EASE", "dataset": "x"}]}, "rows: unknown word 'dataset'"),
        ({"rows": [PLAN["rows"][0]] * 2}, "would share the folder parity-honest/EASE"),
    ],
)
def test_plans_that_cannot_be_run(tmp_path, changes, said):
    with pytest.raises(UsageError, match=said):
        Plan.read(write_plan(tmp_path, **changes))


def test_damaged_lines_are_named(tmp_path):
    pack([{"folder": "a"}], tmp_path / "a.gz")
    with pytest.raises(RunError, match="line 1 is damaged"):
        Packed(tmp_path / "a.gz")


def test_a_protocol_may_be_for_some_data_sets(tmp_path):
    rows = [{"name": "A", "model": "EASE", "datasets": ["x", "y"]}]
    changes = {"rows": rows, "protocols": {"p": {}, "q": {}}, "protocol_datasets": {"q": ["y"]}}
    plan = Plan.read(write_plan(tmp_path, **changes))
    assert [one.group for one in plan.experiments()] == ["x-p", "y-p", "y-q"]
    assert list(plan.groups_of_rows()) == ["x-p", "y-p", "y-q"]


@pytest.mark.parametrize("dataset", ["lastfm", "amazon-beauty"])
def test_the_plan_of_tv_diffs_figures_makes_each_of_them_whole(dataset):
    """Every point of the paper's, at the base of the released preset; its number is beside the row."""
    plan = Plan.read(ROOT / "benchmarks/plans/tvdiff_figures.yaml")
    defaults = yaml_io.load_yaml(ROOT / "properties/model/TVDiff.yaml")
    experiments = list(plan.experiments(f"{dataset}-paper"))
    methods = {}
    for one in experiments:
        preset = read_preset(one.given["preset"], "TVDiff", dataset).options
        result = {"dataset": dataset, "model": "TVDiff", "seed": 0, "test": {"recall@20": 0.3}}
        methods[one.row.name] = [RunRecord(Path(), {**defaults, **preset, **one.given}, result, [])]
    figures = tvdiff.varied(methods, dict.fromkeys(methods, 0))
    assert [figure.name for figure in figures] == [f"tv-diff figure {number}" for number in range(4, 12)]
    for figure, one in zip(figures, tvdiff.FIGURES, strict=True):
        paper, here, *more = figure.panels[0].series
        assert len(more) == (one.number == 5)  # the entropy term of the perceptron, from Figure 4
        assert paper.y == tuple(row[0] for row in tvdiff.published()[one.number][dataset].values())
        assert set(paper.x) <= set(here.x), figure.title
        assert "Not shown" not in figure.note
    for one in experiments:
        if one.row.published is None:
            assert published_cells(one) == []
            continue
        number, value = one.row.published
        (figure,) = (some for some in tvdiff.FIGURES if some.number == number)
        assert figure.value(methods[one.row.name][0].config) == tvdiff.parsed(value)
        row = tvdiff.published()[number][dataset][value]
        assert [cell.text for cell in published_cells(one)] == [f"{score:.4f}" for score in row]


def test_the_papers_numbers_stand_beside_the_row_of_their_point(made, tmp_path, monkeypatch):
    rows = [{**PLAN["rows"][0], "published": [8, "3"]}, PLAN["rows"][1]]
    plan, runs = Plan.read(write_plan(tmp_path, rows=rows)), Folders(made["folder"] / "runs")
    with pytest.raises(
        UsageError, match=r"^EASE on parity, honest: the paper has no Figure 8 with '3' on par"
    ):
        accuracy.page(plan, runs)
    monkeypatch.setattr(_tables, "published", lambda: {8: {"parity": {"3": [0.1, 0.25]}}})
    table = cells("\n".join(accuracy.page(plan, runs)))
    places = [table["method"].index(f"paper {metric}") for metric in tvdiff.METRICS]
    assert places == [5, 6]  # behind the plan's two metrics
    assert [table["EASE"][place] for place in places] == ["0.1000", "0.2500"]
    assert [table["MultiVAE"][place] for place in places] == ["", ""]


def test_a_row_of_the_best_of_others_is_computed_metric_by_metric(made, tmp_path):
    best_of = {"best": ["EASE", "MultiVAE"], "alone": ["EASE", "not there"]}
    plan = Plan.read(write_plan(tmp_path, best_of=best_of))
    for smaller in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_tables, "smaller_is_better", lambda _, smaller=smaller: smaller)
            table = cells("\n".join(accuracy.page(plan, Folders(made["folder"] / "runs"))))
        assert "*alone*" not in table
        places, winners = [table["method"].index(metric) for metric in plan.metrics], []
        for place in places:
            of = {name: table[name][place].strip("*") for name in ("EASE", "MultiVAE")}
            winner = (min if smaller else max)(of, key=lambda name, of=of: float(of[name].split(" ")[0]))
            assert table["*best*"][place] == of[winner]
            winners.append(winner)
        assert table["*best*"][-1] == "; ".join(winners)


# The page of all systems.


def system(**values):
    named = {"name": "A", "row": "A", "model": "A", "seeds": 3, "mean": 0.2, "deviation": 0.0, "paper": None}
    cell = _tables.Cell("0.2")
    rest = {"linear": None, "smaller": False, "shown": cell, "costs": [cell] * 3}
    return all_systems.System(**{**named, **rest, **values})


@pytest.mark.parametrize(
    ("mean", "deviation", "paper", "smaller", "reaches"),
    [
        (0.20, 0.0, 0.20, False, True),
        (0.19, 0.0, 0.20, False, False),
        (0.19, 0.02, 0.20, False, True),
        (0.90, 0.0, 0.80, True, False),
        (0.70, 0.0, 0.80, True, True),
        (0.70, 0.0, None, True, None),
    ],
)
def test_a_system_reaches_its_paper_at_the_figure_or_within_a_deviation(
    mean, deviation, paper, smaller, reaches
):
    assert system(mean=mean, deviation=deviation, paper=paper, smaller=smaller).reaches is reaches


def test_a_system_is_held_against_the_linear_model_and_a_linear_model_is_not():
    linear = ("EASE", 0.25)
    assert system(linear=linear).passes is False
    assert system(linear=linear, smaller=True).passes is True
    assert system(linear=linear, model="EASE").passes is None
    assert system(linear=linear).cells()[6].text == "no (-20.0 %)"


def test_rows_that_were_chosen_by_other_metrics_are_compared_by_one():
    """0.9 of one metric is not better than 0.3 of another one."""

    def outcome(valid_metric, best, ndcg):
        valid = {"recall@5": 0.9, "ndcg@5": ndcg, valid_metric: best}
        result = {"best_valid_score": best, "valid": valid}
        return None, SimpleNamespace(runs=[SimpleNamespace(valid_metric=valid_metric, result=result)])

    of_one = {"A": outcome("recall@5", 0.8, 0.2), "B": outcome("recall@5", 0.7, 0.3)}
    both = {"A": outcome("recall@5", 0.9, 0.2), "B": outcome("ndcg@5", 0.3, 0.3)}
    for outcomes, metric, best in ((of_one, "recall@5", "A"), (both, "ndcg@5", "B")):
        assert all_systems.deciding_metric(outcomes, "ndcg@5") == metric
        scores = {name: all_systems.valid_score(one, metric) for name, (_, one) in outcomes.items()}
        assert max(scores, key=scores.get) == best
    assert all_systems.valid_score(both["A"][1], "mrr@5") is None


def test_rows_are_found_in_a_paper_by_their_name_the_last_part_of_it_or_the_model():
    paper = {
        "paper, uniform (RNS)": [0.1],
        "FREEDOM, paper": [0.2],
        "paper, NCF": [0.3],
        "authors' log": [0.4],
    }
    plan = dataclasses.replace(Plan("x", "# X", "", [0], {}, []), paper={"food": paper})
    for row, model, expected in (
        ("LightGCN, uniform", "CNSDiff", ("uniform (RNS)", [0.1])),
        ("two negatives", "FREEDOM", ("FREEDOM", [0.2])),
        ("any", "NeuMF", ("NCF", [0.3])),
        ("authors' log", "CNSDiff", None),
    ):
        assert all_systems.published(plan, "food", row, model) == expected
    assert all_systems.published(plan, "baby", "FREEDOM", "FREEDOM") is None


def test_the_page_of_all_systems_is_that_of_the_kept_runs():
    page = (RESULTS / "all.md").read_text(encoding="utf-8").splitlines()
    plans = all_systems.read(ROOT / "benchmarks/plans", RESULTS)
    name, (plan, stored) = next((name, one) for name, one in plans.items() if name.startswith("tvdiff_acc"))
    heading, metric, found = list(all_systems.sections(plan, stored))[1]
    place = page.index(f"## {heading} (tvdiff)")
    assert page[place + 2] == f"{metric}; best linear model: EASE, 0.2762; [all rows and metrics]({name})."
    lines = page[place + 6 : place + 6 + len(found)]
    assert [line.split("|")[1].strip() for line in lines] == [one.name for one in found]
    (best,) = (one for one in found if one.name == "TV-Diff")
    # By hand from the plan's page: the honest row with the best validation score.
    assert (best.row, best.mean, best.paper) == (
        "TVDiff I+II, dropout 0.6",
        pytest.approx(0.2958, abs=5e-5),
        0.2953,
    )


def test_a_plans_stage_cache_goes_to_the_models_that_have_one(tmp_path):
    plan = Plan.read(ROOT / "benchmarks/plans/systems.yaml")
    runner = Runner(plan, "DATA", tmp_path)
    given = {one.row.model for one in plan.experiments() if "stage_cache" in runner.options(one)}
    assert given == {"DDRM", "HDRM"}


# A plan that has grown.


@pytest.fixture(scope="module")
def grown(made):
    """The file of the first two rows, and a folder with the runs of the other two alone."""
    folder = made["folder"] / "grown"
    folder.mkdir()
    first = write_plan(folder, rows=PLAN["rows"][:2])
    words = ["collect", str(first), f"--runs={made['folder'] / 'runs'}", f"--output={folder / 'kept.gz'}"]
    assert accuracy.main(words) == 0
    for name in ("scored_again", "of_a_grid"):
        row = f"parity-honest/MultiVAE,_{name}"
        shutil.copytree(made["folder"] / "runs" / row, folder / "runs" / row)
    return folder


def test_a_plan_that_has_grown_has_the_page_of_one_that_was_run_whole(made, grown, page):
    out = grown / "page.md"
    words = ["table", str(made["folder"] / "tiny.yaml"), f"--runs={grown / 'runs'}"]
    assert accuracy.main([*words, f"--kept={grown / 'kept.gz'}", f"--output={out}"]) == 0
    assert out.read_text() == page + "\n"
    assert accuracy.main([*words, "--kept=none", f"--output={out}"]) == 0
    assert "| EASE" not in out.read_text()


def test_a_page_of_rated_items_reads_new_runs_over_the_kept_ones(made, grown, monkeypatch):
    from benchmarks import rated_table

    def rows(plan, stored):
        return list(rated_table.outcomes_of(plan, stored, "parity-honest"))

    monkeypatch.setattr(rated_table, "page", rows)
    out, whole = grown / "rated.md", [row["name"] for row in PLAN["rows"]]
    words = ["table", str(made["folder"] / "tiny.yaml"), f"--runs={grown / 'runs'}", f"--output={out}"]
    assert rated_table.main([*words, f"--kept={grown / 'kept.gz'}"]) == 0
    assert out.read_text().split("\n")[:-1] == whole
    assert rated_table.main(words) == 0  # the plan has no file of its own
    assert out.read_text().split("\n")[:-1] == whole[2:]


def test_what_was_collected_is_collected_again_with_the_new_rows(made, grown, collected):
    plan, again = str(made["folder"] / "tiny.yaml"), grown / "again.gz"
    words = ["collect", plan, f"--runs={grown / 'runs'}", f"--kept={grown / 'kept.gz'}"]
    assert accuracy.main([*words, f"--output={again}"]) == 0
    one, whole = Packed(again), Packed(collected)
    assert one.runs.keys() == whole.runs.keys()
    assert one.sweeps == whole.sweeps
    with_users = {folder for folder, run in one.runs.items() if run.users}
    assert with_users == {f"parity-honest/MultiVAE/final/000-seed-{seed}" for seed in (5, 6)}


def test_rows_that_were_collected_are_not_run_again_but_for_weights_that_are_needed(made, grown):
    kept = open_stored(grown / "kept.gz")
    names = lambda runner: [one.row.name for one in runner.wanted]  # noqa: E731
    assert (
        names(Runner(made["plan"], "data", grown / "none", kept=open_stored(made["folder"] / "runs"))) == []
    )
    of_kept = Runner(made["plan"], "data", grown / "none", "EASE", kept=kept)
    assert names(of_kept) == []
    assert [one.row.name for one in of_kept.kept] == ["EASE", "MultiVAE"]
    scored = Runner(made["plan"], "data", grown / "none", "scored again", kept=kept)
    assert names(scored) == ["MultiVAE", "MultiVAE, scored again"]


@pytest.mark.parametrize(
    "changes", [{"options": {"epochs": 5}}, {"grid": {"learning_rate": [0.1]}}, {"seeds": [5, 6, 7]}]
)
def test_a_collected_row_that_the_plan_has_otherwise_now_is_run_again(grown, changes):
    (grown / "other").mkdir(exist_ok=True)
    plan = Plan.read(write_plan(grown / "other", rows=[{**PLAN["rows"][1], **changes}]))
    runner = Runner(plan, "data", grown / "none", kept=open_stored(grown / "kept.gz"))
    assert [one.row.name for one in runner.wanted] == ["MultiVAE"]


def test_stored_tests_are_not_of_runs_that_came_out_otherwise(made, grown):
    """With a new run of the reference, the tests of rows whose users were not kept are gone."""
    row = "parity-honest/MultiVAE"
    shutil.copytree(made["folder"] / "runs" / row, grown / "moved" / row)
    file = grown / "moved" / row / "final/000-seed-5/result.json"
    result = json.loads(file.read_text())
    result["test"]["recall@5"] += 0.01
    file.write_text(json.dumps(result))
    with np.load(file.with_name("user_metrics.npz")) as stored:
        users = dict(stored)
    users["test/recall@5"] = users["test/recall@5"] + np.float32(0.01)
    np.savez(file.with_name("user_metrics.npz"), **users)
    plan, kept = Plan.read(grown / "tiny.yaml"), Packed(grown / "kept.gz")
    for folder, tests in (("moved", 0), ("runs", 2)):
        stored = Layered(Folders(grown / folder), kept)
        found = _tables.tests_of(
            plan, stored, "parity-honest", _tables.outcomes_of(plan, stored, "parity-honest"), "test"
        )
        assert len(found) == tests


def test_tests_from_before_p_was_kept_cannot_be_joined():
    rows = [{"best": "A", "method": name, "p": None, "p_holm": 0.1} for name in "BC"]
    with pytest.raises(
        UsageError, match="cannot be joined with new ones; run its rows again with --kept=none"
    ):
        _tables._joined(rows[:1], rows[1:], ["A", "B", "C"])
