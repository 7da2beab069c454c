"""Intervals of filters hold what RecBole's own reading of them holds."""

import numpy as np
import pytest

from recbole_diffusion.compat import Dataset
from recbole_diffusion.options.intervals import intervals_of, is_interval

TEXTS = ("[3,inf)", "(3,4.5]", "(-inf,3)", "[1,1]", "[1,2);(4,5]", " [1e0, 2] ; [3,3] ")


@pytest.mark.parametrize("text", TEXTS)
def test_an_interval_holds_what_recbole_keeps(text):
    values = np.array([-1, 1, 1.5, 2, 3, 4, 4.5, 5, 1e9])
    theirs = Dataset._parse_intervals_str(Dataset, text.replace(" ", ""))
    expected = [Dataset._within_intervals(Dataset, value, theirs) for value in values]
    assert is_interval(text)
    found = np.logical_or.reduce([one.holds(values) for one in intervals_of(text)])
    assert found.tolist() == expected
    assert 0 < sum(expected) < len(values)
    assert not any(one.is_empty for one in intervals_of(text))


@pytest.mark.parametrize("text", ["[5,3]", "(3,3]", "[3,3)", "[inf,4)", "[inf,inf]", "(inf,inf)"])
def test_an_interval_without_a_number_is_empty(text):
    (one,) = intervals_of(text)
    assert one.is_empty
    assert not one.holds(np.array([-1e300, 3, 3.5, 4, 5, np.nan])).any()


@pytest.mark.parametrize("value", ["3", "[3]", "[a,b]", "[1,2);", "[١,2)", "[1_0,inf)", 3, None])
def test_other_values_are_no_intervals(value):
    assert not is_interval(value)
