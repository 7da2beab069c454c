"""A sweep on a cluster of two nodes, one of which is lost while it works."""

import io
import shutil
import tempfile
import threading

import pytest

from recbole_diffusion.errors import UsageError
from recbole_diffusion.tuning.driver import sweep


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes with one processor each, on this machine."""
    from ray.cluster_utils import Cluster

    scratch = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # a short path, for its sockets
    arguments = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    monkeypatch.setenv("RAY_TMPDIR", scratch)
    cluster = Cluster(initialize_head=True, head_node_args=arguments)
    cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    yield cluster
    cluster.shutdown()
    shutil.rmtree(scratch, ignore_errors=True)


def test_a_sweep_survives_the_loss_of_a_node(sweepable, tmp_path, cluster):
    head, other = cluster.head_node, next(iter(cluster.worker_nodes))
    by_node, removal = {}, []

    def on_report(trial):
        by_node.setdefault(trial.node, set()).add(trial.number)
        if trial.node == other.node_id and trial.epochs >= 2 and not removal:
            removal.append(trial.number)
            threading.Thread(
                target=cluster.remove_node, args=(other,), kwargs={"allow_graceful": False}
            ).start()

    settings = {
        "scheduler": "none",
        "search": "grid",
        "space": str(sweepable.space),
        "ray_address": cluster.address,
    }
    settings |= {"storage": str(tmp_path), "final_seeds": 0, "max_failures": 3}
    overrides = {**sweepable.overrides, "latent_dimension": 8, "epochs": 300}
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


def test_an_address_without_a_cluster_is_an_error(sweepable, tmp_path):
    settings = {"ray_address": "127.0.0.1:1", "space": str(sweepable.space), "storage": str(tmp_path)}
    with pytest.raises(UsageError, match=r"no Ray cluster at ray_address '127\.0\.0\.1:1'"):
        sweep(
            "MultiVAE",
            sweepable.dataset,
            overrides=sweepable.overrides,
            settings=settings,
            output=io.StringIO(),
        )
    assert list(tmp_path.iterdir()) == []
