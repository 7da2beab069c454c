"""Scripts in RecBole's own words, with a model of ours and one of RecBole's; each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_diffusion import run
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.testing import make_checkerboard

EXAMPLE = Path(__file__).parent.parent / "examples" / "recbole_loop.py"
SCRIPT = """
import json, logging, sys
from recbole.config import Config
from recbole.utils import get_model as before
import recbole_diffusion

sys.modules["forbidden"] = None  # what an import that is forbidden leaves there
recbole_diffusion.enable()
from recbole.data import create_dataset, data_preparation
from recbole.quick_start import load_data_and_model, run_recbole
from recbole.trainer import Trainer
from recbole.utils import get_model, get_trainer, init_seed

found = {"ray": "ray" in sys.modules}
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())
logging.getLogger().addHandler(handler)
given = json.loads(sys.argv.pop(1))
sys.argv += ["--embedding_size=16", "--of_the_script=3"]


def numbers(result):
    return {key: float(value) for key, value in result.items()}


def trained(model, **more):
    config = Config(model=model, dataset=given["dataset"], config_dict={**given, **more})
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, valid, test = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train._dataset).to(config["device"])
    trainer = Trainer(config, model) if "by_hand" in sys.argv else None
    trainer = trainer or get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(train, valid, show_progress=False)
    return config, trainer, dict(trainer.evaluate(test, show_progress=False)), test


for name in ("TVDiff", "BPR"):
    more = {"checkpoint_dir": given["data_path"] + "/saved"} if name == "BPR" else {}
    config, trainer, result, test = trained(name, **more)
    loaded = load_data_and_model(trainer.saved_model_file)
    again = get_trainer(loaded[0]["MODEL_TYPE"], name)(config, loaded[1].to(config["device"]))
    found[name] = {
        "test": numbers(result),
        "again": numbers(again.evaluate(loaded[5], load_best_model=False)),
        "config": type(config).__name__,
        "trainer": type(trainer).__name__,
        "file": trainer.saved_model_file,
        "width": config["embedding_size"],
    }
sys.argv.append("by_hand")
config, trainer, result, _ = trained("TVDiff")
found["by_hand"] = {"trainer": type(trainer).__name__, "test": float(result["recall@10"])}
try:
    trainer.resume_checkpoint("x.pth")
except Exception as error:
    found["resume"] = str(error)
found["quick"] = float(run_recbole("TVDiff", config_dict=given)["test_result"]["recall@10"])
found["lines"] = lines
found["same"] = before is not get_model and get_model("TVDiff").__name__
print("FOUND" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    data = make_checkerboard(tmp_path_factory.mktemp("data"))
    of_run = {"epochs": 2, "use_gpu": False, "show_progress": False, "hidden_size": 8, "dataset": data.name}
    return {**data.overrides, **of_run}


def in_a_process(script: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, *script], cwd=folder, capture_output=True, text=True, env=environment, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def found(options, tmp_path_factory):
    out = in_a_process(["-c", SCRIPT, json.dumps(options)], tmp_path_factory.mktemp("script"))
    return json.loads(out.partition("FOUND")[2].splitlines()[0])


def test_the_numbers_are_those_of_run(found, options, tmp_path):
    own = run("TVDiff", overrides={**options, "embedding_size": 16, "runs_path": str(tmp_path)})["test"]
    assert found["TVDiff"]["test"] == pytest.approx(own, abs=1e-12)
    assert found["by_hand"] == {
        "trainer": found["TVDiff"]["trainer"],
        "test": pytest.approx(own["recall@10"]),
    }
    assert found["quick"] == pytest.approx(own["recall@10"])


def test_each_model_has_the_classes_of_its_package(found):
    assert (found["TVDiff"]["config"], found["BPR"]["config"]) == ("ConfigInRecBole", "Config")
    assert found["BPR"]["trainer"] == "Trainer"
    assert found["same"] == "TVDiff"


@pytest.mark.parametrize("model", ["TVDiff", "BPR"])
def test_a_saved_model_is_loaded_with_its_numbers(found, model):
    of_recbole = [key for key in found[model]["test"] if not key.startswith("rated")]
    assert {key: found[model]["again"][key] for key in of_recbole} == pytest.approx(
        {key: found[model]["test"][key] for key in of_recbole}
    )


def test_checkpoints_lie_where_the_user_wants_them(found, options):
    assert found["BPR"]["file"].startswith(options["data_path"] + "/saved/BPR-")
    assert Path(found["TVDiff"]["file"]).name == "best.pt"


def test_the_command_line_is_read_and_what_is_no_option_is_told(found):
    assert found["BPR"]["width"] == 16
    assert any("--of_the_script is no option of TVDiff" in line for line in found["lines"])


def test_ray_waits_for_a_search(found):
    assert not found["ray"]


def test_a_run_of_ours_goes_on_in_its_folder(found):
    assert "run(resume=FOLDER)" in found["resume"]


def test_a_checkpoint_of_another_process_is_refused_in_one_line(found, tmp_path):
    script = "import recbole_diffusion as ours, sys\nours.enable()\n"
    script += "from recbole.quick_start import load_data_and_model\n"
    script += "if 'trust' in sys.argv: ours.enable(trust_checkpoints=True)\n"
    script += "try: load_data_and_model(sys.argv[1])\nexcept Exception as error: print('ERROR', error)"
    file = found["BPR"]["file"]
    assert "can run code" in in_a_process(["-c", script, file], tmp_path)
    assert "ERROR" not in in_a_process(["-c", script, file, "trust"], tmp_path)


def test_the_example_runs(options, tmp_path):
    words = [f"--{name}={yaml_io.dump_value(value)}" for name, value in options.items()]
    out = in_a_process([str(EXAMPLE), *words], tmp_path)
    assert "validation" in out
    assert out.count("items") >= 3
