"""Lines about a slow step."""

import time

import pytest

from recbole_diffusion.storage.slow_step import told_if_slow


def test_a_slow_step_is_told_again_and_again_until_it_ends():
    lines = []
    with told_if_slow("digging", lines.append, first=0.02, later=0.03):
        deadline = time.monotonic() + 20
        while len(lines) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    told = len(lines)
    assert told >= 3
    assert all(line.startswith("digging: ") and line.endswith(" s so far") for line in lines)
    time.sleep(0.1)
    assert len(lines) == told


def test_a_quick_step_is_silent_and_its_error_comes_through():
    lines = []
    with pytest.raises(ZeroDivisionError), told_if_slow("digging", lines.append, first=60):
        raise ZeroDivisionError
    assert lines == []


def test_a_closed_terminal_does_not_stop_the_step(monkeypatch):
    class Closed:
        tried = 0

        def write(self, text):
            self.tried += 1
            raise ValueError("closed")

    closed = Closed()
    monkeypatch.setattr("sys.stderr", closed)
    with told_if_slow("digging", first=0.01, later=0.01):
        deadline = time.monotonic() + 20
        while closed.tried < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert closed.tried >= 2


def test_a_step_with_units_says_how_far_it_is():
    lines = []
    with told_if_slow("digging", lines.append, first=0.02, later=0.03, total=4000, unit="holes") as progress:
        progress.done += 1500
        deadline = time.monotonic() + 20
        while not lines and time.monotonic() < deadline:
            time.sleep(0.01)
    assert lines[0].startswith("digging: 1,500 of 4,000 holes, ")
