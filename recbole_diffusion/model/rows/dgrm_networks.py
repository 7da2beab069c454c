"""The two networks of DGRM: a generator of ratings, and a critic between two steps of the diffusion."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.layers import gram, pair_scores
from recbole_diffusion.model.rows.adversarial import RatedCells
from recbole_diffusion.model.rows.dgrm_options import DGRMOptions

SLOPE = 0.2  # of the critic's leaky rectifier


def _table(n_items: int, width: int, inputs: int) -> nn.Parameter:
    """Return a part [n_items, width] of a first layer of ``inputs`` inputs by Glorot's normal rule."""
    # Glorot's deviation for the whole layer, of whose inputs this table has a part.
    table = torch.randn(n_items, width) * math.sqrt(2 / (inputs + width))
    # The padding item is 0 in each row, so that its weights get no gradient.
    table[0] = 0
    return nn.Parameter(table)


class Generator(nn.Module):
    """G(R^t, z, v_t): a perceptron from noised row, noise vector and step embedding to ratings of all items.

    The row's part of the first layer is kept as a matrix W [n_items, hidden], which multiplies a dense R^t in
    training; prediction works on the projection R^t W alone.
    """

    def __init__(self, n_items: int, options: DGRMOptions, mean: float, high: float) -> None:
        super().__init__()
        self.options = options
        # First layer: tanh(R^t W + [z, v_t] C + b), with W [n_items, hidden]; C and b are ``context``.
        self.W = losses.xavier(n_items, options.hidden_size)
        # v_t, [T, step_size].
        self.steps = nn.Embedding(options.steps, options.step_size)
        self.context = nn.Linear(options.noise_size + options.step_size, options.hidden_size)
        # One layer over [R^t, z, v_t]: the same scale for all of it, so that z does not drown the row.
        inputs = n_items + options.noise_size + options.step_size
        nn.init.normal_(self.context.weight, std=math.sqrt(2 / (inputs + options.hidden_size)))
        nn.init.zeros_(self.context.bias)
        # Output: one rating for each item, hidden V^T + bias.
        self.V = losses.xavier(n_items, options.hidden_size)
        # Around a closed form (``base``) the output is what is added to it, of either sign, in ratings: in
        # the unit of the rows a step of the optimizer would be ``high`` times as long.
        self.unit = 1.0 if options.base == "none" else 1 / high
        self.bounded = options.output == "sigmoid" and options.base == "none"
        # Where it starts: at the mean rating, at its logit under a sigmoid, or at the closed form.
        start = math.log(mean / (1 - mean)) if self.bounded else mean
        self.bias = nn.Parameter(torch.full((n_items,), start if options.base == "none" else 0.0))
        with torch.no_grad():
            for table in (self.W, self.V, self.bias):
                table[0] = 0  # the padding item is never rated

    def hidden(self, projected: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """Return the hidden layer [batch, hidden] from R^t W [batch, hidden], z [batch, z] and steps."""
        # [z, v_t], [batch, noise_size + step_size], through its part of the layer.
        return torch.tanh(projected + self.context(torch.cat([z, self.steps(t)], 1)))

    def rated(self, hidden: Tensor, rows: Tensor, items: Tensor) -> Tensor:
        """Return the ratings of the cells (rows[k], items[k]), [cells]; no others need to be computed."""
        return self._output(pair_scores(hidden, self.V, rows, items) + self.bias[items])

    def all(self, hidden: Tensor) -> Tensor:
        """Return the ratings of all items, [batch, n_items]."""
        return self._output(torch.addmm(self.bias, hidden, self.V.T))

    def _output(self, scores: Tensor) -> Tensor:
        return torch.sigmoid(scores) if self.bounded else self.unit * scores


class Critic(nn.Module):
    """D(R^{t-1}, R^t, t): a perceptron on two rows and the step embedding, one number.

    Its first layer has one matrix for each of its inputs and is computed in parts, because the rows that it
    is asked about share theirs: real and generated R^{t-1} have one R^t, a row between the two has a first
    layer between theirs, and of a generated row only the rated cells depend on the generator::

        first = R^{t-1} B + R^t A + v_t K + bias        B, A [n_items, critic_size], K in ``context``
        D     = last(leaky_relu(first))
    """

    def __init__(self, n_items: int, options: DGRMOptions) -> None:
        super().__init__()
        # The first layer reads [R^{t-1}, R^t, v_t] side by side.
        inputs, width = 2 * n_items + options.step_size, options.critic_size
        # B and A of the class, [n_items, critic_size] each.
        self.before = _table(n_items, width, inputs)
        self.after = _table(n_items, width, inputs)
        self.steps = nn.Embedding(options.steps, options.step_size)
        # K and the bias.
        self.context = nn.Linear(options.step_size, width)
        nn.init.normal_(self.context.weight, std=math.sqrt(2 / (inputs + width)))
        nn.init.zeros_(self.context.bias)
        cancels = options.objective == "wasserstein"  # a constant in both means of Eq. 21
        self.last = nn.Linear(width, 1, bias=not cancels)
        nn.init.xavier_normal_(self.last.weight)
        if not cancels:
            nn.init.zeros_(self.last.bias)

    def condition(self, after: Tensor, t: Tensor) -> Tensor:
        """Return R^t A + v_t K + bias for R^t [batch, n_items] and steps [batch], [batch, critic_size]."""
        return after @ self.after + self.context(self.steps(t))

    def first_layer(self, condition: Tensor, before: Tensor) -> Tensor:
        """Return the first layer before its activation, [batch, critic_size].

        Args:
            condition: from :meth:`condition`, [batch, critic_size].
            before: R^{t-1}, or its dense part, [batch, n_items].
        """
        return condition + before @ self.before

    def with_sparse_row(self, first: Tensor, cells: RatedCells, values: Tensor) -> Tensor:
        """Return a first layer with a sparse part of R^{t-1} added: ``values`` [cells] at the rated cells."""
        return first + losses.sum_by_row(self.before, cells.items, cells.starts, values)

    def value(self, first: Tensor) -> Tensor:
        """Return D [batch] from the first layer before its activation, [batch, critic_size]."""
        # [batch, critic_size] -> [batch, 1] -> [batch]
        return self.last(F.leaky_relu(first, SLOPE)).squeeze(1)

    def slope(self, first: Tensor) -> Tensor:
        """Return the norm of the derivative of the value by R^{t-1} at a first layer, [batch].

        The derivative is g B^T with g = last.weight * leaky_relu'(first), so that its squared norm is g B^T B
        g^T: the Gram matrix of B instead of a second backward pass over [batch, n_items].
        """
        g = self.last.weight * torch.where(first > 0, 1.0, SLOPE)  # [batch, critic_size]
        squares = ((g @ gram(self.before)) * g).sum(1)
        return squares.clamp_min(1e-20).sqrt()  # the root has no slope at 0

    def forward(self, before: Tensor, after: Tensor, t: Tensor) -> Tensor:
        """Return D(R^{t-1}, R^t, t) for rows [batch, n_items] each and steps [batch], [batch]."""
        return self.value(self.first_layer(self.condition(after, t), before))
