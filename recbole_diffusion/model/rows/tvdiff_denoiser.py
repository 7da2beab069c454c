"""TVDiff's denoiser: its item side H [n_items, width], without x_t and t, and Agg of its user side."""

import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.data.graph import scaled
from recbole_diffusion.model.loss import xavier
from recbole_diffusion.model.propagation import SparseMatrix

# Exponents a and b of G = D_U^-a R D_I^-b, by ``topology``.
POWERS = {"symmetric": (0.5, 0.5), "left": (1.0, 0.0), "linkprop": (0.25, 0.5)}


class GraphItemEncoder(nn.Module):
    """H = tanh(G^T W_U) for a constant sparse G, or a chain of them (Eq. 13).

    Args:
        factors: matrices applied to W_U one after the other, the last one [n_items, .].
        width: d.
    """

    has_bias = False

    def __init__(self, factors: list[sp.csr_matrix], width: int) -> None:
        super().__init__()
        self.factors = nn.ModuleList(SparseMatrix(factor) for factor in factors)
        # W_U, [n_users, d]: the only parameters.
        self.W_U = xavier(factors[0].shape[1], width)
        self.W_U.data[0] = 0  # the padding user has no interaction, so no item sees this row

    def forward(self) -> Tensor:
        """Return H [n_items, d]; row 0 is zero because the padding item has no interaction."""
        # From the right, so that no product of two sparse matrices is made: [., d] at each point.
        hidden = self.W_U
        for factor in self.factors:
            hidden = factor(hidden)
        return torch.tanh(hidden)


class FreeItemEncoder(nn.Module):
    """H as free parameters: under tanh without topology, or DiffRec's output layer with bias.

    Args:
        n_items: number of item ids, the padding one included.
        width: d.
        has_bias: the perceptron's form: no tanh, and a last column that meets a constant 1 on the user's
            side.
    """

    def __init__(self, n_items: int, width: int, has_bias: bool) -> None:
        super().__init__()
        self.has_bias = has_bias
        # Without the padding item, whose row of zeros is put before.
        self.weight = xavier(n_items - 1, width)
        self.bias = nn.Parameter(torch.zeros(n_items - 1, 1)) if has_bias else None

    def forward(self) -> Tensor:
        """Return H [n_items, d], or [n_items, d + 1] with bias; row 0, the padding item, is zero."""
        hidden = torch.tanh(self.weight) if self.bias is None else torch.cat([self.weight, self.bias], 1)
        return F.pad(hidden, (0, 0, 1, 0))


def make_item_encoder(denoiser: str, topology: str, interactions: sp.csr_matrix, width: int) -> nn.Module:
    """Return the item side of a denoiser.

    Args:
        denoiser: ``anisotropic`` (Eq. 13) or ``mlp`` (DiffRec's).
        topology: G of the anisotropic one (Figure 11): ``symmetric`` D_U^-1/2 R D_I^-1/2; ``left`` D_U^-1 R;
            ``linkprop`` D_U^-1/4 R D_I^-1/2, what the released code takes from the link propagation of Fu et
            al. 2022; ``three_step`` D_U^-1/2 R D_I^-1/2 R^T D_U^-1/2 R D_I^-1/2, that propagation's form with
            all exponents 1/2, as sparse factors; ``none`` no graph.
        interactions: R [n_users, n_items].
        width: d.
    """
    if denoiser == "mlp" or topology == "none":
        return FreeItemEncoder(interactions.shape[1], width, has_bias=denoiser == "mlp")
    if topology == "three_step":
        # G = S R^T S with S = D_U^-1/2 R D_I^-1/2, so G^T W = S^T (R (S^T W)).
        transposed = scaled(interactions, 0.5, 0.5).T.tocsr()
        return GraphItemEncoder([transposed, interactions, transposed], width)
    # G^T: an item's row is a sum over its users, weighed by the powers of the user's and the item's degree.
    return GraphItemEncoder([scaled(interactions, *POWERS[topology]).T.tocsr()], width)


def aggregated(z: Tensor, e: Tensor, how: str) -> Tensor:
    """Return Agg(x_t W_I, e_t) of Eq. 13, what tanh takes, [rows, d].

    Args:
        z: x_t W_I, [rows, d].
        e: e_t of each row, [rows, d], or of all of them, [1, d].
        how: ``addition`` z + e; ``product`` z * e; ``gating`` z * sigmoid(e), all element by element. The
            released code has the three, and runs the addition.
    """
    if how == "addition":
        return z + e
    return z * (e if how == "product" else torch.sigmoid(e))
