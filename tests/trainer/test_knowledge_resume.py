"""Models of a graph of knowledge: a resumed run has the batches of one that was never stopped."""

import pytest
import torch

from recbole_diffusion.quick_start import run
from recbole_diffusion.trainer import checkpoint


@pytest.fixture
def graph(tmp_path):
    """Write 12 users, 15 items, each item in two triples; return options of a run."""
    folder = tmp_path / "graph"
    folder.mkdir()
    rows = "".join(f"u{u}\ti{(u * 5 + step) % 15}\n" for u in range(12) for step in range(9))
    (folder / "graph.inter").write_text("user_id:token\titem_id:token\n" + rows)
    links = "".join(f"i{i}\te{i}\n" for i in range(15))
    (folder / "graph.link").write_text("item_id:token\tentity_id:token\n" + links)
    triples = "".join(f"e{i}\tr{k}\tg{(i + k) % 4}\n" for i in range(15) for k in range(2))
    (folder / "graph.kg").write_text("head_id:token\trelation_id:token\ttail_id:token\n" + triples)
    return {
        "dataset": "graph",
        "data_path": str(tmp_path),
        "load_col": {
            "inter": ["user_id", "item_id"],
            "kg": ["head_id", "relation_id", "tail_id"],
            "link": ["item_id", "entity_id"],
        },
        "embedding_size": 4,
        "train_batch_size": 16,
        "learning_rate": 0.05,
        "topk": [3],
        "use_gpu": False,
    }


@pytest.mark.parametrize(
    ("model", "options"),
    [("CKE", {"kg_embedding_size": 4}), ("KTUP", {"train_rec_step": 1, "train_kg_step": 1}), ("KGCN", {})],
)
def test_a_resumed_run_is_that_of_one_never_stopped(graph, tmp_path, model, options):
    """The two loaders inside RecBole's began with their first order again."""
    given = {**graph, **options}
    whole = run(model, overrides={**given, "epochs": 4, "run_dir": str(tmp_path / "whole")})
    run(model, overrides={**given, "epochs": 2, "run_dir": str(tmp_path / "parts")})
    resumed = run(resume=tmp_path / "parts", overrides={"epochs": 4})
    assert (resumed["valid"], resumed["test"]) == (whole["valid"], whole["test"])
    states = (checkpoint.load(tmp_path / name / "checkpoint.pt") for name in ("whole", "parts"))
    one, two = (state["state_dict"] for state in states)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_checkpoint_without_an_order_of_batches_is_told(graph, tmp_path, caplog):
    run("CKE", overrides={**graph, "epochs": 1, "run_dir": str(tmp_path / "run")})
    file = tmp_path / "run" / "checkpoint.pt"
    state = torch.load(file)
    torch.save({**state, "loader": None}, file)
    run(resume=tmp_path / "run")
    assert "no order of batches" not in caplog.text  # no epoch is left
    run(resume=tmp_path / "run", overrides={"epochs": 2})
    assert "no order of batches: an earlier version wrote none for CKE" in caplog.text
