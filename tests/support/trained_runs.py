"""Runs that the tests of serving share: trained once on 40 users and 60 items whose ids need quoting."""

import random

import pytest

OPTIONS = {
    "TVDiff": {"hidden_size": 8, "steps": 3, "epochs": 6},
    "DGRM": {"hidden_size": 8, "steps": 3, "epochs": 1, "critic_size": 4},
    "BPR": {"epochs": 1},
    "LightGCN": {"epochs": 1, "embedding_size": 8},
    "EASE": {},
    "MultiVAE": {"epochs": 1, "mlp_hidden_size": [8], "latent_dimension": 4},
}


def item_token(item: int) -> str:
    return f'i,"{item}' if item == 7 else f"ü{item}"


@pytest.fixture(scope="session")
def served_data(tmp_path_factory):
    """A folder that holds the data set ``mine`` with ratings; user u7 has all but three items."""
    draw = random.Random(3)
    folder = tmp_path_factory.mktemp("serving") / "mine"
    folder.mkdir()
    rows = ["user_id:token\titem_id:token\trating:float"]
    for user in range(40):
        for item in draw.sample(range(60), 57 if user == 7 else 20):
            token = item_token(item).replace('"', '""')
            rows.append(f'u{user}\t"{token}"\t{draw.randint(1, 5)}')
    (folder / "mine.inter").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder.parent


@pytest.fixture(scope="session")
def folder_of(served_data):
    """Return a function from a model's name to the folder of its run."""
    folders = {}

    def trained(model):
        if model not in folders:
            folders[model] = served_data / f"run-{model}"
            options = {
                "data_path": str(served_data),
                "use_gpu": False,
                "run_dir": str(folders[model]),
                "topk": [5],
                "seed": 1,
            }
            columns = ["user_id", "item_id", *(["rating"] if model == "DGRM" else [])]
            options |= {
                "valid_metric": "Recall@5",
                "load_col": {"inter": columns},
                "rating_scale": [1, 5] if "rating" in columns else None,
            }
            from recbole_diffusion import run

            run(model, "mine", overrides={**options, **OPTIONS[model]})
        return folders[model]

    return trained


@pytest.fixture(scope="session")
def loaded(folder_of):
    """Return a function from a model's name to its loaded run."""
    runs = {}

    def get(model):
        if model not in runs:
            from recbole_diffusion import load_run

            runs[model] = load_run(folder_of(model))
        return runs[model]

    return get
