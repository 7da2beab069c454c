"""CODIGEM: a user row is noised a little, and a perceptron reconstructs it.

Reference:
    Walker, Zhong, Zhang, Gao, Zhou: "Recommendation via Collaborative Diffusion Generative Model", KSEM 2022.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.model.base import FoldInHistories, InnerProducts, Recommender
from recbole_diffusion.model.layers import noise_factor
from recbole_diffusion.model.loss import sum_by_row
from recbole_diffusion.model.rows.options import CODIGEMOptions
from recbole_diffusion.model.user_blocks import UserBlocks, noise_seed
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

LOG_2PI = math.log(2 * math.pi)


class Perceptron(nn.Module):
    """Hidden layers with PReLU over rows of n_items: [batch, n_items] -> [batch, width].

    Attributes:
        W: the first layer, [n_items, width]; row 0, of the padding item, is zero and stays so.
    """

    def __init__(self, n_items: int, width: int, n_layers: int, first_std: float | None = None) -> None:
        super().__init__()
        bound = n_items**-0.5  # torch's own rule for a linear layer
        self.W = nn.Parameter(torch.empty(n_items, width).uniform_(-bound, bound))
        if first_std is not None:
            nn.init.normal_(self.W, std=first_std)
        nn.init.zeros_(self.W.data[0])
        self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        deeper = [part for _ in range(n_layers - 1) for part in (nn.Linear(width, width), nn.PReLU())]
        self.rest = nn.Sequential(nn.PReLU(), *deeper)

    def forward(self, z: Tensor) -> Tensor:
        """Return the last hidden layer of dense rows z."""
        return self.after_first(z @ self.W)

    def after_first(self, projected: Tensor) -> Tensor:
        """Return the last hidden layer from z W, [batch, width]."""
        return self.rest(projected + self.bias)


class CODIGEM(Recommender):
    """A row x of 0 and 1 is noised in T steps of one variance b, and a decoder reads the first, z_0.

    z_0 = sqrt(1 - b) x + sqrt(b) eps, z_k = sqrt(1 - b) z_{k-1} + sqrt(b) eps. The decoder is trained by the
    squared error of tanh(decoder(z_0)) over all items. The paper's bound has T - 1 further networks p_k for
    z_k given z_{k+1}; no parameter of theirs reaches a score, and no gradient of theirs the decoder. So they
    are trained with ``train_chain`` alone, for the value of the bound.

    tanh is monotone: scores are what it is taken of, inner products of the last hidden layer, with a one
    behind for the bias, and the output layer.

    Differences from the authors' code:
        * The noise of scoring has a seed for each block of users; ``sampling_noise: false`` leaves it out.
        * With ``train_chain``, p_k is paired with the step that it predicts and q has its own mean; theirs
          pairs them in reverse order.
        * Adam instead of Adamax; batches are shuffled.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    has_item_vectors = True
    takes_histories = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o: CODIGEMOptions = config.options
        self.options, self.evaluation_seed = o, config.general.seed
        self.positives = InteractionCSR.from_scipy(binary_interactions(dataset))
        self.decoder = Perceptron(self.n_items, o.hidden_size, o.n_layers)
        self.output = nn.Linear(o.hidden_size, self.n_items)
        chain = range(o.steps - 1 if o.train_chain else 0)
        # p_k: the mean and the log variance of z_k from z_{k+1}, [batch, 2 n_items].
        self.reverse = nn.ModuleList(
            nn.Sequential(
                Perceptron(self.n_items, o.hidden_size, o.n_layers, first_std=1e-4),
                nn.Linear(o.hidden_size, 2 * self.n_items),
            )
            for _ in chain
        )
        self.loss_names = ("reconstruction", "chain") if o.train_chain else ()
        self.user_blocks = UserBlocks(self.n_users, o.hidden_size + 1, self._block_vectors)
        self._forget()

    # Training.

    def noised(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows after one more step of noise, and the noise, [batch, n_items] each."""
        eps = torch.randn_like(z)
        eps[:, 0] = 0.0  # there is no item 0
        return math.sqrt(1 - self.options.beta) * z + math.sqrt(self.options.beta) * eps, eps

    def calculate_loss(self, interaction: Any) -> Tensor | tuple[Tensor, Tensor]:
        """Return the squared error, half its sum over items, and the rest of the bound; means over rows."""
        users = interaction[self.USER_ID]
        items, _, rows = self.positives.gather(users)
        x = torch.zeros(len(users), self.n_items, device=users.device)
        x[rows, items] = 1.0
        z, _ = self.noised(x)
        # -log N(x; tanh(decoder(z_0)), 1) without its constant.
        error = torch.tanh(self.output(self.decoder(z))) - x
        reconstruction = error[:, 1:].square().sum() / (2 * len(users))
        return (reconstruction, self.chain_loss(z)) if self.options.train_chain else reconstruction

    def chain_loss(self, z: Tensor) -> Tensor:
        """Return sum_k [log q(z_k+1 | z_k) - log p_k(z_k | z_k+1)] - log N(z_T-1; 0, 1), a mean over rows.

        Of one sample of each z_k, as the paper has it; the log likelihoods are sums over items.
        """
        total: Tensor | float = 0.0
        for network in self.reverse:
            later, eps = self.noised(z)
            mean, log_variance = network(later).chunk(2, 1)
            log_q = -0.5 * (math.log(self.options.beta) + eps.square() + LOG_2PI)
            log_p = -0.5 * (log_variance + (z - mean).square() * torch.exp(-log_variance) + LOG_2PI)
            total = total + (log_q - log_p)[:, 1:].sum()
            z = later
        prior = -0.5 * (z.square() + LOG_2PI)
        return (total - prior[:, 1:].sum()) / len(z)

    # Scoring.

    def _forget(self) -> None:
        self._factor: Tensor | None = None
        if hasattr(self, "user_blocks"):  # not before the end of the constructor
            self.user_blocks.forget()

    @torch.no_grad()
    def _vectors(self, items: Tensor, starts: Tensor, seed: int) -> Tensor:
        """Return the last hidden layer of users with these items, and a one behind, [batch, width + 1]."""
        b = self.options.beta
        projected = math.sqrt(1 - b) * sum_by_row(self.decoder.W, items, starts)  # sqrt(1 - b) x W
        if self.options.sampling_noise:
            if self._factor is None:
                self._factor = noise_factor(self.decoder.W)  # eps W in the width of W, exact in distribution
            generator = torch.Generator(items.device).manual_seed(seed)
            eps = torch.randn(projected.shape, generator=generator, device=items.device)
            projected = projected + math.sqrt(b) * (eps @ self._factor)
        return F.pad(self.decoder.after_first(projected), (0, 1), value=1.0)

    def _block_vectors(self, users: Tensor, block: int) -> Tensor:
        items, starts, _ = self.positives.gather(users)
        return self._vectors(items, starts, noise_seed(self.evaluation_seed, block))

    def fold_in_vectors(self, histories: FoldInHistories, seed: int) -> Tensor:
        """Return the last hidden layer of users by their items, [batch, width + 1]."""
        return self._vectors(histories.items, histories.starts, seed)

    @torch.no_grad()
    def inner_products(self) -> InnerProducts:
        """Return the last hidden layer of users, and the output layer with its bias behind."""
        items = torch.cat([self.output.weight, self.output.bias[:, None]], 1)
        return InnerProducts(self.user_blocks.gather, items)

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return scores of all items, [batch, n_items]."""
        products = self.inner_products()
        return products.users(interaction[self.USER_ID]) @ products.items.T

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the scores of user-item pairs, [batch]."""
        products = self.inner_products()
        return (products.users(interaction[self.USER_ID]) * products.items[interaction[self.ITEM_ID]]).sum(1)
