"""The training items of users, from a small dense matrix."""

import numpy as np
import scipy.sparse as sp
import torch

from recbole_diffusion.sampler.user_items import UserItems


def build(dense: np.ndarray) -> UserItems:
    matrix = sp.csr_matrix(dense)
    matrix.sort_indices()
    return UserItems(torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices), dense.shape[1])
