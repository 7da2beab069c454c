"""The one module that imports RecBole 1.2.1, and patches it; all others take RecBole's names from here.

Nothing else in the package imports ``recbole``, so that no module has to be imported before another. Below
the names are the patches that RecBole needs on a current stack: one function per gap, each with its reason.
Every function only adds a missing name or hides a message that the user cannot act on, so applying them
twice, or on an old stack, changes nothing. Gaps that need no patch are closed where they occur: checkpoints
in ``trainer/checkpoint.py`` (torch 2.6 refuses RecBole's), run folders in ``trainer/run_state.py``, model
lookup in ``registry``, dead downloads in ``data/part_files.py``.
"""

import importlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import recbole
import scipy.sparse

from recbole_diffusion.compat.deferred import imported_on_call, optimizers_without_compiler

with imported_on_call(
    {
        "sklearn.metrics": ("auc", "mean_absolute_error", "mean_squared_error"),
        "torch.utils.tensorboard": ("SummaryWriter",),
    }
):
    import recbole.evaluator.metrics as recbole_metrics
    import recbole.utils

import recbole.data.dataset as recbole_datasets
import recbole.data.transform as recbole_transform
import recbole.trainer.trainer as recbole_trainer
from recbole.config.configurator import Config as RecBoleConfig
from recbole.data.dataloader import (
    FullSortEvalDataLoader,
    NegSampleEvalDataLoader,
    TrainDataLoader,
    UserDataLoader,
)
from recbole.data.dataset import Dataset, KnowledgeBasedDataset, SequentialDataset
from recbole.data.interaction import Interaction
from recbole.data.transform import construct_transform
from recbole.data.utils import get_dataloader
from recbole.evaluator import Collector, Evaluator, metric_types, metrics_dict
from recbole.evaluator.collector import DataStruct
from recbole.evaluator.register import metric_information, smaller_metrics
from recbole.model.abstract_recommender import AbstractRecommender, GeneralRecommender
from recbole.sampler import KGSampler, RepeatableSampler, Sampler
from recbole.trainer import Trainer
from recbole.utils import (
    EvaluatorType,
    FeatureSource,
    FeatureType,
    InputType,
    ModelType,
    get_trainer,
    init_seed,
)
from recbole.utils import get_model as recbole_get_model

__all__ = [
    "RECBOLE_FOLDER",
    "AbstractRecommender",
    "Collector",
    "DataStruct",
    "Dataset",
    "Evaluator",
    "EvaluatorType",
    "FeatureSource",
    "FeatureType",
    "FullSortEvalDataLoader",
    "GeneralRecommender",
    "InputType",
    "Interaction",
    "KGSampler",
    "KnowledgeBasedDataset",
    "ModelType",
    "NegSampleEvalDataLoader",
    "RecBoleConfig",
    "RepeatableSampler",
    "Sampler",
    "SequentialDataset",
    "TrainDataLoader",
    "Trainer",
    "UserDataLoader",
    "construct_transform",
    "get_dataloader",
    "get_model",
    "get_trainer",
    "init_seed",
    "metric_information",
    "metric_types",
    "metrics_dict",
    "recbole_datasets",
    "recbole_metrics",
    "recbole_modules",
    "recbole_trainer",
    "recbole_transform",
    "smaller_metrics",
]

RECBOLE_FOLDER = Path(recbole.__file__).parent

# RecBole's name -> what it means. The upper group went away with numpy 1.24, the lower with numpy 2.0.
NUMPY_NAMES = {
    "bool": np.bool_,
    "int": np.int_,
    "float": np.float64,
    "complex": np.complex128,
    "object": np.object_,
    "str": np.str_,
    "long": np.int_,
    "unicode": np.str_,
    "float_": np.float64,
    "complex_": np.complex128,
    "unicode_": np.str_,
    "bool8": np.bool_,
}


def restore_numpy_names() -> None:
    """Set the numpy names that RecBole uses where numpy has removed them.

    ``Config.compatibility_settings`` reads ``np.float_`` and ``np.unicode_``, gone since numpy 2.0, and dies
    with AttributeError; ``Interaction`` reads ``np.float`` and works only after a ``Config`` has been made.
    """
    for name, kind in NUMPY_NAMES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            present = hasattr(np, name)
        if not present:
            setattr(np, name, kind)


def restore_dok_update() -> None:
    """Give ``scipy.sparse.dok_matrix`` its ``_update`` back.

    LightGCN, NGCF, NCL, GCMC, SpectralCF and others fill their adjacency with ``A._update(dict)``. Since
    scipy 1.13 a ``dok_matrix`` is no dict any more and keeps its entries in ``_dict``.
    """
    if not hasattr(scipy.sparse.dok_matrix, "_update"):

        def _update(self: scipy.sparse.dok_matrix, data: dict) -> None:
            self._dict.update(data)

        scipy.sparse.dok_matrix._update = _update


def quiet_deprecations() -> None:
    """Hide the deprecation warnings that RecBole's own code raises; a user cannot act on them.

    ``torch.sparse.FloatTensor``, ``torch.cuda.amp.GradScaler``, chained ``fillna`` and torch's beta notices
    of CSR tensors.
    """
    for message in (
        r".*torch\.sparse\.FloatTensor.*",
        r".*torch\.sparse\.SparseTensor.*",
        r".*GradScaler.*",
        r".*chained assignment using an inplace method.*",
        r".*Sparse CSR tensor support is in beta.*",
        r".*Sparse invariant checks are implicitly disabled.*",
        r".*non-tuple sequence for multidimensional indexing.*",
        r".*np\.\w+ is a deprecated alias.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"recbole\..*")
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=r"recbole\..*")


def ask_for_huge_pages() -> None:
    """Let torch ask the system for pages of 2 MB behind tensors of the processor that are larger than that.

    A sparse product reads rows of a table in the order of the graph. With pages of 4 kB each row of a table
    of 100 MB costs a walk through the page tables as well: 2 to 3 times the time, so that a batch grows
    faster than the data. torch reads the variable at its first tensor; one that is set stays.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def get_model(name: str) -> type[Any]:
    """Return RecBole's class of a name, as its own ``get_model`` does.

    RecBole reads all general models to find one; of these, SLIMElastic and NCEPLRec import scikit-learn.
    """
    of_scikit_learn = {
        "sklearn.linear_model": ("ElasticNet",),
        "sklearn.exceptions": ("ConvergenceWarning",),
        "sklearn.utils.extmath": ("randomized_svd",),
    }
    with imported_on_call(of_scikit_learn):
        importlib.import_module("recbole.model.general_recommender")
    return recbole_get_model(name)


def recbole_modules() -> dict[str, Callable[..., Any]]:
    """Return RecBole's functions of its quick start by name, with ``tune.report`` as a current Ray has it.

    ``recbole.quick_start`` imports Ray for that one call, which takes seconds; here it waits for the call.
    """
    with imported_on_call({"ray": ("tune",)}):
        quick_start = importlib.import_module("recbole.quick_start.quick_start")
    vars(quick_start)["tune"] = SimpleNamespace(report=_report)
    names = ("get_model", "get_trainer", "create_dataset", "data_preparation", "load_data_and_model")
    return {name: getattr(quick_start, name) for name in names}


def _report(**metrics: Any) -> None:
    """Report to Ray Tune: a current Ray takes one mapping, RecBole gives keywords."""
    importlib.import_module("ray.tune").report(metrics)


restore_numpy_names()
restore_dok_update()
optimizers_without_compiler()
ask_for_huge_pages()
quiet_deprecations()
