#!/usr/bin/env bash
# distributed 2026.8.0 (Dask) with torch 2.13.0: a training step of LightGCN's kind, on one thread, in a
# worker of `LocalCluster` and in a process of its own.
#
# Guess: it takes as long in the worker, which has a process of its own and does nothing else.
# Seen:  the worker is started with MALLOC_TRIM_THRESHOLD_=65536 (`distributed.nanny.pre-spawn-environ`), so
#        that it gives memory back soon. To glibc any such setting also ends the adjustment by which blocks
#        of up to 32 MB come to stay in the heap, so that the system maps and clears each tensor of 128 KB
#        or more anew: 107,000 pages a step instead of 20,000. The step takes 2 to 3 times the processor
#        time, half of it in the system; the loss is the same. Where the command's own environment has large
#        thresholds of both kinds, which the worker takes, there are fewer pages than outside.
# So:    a search of settings on Dask pays for its models twice and more, and a comparison of seconds with
#        runs outside is one of allocators.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==2.4.6 distributed==2026.8.0 dask==2026.8.0
cat > "$work/step.py" <<'PYTHON_SCRIPT'
"""A step over three layers of propagation, 40,000 nodes of width 64 and 400,000 edges."""
import os
import resource


def measured(steps=20):
    """Pages mapped, seconds of the process and of the system a step, the last loss, what malloc was told."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    nodes, edges = 40_000, 400_000
    cells = torch.randint(nodes, (2, edges)), torch.rand(edges) / 10
    graph = torch.sparse_coo_tensor(*cells, (nodes, nodes)).coalesce().to_sparse_csr()
    table = torch.nn.Parameter(torch.randn(nodes, 64) / 10)
    optimizer = torch.optim.Adam([table], lr=1e-3)

    def step():
        layers = [table]
        for _ in range(3):
            layers.append(graph @ layers[-1])
        vectors = torch.stack(layers).mean(0)
        u, i, j = torch.randint(nodes, (3, 4096))
        margin = (vectors[u] * (vectors[i] - vectors[j])).sum(1)
        loss = -torch.nn.functional.logsigmoid(margin).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(5):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(steps):
        loss = step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = [getattr(after, name) - getattr(before, name) for name in ("ru_minflt", "ru_utime", "ru_stime")]
    told = os.environ.get("MALLOC_TRIM_THRESHOLD_")
    return [round(one / steps, 3) for one in spent] + [loss, told]
PYTHON_SCRIPT
cat > "$work/main.py" <<'PYTHON_SCRIPT'
import json
import os
import subprocess
import sys
from importlib.metadata import version

from distributed import Client, LocalCluster
from step import measured

large = {"MALLOC_TRIM_THRESHOLD_": str(2**31 - 1), "MALLOC_MMAP_THRESHOLD_": str(2**25)}


def in_a_worker():
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            return client.submit(measured).result()


if __name__ == "__main__":  # workers import this file
    print("distributed", version("distributed"), "torch", version("torch"))
    assert version("distributed") == "2026.8.0" and version("torch").startswith("2.13.0")
    alone = subprocess.run(
        [sys.executable, "-c", "import json, step; print(json.dumps(step.measured()))"],
        capture_output=True,
        text=True,
        check=True,
    )
    seen = {"alone": json.loads(alone.stdout), "worker": in_a_worker()}
    os.environ |= large  # which the worker's own settings give way to
    seen["worker, large thresholds"] = in_a_worker()
    for name, (pages, own, system, loss, told) in seen.items():
        print(
            f"{name}: {pages:,.0f} pages a step, {own:.2f} s and {system:.2f} s of the system, "
            f"loss {loss}, {told}"
        )
    assert seen["worker"][4] == "65536" and seen["alone"][4] is None
    assert seen["worker"][0] > 3 * seen["alone"][0] > 3 * seen["worker, large thresholds"][0]
    assert seen["worker"][2] > 2 * seen["alone"][2]
    assert len({loss for *_, loss, _ in seen.values()}) == 1
PYTHON_SCRIPT
cd "$work"
env -u MALLOC_TRIM_THRESHOLD_ OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore main.py
echo "as written"
