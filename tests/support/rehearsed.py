"""Every model on the device of ``testing/rehearsal.py``: a script, since torch keeps such a device for good.

    python rehearsed.py FOLDER MODEL...

prints a JSON object by model: ``error``, or the metrics of the test and where its lists lie.
"""

import json
import random
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from recbole_diffusion import load_run, registry, run
from recbole_diffusion.testing import FAST, make_checkerboard, make_two_domains
from recbole_diffusion.testing.features import MODALITIES, write_features
from recbole_diffusion.testing.rehearsal import NAME, on_the_device
from support.small import with_times

OPTIONS = {"epochs": 1, "show_progress": False, "use_gpu": False, "seed": 1}
ALSO_ON_CPU = ("TVDiff", "DGRM", "CNSDiff")


def rated_data(folder: Path) -> dict[str, Any]:
    draw, place = random.Random(3), folder / "rated"
    place.mkdir()
    rows = [f"u{u}\ti{i}\t{draw.randint(1, 5)}" for u in range(40) for i in draw.sample(range(60), 20)]
    header = "user_id:token\titem_id:token\trating:float"
    (place / "rated.inter").write_text("\n".join([header, *rows]) + "\n")
    columns = {"inter": ["user_id", "item_id", "rating"]}
    return {"dataset": "rated", "data_path": str(folder), "rating_scale": [1, 5], "load_col": columns}


def data_of(model: str, folder: Path) -> dict[str, Any]:
    family = registry.MODELS[model].family if model in registry.MODELS else ""
    if family == "rows" and registry.model_class(model).predicts_ratings:
        return rated_data(folder)
    if family == "cross_domain":
        two = make_two_domains(folder)
        return {"dataset": two.name, **two.overrides, **FAST, "stage_cache": str(folder.parent / "stages")}
    board = make_checkerboard(folder)
    if model == "CDR":
        with_times(board)
    if model in ("DDRM", "HDRM"):
        return {"dataset": board.name, **board.overrides, "encoder_epochs": 2, "denoiser_sizes": [16, 32]}
    if family == "multimodal":
        write_features(board)
        graphs = {"knn_k": 5} if "knn_k" in registry.options_class(model).__dataclass_fields__ else {}
        return {"dataset": board.name, **board.overrides, "modalities": list(MODALITIES), **graphs}
    return {"dataset": board.name, **board.overrides}


def used(model: str, folder: Path) -> dict[str, Any]:
    """Train an epoch, go on for a second, load, recommend, and take the vectors."""
    given = {**data_of(model, folder), **OPTIONS}
    found: dict[str, Any] = {}
    with on_the_device():
        first = run(model, overrides={**given, "runs_path": str(folder / "runs")})
        run(resume=first["run_dir"], overrides={"epochs": 2})
        trained = load_run(first["run_dir"])
        weights = list(trained.model.parameters()) or list(trained.model.buffers())
        found["places"] = sorted({one.device.type for one in weights})
        found["lists"] = len(trained.recommend(k=3))
        if trained.model.has_item_vectors:
            found["vectors"] = list(trained.vectors()[1].shape)
        found["evaluated"] = trained.evaluate()
    if model in ALSO_ON_CPU:
        found["cpu"] = run(model, overrides={**given, "runs_path": str(folder / "cpu")})["test"]
    return {**found, "test": first["test"]}


def main() -> None:
    results = {"device": NAME}
    for model in sys.argv[2:]:
        folder = Path(tempfile.mkdtemp(dir=sys.argv[1]))
        try:
            results[model] = used(model, folder)
        except Exception:
            results[model] = {"error": traceback.format_exc()[-1500:]}
    print("FOUND" + json.dumps(results))  # noqa: T201


if __name__ == "__main__":
    main()
