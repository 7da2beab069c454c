"""The training items of users, from a small dense matrix."""

import numpy as np
import scipy.sparse as sp

from recbole_diffusion.sampler.interaction_csr import InteractionCSR


def build(dense: np.ndarray) -> InteractionCSR:
    matrix = sp.csr_matrix(dense)
    matrix.sort_indices()
    return InteractionCSR.from_scipy(matrix)
