"""A set of trials run one after the other in the driver's process, without Ray."""

import contextlib
import copy
import dataclasses
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.storage.signals import ended_by_sigterm
from recbole_diffusion.tuning.context import SweepContext, write_report
from recbole_diffusion.tuning.record import CUT, FAILED, FINISHED, RUNNING, Trial
from recbole_diffusion.tuning.trial import run_trial, use_threads


@contextlib.contextmanager
def trials_here() -> Iterator[None]:
    """Within it SIGTERM ends trials of this process, which share EASE's scores from one to the next.

    At its end the process computes with as many threads as before.
    """
    import torch

    from recbole_diffusion.model.ease_scores import one_kept  # slow: torch

    threads, told = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    try:
        with ended_by_sigterm(), one_kept():
            yield
    finally:
        torch.set_num_threads(threads)
        os.environ.pop("OMP_NUM_THREADS", None)
        os.environ |= {} if told is None else {"OMP_NUM_THREADS": told}


class _BudgetSpentError(Exception):
    """The time of the search is over."""


def run_trials_here(context: SweepContext, trials: list[Trial], budget: float | None = None) -> None:
    """Run trials in this process until each has ended or failed too often, or the budget is spent.

    Args:
        context: the sweep; its ``data`` is the prepared data set itself, or empty.
        trials: the waiting trials.
        budget: seconds after which the rest of the trials is left waiting.
    """
    began = time.time()
    use_threads(context.job["threads"])
    for row in trials:
        if budget is not None and time.time() - began >= budget:
            return
        row.state = RUNNING
        _run_one(context, row, began, budget)
        context.folder.write(context.record)
        context.display.print_end(row)


def _run_one(context: SweepContext, row: Trial, began: float, budget: float | None) -> None:
    """Run one trial to its end; after an error it goes on from its checkpoint, ``max_failures`` times.

    Options that are refused are refused again: that is not tried twice.
    """

    def report(values: dict[str, Any]) -> None:
        write_report(row, {**values, "hostname": socket.gethostname(), "pid": os.getpid()}, None, began)
        if context.on_report:
            context.on_report(row)
        if budget is not None and time.time() - began >= budget and row.state != FINISHED:
            raise _BudgetSpentError

    while row.state == RUNNING:
        prepared = copy.deepcopy(context.data[0]) if context.data else None
        try:
            run_trial(dataclasses.asdict(row), context.job, prepared, report)
        except _BudgetSpentError:
            row.state = CUT
        except Exception as error:  # any: as with Ray, a trial that raises does not end the sweep
            row.failures += 1
            row.error = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
            if row.failures > context.options.max_failures or isinstance(error, UsageError):
                row.state = FAILED
            else:
                context.display.print_retry(row)
