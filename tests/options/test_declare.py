"""Hyper-parameters as a dataclass: types and ranges, with messages that name what is allowed."""

import dataclasses
import math
from dataclasses import dataclass

import pytest
import torch

from recbole_diffusion import diffusion
from recbole_diffusion.diffusion import make_betas
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import allowed_text, argument, option, read_options
from recbole_diffusion.options.diffusion import SCHEDULES, NoiseBoundsOptions, NoiseScheduleOptions


@dataclass(frozen=True)
class Some:
    """Options of every kind."""

    width: int = option("how wide", low=1)
    share: float = option("how much", low=0, high=1, open_low=True)
    below: float = option("how little", low=0, high=1, open_high=True)
    name: str = option("which", choices=("a", "b"))
    maybe: int | None = option("perhaps", low=1)
    flag: bool = option("whether")
    several: list | int = option("some")
    seed: int = option("seed", low=0, high=2**32 - 1)


@dataclass(frozen=True)
class Command:
    """Arguments of a command."""

    k: int = argument(20, "length of a list", low=1)
    several: list | int = argument([1, 2], "some")


VALID = {
    "width": 3,
    "share": 1.0,
    "below": 0.0,
    "name": "b",
    "maybe": None,
    "flag": False,
    "several": [3],
    "seed": 1,
}


def test_values_are_read():
    assert dataclasses.asdict(read_options(Some, {**VALID, "something_else": 1})) == VALID


def test_a_whole_number_is_a_float_where_a_float_is_wanted():
    value = read_options(Some, {**VALID, "share": 1}).share
    assert value == 1.0
    assert type(value) is float


WRONG = {
    ("width", 0): r"'width' is 0; it takes int in \[1, inf\): how wide",
    ("width", 1.0): "'width' is 1.0",
    ("width", "3"): "'width' is '3'",
    ("width", None): "'width' is None",
    ("share", 0): r"'share' is 0.0; it takes float in \(0, 1\]",
    ("share", 1.1): "'share' is 1.1",
    ("share", math.nan): "'share' is nan",
    ("below", 1): r"it takes float in \[0, 1\)",
    ("name", "c"): r"'name' is 'c'; it takes a \| b: which",
    ("maybe", 0): r"'maybe' is 0; it takes int or null in \[1, inf\)",
    ("flag", 1): "'flag' is 1",
    ("share", True): "'share' is True",
    ("flag", "true"): "'flag' is 'true'; it takes bool",
    ("several", "x"): "'several' is 'x'; it takes list or int",
    ("seed", 2**32): r"it takes int in \[0, 4294967295\]",
}


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_and_named(name, value):
    with pytest.raises(UsageError, match=WRONG[name, value]):
        read_options(Some, {**VALID, name: value})


def test_infinity_is_no_number_even_where_there_is_no_upper_bound():
    @dataclass(frozen=True)
    class Rate:
        rate: float = option("rate", low=0)

    with pytest.raises(UsageError, match="'rate' is inf"):
        read_options(Rate, {"rate": math.inf})


def test_a_missing_option_is_named():
    with pytest.raises(UsageError, match=r"'width' is missing; it takes int in \[1, inf\): how wide"):
        read_options(Some, {name: value for name, value in VALID.items() if name != "width"})


def test_an_option_has_no_default_in_its_declaration():
    with pytest.raises(TypeError, match="missing 8 required positional arguments"):
        Some()


def test_the_defaults_of_arguments_are_valid_and_not_shared():
    first, second = Command(), Command()
    assert first == Command(k=20, several=[1, 2])
    assert first.several is not second.several
    assert read_options(Command, dataclasses.asdict(first)) == first
    with pytest.raises(UsageError, match=r"'k' is 0; it takes int in \[1, inf\): length of a list"):
        read_options(Command, {"k": 0, "several": 3})


def test_help_says_what_is_allowed():
    texts = {field.name: allowed_text(field) for field in dataclasses.fields(Some)}
    assert texts["share"] == "float in (0, 1]"
    assert texts["name"] == "a | b"
    assert texts["flag"] == "bool"


VALUES = {"steps": 7, "noise_scale": 0.5, "noise_min": 0.01, "noise_max": 0.2}


def test_the_betas_are_those_of_the_named_schedule_and_of_linear_variance_without_a_name():
    named = NoiseScheduleOptions(**VALUES, noise_schedule="cosine")
    assert torch.equal(named.betas(), make_betas("cosine", 7))
    bounds = {name: value for name, value in VALUES.items() if name != "steps"}
    assert torch.equal(NoiseBoundsOptions(**VALUES).betas(), make_betas("linear-var", 7, **bounds))
    assert "noise_schedule" not in NoiseBoundsOptions.__dataclass_fields__


def test_the_names_are_those_of_the_schedules_that_there_are():
    assert set(SCHEDULES) == set(diffusion.SCHEDULES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"noise_min": 0.3}, "noise_min is 0.3 and noise_max 0.2; noise_min must not be larger"),
        ({"noise_scale": 1.0, "noise_max": 1.0}, "make no schedule: noise must satisfy 0 < start <= end < 1"),
    ],
)
def test_bounds_that_make_no_schedule_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        NoiseBoundsOptions(**{**VALUES, **wrong}).check_schedule()
