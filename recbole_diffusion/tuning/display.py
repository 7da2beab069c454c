"""The output of a sweep while it runs: a line for each event, the same on a terminal and in a file."""

from collections import Counter
from typing import TextIO

from recbole_diffusion.errors import counted
from recbole_diffusion.tuning.record import ENDED, FAILED, STOPPED, SweepRecord, Trial

WORDS = {STOPPED: "stopped early", FAILED: "failed"}


class SweepDisplay:
    """The lines of one sweep.

    Args:
        record: the sweep.
        stream: where they are written.
    """

    def __init__(self, record: SweepRecord, stream: TextIO) -> None:
        self.record, self.stream = record, stream

    def print_end(self, trial: Trial) -> None:
        """Print how a trial has ended, and how many are done."""
        what = "test run" if trial.test else "trial"
        # Beside the words "test run", whose test is in the summary.
        part = "validation " if trial.test else ""
        score = "no score" if trial.score is None else f"{part}{self.record.valid_metric} {trial.score:.4f}"
        state = WORDS.get(trial.state, trial.state)
        several = trial.epochs > self.record.epochs  # of a model of several stages, which each has as many
        epochs = (
            f"{counted(trial.epochs, 'epoch')} of all stages"
            if several
            else f"{trial.epochs} of {counted(self.record.epochs, 'epoch')}"
        )
        spent = f"{epochs}, {trial.seconds:.1f} s"
        error = f"; {trial.error}" if trial.state == FAILED else ""
        best = "" if trial.test else self._best()
        self.print(f"{what} {trial.name} {state}: {score} after {spent}; {self._counts()}{best}{error}")

    def print_retry(self, trial: Trial) -> None:
        """Print that a trial is tried again."""
        self.print(
            f"trial {trial.name} continues from its checkpoint after failure {trial.failures}: {trial.error}"
        )

    def print(self, text: str) -> None:
        """Print a line."""
        self.stream.write(text + "\n")
        self.stream.flush()

    def _counts(self) -> str:
        settings = self.record.settings
        trials = self.record.final if settings.get("search") == "none" else self.record.trials
        states = Counter(trial.state for trial in trials)
        done = sum(states[state] for state in (*ENDED, FAILED))
        all_trials = settings.get("num_samples") if settings.get("search") == "optuna" else len(trials)
        return f"{done} of {all_trials} done" + "".join(
            f", {states[state]} {WORDS[state]}" for state in (STOPPED, FAILED) if states[state]
        )

    def _best(self) -> str:
        best = self.record.best()
        return "" if best is None else f"; best {best.score:.4f}, trial {best.name}"
