"""Do the tests notice? Wrong changes of mathematics, evaluation and data, and what the tests say.

    python -m benchmarks.mutations [--seed=0] [--count=50] [--workers=1] [--journal=FILE] [--output=FILE]
        [--only=PATH]

Places are drawn from the syntax trees of the package's files (benchmarks/_mutants.py), one change at each:
another operator, a dropped term, a changed sign, another constant, swapped arguments, and so on. Each is made
in a copy of the checkout, where the tests that concern the file run, the nearest first
(benchmarks/_concerned.py; ``--files`` of them at most), to the first failure or until ``--seconds`` of
processor time are spent. A change is caught when a test fails that passes without it, or when a test does not
come to an end. With ``--journal`` what is known is kept, and the same command goes on where it was.

What the page says about a survivor, whether it is equivalent or which test was missing, is written by hand.
"""

import contextlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

from benchmarks._concerned import concerned
from benchmarks._mutants import Mutant, mutants
from benchmarks._page import machine, page_parser, show_page, stack

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "recbole_diffusion"
FOLDERS = ("diffusion", "sampler", "model", "evaluation", "data")
FILES = ("report/compared_metrics.py", "report/comparison.py", "report/paired.py", "report/splits.py")
ENDLESS = 60.0  # processor seconds after which a test counts as one that does not end
PRELOADED = ["torch", "numpy", "pandas", "scipy.sparse", "scipy.stats", "yaml", "pytest", "hypothesis"]
PASSED = 0  # exit code of pytest


def targets(only: str = "") -> list[Path]:
    """Return the files that are changed: no declarations of options, no empty packages."""
    files = [file for folder in FOLDERS for file in sorted((PACKAGE / folder).rglob("*.py"))]
    files += [PACKAGE / name for name in FILES]
    wanted = [file for file in files if file.name != "__init__.py" and not file.stem.endswith("options")]
    return [file for file in wanted if only in str(file.relative_to(ROOT))]


def drawn(files: Sequence[Path], count: int, seed: int) -> list[Mutant]:
    """Return one change at each of ``count`` different places, every place as likely as another."""
    places = [place for file in files for place in mutants(file)]
    draw = random.Random(seed)
    return [draw.choice(place) for place in draw.sample(places, min(count, len(places)))]


class Copy:
    """A copy of the checkout, in which one file at a time is changed.

    Args:
        folder: where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder
        words = ["git", "ls-files", "-co", "--exclude-standard"]
        files = subprocess.run(
            words, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.splitlines()
        for name in files:
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)

    @contextlib.contextmanager
    def changed(self, mutant: Mutant | None) -> Iterator[None]:
        """Have a change made while the block runs."""
        if mutant is None:
            yield
            return
        file, source = self.root / mutant.path.relative_to(ROOT), mutant.path.read_bytes()
        file.write_bytes(mutant.of(source))
        try:
            yield
        finally:
            file.write_bytes(source)


def in_a_copy(root: str, tests: list[str], seconds: float, progress: str) -> None:
    """Run tests in a copy and end the process; ``progress`` ends with the test that runs."""
    os.chdir(root)
    sys.path[:0] = [root, f"{root}/tests"]
    os.environ |= {"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    import pytest

    class Progress:
        def pytest_runtest_logstart(self, nodeid: str) -> None:
            self._say("runs", nodeid)

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                self._say("failed", report.nodeid)

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                self._say("failed", report.nodeid)

        def _say(self, what: str, nodeid: str) -> None:
            with open(progress, "a", encoding="utf-8") as file:
                file.write(json.dumps([what, nodeid, time.process_time()]) + "\n")

    words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    os._exit(int(pytest.main(words, plugins=[Progress()])))


def run_tests(root: Path, tests: list[str], seconds: float) -> tuple[str, str, float]:
    """Run tests in a copy until one fails.

    Returns:
        ``failed``, ``passed``, ``endless`` (a test that does not come to an end) or ``cut`` (the time is
            over); the test that it is about; processor seconds.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as progress:
        words = (str(root), tests, seconds, progress.name)
        process = multiprocessing.get_context("forkserver").Process(target=in_a_copy, args=words)
        process.start()
        process.join()
        said = [json.loads(line) for line in progress.read().splitlines()]
    test, since = (str(said[-1][1]), float(said[-1][2])) if said else ("", 0.0)
    failures = [nodeid for what, nodeid, _ in said if what == "failed"]
    code = process.exitcode or 0
    if not failures and code == PASSED:
        return "passed", "", since
    if not failures and code < 0:  # killed, by the limit
        return ("endless" if seconds - since >= ENDLESS else "cut"), test, seconds
    return "failed", failures[0] if failures else test or tests[0], since


class Judge:
    """Says of changes whether the tests catch them.

    Args:
        copies: copies of the checkout, one for each worker.
        seconds: processor time for each change.
        most: test files for each change, the nearest.
    """

    def __init__(self, copies: Sequence[Copy], seconds: float, most: int) -> None:
        self.seconds, self.most, self.tests = seconds, most, concerned(ROOT)
        self.copies: Queue[Copy] = Queue()
        for copy in copies:
            self.copies.put(copy)
        self.sound: dict[str, bool] = {}  # tests, by whether they pass without a change

    def __call__(self, mutant: Mutant) -> dict[str, Any]:
        """Return what became of a change: ``state``, ``test``, ``seconds`` and the number of test files."""
        tests = [str(test) for test in self.tests.get(mutant.path.relative_to(ROOT), [])[: self.most]]
        copy = self.copies.get()
        try:
            state, test, spent = "none", "", 0.0
            while tests:
                with copy.changed(mutant):
                    state, test, seconds = run_tests(copy.root, tests, self.seconds - spent)
                spent += seconds
                if state not in ("failed", "endless") or self._passes(copy, test):
                    break
                # It fails without a change too: it says nothing, nor does its file.
                tests = [one for one in tests if one != test.partition("::")[0]]
        finally:
            self.copies.put(copy)
        caught = state in ("failed", "endless")
        return {
            "caught": caught,
            "state": state,
            "test": test,
            "seconds": round(spent, 1),
            "files": len(tests),
        }

    def _passes(self, copy: Copy, test: str) -> bool:
        file = test.partition("[")[0] if "[" in test else test
        if file not in self.sound:
            self.sound[file] = run_tests(copy.root, [file], 2 * self.seconds)[0] == "passed"
        return self.sound[file]


def key_of(mutant: Mutant) -> str:
    """Return what tells a change from others, in the journal."""
    where = f"{mutant.path.relative_to(ROOT)}:{mutant.line}"
    return f"{where} {mutant.kind} {mutant.start}-{mutant.end} {mutant.text}"


def judged(
    chosen: Sequence[Mutant], workers: int, seconds: float, most: int, journal: Path | None
) -> list[dict[str, Any]]:
    """Return what became of each change, in their order."""
    known: dict[str, dict[str, Any]] = {}
    if journal is not None and journal.is_file():
        known = {one["key"]: one for one in map(json.loads, journal.read_text().splitlines())}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        open_ones = [mutant for mutant in chosen if key_of(mutant) not in known]
        copies = [Copy(Path(folder, str(number))) for number in range(workers if open_ones else 0)]
        judge = Judge(copies, seconds, most)
        for mutant, found in zip(open_ones, pool.map(judge, open_ones), strict=True):
            known[key_of(mutant)] = {"key": key_of(mutant), **found}
            word = "caught" if found["caught"] else "SURVIVED"
            print(
                f"{word:8} {key_of(mutant)!r} {found['test']} {found['seconds']} s",
                file=sys.stderr,
                flush=True,
            )
            if journal is not None:
                with journal.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(known[key_of(mutant)]) + "\n")
    return [known[key_of(mutant)] for mutant in chosen]


def page(chosen: Sequence[Mutant], found: Sequence[dict[str, Any]], command: str) -> list[str]:
    """Return the lines of the page."""
    caught = sum(one["caught"] for one in found)
    lines = ["# Mutations: do the tests notice?", "", f"`{command}`;", f"{machine()};", f"{stack()}.", ""]
    lines += [f"{caught} of {len(found)} changes were caught, {100 * caught / max(1, len(found)):.0f} %.", ""]
    survivors = [(mutant, one) for mutant, one in zip(chosen, found, strict=True) if not one["caught"]]
    lines += ["## Survivors", ""] if survivors else []
    for mutant, one in survivors:
        how = "not all tests ran" if one["state"] == "cut" else f"{one['files']} test files"
        lines += [f"- `{mutant.path.relative_to(ROOT)}`, line {mutant.line}, {mutant.kind} ({how}):", ""]
        lines += ["  ```diff", *(f"  {line}" for line in mutant.diff(mutant.path.read_bytes())), "  ```", ""]
    lines += ["## All", ""]
    for mutant, one in zip(chosen, found, strict=True):
        word = f"caught by `{one['test']}`" if one["caught"] else "survived"
        lines.append(f"- `{mutant.path.relative_to(ROOT)}`, line {mutant.line}, {mutant.kind}: {word}")
    return lines


def main() -> None:
    """Read the command line."""
    parser = page_parser(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=50, help="places that are changed")
    parser.add_argument("--workers", type=int, default=1, help="changes that are tested at a time")
    parser.add_argument("--seconds", type=float, default=120.0, help="processor seconds for each change")
    parser.add_argument("--files", type=int, default=20, help="test files for each change, the nearest")
    parser.add_argument("--only", default="", help="text in the path of the files that are changed")
    parser.add_argument("--journal", type=Path, help="file of what is known, to go on with")
    arguments = parser.parse_args()
    chosen = drawn(targets(arguments.only), arguments.count, arguments.seed)
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    limits = arguments.seconds, arguments.files
    found = judged(chosen, arguments.workers, *limits, arguments.journal)
    given = [
        word
        for word in sys.argv[1:]
        if word.startswith(("--seed", "--count", "--seconds", "--files", "--only"))
    ]
    show_page(page(chosen, found, " ".join(["python -m benchmarks.mutations", *given])), arguments.output)


if __name__ == "__main__":
    main()
