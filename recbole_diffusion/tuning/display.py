"""What a sweep shows while it runs: a live table on a terminal, a line for each event elsewhere."""

import math
import shutil
import time
from collections import Counter
from typing import TextIO

from recbole_diffusion.tuning.record import ENDED, FAILED, FINISHED, RUNNING, STOPPED, Record, Trial

SECONDS_BETWEEN = 0.3
ROWS = 12
OPTION_WIDTH = 60
WORDS = {STOPPED: "stopped early", FAILED: "failed"}


class Board:
    """The display of one sweep.

    Args:
        record: the sweep.
        stream: where it is written.
        live: redraw a table in place; by default where the stream is a terminal.
    """

    def __init__(self, record: Record, stream: TextIO, live: bool | None = None) -> None:
        self.record, self.stream = record, stream
        self.live = stream.isatty() if live is None else live
        self._began, self._drawn_at, self._height = time.monotonic(), 0.0, 0

    def reported(self) -> None:
        """Show a trial's report; often called."""
        if self.live and time.monotonic() - self._drawn_at > SECONDS_BETWEEN:
            self._draw()

    def ended(self, trial: Trial) -> None:
        """Show that a trial has ended."""
        if self.live:
            return self._draw()
        what = "test run" if trial.test else "trial"
        score = "no score" if trial.score is None else f"{self.record.valid_metric} {trial.score:.4f}"
        state = WORDS.get(trial.state, trial.state)
        lines = f"{what} {trial.name} {state}: {score} after {trial.epochs} of {self.record.epochs} epochs, {trial.seconds:.1f} s"
        error = f"; {trial.error}" if trial.state == FAILED else ""
        return self.say(f"{lines}; {self._counts()}{error}")

    def retried(self, trial: Trial) -> None:
        """Show that a trial is tried again."""
        self.say(
            f"trial {trial.name} goes on from its checkpoint after failure {trial.failures}: {trial.error}"
        )

    def say(self, text: str) -> None:
        """Write a line, above the table."""
        self._erase()
        self.stream.write(text + "\n")
        self.stream.flush()

    def close(self) -> None:
        """Leave the last state of the table on the screen."""
        if self.live:
            self._draw()
            self._height = 0

    def _counts(self) -> str:
        settings = self.record.settings
        trials = self.record.final if settings.get("search") == "none" else self.record.trials
        states = Counter(trial.state for trial in trials)
        done = sum(states[state] for state in (*ENDED, FAILED))
        all_trials = settings["num_samples"] if settings.get("search") == "optuna" else len(trials)
        return f"{done} of {all_trials} done" + "".join(
            f", {states[state]} {WORDS[state]}" for state in (STOPPED, FAILED) if states[state]
        )

    def lines(self) -> list[str]:
        """Return the table: a summary, what runs, and the best of what has ended."""
        best, seconds = self.record.best(), time.monotonic() - self._began
        head = f"{self.record.model} on {self.record.dataset}: {self._counts()}, {seconds:.0f} s"
        if best is not None:
            head += f"; best {self.record.valid_metric} {best.score:.4f}, trial {best.name}"
        trials = [*self.record.trials, *self.record.final]
        running = [trial for trial in trials if trial.state == RUNNING]
        sign = -1 if self.record.bigger else 1
        ended = [trial for trial in trials if trial.state in (FINISHED, *WORDS) and trial not in running]
        ended.sort(key=lambda trial: math.inf if trial.score is None else sign * trial.score)
        rows = [*running[: max(ROWS // 2, ROWS - len(ended))], *ended]
        return [head, f"{'trial':>12} {'state':<13} {'score':>8} {'epochs':>9}  options"] + [
            self._line(trial) for trial in rows[:ROWS]
        ]

    def _line(self, trial: Trial) -> str:
        score = "" if trial.score is None else f"{trial.score:.4f}"
        options = " ".join(f"{name}={value}" for name, value in trial.options.items()) or f"seed={trial.seed}"
        options = options if len(options) <= OPTION_WIDTH else options[: OPTION_WIDTH - 1] + "…"
        epochs = f"{trial.epochs}/{self.record.epochs}"
        return f"{trial.name:>12} {WORDS.get(trial.state, trial.state):<13} {score:>8} {epochs:>9}  {options}"

    def _erase(self) -> None:
        if self._height:
            self.stream.write(f"\x1b[{self._height}F\x1b[J")
            self._height = 0

    def _draw(self) -> None:
        columns, rows = shutil.get_terminal_size()
        # A line that wraps, or one that has left the screen, could not be erased.
        lines = [line[: columns - 1] for line in self.lines()[: max(1, rows - 1)]]
        self._erase()
        self.stream.write("\n".join(lines) + "\n")
        self.stream.flush()
        self._height, self._drawn_at = len(lines), time.monotonic()
