"""What a model's name stands for: a line of the registry, a model of RecBole, or a class from outside."""

import dataclasses
import importlib
import sys

import pytest
import torch

from recbole_diffusion import registry
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options import declare
from recbole_diffusion.registry import outside as outside_models


@pytest.mark.parametrize("name", registry.MODELS)
def test_the_parts_of_a_model_follow_from_its_line(name):
    cls = registry.model_class(name)
    assert cls.__name__ == name
    assert cls.__module__.startswith(f"recbole_diffusion.model.{registry.MODELS[name].family}.")
    assert registry.options_class(name).__name__ == f"{name}Options"
    assert dataclasses.is_dataclass(registry.options_class(name))
    assert isinstance(registry.part(cls, "trainer_class"), type)
    assert registry.part(cls, "loader_class").__name__ == "PositiveLoader"
    assert registry.MODELS[name].summary


def test_families_declare_what_they_share():
    def declared(name):
        cls = registry.model_class(name)
        parts = (registry.part(cls, one) for one in ("trainer_class", "dataset_class"))
        return (*(part and part.__name__ for part in parts), cls.protocol)

    assert declared("TVDiff") == ("RunTrainer", None, None)
    assert declared("DGRM") == ("AdversarialTrainer", None, "rated")
    for name, spec in registry.MODELS.items():
        if spec.family == "multimodal":
            assert declared(name) == ("RunTrainer", "MultimodalDataset", None)
        if spec.family == "cross_domain":
            assert declared(name) == ("StagedTrainer", "CrossDomainDataset", "cross_domain")


def test_a_word_that_stands_for_nothing_is_refused():
    cls = type("Mine", (registry.model_class("TVDiff"),), {"trainer_class": "stagd"})
    with pytest.raises(
        UsageError, match=r"Mine.trainer_class is 'stagd'; it takes plain, adversarial, alternating, staged"
    ):
        registry.part(cls, "trainer_class")


def test_lists_of_models_come_from_what_they_declare():
    """That each declaration is true is tested by the contract."""
    of_own, of_source = (set(names.split(", ")) for names in registry.fold_in_models())
    assert of_own >= {
        "TVDiff",
        "DGRM",
        "CFGAN",
        "MultiVAE",
        "DiffRec",
        "LDiffRec",
        "EASE",
        "SLIMElastic",
        "ItemKNN",
    }
    assert of_source >= {"DiffCDR", "EMCDR", "LACDR", "PTUPCDR", "SSCDR", "CMF", "SourceRegression"}
    assert not (of_own | of_source) & {"CNSDiff", "CCDRec", "FREEDOM", "TGT", "ItemMean", "BPR", "LightGCN"}
    having = set(registry.names_where(lambda cls: cls.has_item_vectors))
    assert having >= {"TVDiff", "CNSDiff", "CCDRec", "DiffCDR", "ItemMean", "BPR", "LightGCN", "NCL"}
    assert not having & {"DGRM", "CFGAN", "MultiVAE", "EASE"}


@pytest.mark.parametrize("name", [*registry.MODELS, *registry.BASELINES])
def test_a_known_name_gives_its_class(name):
    assert registry.model_class(name).__name__ == name
    assert registry.name_of(name) == name
    assert registry.name_of(registry.model_class(name)) == name


def test_classes_of_recbole_have_their_short_name():
    from recbole.model.general_recommender.bpr import BPR

    assert registry.name_of(BPR) == registry.name_of("recbole.model.general_recommender.bpr:BPR") == "BPR"
    assert registry.name_of("recbole_diffusion.model.rows.tvdiff:TVDiff") == "TVDiff"


def test_reading_sequential_models_leaves_autograd_as_it_was():
    assert registry.model_class("SINE").__name__ == "SINE"  # its module switches anomaly detection on
    assert not torch.is_anomaly_enabled()


UNKNOWN = {
    "tvdiff": "did you mean 'TVDiff'",
    "TVDif": "did you mean 'TVDiff'",
    "bpr": "did you mean 'BPR'",  # RecBole has a module of this name: AttributeError
    "LightGBM": "LightGCN",  # RecBole needs a package that is not there
    "Nonsense": "this package has .*TVDiff.*RecBole's general models.*BPR.*package.module:Class",
    "GeneralRecommender": "this package has",
    "../x": "this package has",
    "": "this package has",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_name_is_one_message(name):
    with pytest.raises(UsageError, match=f"unknown model '{name}'.*{UNKNOWN[name]}"):
        registry.model_class(name)


# Models from outside.

OUTSIDE = """
from recbole.model.general_recommender.bpr import BPR
from recbole_diffusion.model.base import Recommender

class Mine(Recommender):
    pass

class OfRecBole(BPR):
    pass

class NotOne:
    pass
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A package on the path with models; models that the process has been told of are forgotten."""
    (tmp_path / "their_package").mkdir()
    (tmp_path / "their_package/__init__.py").touch()
    (tmp_path / "their_package/models.py").write_text(OUTSIDE)
    (tmp_path / "their_package/broken.py").write_text("import a_package_that_is_missing\n")
    (tmp_path / "their_package/typo.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(outside_models, "_named", {})
    yield tmp_path
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("their_package", "in_this_folder")
    ]:
        del sys.modules[name]


def test_a_class_is_named_by_module_and_class(outside):
    path = "their_package.models:Mine"
    assert registry.name_of(path) == path
    cls = registry.model_class(path)
    assert (cls.__name__, cls.__module__) == ("Mine", "their_package.models")
    assert registry.name_of(cls) == path
    assert registry.file_beside(cls, ".yaml") == outside / "their_package/Mine.yaml"


def test_a_module_of_the_current_folder_is_found(outside, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/in_this_folder.py").write_text(OUTSIDE)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    assert registry.name_of("in_this_folder:Mine") == "in_this_folder:Mine"


def test_a_subclass_of_recboles_model_declares_for_itself_what_it_can_do(outside):
    cls = registry.model_class(registry.name_of("their_package.models:OfRecBole"))
    assert registry.model_class("BPR").has_item_vectors
    assert not cls.has_item_vectors  # it may score otherwise
    assert cls.loss_names == ()


def test_a_model_that_nobody_has_named_is_not_imported(outside):
    path = "their_package.models:Mine"
    with pytest.raises(UsageError, match=f"is from outside this package.*give --model={path}"):
        registry.model_class(path)
    assert "their_package" not in sys.modules


WRONG = {
    "their_package.models:Min": "has no 'Min' .did you mean 'Mine'",
    "their_package.models:NotOne": "is <class .*NotOne'>; it must be a class that inherits",
    "their_package.models:__name__": "is 'their_package.models'; it must be a class",
    "their_package.nothing:Mine": "no module 'their_package.nothing' is found; install its package, or put",
    "nowhere.models:Mine": "no module 'nowhere' is found",
    "their_package.broken:Mine": (
        "importing their_package.broken failed: ModuleNotFoundError: No module named 'a_pack"
    ),
    "their_package.typo:Mine": "importing their_package.typo failed: SyntaxError",
    "their_package.models:": "does not name a class; write package.module:Class",
    ":Mine": "does not name a class",
    "a/b.py:Mine": "does not name a class",
}


@pytest.mark.parametrize("path", WRONG)
def test_what_cannot_be_imported_is_one_message(outside, path):
    with pytest.raises(UsageError, match=WRONG[path]) as told:
        registry.name_of(path)
    assert str(told.value).startswith(f"model {path!r}")


@pytest.fixture
def installed(outside, monkeypatch):
    """Return a function that installs entry points: name -> path."""

    def install(**points):
        for package, (name, path) in enumerate(points.items()):
            folder = outside / f"theirs_{package}-1.0.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: theirs-{package}\nVersion: 1.0\n")
            (folder / "entry_points.txt").write_text(
                f"[{outside_models.GROUP}]\n{name.strip('_')} = {path}\n"
            )
        importlib.invalidate_caches()
        outside_models.registered.cache_clear()

    yield install
    outside_models.registered.cache_clear()


def test_an_entry_point_names_a_model_and_lets_its_path_be_loaded(installed):
    installed(Theirs="their_package.models:Mine")
    path = "their_package.models:Mine"
    assert registry.model_class(path).__name__ == "Mine"  # as a run folder names it
    assert registry.name_of("Theirs") == path
    assert registry.model_class("Theirs") is registry.model_class(path)
    with pytest.raises(UsageError, match=r"unknown model 'Their' .did you mean 'Theirs'"):
        registry.model_class("Their")


def test_two_models_of_one_name_are_refused(installed):
    installed(
        Twin="their_package.models:Mine",
        Twin_="their_package.models:OfRecBole",
        BPR="their_package.models:OfRecBole",
    )
    with pytest.raises(
        UsageError, match=r"two packages have a model 'Twin': .*Mine and .*OfRecBole; give one"
    ):
        registry.name_of("Twin")
    with pytest.raises(
        UsageError, match=r"two models have the name 'BPR'.*give --model=their_package.*:OfRecBole or"
    ):
        registry.model_class(registry.name_of("BPR"))
    with pytest.raises(UsageError, match=r"--model=recbole.model.general_recommender.bpr:BPR"):
        registry.model_class("BPR")


def test_a_class_has_one_name_wherever_it_was_found(outside, installed):
    """A package that shows its model at its top: path and entry point lead to the module that defines it."""
    (outside / "their_package/__init__.py").write_text("from their_package.models import Mine\n")
    path = "their_package.models:Mine"
    assert registry.name_of("their_package:Mine") == path
    outside_models._named.clear()
    installed(Shown="their_package:Mine")
    assert registry.model_class(path).__module__ == "their_package.models"  # as a run folder names it
    assert registry.name_of("Shown") == path


TYPED = """
from __future__ import annotations
from dataclasses import dataclass
from recbole_diffusion.model.base import Recommender
from recbole_diffusion.options.declare import option

@dataclass(frozen=True)
class Options:
    width: int | None = option("a width", low=1)

@dataclass(frozen=True)
class Plain:
    width: int = 3

class Mine(Recommender):
    options_class = Options

class Other(Recommender):
    options_class = Plain
"""


def test_options_from_outside_are_made_of_option_and_may_have_types_as_text(outside):
    (outside / "their_package/typed.py").write_text(TYPED)
    options = registry.options_class(registry.name_of("their_package.typed:Mine"))
    assert declare.read_options(options, {"width": 4}).width == 4
    with pytest.raises(UsageError, match=r"'width' is 0; it takes int or null in \[1, inf\)"):
        declare.read_options(options, {"width": 0})
    with pytest.raises(
        UsageError, match=r"typed:Plain must be a frozen dataclass.*its field 'width' is not one"
    ):
        registry.options_class(registry.name_of("their_package.typed:Other"))
