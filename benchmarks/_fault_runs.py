"""One command line in a process of its own: what it was answered, and what it wrote."""

import contextlib
import gc
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LONGEST = 60.0  # seconds that one command may take
UNWORDED = "Add --debug for the trace"
MEMORY = 12 * 2**30


@dataclass
class Case:
    """One input.

    Attributes:
        kind: the kind it is counted under.
        name: what is wrong with it, short.
        argv: the command line.
        folder: where it runs; a run of its own goes to ``run`` in it.
        right: ``refused``, ``same`` (accepted, with the result of the undamaged one), ``said`` (refused, or
            accepted with one of ``words`` in the output), or ``either``.
        result: metrics of the undamaged input, for ``same``.
        words: for ``said``.
        before: what makes the input, called in its folder.
    """

    kind: str
    name: str
    argv: Sequence[str]
    folder: Path
    right: str = "refused"
    result: Any = None
    words: tuple[str, ...] = ()
    before: Callable[[], Any] | None = None


@dataclass
class Answer:
    """What a command answered.

    Attributes:
        code: exit code; negative: the signal that ended it.
        text: its output, stderr and stdout.
        internal: it failed in a way that nobody has worded.
        result: the metrics of the run it made, None without one.
        seconds: time it took.
    """

    code: int
    text: str
    internal: bool
    result: Any
    seconds: float
    last: str = field(init=False)

    def __post_init__(self) -> None:
        lines = self.text.strip().splitlines()
        self.last = next(
            (line for line in reversed(lines) if line.startswith("error: ")), (lines or [""])[-1]
        )


def preload() -> None:
    """Load what commands load, once, by running them; processes are forked from then on.

    Nothing is trained by gradients here: torch's backward pass starts threads, which a fork does not have.
    """
    import torch
    from tqdm import tqdm

    from benchmarks._fault_data import header, lines, write
    from recbole_diffusion.cli.main import main

    tqdm.monitor_interval = 0  # no thread: a fork would leave its locks taken
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write(Path("data"), header() + "".join(lines()))
        start = ("--dataset=d", "--data_path=data", "--topk=5", "--valid_metric=Recall@5", "--epochs=1")
        written = io.StringIO()
        with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
            codes = [main([f"--model={model}", *start, f"--run_dir={model}"]) for model in ("EASE", "Pop")]
            codes += [main(["recommend", "--run=EASE", "--all", "--k=3", "--output=lists.csv"])]
            codes += [main(["compare", "EASE"]), main(["export", "--run=EASE", "--output=vectors"])]
        if any(codes[:3]):
            raise RuntimeError(written.getvalue())
    gc.collect()
    gc.freeze()


def answered(case: Case) -> Answer:
    """Run one case to its end, or for a minute."""
    case.folder.mkdir(parents=True, exist_ok=True)
    if case.before is not None:
        with contextlib.chdir(case.folder):
            case.before()
    out = case.folder / "output.txt"
    began = time.monotonic()
    code = ended(started(case.argv, case.folder, out), LONGEST)
    text = out.read_text(encoding="utf-8", errors="replace")
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    worded = code in (1, 2, 130) and len(errors) == 1 and UNWORDED not in text and "Traceback" not in text
    result = result_of(case.folder / "run")
    shutil.rmtree(case.folder, ignore_errors=True)
    return Answer(code, text, code != 0 and not worded, result, time.monotonic() - began)


def started(argv: Sequence[str], folder: Path, out: Path) -> int:
    """Run a command line in a forked process; return its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.chdir(folder)
        writing = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.argv = ["recbole-diffusion", *argv]
        from recbole_diffusion.cli.main import main

        code = main(list(argv))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
    return 0


def ended(child: int, longest: float) -> int:
    """Wait for a process; return its exit code, or the negative number of the signal that ended it."""
    limit = time.monotonic() + longest
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > limit:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -int(signal.SIGKILL)
        time.sleep(0.005)


def result_of(run: Path) -> Any:
    """Return what a finished run measured, without times and machine; None without a result."""
    try:
        stored = json.loads((run / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    names = ("model", "best_epoch", "best_valid_score", "valid", "test", "rated", "groups")
    # As text: NaN is not equal to itself.
    return json.dumps({name: stored.get(name) for name in names}, sort_keys=True)
