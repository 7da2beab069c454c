"""First stages of RecBole's models, which count their epochs by an option of their own and validate none."""

import json
from pathlib import Path

import torch

from recbole_diffusion.quick_start import run
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.trainer import checkpoint

SMALL = {"latent_dimension": 8, "mlp_hidden_size": [16], "critic_layers": [8]}
STAGE = {"train_stage": "actor_pretrain", **SMALL}


def trained(checkerboard, place, **options):
    folder = str(place)
    return run("RaCT", overrides={**checkerboard.overrides, **STAGE, **options, "run_dir": folder})


def weights(place):
    return checkpoint.load(Path(place) / "checkpoint.pt")["state_dict"]


def test_pretrain_epochs_count_and_nothing_chooses_among_them(checkerboard, tmp_path, caplog):
    result = trained(checkerboard, tmp_path / "run", epochs=1, pretrain_epochs=3)
    assert len(result["epoch_seconds"]) == 3 and result["best_epoch"] == 2
    assert result["selection"] == "last epoch"
    assert "pretrain_epochs, 3, counts the epochs, and not epochs; none is validated" in caplog.text
    assert yaml_io.load_yaml(tmp_path / "run" / "config.yaml")["epochs"] == 3


def test_a_first_stage_leaves_the_files_of_every_run_and_no_others(checkerboard, tmp_path, caplog):
    """RecBole's trainer wrote a file of its own every save_step epochs, which nothing can read."""
    trained(checkerboard, tmp_path / "run", pretrain_epochs=3, save_step=1)
    assert not list(tmp_path.rglob("*.pth")) and (tmp_path / "run" / "best.pt").is_file()
    assert "save_step (a first stage has the checkpoints of every run" in caplog.text


def test_a_stopped_first_stage_goes_on_to_its_last_epoch(checkerboard, tmp_path):
    """It was taken for whole after ``epochs``, and beyond them refused."""
    whole = trained(checkerboard, tmp_path / "whole", pretrain_epochs=4)
    trained(checkerboard, tmp_path / "run", pretrain_epochs=2)
    file = tmp_path / "run" / "config.yaml"
    stored = {**yaml_io.load_yaml(file), "epochs": 1, "pretrain_epochs": 4}  # as an earlier version wrote it
    file.write_text(json.dumps(stored), encoding="utf-8")
    resumed = run(resume=tmp_path / "run")
    assert resumed["test"] == whole["test"] and len(resumed["epoch_seconds"]) == 4
    longer = run(resume=tmp_path / "run", overrides={"epochs": 5})
    assert len(longer["epoch_seconds"]) == 5
    run(resume=tmp_path / "whole", overrides={"epochs": 5})
    one, two = weights(tmp_path / "run"), weights(tmp_path / "whole")
    assert all(torch.equal(one[name], two[name]) for name in one)
