"""Search spaces: reading, refusing, drawing, enumerating."""

import math
from random import Random

import pytest

from recbole_diffusion.errors import UsageError
from recbole_diffusion.tuning.space import exists
from recbole_diffusion.tuning.space_yaml import parse_space, read_space

DRAWS = 400


def parameter(definition, key="x"):
    return parse_space({key: definition}, "file").parameters[0]


def draws(definition):
    random = Random(3)
    one = parameter(definition)
    return [one.draw(random)[0] for _ in range(DRAWS)]


# Drawing.


def test_a_choice_gives_its_values_and_no_other():
    values = draws({"choice": [1, "a", None, [2, 3], {"distribution": "uniform"}]})
    assert all(value in values for value in (1, "a", None, [2, 3], {"distribution": "uniform"}))
    assert {type(value) for value in values} == {int, str, type(None), list, dict}


def test_bounds_of_loguniform_are_values_and_orders_of_magnitude_are_alike():
    values = draws({"loguniform": [1e-4, 1]})
    assert all(1e-4 <= value <= 1 for value in values)
    decades = [sum(10.0**-k <= value < 10.0 ** (1 - k) for value in values) for k in (1, 2, 3, 4)]
    assert all(abs(number - DRAWS / 4) < 4 * math.sqrt(DRAWS * 3 / 16) for number in decades)


def test_a_step_quantises_from_the_lower_bound():
    assert sorted(set(draws({"uniform": [0.1, 0.75], "step": 0.2}))) == [0.1, 0.3, 0.5, 0.7]
    assert sorted(set(draws({"int": [32, 130], "step": 32}))) == [32, 64, 96, 128]
    assert {type(value) for value in draws({"int": [1, 3]})} == {int}
    assert set(draws({"int": [1, 3]})) == {1, 2, 3}


def test_int_with_log_draws_small_numbers_more_often():
    values = draws({"int": [1, 1000], "log": True})
    assert all(type(value) is int and 1 <= value <= 1000 for value in values)
    assert sum(value <= 31 for value in values) / DRAWS == pytest.approx(0.5, abs=0.12)


def test_the_same_seed_draws_the_same():
    space = parse_space({"a": {"uniform": [0, 1]}, "b": {"loguniform": [1e-3, 1]}}, "file")
    assert space.draw(Random(5), {}) == space.draw(Random(5), {})
    assert space.draw(Random(5), {}) != space.draw(Random(6), {})


# Conditions.


def test_a_condition_decides_whether_an_option_exists():
    space = parse_space(
        {"gamma": {"choice": [1, 2], "when": {"sampler": "hard"}}, "sampler": {"choice": ["hard", "easy"]}},
        "file",
    )
    assert [one.label for one in space.parameters] == ["sampler", "gamma"]  # after what it depends on
    assert list(space.grid({})) == [
        {"sampler": "hard", "gamma": 1},
        {"sampler": "hard", "gamma": 2},
        {"sampler": "easy"},
    ]
    assert space.count({}) == 3
    assert {tuple(space.draw(Random(seed), {})) for seed in range(30)} == {("sampler", "gamma"), ("sampler",)}


def test_a_condition_on_an_option_that_is_not_searched():
    space = parse_space(
        {"gamma": {"choice": [1, 2], "when": {"sampler": ["hard", "harder"]}}, "b": 1}, "file"
    )
    assert list(space.grid({"sampler": "harder"})) == [{"gamma": 1, "b": 1}, {"gamma": 2, "b": 1}]
    assert list(space.grid({"sampler": "easy"})) == [{"b": 1}]


def test_what_depends_on_something_that_does_not_exist_does_not_exist():
    content = {
        "a": {"choice": [0, 1]},
        "b": {"choice": [5], "when": {"a": 1}},
        "c": {"choice": [7], "when": {"b": 5}},
    }
    assert list(parse_space(content, "file").grid({})) == [{"a": 0}, {"a": 1, "b": 5, "c": 7}]
    assert not exists(parse_space(content, "file").parameters[2], {"a": 0}, {})


def test_options_that_are_chosen_together():
    space = parse_space({"low, high": {"choice": [[1, 2], [3, 4]]}}, "file")
    assert list(space.grid({})) == [{"low": 1, "high": 2}, {"low": 3, "high": 4}]
    assert space.names == ["low", "high"]


# Refusals.


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "empty"),
        ({"x": {"chioce": [1]}}, "did you mean 'choice'"),
        ({"x": {"choice": [1], "uniform": [0, 1]}}, "choice and uniform given"),
        ({"x": {"step": 1}}, "no kind"),
        ({"x": {"choice": []}}, "at least one value"),
        ({"x": {"choice": 3}}, "takes a list"),
        ({"x": {"choice": [1, 2, 1]}}, "in the list twice"),
        ({"x": {"choice": [1], "step": 1}}, "does not fit a choice"),
        ({"x": {"uniform": [1, 0]}}, "lower bound 1 is not below the upper bound 0"),
        ({"x": {"uniform": [1, 1]}}, "not below"),
        ({"x": {"uniform": [0, "b"]}}, "two numbers"),
        ({"x": {"uniform": [0, math.inf]}}, "two numbers"),
        ({"x": {"uniform": [0, 1, 2]}}, "two numbers"),
        ({"x": {"int": [0, 1.5]}}, "two whole numbers"),
        ({"x": {"int": [False, True]}}, "two whole numbers"),
        ({"x": {"loguniform": [0, 1]}}, "no logarithm"),
        ({"x": {"loguniform": [-4, -2]}}, "bounds are values, not exponents"),
        ({"x": {"int": [0, 8], "log": True}}, "no logarithm"),
        ({"x": {"uniform": [0, 1], "log": True}}, "for int only"),
        ({"x": {"uniform": [0, 1], "step": 2}}, "at most 1"),
        ({"x": {"uniform": [0, 1], "step": 0}}, "above 0"),
        ({"x": {"int": [0, 8], "step": 0.5}}, "whole for int"),
        ({"x": {"choice": [1], "when": {}}}, "when is"),
        ({"x": {"choice": [1], "when": {"x": 1}}}, "depends on the option itself"),
        ({"x": {"choice": [1], "when": {"y": 1}}, "y": {"choice": [1], "when": {"x": 1}}}, "in a circle"),
        ({"x": 1, "x, y": {"choice": [[1, 2]]}}, "set twice"),
        ({"x, y": {"choice": [[1, 2], [3]]}}, "a list of 2 values"),
        ({"x, y": {"uniform": [0, 1]}}, "by choice only"),
        ({"x,": 1}, "a name is missing"),
    ],
)
def test_what_is_no_space_is_refused(content, words):
    with pytest.raises(UsageError, match=r"^here\.yaml: ") as caught:
        parse_space(content, "here.yaml")
    assert words in str(caught.value)


def test_a_grid_needs_values_that_can_be_counted():
    space = parse_space({"x": {"uniform": [0, 1]}, "y": 1}, "file")
    assert space.count({}) is None
    with pytest.raises(UsageError, match="x is a continuous uniform"):
        next(space.grid({}))


def test_a_file_is_parsed_and_not_evaluated(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("x: {choice: ['__import__(\"os\").getcwd()', 1e-4]}\n")
    assert read_space(file).parameters[0].values == (('__import__("os").getcwd()',), (1e-4,))
    file.write_text("x: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(UsageError, match="not valid YAML"):
        read_space(file)
    with pytest.raises(UsageError, match="cannot read"):
        read_space(tmp_path / "none.yaml")


def test_a_file_may_hold_the_spaces_of_several_models(tmp_path):
    file = tmp_path / "spaces.yaml"
    file.write_text("BPR:\n  learning_rate: {choice: [0.1]}\nEASE:\n  reg_weight: {choice: [1.0, 2.0]}\n")
    assert read_space(file, "EASE").parameters[0].values == ((1.0,), (2.0,))
    assert read_space(file, "EASE").source.endswith("spaces.yaml, EASE")
    with pytest.raises(UsageError, match="learning_rate"):
        read_space(file)
