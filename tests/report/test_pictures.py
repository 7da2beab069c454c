"""Figures as files."""

import pytest

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report import pictures
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries

LINES = [PlotSeries("a", [1, 2, 3], [0.1, None, 0.3], texts=["x"] * 3), PlotSeries("b", [1], [1], dash="dot")]
BARS = [PlotSeries(name, ["one", "two"], [1, 2], kind="bars", error=[0.1, 0.1]) for name in "ab"]
STEPS = [PlotSeries("a", [0, 1, 2], [0.4, 0.6], kind="steps")]
POINTS = [PlotSeries("a", [1, 2], [1, 2], kind="points", symbol="star", error=[0.1, 0.1])]
PANELS = [
    Panel("lines", "epoch", "rate", LINES),
    Panel("bars", "group", "rate", BARS),
    Panel("steps", "rating", "share", STEPS, ticks=([0, 2], ["low", "high"])),
    Panel("points", "", "", POINTS, x_log=True, bare=True),
]
FIGURE = Figure("Rates / by epoch", "Rates", PANELS)


@pytest.mark.parametrize("suffix", pictures.SUFFIXES)
def test_each_figure_is_a_file(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    (path,) = pictures.write_pictures([FIGURE], tmp_path / "out", suffix)
    assert path.name == f"01-rates-by-epoch.{suffix}"
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(start)


def test_what_is_drawn_is_what_was_given():
    pytest.importorskip("matplotlib")
    drawn = pictures.draw(FIGURE)
    assert [axes.get_title() for axes in drawn.axes] == ["lines", "bars", "steps", "points"]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["a", "b"]
    assert drawn.axes[0].lines[0].get_xydata()[2].tolist() == [3, 0.3]
    bars = [patch.get_x() + patch.get_width() / 2 for patch in drawn.axes[1].patches]
    assert bars == pytest.approx([-0.2, 0.8, 0.2, 1.2])  # beside each other, around 0 and 1
    assert [label.get_text() for label in drawn.axes[2].get_xticklabels()] == ["low", "high"]


def test_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'recbole-diffusion\[plots\]'"):
        pictures.write_pictures([FIGURE], tmp_path / "out")
    assert not (tmp_path / "out").exists()
