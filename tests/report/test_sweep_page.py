"""The page of a sweep, also of one whose trials failed, wait or were killed."""

import json
import math
import random

import pytest

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.report.importance import importance
from recbole_diffusion.report.sweep_page import sweep_page


def edit(folder, **changes):
    content = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps({**content, **changes}))


def test_figures_and_tables(sweep):
    page, figures, _ = sweep_page(sweep)
    assert [figure.name for figure in figures] == [
        "options together",
        "options one by one",
        "learning curves",
        "score against time",
    ]
    text = page.html()
    assert "0.3000, trial 001" in text
    assert "1 finished, 1 stopped, 1 failed, 1 waiting" in text
    assert "0.2500 ± 0.0100" in text
    assert "no luck" in text
    assert "14 s</dd>" in text  # 2 + 3 + 4 + 5, without a score too
    together, one_by_one, learning, _ = figures
    assert together.panels[0].ticks[1] == ["learning_rate", "sampler", "recall@20"]
    # The best trial is drawn last, in front: learning rate 0.1, the smaller of two, sampler popularity, the
    # best score.
    assert (together.panels[0].series[-1].name, together.panels[0].series[-1].y) == ("best", [0.0, 0.0, 1.0])
    rate, sampler = one_by_one.panels
    assert (rate.x_log, rate.series[-1].x, rate.series[-1].y) == (True, [0.1], [0.3])
    assert sampler.ticks == ([0, 1], ["popularity", "uniform"])
    assert learning.panels[0].series[-1].y == (0.15, 0.3)  # the half line of the killed trial is left out


def test_the_preset_is_named_with_what_replaces_its_values(sweep):
    options = {"preset": "released", "hidden_size": 64}
    edit(sweep, model="TVDiff", dataset="ml-100k", options=options, space={"steps, gamma": {}})
    text = sweep_page(sweep, weigh_options=False)[0].html()
    assert "released, but hidden_size 64 (released: 1000); searched: " in text
    edit(sweep, options={"preset": "gone"})
    assert ">gone<" in sweep_page(sweep, weigh_options=False)[0].html()


def trials_of(count):
    """Return trials whose score depends on the learning rate and a little on the sampler."""
    draw = random.Random(0)
    found = []
    for number in range(count):
        options = {
            "learning_rate": 10 ** draw.uniform(-4, -1),
            "sampler": draw.choice(["uniform", "hard", "mixed"]),
            "noise": draw.random(),
        }
        score = -abs(math.log10(options["learning_rate"]) + 2.5) + 0.3 * (options["sampler"] == "hard")
        one = {"number": number, "folder": f"trials/{number:03d}", "options": options, "state": "finished"}
        found.append({**one, "score": score + 0.05 * draw.gauss(0, 1)})
    return found


def test_the_option_that_decides_is_the_most_important_and_one_without_effect_has_none():
    names = ["noise", "sampler", "learning_rate"]
    trials = trials_of(48)
    trials[0]["score"] = -1e9  # diverged: its rank counts, not by how much
    found = importance(trials, names)
    assert found.options[0] == "learning_rate"
    weight = dict(zip(found.options, zip(found.mean, found.deviation, strict=True), strict=True))
    assert weight["learning_rate"][0] > 0.8
    assert weight["noise"][0] < 0.1
    assert 0 < weight["noise"][1] < weight["learning_rate"][1]
    assert found.explained > 0.5
    for number, trial in enumerate(trials):
        trial["score"] = float(number * 7919 % 48)  # of no option
    assert importance(trials, names).explained < 0.1


def test_too_few_trials_have_no_importance(sweep):
    assert "takes 12 trials with a score; there are 2." in sweep_page(sweep)[0].html()
    edit(sweep, trials=trials_of(12))
    page, figures, _ = sweep_page(sweep)
    assert figures[0].name == "importance"
    assert "samples of the 12 trials" in page.html()


def test_less_may_be_better(sweep):
    edit(sweep, bigger=False, valid_metric="recall@20")
    assert "0.2000, trial 000" in sweep_page(sweep)[0].html()


def test_the_preset_is_a_fact(sweep):
    edit(sweep, options={"epochs": 2, "preset": "released"})
    assert "<dd>released</dd>" in sweep_page(sweep)[0].html()


def test_selection_on_test_is_said(sweep):
    edit(sweep, selection="test")
    assert "compared on the test part itself" in sweep_page(sweep)[0].html()


def test_damaged_or_without_a_score(sweep):
    edit(
        sweep,
        trials=[{"number": 0, "folder": "trials/000", "options": {}, "state": "waiting", "score": None}],
    )
    with pytest.raises(UsageError, match=r"no trial of the sweep .* has a score yet"):
        sweep_page(sweep)
    edit(sweep, trials=[{"number": 0}])
    with pytest.raises(RunError, match=r"trials\.folder"):
        sweep_page(sweep)
    (sweep / "sweep.json").write_text('{"model": ')
    with pytest.raises(RunError, match=r"sweep\.json is damaged"):
        sweep_page(sweep)


def test_models_of_one_step_are_shown_by_trial(sweep):
    content = json.loads((sweep / "sweep.json").read_text())
    for trial, score in zip(content["trials"], (0.3, 0.1, 0.4), strict=False):
        trial["score"], trial["state"] = score, "finished"
        line = json.dumps({"epoch": 0, "valid": {"recall@20": score}}) + "\n"
        (sweep / trial["folder"] / "metrics.jsonl").write_text(line)
    (sweep / "sweep.json").write_text(json.dumps(content))
    learning = next(figure for figure in sweep_page(sweep)[1] if figure.name == "learning curves")
    dots, best = learning.panels[0].series
    assert (dots.kind, dots.x, dots.y) == ("points", [0, 1, 2], [0.3, 0.1, 0.4])
    assert list(zip(best.x, best.y, strict=True)) == [(0, 0.3), (1, 0.3), (1, 0.3), (2, 0.3), (2, 0.4)]
    content["bigger"] = False
    (sweep / "sweep.json").write_text(json.dumps(content))
    learning = next(figure for figure in sweep_page(sweep)[1] if figure.name == "learning curves")
    assert learning.panels[0].series[1].y == [0.3, 0.3, 0.1, 0.1, 0.1]
