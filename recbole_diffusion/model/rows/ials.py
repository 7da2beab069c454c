"""IALS: matrix factorisation of implicit data by alternating least squares over all cells.

References:
    Hu, Koren, Volinsky: "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
    Rendle, Krichene, Zhang, Koren: "Revisiting the Performance of iALS on Item Recommendation Benchmarks",
    RecSys 2022 (how far it goes when it is tuned).
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.model.base import FoldInHistories, InnerProductModel
from recbole_diffusion.model.history_model import history_rows
from recbole_diffusion.model.layers import gram, pair_scores
from recbole_diffusion.model.rows.options import IALSOptions

NO_SOLUTION = (
    "the least squares of IALS have no finite solution; give a larger reg_weight, or a smaller alpha or "
    "init_high"
)


class IALS(InnerProductModel):
    """min sum over all cells of c (r - x_u . y_i)^2 + lambda (|X|^2 + |Y|^2), c = 1 + alpha at r = 1, else 1.

    An epoch is one sweep: the best x of each user for fixed items, then the best y of each item, both by a
    Cholesky factor of the normal equations (Hu et al., Eq. 4 and 5), which the library ``implicit``
    computes. The items alone are the model's state. A user's vector is always the best one for the items as
    they are, so that a new user with the same items has the same scores.
    """

    input_type = InputType.POINTWISE
    trainer_class = "alternating"
    loader_class = "positives"
    takes_histories = True
    solves = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: IALSOptions = config.options
        require_implicit()
        interactions = binary_interactions(dataset)
        self.confidences = self._confident(interactions)  # c of the cells with r = 1, CSR [n_users, n_items]
        # Y, [n_items, d]; 0 for an item that nobody has, as each sweep leaves it.
        seen = torch.from_numpy(interactions.getnnz(axis=0) > 0)
        start = torch.rand(self.n_items, self.options.embedding_size) * self.options.init_high
        self.items = nn.Parameter(start * seen[:, None])

    def _confident(self, rows: sp.csr_matrix) -> sp.csr_matrix:
        """Return the confidences 1 + alpha at the entries of rows of 1."""
        return (rows * (1 + self.options.alpha)).tocsr().astype(np.float32)

    def _library(self) -> Any:
        """Return implicit's model with the items as they are."""
        o = self.options
        model = require_implicit()(
            factors=o.embedding_size,
            regularization=o.reg_weight,
            use_cg=False,  # exact
            iterations=1,
            num_threads=torch.get_num_threads(),
        )
        model.item_factors = self.items.detach().cpu().numpy().copy()
        return model

    def _solved(self, confidences: sp.csr_matrix) -> Tensor:
        """Return the best x of rows, CSR [batch, n_items], for the items as they are, [batch, d]."""
        with _solving():
            found = self._library().recalculate_user(np.arange(confidences.shape[0]), confidences)
        return torch.from_numpy(found).to(self.device)

    @torch.no_grad()
    def sweep(self) -> float:
        """Solve for all users, then for all items; return the minimised sum by interaction."""
        model = self._library()
        with _solving():
            model.fit(self.confidences, show_progress=False)
        self.items.copy_(torch.from_numpy(model.item_factors))
        self._forget()
        objective = float(self._objective(torch.from_numpy(model.user_factors).to(self.device)))
        if not np.isfinite(objective):
            raise RunError(NO_SOLUTION)
        return objective

    def _objective(self, users: Tensor) -> Tensor:
        """Return the minimised sum by interaction for vectors of all users, [n_users, d], a scalar."""
        o, cells = self.options, self.confidences.tocoo()
        row, column = (torch.from_numpy(one).long().to(self.device) for one in (cells.row, cells.col))
        seen = pair_scores(users, self.items, row, column)  # x_u . y_i where r = 1
        # Sum of the squares of all scores: <X^T X, Y^T Y>.
        everywhere = (gram(users) * gram(self.items)).sum()
        there = ((1 + o.alpha) * (1 - seen).square() - seen.square()).sum()
        penalty = o.reg_weight * (users.square().sum() + self.items.square().sum())
        return (everywhere + there + penalty) / len(row)

    def calculate_loss(self, interaction: Any) -> Tensor:  # noqa: ARG002 a sweep is over all cells
        """Return the minimised sum by interaction with the best users, a scalar."""
        return self._objective(self._solved(self.confidences))

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of users and items."""
        return self._solved(self.confidences), self.items

    @torch.no_grad()
    def fold_in_vectors(self, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002 there is no noise
        """Return the vectors of users by their items, [batch, d]."""
        return self._solved(self._confident(history_rows(histories, self.n_items)))


@contextlib.contextmanager
def _solving() -> Iterator[None]:
    """Let implicit solve: rows are computed in parallel, each by one thread.

    Raises:
        RunError: the normal equations of a row cannot be solved in single precision.
    """
    from implicit.recommender_base import ModelFitError
    from threadpoolctl import threadpool_limits

    try:
        with threadpool_limits(1, "blas"), np.errstate(all="ignore"):
            yield
    except ModelFitError as error:
        raise RunError(NO_SOLUTION) from error
    except ValueError as error:
        if "posv" not in str(error):
            raise
        raise RunError(NO_SOLUTION) from error


def require_implicit() -> Any:
    """Return the class of implicit that computes on the processor.

    Raises:
        UsageError: it is not installed.
    """
    try:
        from implicit.cpu.als import AlternatingLeastSquares
    except ImportError as error:
        raise UsageError(
            "IALS needs implicit; install it (pip install 'recbole-diffusion[ials]'), or use another model"
        ) from error
    return AlternatingLeastSquares
