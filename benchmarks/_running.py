"""Runs of a plan: each experiment is a sweep by ``tune``, or scores the weights of another row."""

import json
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks._layers import is_kept
from benchmarks._plan import Experiment, Plan
from benchmarks._stored import (
    Folders,
    Stored,
    chosen_point,
    differs_from_plan,
    point_file,
    point_scores,
    points_of,
    seed_folders,
)
from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.model.ease_scores import one_kept
from recbole_diffusion.quick_start import run
from recbole_diffusion.report.compared_metrics import smaller_is_better
from recbole_diffusion.storage.atomic import write_whole
from recbole_diffusion.storage.lock import locked
from recbole_diffusion.storage.properties import model_values
from recbole_diffusion.storage.yaml_io import load_yaml
from recbole_diffusion.tuning.driver import read_settings, sweep
from recbole_diffusion.tuning.ray_session import ray_session

SECONDS_BETWEEN = 10.0  # looks at what others run


class Runner:
    """Runs what of a plan has no result; several of them share the work by a lock beside each folder.

    Attributes:
        failed: why an experiment has failed here; it is not tried again.
        kept: the experiments that were collected before.
        wanted: those that are run.

    Args:
        plan: the plan.
        data_path: folder of the data sets.
        runs: folder of all runs.
        only: text that name, data set and protocol of an experiment contain.
        settings: options of every sweep: how many trials at a time, threads of each, and the like.
        kept: what was collected before; what stands there is not run, but for the weights that a row needs.
    """

    def __init__(
        self,
        plan: Plan,
        data_path: str,
        runs: Path,
        only: str = "",
        settings: Mapping[str, Any] | None = None,
        kept: Stored | None = None,
    ) -> None:
        self.plan, self.runs, self.settings = plan, runs.resolve(), dict(settings or {})
        self.data_path = data_path
        every = list(plan.experiments())
        self.kept = [one for one in every if kept is not None and is_kept(kept, one)]
        missing = [one for one in every if only in str(one) and one not in self.kept]
        weights = [w for one in missing if one.row.weights_of for w in self._weights(one) if w in self.kept]
        self.wanted = [one for one in every if one in missing or one in weights]
        self.failed: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        """Run what is missing; return :attr:`failed`."""
        if not self._missing():
            return self.failed
        settings = read_settings(self.settings)
        here = settings.max_concurrent == 0  # trials run in this process, without Ray
        # One session for all sweeps; runs that score the weights of others share EASE's scores.
        with nullcontext() if here else ray_session(settings, self.runs), one_kept():
            while missing := self._missing():
                if not any(self._tried(experiment) for experiment in missing):
                    time.sleep(SECONDS_BETWEEN)  # others run what is left, or what it waits for
        return self.failed

    def _missing(self) -> list[Experiment]:
        return [one for one in self.wanted if str(one) not in self.failed and not self.finished(one)]

    def finished(self, experiment: Experiment) -> bool:
        """Return whether an experiment has all of its results."""
        if experiment.row.weights_of:
            stored = Folders(self.runs)
            try:
                if experiment.row.grid and point_scores(stored, experiment).count(None):
                    return False
                number, _ = chosen_point(stored, experiment)
            except UsageError:  # the plan has changed, which is said where the row is run
                return False
            folders = seed_folders(experiment, number)
            return all((self.runs / folder / "result.json").is_file() for folder in folders)
        record = Folders(self.runs).sweep(experiment.folder)
        if record is None or record["winner"] is None:
            return False
        done = [trial["state"] == "finished" for trial in record["final"]]
        return len(done) == len(experiment.seeds) and all(done)

    def _tried(self, experiment: Experiment) -> bool:
        """Run an experiment unless another process does, or has yet to make the weights that it scores."""
        weights = self._weights(experiment) if experiment.row.weights_of else []
        if weights and str(weights[0]) in self.failed:
            self._fail(experiment, f"there are no weights of {weights[0].row.name}")
            return True
        if not all(self.finished(one) for one in weights):
            return False
        folder = self.runs / experiment.folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with locked(folder.with_name(f"{folder.name}.lock")):
                if not self.finished(experiment):
                    self._run(experiment, weights)
        except TimeoutError:
            return False
        except (UsageError, RunError) as error:
            self._fail(experiment, str(error))
        return True

    def _fail(self, experiment: Experiment, why: str) -> None:
        self.failed[str(experiment)] = why
        print(f"{experiment}: {why}", file=sys.stderr, flush=True)

    def _weights(self, experiment: Experiment) -> list[Experiment]:
        """Return the experiment whose weights one scores, if its row has a sweep there."""
        return [
            one
            for one in self.plan.experiments(experiment.group)
            if one.row.name == experiment.row.weights_of
        ]

    def options(self, experiment: Experiment) -> dict[str, Any]:
        """Return the options of all runs of an experiment."""
        options = {**experiment.given, **self.plan.besides, "data_path": self.data_path}
        if self.plan.stage_cache and "stage_cache" in model_values(experiment.row.model):
            options["stage_cache"] = str(self.runs / "stages")
        return options

    def _run(self, experiment: Experiment, weights: list[Experiment]) -> None:
        many = counted(experiment.trials or len(experiment.points), "trial" if experiment.trials else "point")
        print(f"{experiment}: {many}, seeds {experiment.seeds}", flush=True)
        if experiment.row.weights_of:
            self._score(experiment, weights[0])
            return
        found = self._swept(experiment)
        failed = [one for one in found["final"] if one["state"] != "finished"]
        if failed:
            self._fail(experiment, f"{failed[0]['folder']}: {failed[0]['error']}")

    def _swept(self, experiment: Experiment) -> dict[str, Any]:
        """Search the grid or the model's space, and run the best point with each seed; go on where it was."""
        folder, row = self.runs / experiment.folder, experiment.row
        space = {name: {"choice": values} for name, values in row.grid.items()}
        record = Folders(self.runs).sweep(experiment.folder)
        if record is not None:
            if other := differs_from_plan(record, experiment):
                raise UsageError(f"{folder} was {other}; move it away, or correct the plan")
            return sweep(resume=folder, settings={"final_seeds": len(experiment.seeds)})
        how: dict[str, Any] = {"search": "grid", "space": space} if space else {"search": "none"}
        if experiment.trials:
            budget = {"num_samples": experiment.trials, "time_budget": experiment.time_budget}
            how = {"search": "random", **budget}
        return sweep(
            row.model,
            experiment.dataset,
            overrides={**self.options(experiment), "seed": experiment.seeds[0]},
            settings={
                **self.settings,
                **how,
                "scheduler": "none",
                "resplit": True,
                "final_seeds": len(experiment.seeds),
                "sweep_dir": str(folder),
            },
        )

    def _score(self, experiment: Experiment, weights: Experiment) -> None:
        """Evaluate the weights of another row, those of each seed, with this row's options.

        The points of a grid are scored on validation with the weights of the first seed; the test part is
        evaluated with the best of them alone.
        """
        record = Folders(self.runs).sweep(weights.folder) or {"final": []}
        trained = {trial["seed"]: trial["folder"] for trial in record["final"]}

        def scored(path: Path, seed: int, point: Mapping[str, Any], test: bool) -> dict[str, Any]:
            if (path / "config.yaml").is_file():
                return run(resume=path, test=test)
            checkpoint = self.runs / weights.folder / trained[seed] / "best.pt"
            own = {"seed": seed, "run_dir": str(path), "load_checkpoint": str(checkpoint)}
            overrides = {**self.options(experiment), **point, **own}
            return run(experiment.row.model, experiment.dataset, overrides=overrides, test=test)

        if experiment.row.grid:
            scores = point_scores(Folders(self.runs), experiment)
            for number, point in enumerate(experiment.points):
                if scores[number] is None:
                    path = self.runs / experiment.folder / f"trials/{number:03d}"
                    result = scored(path, experiment.seeds[0], point, False)
                    sign = (
                        -1
                        if smaller_is_better(load_yaml(path / "config.yaml")["valid_metric"].lower())
                        else 1
                    )
                    scores[number] = sign * result["best_valid_score"]
                    text = json.dumps(points_of(experiment, scores)).encode()
                    write_whole(self.runs / point_file(experiment), lambda file, text=text: file.write(text))
        number = chosen_point(Folders(self.runs), experiment)[0]
        for seed, folder in zip(experiment.seeds, seed_folders(experiment, number), strict=True):
            scored(self.runs / folder, seed, experiment.points[number], True)
