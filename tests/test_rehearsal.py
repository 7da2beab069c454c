"""On a device that refuses tensors of the processor, every model trains, resumes, serves and evaluates."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.rehearsed import ALSO_ON_CPU

from recbole_diffusion import registry

MODELS = [*registry.MODELS, "BPR", "LightGCN", "NeuMF", "MultiVAE", "DiffRec", "ItemKNN", "EASE"]
SCRIPT = Path(__file__).parent / "support" / "rehearsed.py"
MIXED = """
import torch
from recbole_diffusion.testing.rehearsal import on_the_device
with on_the_device() as device:
    table, plain = torch.arange(6.0, device=device).view(3, 2), torch.ones(3, 2)
    print(table[torch.tensor([2, 0])].tolist(), (table * torch.tensor(2.0)).sum().item(), table.cpu().device)
    for make in (lambda: table + plain, lambda: plain.index_copy(0, torch.tensor([0]), table[:1])):
        try:
            make()
        except RuntimeError as error:
            print("refused", "same device" in str(error))
"""


def in_a_process(*words: str, seconds: int = 290) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, timeout=seconds
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = in_a_process(str(SCRIPT), str(tmp_path_factory.mktemp("rehearsal")), *MODELS, seconds=590)
    return json.loads(out.rpartition("FOUND")[2])


def test_the_device_computes_takes_indices_and_refuses_what_is_elsewhere():
    out = in_a_process("-c", MIXED).splitlines()
    assert out[0] == "[[4.0, 5.0], [0.0, 1.0]] 30.0 cpu"
    assert out[1:] == ["refused True", "refused True"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", MODELS)
def test_a_model_works_on_a_device(found, model):
    result = found[model]
    assert "error" not in result, result["error"]
    assert result["places"] in (["rehearsal"], [])
    assert result["lists"] > 0
    assert result["evaluated"].keys() >= {"test"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", ALSO_ON_CPU)
def test_its_numbers_are_those_of_the_processor(found, model):
    assert found[model]["test"] == pytest.approx(found[model]["cpu"], abs=2e-2)
