"""The page: self-contained, escaped, small; in a browser its figures show, its tables sort; figure files."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
from types import SimpleNamespace

import numpy as np
import plotly.graph_objects
import pytest

from recbole_diffusion.cli import main as cli
from recbole_diffusion.errors import UsageError
from recbole_diffusion.report import live, pictures
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
from recbole_diffusion.report.user_lists import asked_users
from recbole_diffusion.serving.id_map import IdMap

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
ASK = """(async () => {
  const rest = (ms) => new Promise((done) => setTimeout(done, ms));
  const plots = [...document.querySelectorAll(".plot")];
  while (plots.some((plot) => !plot.querySelector("svg .trace"))) await rest(50);
  const column = (k) => [...document.querySelectorAll("tbody tr")].map((row) => row.cells[k].textContent);
  const press = (k) => document.querySelectorAll("thead button")[k].click();
  const said = { before: column(1) };
  press(1); said.down = column(1);
  press(1); said.up = column(1);
  press(0); said.words = column(0);
  document.getElementById("theme").click(); said.theme = document.documentElement.dataset.theme;
  document.querySelectorAll(".legend button")[0].click();
  await rest(200);
  said.drawn = plots.map((plot) => plot.querySelectorAll("svg .trace").length);
  said.marks = document.querySelectorAll(".plot path").length;
  said.names = plots.map((plot) => plot.getAttribute("aria-label"));
  said.problems = window.problems;
  return said;
})()"""
# What the live page shows, and whether it will load itself again.
LIVE = """(() => {
  const texts = (one) => [...one.children].map((part) => part.textContent);
  const facts = Object.fromEntries([...document.querySelectorAll(".facts div")].map(texts));
  return { title: document.title, facts, reloads: document.body.dataset.reload || null,
    log: (document.querySelector("pre") || {}).textContent,
    drawn: document.querySelectorAll(".plot svg .trace").length };
})()"""


class Browser:
    """One Chromium for the tests of this file, asked through its pipe."""

    def __init__(self, profile):
        (their_in, to_browser), (from_browser, their_out) = os.pipe(), os.pipe()

        def wire():  # Chromium reads from 3 and writes to 4
            os.dup2(their_in, 13), os.dup2(their_out, 14)
            os.dup2(13, 3), os.dup2(14, 4)

        words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        words += ["--window-size=1300,2000", f"--user-data-dir={profile}"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(words, stdout=quiet, stderr=quiet, preexec_fn=wire, close_fds=False)
        os.close(their_in), os.close(their_out)
        self.into, self.out, self.number, self.rest = to_browser, from_browser, 0, b""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    session = None

    def tell(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.into, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                more = os.read(self.out, 2**16)
                assert more, "the browser has ended"
                self.rest += more
            one, _, self.rest = self.rest.partition(b"\0")
            answer = json.loads(one)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, file):
        self.tell("Page.navigate", url=file.as_uri())

    def ask(self, script):
        """Return the value of a script's promise; None while the page is being loaded again."""
        found = self.tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return found["result"].get("value")

    def wait_for(self, script, right, patience=90.0):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):  # a page that went away while it was asked
                if (found := self.ask(script)) is not None and right(found):
                    return found
            time.sleep(0.1)
        raise AssertionError(f"the page never was as expected; at last {found}")

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        os.close(self.into), os.close(self.out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


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


def test_a_page_of_one_run_tells_of_test_rows_that_it_has_learned(make_run):
    run = make_run("A", origin={"seen_rows": {"valid": 0, "test": 2}})
    page, *_ = runs_page(compare([run]), None)
    assert "the weights that it began with were trained on 2 rows of test." in page.html()


def test_a_run_without_epochs_has_no_line_among_the_losses_of_its_method(make_run):
    complete, copied = make_run("a"), make_run("b", seed=1)
    for record in complete.epochs:
        record["loss"] = {"total": 0.5}
    copied.epochs.clear()  # as a copy of a run folder that kept its result alone
    figure = loss_parts("BPR", [copied, complete])
    assert [(series.name, series.y) for series in figure.panels[0].series] == [("seed 0", (0.5, 0.5, 0.5))]


def test_in_a_browser(page, browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(page.html().replace("<title>", LISTEN + "<title>", 1))
    browser.open(file)
    browser.wait_for("document.readyState", lambda state: state == "complete")
    said = browser.ask(ASK)
    assert said["problems"] == []
    assert said["before"] == ["10.0000", "9.0000", "", "100.0000"]
    assert said["down"] == ["100.0000", "10.0000", "9.0000", ""]
    assert said["up"] == ["9.0000", "10.0000", "100.0000", ""]
    assert said["words"] == [NASTY, "a", "b", "c"]
    assert said["theme"] == "dark"
    assert min(said["drawn"]) >= 1
    assert len(said["drawn"]) == len(KINDS)
    assert said["marks"] > 10
    assert (
        said["names"][0] == f"All kinds: {KINDS[0]} {NASTY}: y by x"
    )  # of the figure, for who cannot see it


def test_a_live_page_follows_a_run_to_its_end(write_run, browser, tmp_path, capsys):
    done = write_run("BPR-0")
    folder, out = tmp_path / "runs/going", tmp_path / "live.html"
    folder.mkdir()
    lines = (done / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "config.yaml").write_text(
        "model: BPR\ndataset: toy\nseed: 7\nepochs: 3\nvalid_metric: Recall@20\n"
    )
    words = ["report", str(folder), "--watch", "--every=0.5", f"--output={out}", "--models=false"]
    code = []
    command = threading.Thread(target=lambda: code.append(cli.main(words)), daemon=True)
    command.start()
    browser.wait_for("0", lambda _: out.is_file())
    browser.open(out)
    first = browser.wait_for(LIVE, lambda now: now["facts"].get("epochs done") == "0 of 3 at most")
    assert (first["title"], first["reloads"], first["drawn"]) == ("BPR on toy", "0.5", 0)
    (folder / "log.txt").write_text("epoch 0 training\n")
    # The second epoch's line is half written: it counts when it is whole.
    (folder / "metrics.jsonl").write_text(lines[0] + lines[1][:20])
    one = browser.wait_for(LIVE, lambda now: now["facts"].get("epochs done") == "1 of 3 at most")
    assert one["log"] == "epoch 0 training"
    (folder / "metrics.jsonl").write_text("".join(lines[:2]))
    two = browser.wait_for(LIVE, lambda now: now["drawn"] and "2 of 3" in now["facts"]["epochs done"])
    assert two["facts"]["best recall@20"] == "0.1333, epoch 1"
    paused = 'document.getElementById("pause").getAttribute("aria-pressed")'
    press = '(() => { const one = document.getElementById("pause"); one.click(); return 1; })()'
    while browser.wait_for(paused, bool) != "true":  # the click may meet a page that is being loaded again
        browser.wait_for(press, bool)
        time.sleep(0.8)
    for name in ("metrics.jsonl", "result.json"):
        (folder / f".{name}").write_bytes((done / name).read_bytes())
        (folder / f".{name}").replace(folder / name)
    command.join(60)
    assert code == [0]
    assert "1.2 MB" in capsys.readouterr().out
    time.sleep(0.5)
    assert browser.ask(LIVE)["reloads"] == "0.5"  # paused: the page of before
    browser.ask(press)
    last = browser.wait_for(LIVE, lambda now: now["reloads"] is None)
    assert last["facts"]["test recall@20"] == "0.2000"


def test_what_is_watched_ends_with_a_page_that_says_so(write_run, tmp_path, monkeypatch):
    folder = write_run("going")
    (folder / "result.json").unlink()

    def ended(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(live.time, "sleep", ended)
    with pytest.raises(KeyboardInterrupt):
        live.watch(folder, tmp_path / "a.html", 5.0)
    text = (tmp_path / "a.html").read_text()
    assert "Nobody watches this any more" in text
    assert "data-reload" not in text


def test_a_run_that_writes_nothing_any_more_is_told(write_run, sweep):
    for folder, command in ((write_run("going"), "--resume="), (sweep, "tune --resume=")):
        assert "Nothing was written" not in live.live_page(folder).html()
        for file in folder.rglob("*"):
            os.utime(file, (1e9, 1e9))
        assert f"continue it with {command}{folder}" in live.live_page(folder).html()


def test_a_running_sweep_shows_its_running_trials_and_ends_with_its_last_final_run(sweep):
    file = sweep / "sweep.json"
    content = json.loads(file.read_text())
    assert not live.has_ended(sweep)
    text = live.live_page(sweep).html(reload=5)
    assert 'data-reload="5"' in text
    assert "Trials that are running" in text
    assert "Importance" not in text  # takes seconds, each time
    content["trials"][3]["state"] = "cut"  # by the time budget, before the final runs
    file.write_text(json.dumps(content))
    assert "Trials that are running" not in live.live_page(sweep).html()
    content["trials"][3]["state"] = "waiting"
    for trial in content["trials"]:
        trial["score"] = None
    file.write_text(json.dumps(content))
    assert "1 finished, 1 stopped, 1 failed, 1 waiting" in live.live_page(sweep).html()
    content |= {
        "winner": 0,
        "settings": {"final_seeds": 1},
        "final": [{"state": "running", "folder": "final/0"}],
    }
    file.write_text(json.dumps(content))
    assert not live.has_ended(sweep)
    content["final"][0]["state"] = "finished"
    file.write_text(json.dumps(content))
    assert live.has_ended(sweep)


def test_what_cannot_be_watched_is_refused(write_run, tmp_path):
    with pytest.raises(UsageError, match="takes one folder"):
        live.check_watched([tmp_path, tmp_path])
    with pytest.raises(UsageError, match=r"neither config\.yaml nor sweep\.json"):
        live.check_watched([tmp_path])


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


def test_asked_users_may_have_commas_in_their_ids():
    tokens = np.array(["[PAD]", "x,y", "x", "7", "a, b"], object)
    run = SimpleNamespace(users=IdMap(tokens))
    assert asked_users(run, "x,y,7,x") == ["x,y", "7", "x"]
    assert asked_users(run, " 7 , a, b ,x") == ["7", "a, b", "x"]
    with pytest.raises(UsageError, match="names 'y', who is not in"):
        asked_users(run, "7,y")
