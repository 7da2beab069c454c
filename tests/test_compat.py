"""Each gap between RecBole 1.2.1 and the current stack: open without the patch, closed with it."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from recbole_diffusion import compat
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
