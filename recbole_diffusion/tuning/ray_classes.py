"""Subclasses of Ray Tune's classes. The module imports Ray: import it inside functions only.

Ray Tune pickles its callbacks and searchers; these live in the driver only and pickle as an empty dictionary
(``__reduce__``).
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher

from recbole_diffusion.tuning.context import SweepContext, write_report
from recbole_diffusion.tuning.optuna_search import OptunaStudy
from recbole_diffusion.tuning.record import CUT, FAILED, FINISHED, RUNNING, STOPPED, WAITING, Trial


class SweepCallback(Callback):
    """Records the events of the trials in the sweep's record.

    Args:
        context: the sweep.
        scheduler: the scheduler that may stop trials, or None.
    """

    def __init__(self, context: SweepContext, scheduler: "RememberingASHA | None") -> None:
        self.context, self.scheduler = context, scheduler
        self.began = time.time()
        self.started: dict[str, float] = {}

    def on_trial_start(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[RayTrial],  # noqa: ARG002
        trial: RayTrial,
        **_: Any,
    ) -> None:
        """Note when a trial got its process."""
        self.started[trial.trial_id] = time.time()
        self._row(trial).state = RUNNING

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[RayTrial],  # noqa: ARG002
        trial: RayTrial,
        result: dict[str, Any],
        **_: Any,
    ) -> None:
        """Write a report into the trial's row."""
        row = self._row(trial)
        write_report(row, result, self.started.get(trial.trial_id), self.began)
        if self.context.on_report:
            self.context.on_report(row)

    def on_trial_recover(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[RayTrial],  # noqa: ARG002
        trial: RayTrial,
        **_: Any,
    ) -> None:
        """Count a failure after which the trial continues from its checkpoint."""
        row = self._count_failure(trial)
        self.context.display.print_retry(row)

    def on_trial_complete(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[RayTrial],  # noqa: ARG002
        trial: RayTrial,
        **_: Any,
    ) -> None:
        """Write how a trial has ended: finished, stopped early, or cut off."""
        row = self._row(trial)
        if row.state not in (FINISHED, FAILED):  # failed: its options were refused
            # A trial that has not finished was ended by the scheduler or by the time budget.
            by_scheduler = self.scheduler is not None and trial.trial_id in self.scheduler.stopped
            row.state = STOPPED if by_scheduler else CUT
        self._close(row)

    def on_trial_error(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[RayTrial],  # noqa: ARG002
        trial: RayTrial,
        **_: Any,
    ) -> None:
        """Write that a trial has failed for good."""
        row = self._count_failure(trial)
        row.state = FAILED
        self._close(row)

    def _row(self, trial: RayTrial) -> Trial:
        """Return the record's row of one of Ray Tune's trials."""
        given = trial.config["trial"]
        record = self.context.record
        rows = record.final if given["test"] else record.trials
        return next(row for row in rows if row.folder == given["folder"])

    def _count_failure(self, trial: RayTrial) -> Trial:
        row = self._row(trial)
        row.failures += 1
        row.error = last_line_of_error(trial)
        return row

    def _close(self, row: Trial) -> None:
        self.context.folder.write(self.context.record)
        self.context.display.print_end(row)

    def __reduce__(self) -> tuple:
        return (dict, ())


def last_line_of_error(trial: RayTrial) -> str:
    """Return the last line of a trial's error, from the file that Ray Tune writes on the driver's machine."""
    try:
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    except (OSError, TypeError):  # TypeError: error_file is None
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "its process ended"


class RememberingASHA(ASHAScheduler):
    """ASHA that remembers which trials it has stopped.

    A trial in its last epoch may finish, so that its result is written.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.stopped: set[str] = set()

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return ASHA's decision, and remember it if it is to stop."""
        if result.get("refused"):
            return self.CONTINUE
        decision = super().on_trial_result(tune_controller, trial, result)
        if result.get("finished"):
            return self.CONTINUE  # it ends by itself, with its result
        if decision == self.STOP:
            self.stopped.add(trial.trial_id)
        return decision


class OptunaSearcher(Searcher):
    """Gives Ray Tune the open trials of a record, then Optuna's suggestions, and tells Optuna the scores.

    Args:
        study: the Optuna study of the sweep.
        new_trial: makes a trial with the chosen options, and adds it to the record.
    """

    def __init__(self, study: OptunaStudy, new_trial: Callable[[dict[str, Any]], Trial]) -> None:
        super().__init__(metric="score", mode="max" if study.record.bigger else "min")
        self.study, self.new_trial = study, new_trial
        self.open = [trial for trial in study.record.trials if trial.state == WAITING]
        self.asked: dict[str, Any] = {}

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """Return the configuration of the next trial."""
        if self.open:
            trial = self.open.pop(0)
            self.asked[trial_id] = self.study.enqueue(trial)
        else:
            self.asked[trial_id], options = self.study.ask_for_new()
            trial = self.new_trial(options)
        return {"trial": dataclasses.asdict(trial)}

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """Tell Optuna the score of a trial, or that it has none."""
        asked = self.asked.pop(trial_id, None)
        if asked is not None:
            failed = error or not result or result.get("refused")
            self.study.tell(asked, None if failed or not result else result.get("score"))

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: a resumed sweep makes a new study from the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, see :meth:`save`."""

    def __reduce__(self) -> tuple:
        return (dict, ())
