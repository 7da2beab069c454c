"""``serve``: a run behind HTTP, and the next one in its place when a link leads to it.

This process loads nothing: it holds the port and starts a process for each run. A new one takes over once it
has loaded, and the old one ends when it has answered; both accept from the one socket in between.

Longer than most files: what is listened on, which process serves, and what that process does.
"""

import asyncio
import contextlib
import importlib.util
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from recbole_diffusion.cli.command import Command
from recbole_diffusion.cli.machine import MachineOptions
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.options.declare import argument
from recbole_diffusion.storage.run_folder import RunFolder

DRAIN = 10.0  # seconds after which an old process closes connections on which nothing has come
PATIENCE = 20.0  # seconds for the requests that are being answered at the end
NICE = 5  # of the thread that loads another run: a quarter of a processor that the service needs too
KEEP_ALIVE = 75  # seconds; more than proxies keep a connection, so that it is not this end that closes it


@dataclass(frozen=True)
class ServeOptions(MachineOptions):
    """What ``serve`` takes."""

    run: str = argument("", "folder of a run that has ended, or a link to one")
    host: str = argument("127.0.0.1", "address to listen on; 0.0.0.0 for all of this machine")
    port: int = argument(8000, "port to listen on; 0 for one that is free", low=0, high=65535)
    k: int = argument(20, "length of a list where a request names none", low=1)
    exclude: str = argument(
        "all",
        "items left out of a user's list: all that the user has in the data set, the history in train and "
        "valid, or none",
        choices=("all", "history", "none"),
    )
    watch: float = argument(
        1.0, "seconds between two looks at where the link leads; 0: the run stays", low=0, high=3600
    )
    threads: int = argument(1, "threads of torch", low=1)
    unfinished: bool = argument(False, "accept a run that has not ended, with its best weights so far")

    def __post_init__(self) -> None:
        if not self.run:
            raise UsageError(f"--run is missing; usage: {COMMAND.usage_line()}")


COMMAND = Command(
    "serve",
    "--run=RUN_DIR [--host=127.0.0.1] [--port=8000] [--k=20] [--exclude=all]",
    "Answers GET and POST /recommend with the best items of users, and GET /health, until it is told to end.",
    ServeOptions,
    after="""
GET /recommend?user=ID&k=20 is the list of one user. POST /recommend takes JSON: users (original ids),
histories (items, or ratings by item, by the name of a new user), history (of somebody without a name) and k.

Where RUN_DIR is a link that comes to lead to another run, that run is loaded and takes over without a pause;
if it cannot be loaded, the old one stays. SIGHUP loads the run again, with today's data. SIGTERM and Ctrl-C
end the service. It has neither a password nor TLS: others should reach it through a proxy that has them.
""",
)


def serve(argv: Sequence[str]) -> int:
    """Answer requests until a signal ends the process; return the exit code.

    Raises:
        UsageError: the request cannot be met, such as a port in use.
        RunError: damaged weights, or the process of the run has died.
    """
    given = COMMAND.read(argv)
    if given is None:
        return 0
    options = given.read(ServeOptions)
    missing = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"serve needs {' and '.join(missing)}; install it (pip install 'recbole-diffusion[service]')"
        )
    folder = os.path.realpath(Path(options.run).expanduser())
    RunFolder.existing(folder)
    with _listening(options.host, options.port) as listener, _signals() as wake:
        return _Supervisor(options, listener, wake).run(folder)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UsageError: the address is not one of this machine, or the port is in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With its protocol, which asyncio asks for before it lets small packets go at once: without, head and
        # body of an answer wait 40 ms for each other.
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # a port that the last process has just left; elsewhere it means more
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on port {port} of {host}: {reason}; name another with --port or --host"
        ) from error
    return listener


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Yield a socket that receives the numbers of signals, which then do nothing else."""
    names = [name for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
    wake, far = socket.socketpair()
    far.setblocking(False)
    with wake, far:
        before = {number: signal.signal(number, _nothing) for number in (getattr(signal, n) for n in names)}
        old = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
        try:
            yield wake
        finally:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)


def _nothing(*_: Any) -> None:
    """Do nothing about a signal, whose number is in the socket by then."""


@dataclass
class _Worker:
    """A process that serves a run.

    Attributes:
        folder: the run's.
        process: the process.
        pipe: to and from it; it ends when this end is closed.
        told: what it has said: ``ready`` and the run in words, or ``failed``, a code and why.
    """

    folder: str
    process: Any
    pipe: Connection
    told: tuple = ()

    @classmethod
    def start(cls, folder: str, options: ServeOptions, listener: socket.socket, gently: bool) -> "_Worker":
        context = multiprocessing.get_context("spawn")
        mine, its = context.Pipe()
        process = context.Process(target=_work, args=(folder, options, listener, its, gently), daemon=True)
        process.start()
        its.close()
        return cls(folder, process, mine)

    def look(self) -> None:
        """Read what the process has said, or that it has ended."""
        with contextlib.suppress(EOFError, OSError):
            while not self.told and self.pipe.poll():
                self.told = self.pipe.recv()
        if not self.told and not self.process.is_alive():
            self.told = ("failed", 1, f"the process that loaded {self.folder} has died")

    def say(self, *words: Any) -> None:
        with contextlib.suppress(OSError):  # it may have ended
            self.pipe.send(words)

    def end(self) -> None:
        """End the process: at once if it loads, else when it has answered."""
        if self.told[:1] == ("ready",):
            self.say("stop")
            self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


@dataclass
class _Supervisor:
    """Keeps one run served.

    Attributes:
        options: of the command.
        listener: the socket that all processes accept from.
        wake: receives the numbers of signals.
        serving: the process in service.
        coming: the one that loads, to take its place.
        leaving: those whose place was taken, until they have ended.
        refused: folder of a run that could not be loaded, which is not tried again.
        gone: the folder that the link leads to, if it is not there.
    """

    options: ServeOptions
    listener: socket.socket
    wake: socket.socket
    serving: _Worker | None = None
    coming: _Worker | None = None
    leaving: list[_Worker] = field(default_factory=list)
    refused: str = ""
    gone: str = ""

    def run(self, folder: str) -> int:
        """Serve a run, and those that the link leads to, until a signal; return the exit code."""
        try:
            self._load(folder)
            while True:
                workers = [worker for worker in (self.serving, self.coming) if worker is not None]
                pipes = [worker.pipe for worker in workers if not worker.told]
                ends = [worker.process.sentinel for worker in (*workers, *self.leaving)]
                ready = wait([self.wake, *pipes, *ends], self.options.watch or None)
                signals = set(self.wake.recv(64)) if self.wake in ready else set()
                if signals & {signal.SIGTERM, signal.SIGINT}:
                    return 0
                if (dead := self.serving) is not None and not dead.process.is_alive():
                    if dead.process.exitcode == -signal.SIGTERM:  # it was told to end before this process was
                        return 0
                    raise RunError(
                        f"the process that served {dead.folder} has ended with code {dead.process.exitcode}"
                    )
                self.leaving = [worker for worker in self.leaving if worker.process.is_alive()]
                self._take_over()
                self._look_for_another(bool(signals))
        finally:
            for worker in (self.serving, self.coming, *self.leaving):
                if worker is not None:
                    worker.end()

    def _load(self, folder: str) -> None:
        if self.coming is not None:
            self.coming.end()
        self.coming = _Worker.start(folder, self.options, self.listener, self.serving is not None)

    def _take_over(self) -> None:
        """Put the process that loads in service if it is ready; if it has failed, the old one stays."""
        if (coming := self.coming) is None:
            return
        coming.look()
        if not coming.told:
            return
        self.coming = None
        kind, *words = coming.told
        if kind == "ready":
            old, self.serving, self.refused, self.gone = self.serving, coming, "", ""
            if old is not None:
                old.say("drain")
                self.leaving.append(old)
            host, port, *_ = self.listener.getsockname()
            place = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            _print(sys.stdout, f"serving {words[0]} at {place}")
            return
        coming.end()
        code, text = words
        if self.serving is None:
            raise (UsageError if code == 2 else RunError)(text)
        self.refused = coming.folder
        self.serving.say("reload_failed", text)
        _print(sys.stderr, f"error: {self.serving.folder} stays in service: {text}")

    def _look_for_another(self, again: bool) -> None:
        """Load the run that the link leads to if it is another one, or ``again`` the same."""
        folder = os.path.realpath(Path(self.options.run).expanduser())
        if again:
            self._load(folder)
        elif self.options.watch and self.serving is not None:
            if self._is_gone(folder):
                return
            latest = self.coming or self.serving
            has_ended = self.options.unfinished or (Path(folder) / "result.json").is_file()
            if folder == self.serving.folder and self.refused:  # led back before the other was mended
                self.refused = ""
                self.serving.say("reload_failed", None)
            if has_ended and folder not in (latest.folder, self.refused):
                self._load(folder)

    def _is_gone(self, folder: str) -> bool:
        """Return whether the folder that the link leads to is not there; tell when that begins and ends."""
        gone = "" if Path(folder).is_dir() else folder
        if self.serving is not None and gone != self.gone:
            self.gone, self.refused = gone, ""
            text = f"{self.options.run} leads to {folder}, which is not there" if gone else None
            self.serving.say("reload_failed", text)
            if text:
                _print(sys.stderr, f"error: {self.serving.folder} stays in service: {text}")
        return bool(gone)


def _print(stream: Any, line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a stream that is closed or full
        stream.write(" ".join(line.split()) + "\n")
        stream.flush()


def _work(
    folder: str, options: ServeOptions, listener: socket.socket, pipe: Connection, gently: bool
) -> None:
    """Load a run and answer requests, in a process of its own, until the other end says so or is gone.

    ``gently``: while another process answers, which needs the processor more.
    """
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):  # of a group of processes; the other end is told too
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        # In a thread of its own, whose priority can be low.
        with ThreadPoolExecutor(1) as thread:
            server, state, line = thread.submit(_loaded, folder, options, gently).result()
    except (UsageError, RunError) as error:
        pipe.send(("failed", 2 if isinstance(error, UsageError) else 1, str(error)))
        return
    except Exception as error:  # any: the other process says what happened, in one line
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
        pipe.send(("failed", 1, text))
        return
    pipe.send(("ready", line))
    threading.Thread(target=_obey, args=(pipe, server, state), daemon=True).start()
    server.run(sockets=[listener])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)  # nothing is left to do, and taking torch apart takes seconds


def _loaded(folder: str, options: ServeOptions, gently: bool) -> tuple[Any, Any, str]:
    """Return the server of a run, what it is told later, and the run in words."""
    from recbole_diffusion.storage.slow_step import LOADING, told_if_slow

    if gently and sys.platform == "linux":  # elsewhere a thread has the priority of its process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    RunFolder.existing(folder).read_config()  # before much is loaded, in case that it is damaged
    with told_if_slow(LOADING):
        import torch
        import uvicorn

        from recbole_diffusion.serving.loaded_run import load_run
        from recbole_diffusion.serving.ranking import check_k
        from recbole_diffusion.serving.service import AnsweringRun, State, make_app
        from recbole_diffusion.serving.untrained_items import note_on_items
        from recbole_diffusion.serving.users import note_on_untrained
    torch.set_num_threads(options.threads)
    with told_if_slow("loading the run"):
        run = load_run(folder, unfinished=options.unfinished, **options.for_loading())
        check_k(options.k, len(run.items))
        served = AnsweringRun(run, options.exclude)
    for note in (note_on_untrained(run), note_on_items(run)):
        if note:
            _print(sys.stderr, f"warning: {note}")
    state = State()
    config = uvicorn.Config(
        make_app(served, options.k, state),
        loop="asyncio",  # whose listeners can be laid down, see _drained
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(PATIENCE),
    )
    sizes = f"{len(run.users):,} users and {len(run.items):,} items, {folder},"
    return uvicorn.Server(config), state, f"{run.config['model']} on {run.config['dataset']}, {sizes}"


def _obey(pipe: Connection, server: Any, state: Any) -> None:
    """Do what the other process says, until it is gone or has told this one to end."""
    words: tuple = ()
    while words[:1] not in (("stop",), ("drain",)):
        try:
            words = pipe.recv()
        except (EOFError, OSError):
            words = ("stop",)
        if words[0] == "reload_failed":
            state.reload_failed = words[1]
    if words[0] == "drain":
        state.leaving = True
        while not server.started:
            time.sleep(0.05)
        loop = server.servers[0].get_loop()
        asyncio.run_coroutine_threadsafe(_drained(server), loop).result()
    server.should_exit = True


async def _drained(server: Any) -> None:
    """Accept no more connections, and answer on open ones until there are none, or idle ones alone.

    Answers tell clients to close by now. Counted in turns of the loop, which may wait long for a processor: a
    connection that has just been accepted is seen. A server that is closed at once would drop it.
    """
    loop = asyncio.get_running_loop()
    for listener in (listener for one in server.servers for listener in one.sockets):
        loop.remove_reader(listener.fileno())
    end, quiet = time.monotonic() + DRAIN, 0
    while quiet < 5 and time.monotonic() < end:
        await asyncio.sleep(0.1)
        quiet = 0 if server.server_state.connections else quiet + 1
