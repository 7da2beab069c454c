"""Gaps between RecBole 1.2.1 and the current stack, closed; imports that wait for the first use."""

import importlib
import sys
import types
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recbole_diffusion import compat
from recbole_diffusion.compat.deferred import imported_on_call
from recbole_diffusion.registry import model_class

GONE_IN_NUMPY_2 = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}


@pytest.fixture
def bare_numpy(monkeypatch):
    """Numpy as a user has it: without the names that were removed, whatever has run before."""
    for name in compat.NUMPY_NAMES:
        if name not in np.__all__:
            monkeypatch.delattr(np, name, raising=False)


@pytest.mark.parametrize("name", sorted(GONE_IN_NUMPY_2))
def test_names_that_config_reads_come_back(bare_numpy, name):
    with pytest.raises(AttributeError, match=name):
        getattr(np, name)
    compat.restore_numpy_names()
    assert getattr(np, name) is GONE_IN_NUMPY_2[name]


def test_names_that_interaction_reads_come_back(bare_numpy):
    with pytest.raises(AttributeError, match="float"):
        compat.Interaction({"user_id": [1, 2]})
    compat.restore_numpy_names()
    assert compat.Interaction({"user_id": [1, 2]})["user_id"].tolist() == [1, 2]


def test_a_name_that_numpy_has_is_left_alone(monkeypatch):
    mine = object()
    monkeypatch.setattr(np, "float_", mine, raising=False)
    compat.restore_numpy_names()
    assert np.float_ is mine  # noqa: NPY201


def test_dok_matrix_can_be_filled_from_a_dictionary(monkeypatch):
    entries = {(0, 1): 1.0, (2, 0): 3.0}
    monkeypatch.delattr(sp.dok_matrix, "_update", raising=False)
    with pytest.raises(AttributeError, match="_update"):
        sp.dok_matrix((3, 2))._update(entries)
    compat.restore_dok_update()
    matrix = sp.dok_matrix((3, 2))
    matrix._update(entries)
    assert matrix.tocoo().toarray().tolist() == [[0, 1], [0, 0], [3, 0]]
    assert callable(model_class("LightGCN").get_norm_adj_mat)


MESSAGES = [
    "torch.sparse.FloatTensor(indices, values, shape, *, device=) is deprecated",
    "`torch.cuda.amp.GradScaler(args...)` is deprecated",
    "A value is trying to be set on a copy of a DataFrame or Series through chained assignment using an "
    "inplace method.",
    "Sparse CSR tensor support is in beta state",
    "Sparse invariant checks are implicitly disabled",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_that_nobody_can_act_on_are_hidden(message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning):
            warnings.warn(message, UserWarning, stacklevel=1)
        compat.quiet_deprecations()
        warnings.warn(message, UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="another"):
            warnings.warn("another message", UserWarning, stacklevel=1)


def test_applying_twice_changes_nothing():
    before = {name: getattr(np, name) for name in compat.NUMPY_NAMES}, sp.dok_matrix._update
    compat.restore_numpy_names()
    compat.restore_dok_update()
    assert ({name: getattr(np, name) for name in compat.NUMPY_NAMES}, sp.dok_matrix._update) == before


LATER = """
class SoonWarning(UserWarning):
    pass

def double(number, plus=0):
    return 2 * number + plus
"""


@pytest.fixture
def later(tmp_path, monkeypatch):
    """A package that nobody has imported."""
    (tmp_path / "only_later").mkdir()
    (tmp_path / "only_later" / "__init__.py").touch()
    (tmp_path / "only_later" / "words.py").write_text(LATER)
    monkeypatch.syspath_prepend(tmp_path)
    yield "only_later.words"
    for name in ("only_later", "only_later.words"):
        sys.modules.pop(name, None)


def test_a_function_is_imported_when_it_is_called(later):
    with imported_on_call({later: ("double",)}):
        from only_later.words import double
    assert later not in sys.modules
    assert double(4, plus=1) == 9
    assert double(1) == sys.modules[later].double(1) == 2


def test_a_category_of_warnings_hides_the_real_ones(later):
    with imported_on_call({later: ("SoonWarning",)}):
        from only_later.words import SoonWarning
    real = importlib.import_module(later).SoonWarning
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", category=SoonWarning)
        warnings.warn("soon", real, stacklevel=1)
        warnings.warn("other", UserWarning, stacklevel=1)
    assert [str(one.message) for one in told] == ["other"]


def test_what_is_loaded_or_not_installed_is_left_to_python(later):
    real = importlib.import_module(later)
    with imported_on_call({later: ("double",), "no_such_package.words": ("double",)}):
        from only_later.words import double

        with pytest.raises(ImportError, match="no_such_package"):
            importlib.import_module("no_such_package.words")
    assert double is real.double
    assert sys.modules[later] is real


def test_an_error_in_the_block_leaves_nothing_behind(later):
    with pytest.raises(ZeroDivisionError), imported_on_call({later: ("double",)}):
        raise ZeroDivisionError
    assert later not in sys.modules


def test_metrics_of_scikit_learn_give_their_values():
    metrics = compat.recbole_metrics
    assert metrics.sk_auc([0.0, 0.0, 1.0], [0.0, 0.5, 1.0]) == 0.75
    assert metrics.mean_absolute_error([1.0, 2.0], [2.0, 4.0]) == 1.5
    assert metrics.mean_squared_error([1.0, 2.0], [2.0, 4.0]) == 2.5


def weights_after(kind, **options):
    """Return a weight after two steps along known gradients, the second after a stored state."""
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = kind([weight], lr=0.1, **options)
    for gradient in ([0.5, 1.0], [-1.0, 0.25]):
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.zero_grad()
    assert weight.grad is None
    return weight.detach()


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD", "Adagrad", "RMSprop"])
def test_optimizers_do_the_same_without_the_compiler_and_ask_it_once_it_is_loaded(name, monkeypatch):
    kind = getattr(torch.optim, name)
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    without = weights_after(kind)
    assert "torch._dynamo" not in sys.modules
    asked = []
    compiler = types.ModuleType("torch._dynamo")
    compiler.graph_break = lambda: asked.append("break")
    compiler.disable = lambda function, *_, **__: function
    monkeypatch.setitem(sys.modules, "torch._dynamo", compiler)
    monkeypatch.setattr(torch, "_dynamo", compiler, raising=False)
    assert torch.equal(weights_after(kind), without)
    assert asked == ["break"] * 4  # before and after each step
    assert without.tolist() != [1.0, -2.0]


def test_a_differentiable_step_keeps_its_graph():
    rate = torch.tensor(0.1, requires_grad=True)
    start = torch.ones(2, requires_grad=True)
    weight = start.clone()
    weight.grad = torch.tensor([1.0, 3.0])
    torch.optim.SGD([{"params": [weight]}], lr=rate, differentiable=True).step()
    weight.sum().backward()
    assert rate.grad.item() == -4.0
