"""What DDRM and HDRM share: two networks that denoise user and item vectors, each given the other's.

The vectors are those of an encoder that is trained first and then stays as it is.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.diffusion import GaussianDiffusion, sinusoidal_embedding, uniform_steps
from recbole_diffusion.model.base import InnerProductModel
from recbole_diffusion.model.loss import sum_by_row
from recbole_diffusion.model.stage import TrainingStage, UpdateStep
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}
FIRST_BETA = 1e-5  # of the released code, against overfitting at the first step
TIME_SIZE = 10


class ConditionalDenoiser(nn.Module):
    """A perceptron from a noisy vector, its step and a condition to the estimate of the clean vector.

    Args:
        width: d.
        sizes: of the hidden layers, from the last to the first: [200, 600] is 600 - 200 - 600.
        activation: after each layer but the last.
        dropout_prob: of the noisy vector in training.
    """

    def __init__(self, width: int, sizes: Sequence[int], activation: str, dropout_prob: float) -> None:
        super().__init__()
        self.dropout, self.step_layer = nn.Dropout(dropout_prob), nn.Linear(TIME_SIZE, TIME_SIZE)
        widths = [2 * width + TIME_SIZE, *reversed(sizes[1:]), *sizes, width]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers[:-1])
        for one in self.modules():
            if isinstance(one, nn.Linear):
                nn.init.xavier_normal_(one.weight)
                nn.init.normal_(one.bias, std=0.001)

    def forward(self, noisy: Tensor, condition: Tensor, t: Tensor) -> Tensor:
        """Return the estimate of the clean vectors, [batch, d]; a step t may be past the schedule's end."""
        steps = self.step_layer(sinusoidal_embedding(t, TIME_SIZE))
        return self.layers(torch.cat([self.dropout(noisy), steps, condition], 1))


def random_triples(positives: InteractionCSR, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return users, items and uniform negatives of numbers of training rows, long [batch] each."""
    users, items = positives.keys[rows] // positives.n_items, positives.items[rows]
    return users, items, uniform_negatives(positives, users)


class DenoisedVectors(InnerProductModel):
    """Two stages: an encoder, and two denoisers of its frozen user and item vectors.

    Scores are inner products of the item vectors with what the chain makes of a user: it begins with the
    mean vector of the user's items, noised, and ends with the vector of an item for this user.

    A subclass gives the encoder and its loss, the vectors, and the loss of the second stage.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    trainer_class = "staged"
    loss_names = ("encoder", "denoiser")
    denoises: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o = self.options = config.options
        self.general = config.general
        self.interactions = binary_interactions(dataset)
        self.positives = InteractionCSR.from_scipy(self.interactions)
        self.diffusion = GaussianDiffusion(o.betas(), first_beta=FIRST_BETA)
        self.of_users, self.of_items = (
            ConditionalDenoiser(o.embedding_size, o.denoiser_sizes, o.activation, o.dropout_prob)
            for _ in range(2)
        )
        # Whether the second stage has begun; before it the encoder scores. In checkpoints.
        self.register_buffer("denoises", torch.tensor(True))
        self._forget()

    # Given by a subclass.

    def encoder_module(self) -> nn.Module:
        """Return the module that the first stage trains."""
        raise NotImplementedError

    def encoder_step(self) -> UpdateStep:
        """Return the update of the first stage on numbers of training rows."""
        raise NotImplementedError

    def encoded(self) -> tuple[Tensor, Tensor]:
        """Return the vectors that are denoised, [n_users, d] and [n_items, d]."""
        raise NotImplementedError

    def denoising_loss(self, users: Tensor, items: Tensor, negatives: Tensor) -> Tensor:
        """Return the loss of the two networks on a batch, long [batch] each, a scalar."""
        raise NotImplementedError

    def encoder_loss(self, users: Tensor, items: Tensor, negatives: Tensor) -> Tensor:
        """Return the loss of the encoder on a batch, long [batch] each, a scalar."""
        raise NotImplementedError

    def encoder_scores(self) -> tuple[Tensor, Tensor]:
        """Return the vectors with which the encoder alone scores."""
        raise NotImplementedError

    def end_scores(self, users: Tensor, denoised: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors that score, of what the chain has made of all users and of the items."""
        raise NotImplementedError

    # Training.

    def stages(self) -> list[TrainingStage]:
        """Return the stages ``encoder`` and ``denoiser``."""
        o, general = self.options, self.general
        rows = torch.arange(len(self.positives.items))
        networks = [*self.of_users.parameters(), *self.of_items.parameters()]
        train = UpdateStep(
            lambda of: self.denoising_loss(*random_triples(self.positives, of)),
            networks,
            general.learning_rate,
        )
        return [
            TrainingStage(
                name="encoder",
                steps=(self.encoder_step(),),
                rows=rows,
                batch_size=general.train_batch_size,
                epochs=o.encoder_epochs,
                stopping_step=o.encoder_stopping_step,
                begin=lambda: self._begin(denoises=False),
                module=self.encoder_module(),
                key=o.encoder_key(self.interactions, general),
                rate_option="encoder_learning_rate",
            ),
            TrainingStage(
                name="denoiser",
                steps=(train,),
                rows=rows,
                batch_size=general.train_batch_size,
                epochs=general.epochs,
                stopping_step=general.stopping_step,
                begin=lambda: self._begin(denoises=True),
            ),
        ]

    def _begin(self, denoises: bool) -> None:
        # So that a stage has the same noise, whether the one before was trained or taken from a cache.
        torch.manual_seed(self.general.seed + denoises)
        self.denoises.fill_(denoises)
        self._forget()

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, Tensor]:
        """Return the losses of both stages on a batch; training itself follows :meth:`stages`."""
        self._forget()  # here the encoder may move between two batches
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        triples = users, items, uniform_negatives(self.positives, users)
        return self.encoder_loss(*triples), self.denoising_loss(*triples)

    def _forget(self) -> None:
        super()._forget()
        self._frozen: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def frozen(self) -> tuple[Tensor, Tensor]:
        """Return :meth:`encoded` without gradient, kept until the mode changes."""
        if self._frozen is None:
            self._frozen = self.encoded()
        return self._frozen

    def denoised_pairs(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the estimates of clean user and item vectors from noised ones, [batch, d] each.

        One step for both sides of a pair, a noise for each; the condition is the clean other side.
        """
        t = uniform_steps(self.diffusion.steps, len(u), device=u.device)
        noisy_u, noisy_v = (self.diffusion.q_sample(one, t, self.noise(one)) for one in (u, v))
        return self.of_users(noisy_u, v, t), self.of_items(noisy_v, u, t)

    def noise(self, x0: Tensor) -> Tensor:
        """Return the noise of clean vectors, [batch, d]."""
        return torch.randn_like(x0)

    # Scoring.

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, .] and item vectors [n_items, .]."""
        if not self.denoises:
            return self.encoder_scores()
        users, items = self.frozen()
        return self.end_scores(users, self.chain(users, self.history_means(items)), items)

    def history_means(self, items: Tensor) -> Tensor:
        """Return the mean vector of each user's items, [n_users, d]; zeros without any."""
        counts = self.positives.offsets.diff().clamp(min=1)
        sums = sum_by_row(items, self.positives.items, self.positives.offsets[:-1])
        return sums / counts[:, None]

    def chain(self, users: Tensor, start: Tensor) -> Tensor:
        """Return the item vectors that the reverse chain makes of noised starts, [n_users, d].

        It follows the posterior means for S steps. Where S exceeds T, the steps beyond the schedule have its
        last entries, and the network sees their numbers.
        """
        diffusion, last = self.diffusion, self.diffusion.steps - 1
        generator = torch.Generator(start.device).manual_seed(self.general.seed)
        noise = torch.randn(start.shape, generator=generator, device=start.device)
        x = diffusion.signal[last] * start + diffusion.noise[last] * noise
        for step in range(self.options.chain_steps() - 1, -1, -1):
            t = torch.full((len(x),), step, device=x.device)
            x = diffusion.posterior_mean(self.of_items(x, users, t), x, t.clamp(max=last))
        return x
