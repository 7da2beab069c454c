"""A cluster of two nodes, one of which is lost at work: sweeps, lists for all users, two workers of a run."""

import contextlib
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest
import torch

from recbole_diffusion.cli import main as cli
from recbole_diffusion.config import Config
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.model.batch_share import BatchShare
from recbole_diffusion.quick_start import run
from recbole_diffusion.serving import ranking, recommend
from recbole_diffusion.serving.recommend import KnownRanking, ListMaker
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.divided import check_divided
from recbole_diffusion.tuning import ray_training
from recbole_diffusion.tuning.driver import sweep
from recbole_diffusion.tuning.ray_lists import ray_lists
from recbole_diffusion.tuning.ray_session import LOCAL
from recbole_diffusion.tuning.ray_training import train_on_workers
from recbole_diffusion.tuning.workers import process_group, run_as_worker

NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture(scope="module")
def head():
    """A cluster on this machine whose head has one processor."""
    import ray
    from ray.cluster_utils import Cluster

    scratch = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # a short path, for its sockets
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", scratch)
        cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        yield cluster
        ray.shutdown()
        cluster.shutdown()
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture
def cluster(head):
    """The cluster with a second node, which a test may remove."""
    if not head.worker_nodes:
        head.add_node(**NODE)
    return head


@pytest.fixture
def connected(cluster):
    """The cluster, to which this process stays connected for the rest of the module: workers are kept."""
    import ray

    if not ray.is_initialized():
        ray.init(address=cluster.address, log_to_driver=False)
    return cluster


def lose(cluster):
    """Remove the second node, with whatever it computes; the cluster takes a while to notice."""
    (node,) = cluster.worker_nodes
    cluster.worker_nodes.remove(node)
    threading.Thread(
        target=node.kill_all_processes, kwargs={"check_alive": False, "allow_graceful": False}
    ).start()


def test_lists_at_an_address_without_a_cluster_are_an_error(folder_of, tmp_path, capsys):
    words = ["recommend", f"--run={folder_of('EASE')}", "--all", f"--output={tmp_path / 'out.csv'}"]
    assert cli.main([*words, "--ray_address=127.0.0.1:1"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: no Ray cluster at ray_address '127.0.0.1:1'")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("port", [1, 99999])
def test_an_address_without_a_cluster_is_an_error(sweepable, tmp_path, port):
    address = f"127.0.0.1:{port}"
    settings = {"ray_address": address, "space": str(sweepable.space), "storage": str(tmp_path)}
    with pytest.raises(UsageError, match=f"no Ray cluster at ray_address '{re.escape(address)}'"):
        sweep(
            "MultiVAE",
            sweepable.dataset,
            overrides=sweepable.overrides,
            settings=settings,
            output=io.StringIO(),
        )
    assert list(tmp_path.iterdir()) == []


def test_lists_from_a_cluster_are_the_local_ones(folder_of, tmp_path, cluster, monkeypatch, capsys):
    monkeypatch.setattr(ranking, "LARGEST", 7)
    monkeypatch.setattr(recommend, "TOGETHER", 7)  # users of a block, for models of near vectors
    words = ["recommend", f"--run={folder_of('TVDiff')}", "--all", "--k=60"]
    assert cli.main([*words, f"--output={tmp_path / 'here.csv'}"]) == 0
    there = [f"--output={tmp_path / 'there.csv'}", f"--ray_address={cluster.address}"]
    assert cli.main([*words, *there]) == 0
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert "ranked on Ray: 6 blocks of 7 users, 2 processes on 2 nodes" in capsys.readouterr().out


def test_a_sweep_survives_the_loss_of_a_node(sweepable, tmp_path, cluster):
    head, other = cluster.head_node, next(iter(cluster.worker_nodes))
    by_node, removal = {}, []

    def on_report(trial):
        by_node.setdefault(trial.node, set()).add(trial.number)
        if trial.node == other.node_id and trial.epochs >= 2 and not removal:
            removal.append(trial.number)
            lose(cluster)

    settings = {
        "scheduler": "none",
        "search": "grid",
        "space": str(sweepable.space),
        "ray_address": cluster.address,
    }
    settings |= {"storage": str(tmp_path), "final_seeds": 0, "max_failures": 3}
    overrides = {**sweepable.overrides, "latent_dimension": 8, "epochs": 150}
    found = sweep(
        "MultiVAE",
        sweepable.dataset,
        overrides=overrides,
        settings=settings,
        on_report=on_report,
        output=io.StringIO(),
    )
    assert [trial["state"] for trial in found["trials"]] == ["finished"] * len(found["trials"])
    assert set(by_node) == {head.node_id, other.node_id}
    lost = found["trials"][removal[0]]
    assert lost["failures"] >= 1
    assert lost["node"] == head.node_id
    log = (tmp_path / found["sweep_dir"] / lost["folder"] / "log.txt").read_text()
    assert "resumed after epoch" in log


# From here on, connected.


def test_a_lost_node_costs_its_block(loaded, tmp_path, connected):
    class Stuck(KnownRanking):
        """Notes each try; on the node that will be lost, none ends."""

        def lists(self, find, users, k):
            import ray

            node = ray.get_runtime_context().get_node_id()
            (tmp_path / f"{users[0]}-{node}").touch()
            time.sleep(0 if node == staying else 300)
            return super().lists(find, users, k)

    def wait_and_lose():
        while not list(tmp_path.glob(f"*-{other}")):
            time.sleep(0.02)
        lose(connected)

    staying, other = connected.head_node.node_id, next(iter(connected.worker_nodes)).node_id
    made, users = ListMaker(loaded("MultiVAE"), "all").of_known, np.arange(1, 41)
    (whole,) = made.lists(made.finder(), users, 5)
    thread = threading.Thread(target=wait_and_lose)
    with ray_lists(Stuck(**{**vars(made), "size": 4}), users, 5, LOCAL, None, []) as lists:
        thread.start()
        blocks = list(lists)
    thread.join()
    assert [block.start for block in blocks] == list(range(0, 40, 4))
    np.testing.assert_array_equal(np.concatenate([block.items for block in blocks]), whole.items)


def test_an_error_on_a_node_is_one_line(loaded, connected):
    class Broken(KnownRanking):
        def finder(self):
            raise ModuleNotFoundError("No module named 'theirs'")

    made = ListMaker(loaded("EASE"), "all").of_known
    words = r"No module named 'theirs'\. Each node needs the same"
    there = ray_lists(Broken(**vars(made)), np.arange(1, 41), 5, LOCAL, 1, [])
    with there as lists, pytest.raises(RunError, match=words) as caught:
        list(lists)
    assert "\n" not in str(caught.value)


def test_ray_train_trains_the_run_of_one_process(checkerboard, tmp_path, connected):
    common = {**checkerboard.overrides, "epochs": 2, "embedding_size": 8, "train_batch_size": 100}
    alone, both = ({**common, "run_dir": str(tmp_path / name)} for name in ("alone", "both"))
    one = run("BPR", overrides={**alone, "use_gpu": False})
    two = train_on_workers("BPR", checkerboard.name, workers=2, overrides=both)
    np.testing.assert_allclose(losses(tmp_path / "both"), losses(tmp_path / "alone"), rtol=1e-5)
    assert two["test"] == one["test"]
    assert two["run_dir"] == str(tmp_path / "both")
    assert not (tmp_path / "both/ray").exists()
    with pytest.raises(UsageError, match=r"3 workers of 1 processor each are asked for, but .* room for 2"):
        train_on_workers("BPR", checkerboard.name, workers=3, overrides=both | {"run_dir": None})


def test_a_trial_of_two_workers_has_the_score_of_one(checkerboard, tmp_path, connected):
    overrides = {**checkerboard.overrides, "epochs": 3, "embedding_size": 8, "use_gpu": False}
    settings = {"search": "none", "final_seeds": 1, "scheduler": "none", "storage": str(tmp_path)}
    alone = run("BPR", overrides={**overrides, "run_dir": str(tmp_path / "alone")})
    two = {**settings, "workers_per_trial": 2}
    found = sweep("BPR", checkerboard.name, overrides=overrides, settings=two, output=io.StringIO())
    assert found["final"][0]["metrics"]["test"] == alone["test"]


# Two workers without Ray.

OPTIONS = {
    # Rows of several items, dropout, and negatives by the model's ranks.
    "TVDiff": {"hidden_size": 8, "steps": 3, "batch_by": "user", "train_batch_size": 16, "dropout_prob": 0.3},
    # The same by judges, as for a large catalogue.
    "TVDiff by judges": {
        "hidden_size": 8,
        "train_batch_size": 333,
        "exact_rank_cells": 1,
        "candidate_items": 8,
    },
    "LightGCN": {"embedding_size": 8, "train_batch_size": 333},  # its last batch has one row
    "CNSDiff": {"embedding_size": 8, "steps": 6, "start": 2, "stride": 2, "train_batch_size": 333},
    "BPR": {"embedding_size": 8, "train_batch_size": 333, "clip_grad_norm": {"max_norm": 0.02}},
}


# For each line, the place of a group, it trains as that group's second worker.
SECOND = """
import sys
from recbole_diffusion.model.batch_share import BatchShare
from recbole_diffusion.tuning.workers import process_group, run_as_worker
for line in sys.stdin:
    with process_group(line.strip(), 1, 2):
        run_as_worker(BatchShare(1, 2), None, None)
"""


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """Return a function that runs a request by two processes that share its batches."""
    places = (f"file://{tmp_path_factory.mktemp('group') / 'meet'}" for _ in itertools.count())
    second = subprocess.Popen([sys.executable, "-c", SECOND], stdin=subprocess.PIPE, text=True)

    def trained(request):
        place = next(places)
        second.stdin.write(f"{place}\n")
        second.stdin.flush()
        with process_group(place, 0, 2):
            return run_as_worker(BatchShare(0, 2), request, None)

    yield trained
    second.stdin.close()
    try:
        assert second.wait(timeout=30) == 0
    finally:
        second.kill()


def losses(folder):
    return [json.loads(line)["loss"]["total"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", OPTIONS)
def test_two_workers_train_the_run_that_one_trains_and_resume_it(checkerboard, tmp_path, two_workers, name):
    model, common = (
        name.split()[0],
        {**checkerboard.overrides, "epochs": 4, "use_gpu": False, **OPTIONS[name]},
    )
    alone, both = ({**common, "run_dir": str(tmp_path / name)} for name in ("alone", "both"))
    one = run(model, overrides=alone)
    two_workers({"model": model, "overrides": {**both, "epochs": 2}})
    two = two_workers({"resume": str(tmp_path / "both"), "overrides": {"epochs": 4}})
    np.testing.assert_allclose(losses(tmp_path / "both"), losses(tmp_path / "alone"), rtol=1e-5)
    assert two["valid"] == one["valid"]
    assert two["test"] == one["test"]
    weights = [checkpoint.load(tmp_path / name / "checkpoint.pt")["state_dict"] for name in ("alone", "both")]
    for name, weight in weights[0].items():
        np.testing.assert_allclose(weights[1][name], weight, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("MultiVAE", {}, "MultiVAE cannot be trained by several workers: its loss is not divided by rows"),
        ("TVDiff", {"training": "dense"}, "its training is dense"),
        ("BPR", {"worker": 1}, "worker is 1"),
    ],
)
def test_a_run_that_cannot_be_divided_is_refused(checkerboard, model, options, words):
    with pytest.raises(UsageError, match=words):
        check_divided(Config(model, checkerboard.name, [], {**checkerboard.overrides, **options}))


def test_several_workers_refuse_a_gpu_and_leave_nothing(checkerboard, tmp_path):
    given = {**checkerboard.overrides, "use_gpu": True, "run_dir": str(tmp_path / "run")}
    with pytest.raises(UsageError, match="several workers train on processors, use_gpu is True"):
        train_on_workers("BPR", checkerboard.name, workers=2, overrides=given)
    assert not (tmp_path / "run").exists()


def test_what_is_told_of_the_data_is_in_the_log_of_a_run_by_several_workers(
    checkerboard, tmp_path, monkeypatch, capsys
):
    def stop(*_):
        raise RunError("no worker here")

    monkeypatch.setattr(ray_training, "ray_running", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(ray_training, "_check_room", lambda *_: None)
    monkeypatch.setattr(ray_training, "_fit", stop)
    file = checkerboard.folder / f"{checkerboard.name}.train.inter"
    file.write_text(file.read_text() + "u7\ti7 \n")  # beside i7
    given = {**checkerboard.overrides, "run_dir": str(tmp_path / "run")}
    with pytest.raises(RunError, match="no worker here"):
        train_on_workers("BPR", checkerboard.name, workers=2, overrides=given)
    told = "1 id of item_id differs from another one only in blanks, quotes"
    assert (tmp_path / "run/log.txt").read_text().count(told) == capsys.readouterr().err.count(told) == 1


def test_shares_are_the_rows_of_a_batch_in_order_and_may_be_empty():
    for count in (0, 1, 2, 7):
        rows = list(range(count))
        assert [row for rank in range(3) for row in rows[BatchShare(rank, 3).rows(count)]] == rows
    counts = torch.tensor([2, 0, 3, 1])
    assert BatchShare(1, 2).entries(counts, 4) == (6, slice(2, 6))
