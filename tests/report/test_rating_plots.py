"""Plots of predicted ratings: what is drawn, and what happens without matplotlib."""

import importlib.util
import logging

import pytest

from recbole_diffusion.report import rating_plots
from recbole_diffusion.storage.run_folder import RunFolder

COUNTS = {"edges": [0, 1, 2], "rated": [3, 1], "unrated": [0, 0], "actual": [2, 2]}
REPORT = {"test": {"counts": COUNTS, "distribution": {"kl": 0.1}}}


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path)
    made.write_metrics([{"epoch": epoch, "ratings": COUNTS} for epoch in range(40)])
    return made


def test_first_and_last_epoch_are_among_those_shown():
    records = [{"epoch": epoch} for epoch in range(40)]
    shown = [record["epoch"] for record in rating_plots.shown(records)]
    assert (shown[0], shown[-1], len(shown)) == (0, 39, rating_plots.SHOWN_EPOCHS)
    assert rating_plots.shown(records[:1]) == records[:1]


def test_shares_sum_to_one_or_are_nothing():
    assert rating_plots.shares([3, 1]) == [0.75, 0.25]
    assert rating_plots.shares([0, 0]) == [0.0, 0.0]


def test_without_matplotlib_the_log_says_where_the_data_is(folder, monkeypatch, caplog):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with caplog.at_level(logging.INFO):
        assert rating_plots.plot_ratings(folder, REPORT) == []
    assert "matplotlib is not installed (pip install 'recbole-diffusion[plots]')" in caplog.text


def test_a_model_without_predicted_ratings_has_no_plot(folder, caplog):
    assert rating_plots.plot_ratings(folder, {"test": {"readings": {}}}) == []
    assert caplog.text == ""


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is an extra")
def test_plots_are_written(folder):
    files = rating_plots.plot_ratings(folder, REPORT)
    assert [file.name for file in files] == ["ratings_rated.png", "ratings_unrated.png", "ratings_test.png"]
    assert all(file.read_bytes()[:4] == b"\x89PNG" for file in files)
