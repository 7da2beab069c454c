"""A model exists because the registry has its line."""

import pytest
import torch

from recbole_diffusion import registry
from recbole_diffusion.compat import apply_all
from recbole_diffusion.errors import UsageError

apply_all()


@pytest.mark.parametrize("name", registry.MODELS)
def test_every_path_of_a_line_resolves(name):
    spec = registry.MODELS[name]
    assert registry.resolve(spec.model).__name__ == name
    assert hasattr(registry.resolve(spec.options), "__dataclass_fields__")
    for path in (spec.trainer, spec.dataset, spec.train_loader):
        assert path is None or isinstance(registry.resolve(path), type)
    assert spec.summary


@pytest.mark.parametrize("name", [*registry.MODELS, *registry.BASELINES])
def test_a_known_name_gives_its_class(name):
    assert registry.model_class(name).__name__ == name


def test_reading_sequential_models_leaves_autograd_as_it_was():
    assert registry.model_class("SINE").__name__ == "SINE"  # its module switches anomaly detection on
    assert not torch.is_anomaly_enabled()


UNKNOWN = {
    "tvdiff": "did you mean 'TVDiff'",
    "TVDif": "did you mean 'TVDiff'",
    "bpr": "did you mean 'BPR'",  # RecBole has a module of this name: AttributeError
    "LightGBM": "LightGCN",  # RecBole needs a package that is not there
    "Nonsense": "this package has .*TVDiff.*RecBole's general models.*BPR",
    "GeneralRecommender": "this package has",
    "../x": "this package has",
    "": "this package has",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_name_is_one_message(name):
    with pytest.raises(UsageError, match=f"unknown model '{name}'.*{UNKNOWN[name]}"):
        registry.model_class(name)
