"""The page: self-contained, escaped, small; in a browser its figures show, its tables sort; figure files."""

import json
import re
import shutil
import subprocess

import plotly.graph_objects
import pytest

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report import pictures
from recbole_diffusion.report.comparison import compare
from recbole_diffusion.report.figure import (
    COLOURS,
    KINDS,
    Figure,
    Panel,
    PlotSeries,
    colour_of,
    dash_of,
    shade_of,
)
from recbole_diffusion.report.page import HtmlPage
from recbole_diffusion.report.plotly_figure import panel_json
from recbole_diffusion.report.run_figures import loss_parts
from recbole_diffusion.report.run_page import runs_page
from recbole_diffusion.report.tables import Cell, Table, number

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
NASTY = '</script><b title="x">&'
# What a test asks of the page in the browser: errors from the very first, and after some time what is there.
LISTEN = """<script>
window.problems = [];
addEventListener("error", (event) => problems.push(event.message));
addEventListener("securitypolicyviolation", (event) => problems.push("refused " + event.violatedDirective));
for (const kind of ["error", "warn"]) console[kind] = (...words) => problems.push(words.join(" "));
</script>"""
ASK = """<script>setTimeout(() => {
  const column = (k) => [...document.querySelectorAll("tbody tr")].map((row) => row.cells[k].textContent);
  const press = (k) => document.querySelectorAll("thead button")[k].click();
  const said = { before: column(1) };
  press(1); said.down = column(1);
  press(1); said.up = column(1);
  press(0); said.words = column(0);
  document.getElementById("theme").click(); said.theme = document.documentElement.dataset.theme;
  document.querySelectorAll(".legend button")[0].click();
  setTimeout(() => {
    const plots = [...document.querySelectorAll(".plot")];
    said.drawn = plots.map((plot) => plot.querySelectorAll("svg .trace").length);
    said.marks = document.querySelectorAll(".plot path").length;
    said.problems = window.problems;
    document.title = JSON.stringify(said);
  }, 1500);
}, 3000)</script>"""


def figure() -> Figure:
    """Return a figure with a panel of each kind."""
    panels = []
    for kind in KINDS:
        x = [1, 2, 3, 4] if kind == "steps" else [1, 2, 3]
        first = PlotSeries("a", x, [0.1, None, 0.3], kind=kind, error=[0.1, 0.1, 0.1])
        second = PlotSeries(NASTY, x, [3, 2, 1], kind=kind, colour=COLOURS[1], texts=["t"] * 3)
        panels.append(Panel(f"{kind} {NASTY}", "x", "y", [first, second]))
    panels[0].x_log, panels[1].bare = True, True
    panels[3].ticks = ([1, 2], ["one", "two"])
    return Figure("all kinds", "All kinds", panels, "A note.")


@pytest.fixture
def page():
    made = HtmlPage(f"A page {NASTY}", "below")
    made.section("Numbers")
    rows = [
        [Cell(name), number(value)] for name, value in (("b", 10.0), (NASTY, 9.0), ("a", None), ("c", 100.0))
    ]
    made.table(Table("", ["name", "value"], rows, words={"name"}))
    made.figure(figure())
    return made


def test_nothing_comes_from_elsewhere(page):
    text = page.html()
    assert "default-src 'none'" in text
    own = re.sub(
        r"<script>/\*\*.*?</script>", "", text, flags=re.DOTALL
    )  # without Plotly, which is checked in the browser
    assert not re.findall(r"""(?:src|href)=["'](?!#)|url\(|@import|fetch\(|https?://""", own)
    assert text.count("<script") == text.count("</script>") == 3
    assert NASTY not in own


def test_what_it_shows_can_be_read_back(page):
    text = page.html()
    (panels,) = re.findall(r'<script type="application/json" id="panels">(.*?)</script>', text, re.DOTALL)
    assert [one["data"][1]["name"] for one in json.loads(panels)] == [NASTY] * len(KINDS)
    assert re.findall(r'data-panel="(\d+)"', text) == ["0", "1", "2", "3"]


def test_plotly_is_there_only_for_figures(page):
    alone = HtmlPage("tables")
    alone.table(Table("", ["a"], [[number(1.0)]]))
    assert len(alone.html()) < 30_000
    assert "Licensed under the MIT license" in page.html()


@pytest.mark.parametrize("panel", figure().panels, ids=KINDS)
def test_plotly_knows_every_property(panel):
    given = panel_json(panel)
    known = plotly.graph_objects.Figure(given).to_dict()  # raises where plotly knows one not
    assert [trace["name"] for trace in known["data"]] == [trace["name"] for trace in given["data"]]
    assert known["layout"]["xaxis"]["title"] == given["layout"]["xaxis"]["title"]


def test_what_is_no_number_is_a_gap():
    trace = panel_json(Panel("", "", "", [PlotSeries("a", [1, 2, 3], [float("nan"), 1 / 3, 2.0])]))["data"][0]
    assert trace["y"] == [None, 0.333333, 2]


def test_colours_tell_methods_apart():
    styles = {(colour_of(number), dash_of(number)) for number in range(4 * len(COLOURS))}
    assert len(styles) == 4 * len(COLOURS)
    assert (shade_of(0), shade_of(1), shade_of(-1)) == ("#6f58c9", "#e09a2b", "#6f58c9")


def test_ten_runs_fit_into_five_megabytes(make_run):
    runs = []
    for seed in range(10):
        run = make_run(f"r{seed}", seed=seed)
        record = {
            "train_seconds": 1.234,
            "valid_seconds": 0.123,
            "loss": {f"part {k}": 0.123456789 for k in range(6)},
        }
        run.epochs[:] = [{**record, "epoch": k, "valid": {"recall@20": k / 777}} for k in range(200)]
        runs.append(run)
    page, figures, _ = runs_page(compare(runs), None)
    assert len(figures) >= 3
    assert 1_000_000 < len(page.html().encode()) < 5_000_000


def test_a_run_without_epochs_has_no_line_among_the_losses_of_its_method(make_run):
    complete, copied = make_run("a"), make_run("b", seed=1)
    for record in complete.epochs:
        record["loss"] = {"total": 0.5}
    copied.epochs.clear()  # as a copy of a run folder that kept its result alone
    figure = loss_parts("BPR", [copied, complete])
    assert [(series.name, series.y) for series in figure.panels[0].series] == [("seed 0", (0.5, 0.5, 0.5))]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_in_a_browser(page, tmp_path):
    text = page.html().replace("<title>", LISTEN + "<title>", 1).replace("</body>", ASK + "</body>")
    (tmp_path / "page.html").write_text(text)
    words = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=20000",
        "--window-size=1300,2000",
    ]
    words += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{tmp_path / 'page.html'}"]
    dom = subprocess.run(words, capture_output=True, text=True, timeout=200, check=True).stdout
    title = re.search(r"<title>(\{.*?\})</title>", dom, re.DOTALL)
    assert title, "the page did not get to its end"
    said = json.loads(title.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert said["problems"] == []
    assert said["before"] == ["10.0000", "9.0000", "", "100.0000"]
    assert said["down"] == ["100.0000", "10.0000", "9.0000", ""]
    assert said["up"] == ["9.0000", "10.0000", "100.0000", ""]
    assert said["words"] == [NASTY, "a", "b", "c"]
    assert said["theme"] == "dark"
    assert min(said["drawn"]) >= 1
    assert len(said["drawn"]) == len(KINDS)
    assert said["marks"] > 10


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
