"""What the tests of sweeps share: a small data set that is not torn down with the first test."""

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

# Two options that decide how well MultiVAE learns, and one value of a third that cannot work: its layer has a
# negative width.
SPACE = """
latent_dimension: {choice: [1000000000000, 8, 16]}
learning_rate: {choice: [1e-5, 1e-3, 3e-2], when: {latent_dimension: [8, 16]}}
"""
BROKEN = 0  # the place of what no machine can hold in the grid of SPACE
DAMAGED = 6  # the trial whose folder is damaged: the last


@dataclass(frozen=True)
class Sweepable:
    """Options for sweeps that take seconds."""

    dataset: str
    overrides: dict
    space: Path
    small: Path

    def words(self, **options) -> list[str]:
        """Return the words of a command line."""
        given = {
            "model": "MultiVAE",
            "dataset": self.dataset,
            "space": self.space,
            **self.overrides,
            **options,
        }
        return [f"--{name}={value}" for name, value in given.items()]


@pytest.fixture(scope="module")
def sweepable(tmp_path_factory) -> Sweepable:
    """60 users with 20 of the 25 even or odd items, as one file that every run splits."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "data/parity").mkdir(parents=True)
    draw = random.Random(1)
    rows = [f"u{user}\ti{item}" for user in range(60) for item in draw.sample(range(user % 2, 50, 2), 20)]
    (folder / "data/parity/parity.inter").write_text(
        "\n".join(["user_id:token\titem_id:token", *rows]) + "\n"
    )
    space = folder / "space.yaml"
    space.write_text(SPACE)
    small = folder / "small.yaml"
    small.write_text("learning_rate: {choice: [1e-3, 3e-2]}\n")
    overrides = {
        "data_path": str(folder / "data"),
        "load_col": {"inter": ["user_id", "item_id"]},
        "use_gpu": False,
        "epochs": 9,
        "stopping_step": 100,
        "mlp_hidden_size": [16],
        "train_batch_size": 16,
        "topk": [5],
        "valid_metric": "NDCG@5",
        "report_groups": 0,
        "seed": 5,
    }
    return Sweepable("parity", overrides, space, small)
