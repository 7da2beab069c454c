"""RecBole's own tests, run with the pieces of this package in the place of RecBole's.

    python -m benchmarks.recbole_suite FOLDER [--numbers] [--plain] [--only=TEXT] [--output=FILE]

FOLDER holds RecBole's folder ``tests`` (of release 1.2.1), which is not part of this repository. ``Config``,
``create_dataset``, ``objective_function`` and ``run_recbole`` are ours while the tests run. A test

- passes as given,
- passes with one setting: a message of ours asked for it, and REMEDIES below gives it,
- is refused: our message says why in one sentence,
- or fails.

With ``--numbers`` RecBole itself makes every run too, with the same settings, and the test metrics that both
compute are compared to four digits. With ``--plain`` nothing is replaced: RecBole itself, patched only where
the current stack lacks names.
"""

import argparse
import collections
import contextlib
import importlib
import os
import re
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from recbole_diffusion import run
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset
from recbole_diffusion.errors import UsageError
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.versions import versions

# What a message of ours asks for -> the one setting that gives it.
REMEDIES: list[tuple[str, dict[str, Any]]] = [
    ("option 'learner' is", {"learner": "adam"}),
    ("option 'learning_rate' is", {"learning_rate": 1e-3}),
]
OUTCOMES = ("as given", "with one setting", "refused", "failing")


class Suite:
    """What happens in the test that runs now, and the outcome of each test that has run.

    Attributes:
        outcomes: by test, one of OUTCOMES.
        reasons: by test, the refusal, the remedy or the failure.
        numbers: by run, whether its test metrics are RecBole's own to four digits, or why that is not known.

    Args:
        runs: folder for the run folders.
        recbole: RecBole's own ``objective_function``, to compare numbers with; None: they are not compared.
    """

    def __init__(self, runs: Path, recbole: Any = None) -> None:
        self.runs, self.recbole, self.test = runs, recbole, ""
        self.numbers: dict[str, str] = {}
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.remedied: list[str] = []
        self.refused: list[str] = []

    # The stand-ins.

    def configured(
        self, model: Any = None, dataset: Any = None, config_file_list: Any = None, config_dict: Any = None
    ) -> Config:
        """Return our Config for the arguments of RecBole's."""
        return self._tried(
            lambda more: Config(model, dataset, config_file_list or (), {**(config_dict or {}), **more})
        )

    def made(self, config: Config) -> Any:
        """Return our data set."""
        return self._tried(lambda _: create_dataset(config))

    def ran(
        self,
        model: Any = None,
        dataset: Any = None,
        config_file_list: Any = None,
        config_dict: Any = None,
        saved: bool = True,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Run as RecBole's ``run_recbole`` does, in a run folder."""
        paths = {"runs_path": str(self.runs), "use_gpu": False}
        result = self._tried(
            lambda more: run(
                model,
                dataset,
                config_files=config_file_list or (),
                overrides={**(config_dict or {}), **paths, **more},
            )
        )
        if self.recbole is not None and result["test"]:
            self._compare(result["test"], model, dataset, config_file_list, config_dict)
        return {
            "best_valid_score": result["best_valid_score"],
            "valid_score_bigger": True,
            "best_valid_result": result["valid"],
            "test_result": result["test"],
        }

    def _compare(
        self, ours: Mapping[str, float], model: Any, dataset: Any, files: Any, settings: Any
    ) -> None:
        """Run RecBole itself, and keep whether it gets the same."""
        given = {**(settings or {}), "checkpoint_dir": str(self.runs / "recbole"), "show_progress": False}
        given |= {name: value for name, value in (("model", model), ("dataset", dataset)) if value}
        name = f"{self.test} {sum(one.startswith(self.test) for one in self.numbers) + 1}"
        try:
            theirs = self.recbole(config_dict=given, config_file_list=files, saved=False)["test_result"]
        except Exception as error:
            self.numbers[name] = f"RecBole itself fails: {type(error).__name__}: {str(error)[:100]}"
            return
        both = [metric for metric in theirs if metric in ours]
        other = [m for m in both if abs(ours[m] - theirs[m]) > 0.5e-4 + 1e-9]
        first = f"{other[0]} {ours[other[0]]:.4f}, RecBole {theirs[other[0]]:.4f}" if other else ""
        self.numbers[name] = first or ("equal" if both else "no metric in common")

    def objective(
        self, config_dict: Any = None, config_file_list: Any = None, saved: bool = True
    ) -> dict[str, Any]:
        """Run as RecBole's ``objective_function`` does."""
        return self.ran(None, None, config_file_list, config_dict, saved)

    def _tried(self, attempt: Any) -> Any:
        try:
            return attempt({})
        except UsageError as error:
            settings = next((more for pattern, more in REMEDIES if re.search(pattern, str(error))), None)
            if settings is None:
                self.refused.append(str(error))
                raise
            self.remedied.append(", ".join(f"{k}: {yaml_io.dump_value(v)}" for k, v in settings.items()))
        try:
            return attempt(settings)
        except UsageError as error:
            self.refused.append(str(error))
            raise

    # Called by pytest.

    def pytest_runtest_setup(self, item: Any) -> None:
        """Forget what the test before did."""
        self.remedied, self.refused, self.test = [], [], item.name

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the outcome of a test."""
        if report.when != "call":
            return
        name = "::".join(report.nodeid.split("::")[-2:]) + f" ({Path(report.fspath).stem})"
        if report.passed:
            outcome = "with one setting" if self.remedied else "as given"
            reason = "; ".join(dict.fromkeys(self.remedied))
        else:
            outcome = "refused" if self.refused else "failing"
            reason = self.refused[-1] if self.refused else str(report.longrepr).strip().splitlines()[-1]
        self.outcomes[name], self.reasons[name] = outcome, reason


@contextlib.contextmanager
def replaced(suite: Suite) -> Iterator[None]:
    """Put our pieces where RecBole's tests import RecBole's from."""
    quick_start = types.ModuleType("recbole.quick_start")
    quick_start.objective_function, quick_start.run_recbole = suite.objective, suite.ran
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "recbole.quick_start", quick_start)
        patch.setattr("recbole.config.Config", suite.configured)
        patch.setattr("recbole.data.create_dataset", suite.made)
        yield


def page(suite: Suite, command: str) -> str:
    """Return the results as Markdown."""
    outcomes, reasons = suite.outcomes, suite.reasons
    counts = collections.Counter(outcomes.values())
    lines = [f"Command: `{command}`", ""]
    lines += ["Versions: " + ", ".join(f"{name} {value}" for name, value in versions().items()), ""]
    lines += ["| outcome | tests |", "|---|---:|"]
    lines += [f"| {name} | {counts[name]} |" for name in OUTCOMES]
    lines += [f"| all | {len(outcomes)} |"]
    for outcome in OUTCOMES[1:]:
        tests = [name for name, value in outcomes.items() if value == outcome]
        lines += ["", f"## {outcome[0].upper()}{outcome[1:]}", ""] if tests else []
        lines += [f"- {name}: {reasons[name]}" for name in tests]
    if suite.numbers:
        same = sum(value == "equal" for value in suite.numbers.values())
        lines += [
            "",
            "## Numbers",
            "",
            f"{same} of {len(suite.numbers)} runs have RecBole's own numbers. The others:",
        ]
        lines += ["", *(f"- {name}: {value}" for name, value in suite.numbers.items() if value != "equal")]
    return "\n".join(lines) + "\n"


def recboles_own() -> Any:
    """Return RecBole's ``objective_function``, whose package imports Ray; its log is silenced."""
    module = importlib.import_module("recbole.quick_start.quick_start")
    module.init_logger = lambda config: None  # noqa: ARG005
    return module.objective_function


def main() -> None:
    """Run the tests and print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder that holds RecBole's folder tests")
    parser.add_argument(
        "--numbers", action="store_true", help="compare the metrics of every run with RecBole's"
    )
    parser.add_argument("--plain", action="store_true", help="RecBole itself, nothing replaced")
    parser.add_argument("--only", default="", help="as pytest's -k")
    parser.add_argument("--output", type=Path, help="also write the page to this file")
    options = parser.parse_args()
    command = " ".join(["python -m benchmarks.recbole_suite FOLDER", *sys.argv[2:]])
    output = options.output.resolve() if options.output else None
    os.chdir(options.folder)
    sys.argv = ["recbole_suite"]
    with tempfile.TemporaryDirectory() as runs:
        suite = Suite(Path(runs), recboles_own() if options.numbers else None)
        arguments = [
            "tests",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir=.",
            "-W",
            "ignore",
            "--continue-on-collection-errors",
        ]
        arguments += ["-k", options.only] if options.only else []
        with contextlib.nullcontext() if options.plain else replaced(suite):
            pytest.main(arguments, plugins=[suite])
    text = page(suite, command)
    print(text)
    if output:
        output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
