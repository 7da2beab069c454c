"""The service under load: milliseconds from the moment a request is due to its last byte, at a rate.

    python -m benchmarks.service --run RUN_DIR ... [--data_path=DATA] [--rate=100] [--seconds=10]

The service is a real process on one core, the load comes from this process on another. The load is open:
requests come at random moments (Poisson), whether or not earlier ones have been answered, so that a stall
counts for all requests that it delays.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks._page import machine, page_parser, show_page, stack, table_head

BASKET = 20  # items of a history
WARM = 100  # requests before the measurement


class Client:
    """Sends requests over as many open connections as are needed at once.

    Attributes:
        milliseconds: of each answered request, from the moment at which it was due.
        wrong: requests without an answer, or with another code than 200.
    """

    def __init__(self, port: int) -> None:
        self.port, self.milliseconds, self.wrong = port, [], 0
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: bytes, due: float) -> None:
        """Send a request and read its answer."""
        try:
            pair = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
            pair[1].write(request)
            head = await pair[0].readuntil(b"\r\n\r\n")
            fields = head.lower().split(b"\r\n")
            length = next(int(one[15:]) for one in fields if one.startswith(b"content-length:"))
            await pair[0].readexactly(length)
        except (OSError, EOFError):
            self.wrong += 1
            return
        self.milliseconds.append(1000 * (time.perf_counter() - due))
        self.wrong += not head.startswith(b"HTTP/1.1 200")
        if b"connection: close" in fields:
            pair[1].close()
        else:
            self.idle.append(pair)

    async def send(self, requests: list[bytes], rate: float, seed: int = 1) -> None:
        """Send requests at random moments, ``rate`` a second on average, and wait for all answers."""
        draw, tasks, due = random.Random(seed), [], time.perf_counter()
        for request in requests:
            due += draw.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self.ask(request, due)))
        await asyncio.gather(*tasks)


def get(user: str) -> bytes:
    """Return a request for the list of a known user."""
    return f"GET /recommend?user={user}&k=20 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(items: list[str]) -> bytes:
    """Return a request for the list of somebody with these items."""
    body = json.dumps({"history": items, "k": 20}).encode()
    head = "POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Service:
    """A process of ``serve`` on one core.

    Args:
        folder: of the run.
        data_path: of its data set, or None.
    """

    def __init__(self, folder: Path, data_path: str | None) -> None:
        words = ["serve", f"--run={folder}", "--port=0", *([f"--data_path={data_path}"] if data_path else [])]
        cores = sorted(os.sched_getaffinity(0))
        code = f"import os, sys; os.sched_setaffinity(0, {{{cores[0]}}}); "
        code += "from recbole_diffusion.cli.main import main; sys.exit(main())"
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(self.process.wait())
        self.seconds = time.perf_counter() - start
        self.port = int(line.rpartition(":")[2])
        os.sched_setaffinity(0, {cores[-1]})

    def processor(self) -> float:
        """Return the processor seconds that all processes of the service have used."""
        mine = psutil.Process(self.process.pid)
        times = [one.cpu_times() for one in (mine, *mine.children(recursive=True))]
        return sum(one.user + one.system for one in times)

    def memory(self) -> float:
        """Return the resident memory of all processes, in MB."""
        mine = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in (mine, *mine.children(recursive=True))) / 2**20

    def end(self) -> None:
        """End it as a machine does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


async def measured(service: Service, requests: list[bytes], rate: float) -> dict[str, float]:
    """Return what a load costs: quantiles of milliseconds, processor milliseconds a request, failures."""
    client = Client(service.port)
    await client.send(requests[:WARM], rate)
    client.milliseconds.clear()
    before = service.processor()
    await client.send(requests[WARM:], rate)
    used = service.processor() - before
    found = dict(zip(("p50", "p95", "p99"), np.percentile(client.milliseconds, (50, 95, 99)), strict=True))
    many = len(requests) - WARM
    return {**found, "most": max(client.milliseconds), "cpu": 1000 * used / many, "wrong": client.wrong}


async def reloaded(service: Service, requests: list[bytes], rate: float) -> dict[str, float]:
    """Return the same while the service loads its run again and the new process takes over."""
    client = Client(service.port)
    await client.send(requests[:WARM], rate)
    client.milliseconds.clear()
    service.process.send_signal(signal.SIGHUP)
    sending = asyncio.create_task(client.send(requests[WARM:], rate))
    await asyncio.to_thread(service.process.stdout.readline)  # type: ignore[union-attr]
    await sending
    found = dict(zip(("p50", "p95", "p99"), np.percentile(client.milliseconds, (50, 95, 99)), strict=True))
    return {**found, "most": max(client.milliseconds), "cpu": float("nan"), "wrong": client.wrong}


def rows_of(folder: Path, arguments: argparse.Namespace) -> tuple[str, list[str]]:
    """Return the sizes of a run and the rows of its table."""
    from recbole_diffusion import load_run

    run = load_run(folder, **({"data_path": arguments.data_path} if arguments.data_path else {}))
    draw = random.Random(0)
    users, items = run.users.tokens[1:].tolist(), run.items.tokens[1:].tolist()
    many = WARM + int(arguments.rate * arguments.seconds)
    name = f"{run.config['model']}, width {run.model.inner_products().items.shape[1]}"
    asked = {"known users": [get(draw.choice(users)) for _ in range(many)]}
    if run.model.takes_histories and not run.model.predicts_ratings:
        asked[f"histories of {BASKET} items"] = [post(draw.sample(items, BASKET)) for _ in range(many)]
    service = Service(folder, arguments.data_path)
    try:
        rows = [
            row(name, what, asyncio.run(measured(service, requests, arguments.rate)))
            for what, requests in asked.items()
        ]
        memory = service.memory()
        again = asyncio.run(reloaded(service, asked["known users"], arguments.rate))
        rows.append(row(name, "known users, while the run is loaded again", again))
    finally:
        service.end()
    ready = f"{name}: ready after {service.seconds:.1f} s, {memory:.0f} MB."
    return f"{run.config['dataset']}: {len(users):,} users, {len(items):,} items", [*rows, ready]


def row(name: str, what: str, found: dict[str, float]) -> str:
    """Return a row of the table."""
    times = [f"{found[one]:.1f} ms" for one in ("p50", "p95", "p99", "most")]
    cpu = "" if np.isnan(found["cpu"]) else f"{found['cpu']:.2f} ms"
    return f"| {name} | {what} | {' | '.join(times)} | {cpu} | {found['wrong']:.0f} |"


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--run", type=Path, nargs="+", required=True)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--data_path")
    arguments = parser.parse_args()
    load: Any = os.getloadavg()[0]
    found = [rows_of(folder, arguments) for folder in arguments.run]
    load = f"load average {load:.1f} before and {os.getloadavg()[0]:.1f} after"
    lines = [
        "# The service under load",
        "",
        f"`python -m benchmarks.service --run RUN_DIR ...`; {found[0][0]};",
        f"{machine(f'{os.cpu_count()} cores', load)};",
        f"{stack()}.",
        "",
        f"{arguments.rate:g} requests a second at random moments for {arguments.seconds:g} s, lists of 20;",
        "the service is a process on one core, the load comes from another. Milliseconds run from the moment",
        "at which a request is due to the last byte of its answer, on the clock of the machine: other work",
        "shows above all in p99. Processor time is that of the service; the load average says how busy the",
        "machine was (the load itself is about 1).",
        "",
        *table_head(
            *("run", "asked for", "p50", "p95", "p99", "longest", "processor a request", "not answered"),
            words=2,
        ),
        *(row for _, rows in found for row in rows[:-1]),
        "",
        *(rows[-1] for _, rows in found),
    ]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
