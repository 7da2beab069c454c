"""PRGAN: a conditional GAN on small sets of items.

References:
    Wen, Chen, Wang, Tian: "PRGAN: Personalized Recommendation with Conditional Generative Adversarial
    Networks", ICDM 2021.
    Wen, Zhu, Wang, Tian: "A framework for personalized recommendation with conditional generative adversarial
    networks", Knowledge and Information Systems 64(10), 2022.
"""

from typing import Any

import torch
from torch import Tensor, nn

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import InnerProductModel
from recbole_diffusion.model.layers import pair_scores
from recbole_diffusion.model.rows.adversarial import AdversarialRecommender, RatingRows
from recbole_diffusion.model.rows.options import PRGANOptions
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives

CHANNELS = 3  # of each convolution of the critic
SHAPES = ((2, 1), (1, 2), (2, 2))  # and their kernels, on an array of two rows


class Matcher(nn.Module):
    """Matrix factorisation without biases: the generator, and the memory of the critic."""

    def __init__(self, n_users: int, n_items: int, width: int) -> None:
        super().__init__()
        self.users = nn.Parameter(torch.randn(n_users, width) * 0.01)
        self.items = nn.Parameter(torch.randn(n_items, width) * 0.01)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the match of users, long [batch], with sets of items, long [batch, k]: [batch, k]."""
        return (self.users[users][:, None] * self.items[items]).sum(2)


class Critic(nn.Module):
    """D(m, y): three convolutions of the array [m; y] with batch norm, then a perceptron; [batch].

    m are the memory's matches, the condition, y the real or the generated ones, [batch, k] each. A bias
    before a batch norm, and that of the last layer, have no effect on the game: there are none.
    """

    def __init__(self, size: int, dropout_prob: float, memory: Matcher) -> None:
        super().__init__()
        self.memory = memory
        self.convolutions = nn.ModuleList(nn.Conv2d(1, CHANNELS, one, bias=False) for one in SHAPES)
        self.norms = nn.ModuleList(nn.BatchNorm2d(CHANNELS) for _ in SHAPES)
        # k, 2 (k - 1) and k - 1 places of each channel.
        self.layers = nn.Sequential(
            nn.Linear(CHANNELS * (4 * size - 3), 3 * size),
            nn.ReLU(),
            nn.Dropout(dropout_prob),
            nn.Linear(3 * size, 1, bias=False),
        )

    def forward(self, condition: Tensor, matches: Tensor) -> Tensor:
        """Return D, [batch]."""
        both = torch.stack([condition, matches], 1)[:, None]  # [batch, 1, 2, k]
        parts = [
            norm(layer(both)).flatten(1) for layer, norm in zip(self.convolutions, self.norms, strict=True)
        ]
        return self.layers(torch.cat(parts, 1)).squeeze(1)

    def clip(self, bound: float) -> None:
        """Clamp each weight of D, those of the batch norms too; the memory is not D."""
        with torch.no_grad():
            for part in (self.convolutions, self.norms, self.layers):
                for weight in part.parameters():
                    weight.clamp_(-bound, bound)


class PRGAN(AdversarialRecommender, InnerProductModel):
    """A user is judged with a set of k items, first p positive ones, then others.

    The real vector has 1 at the positives and 0 elsewhere, the generated one the generator's matches g.
    Memory and critic minimise mean D(m, g) - mean D(m, real), the generator minimises -mean D(m, g). Scores
    are ``high`` times the generator's matches.

    ``targets: binary`` is the papers': a positive is rated above the middle of the scale, and any other item,
    low-rated ones too, may be drawn as a negative. ``rating`` is ours: each rated item is positive, with
    rating / high in its place. The authors let the memory take the generator's weights where these rank
    better on the test lists; here they have to fit the positives' places in the real vectors better.
    """

    loss_names = ("adversarial", "critic")
    generator: Matcher
    critic: Critic
    targets: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o: PRGANOptions = config.options
        self.options, self.warming = o, False
        self.ratings = RatingRows(dataset, config.rating.rating_scale)
        # The positives by user, and what the real vector has at each, [positives].
        self.positives, values = self._positives()
        self.register_buffer("targets", values, persistent=False)
        sizes = self.n_users, self.n_items, o.embedding_size
        self.generator = Matcher(*sizes)
        self.critic = Critic(o.set_size, o.dropout_prob, Matcher(*sizes))

    def _positives(self) -> tuple[InteractionCSR, Tensor]:
        rows = self.ratings
        if self.options.targets == "rating":
            return rows.rated, rows.values
        liked = rows.values * rows.high > (rows.low + rows.high) / 2
        if not bool(liked.any()):
            raise UsageError(
                "no training rating is above the middle of rating_scale, so that PRGAN has no positive; take "
                "targets: rating"
            )
        before = torch.cat([liked.new_zeros(1).long(), liked.cumsum(0)])  # liked ones before each rating
        chosen = InteractionCSR(before[rows.rated.offsets], rows.rated.items[liked], rows.rated.n_items)
        return chosen, torch.ones(len(chosen.items))

    def begin_epoch(self, epoch: int) -> None:
        """Train the critic alone in the first epochs; then let the memory follow a better generator."""
        o = self.options
        self.warming = epoch < o.warmup_epochs
        if o.memory_copy == "better" and epoch > o.warmup_epochs:
            generator, memory = self.generator, self.critic.memory
            if self._error(generator) < self._error(memory):
                memory.load_state_dict(generator.state_dict())

    @torch.no_grad()
    def _error(self, matcher: Matcher) -> float:
        """Return the mean squared error of matches at the positives."""
        users = self.positives.keys // self.positives.n_items
        found = pair_scores(matcher.users, matcher.items, users, self.positives.items)
        return float((found - self.targets).square().mean())

    def _sets(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sets of rated pairs, long [batch, k], and the real vectors, [batch, k].

        The pair's item comes first (another positive of the user, if it is none), then further positives,
        then other items. Draws are with replacement among the user's other positives and among the others.
        """
        o, positives, many = self.options, self.positives, len(users)
        counts, first = positives.counts(users)[:, None], positives.offsets[users][:, None]
        draws = torch.rand(many, o.positives, device=users.device)
        # Which of the user's positives: the pair's, or any; then others, 1 to n - 1 places on, in a circle.
        place = torch.searchsorted(positives.keys, users * positives.n_items + items)[:, None] - first
        own = torch.where(
            positives.contains(users, items)[:, None], place, (draws[:, :1] * counts).long() % counts.clamp(1)
        )
        steps = (draws[:, 1:] * (counts - 1)).long() + 1
        places = first + torch.cat([own, (own + steps) % counts.clamp(1)], 1)  # [batch, p]
        # A user with too few positives has other items in their places.
        there = counts > torch.arange(o.positives, device=users.device).clamp(max=1)
        places = places.clamp(max=len(positives.items) - 1)
        sets = uniform_negatives(positives, users.repeat_interleave(o.set_size)).view(many, -1)
        real = torch.zeros(sets.shape, device=users.device)
        sets[:, : o.positives] = torch.where(there, positives.items[places], sets[:, : o.positives])
        real[:, : o.positives] = torch.where(there, self.targets[places], real[:, : o.positives])
        return sets, real

    def critic_loss(self, interaction: Any) -> Tensor:
        """Return mean D(m, g) - mean D(m, real), with the gradient penalty if there is one, a scalar."""
        users, o = interaction[self.USER_ID], self.options
        sets, real = self._sets(users, interaction[self.ITEM_ID])
        with torch.no_grad():
            generated = self.generator(users, sets)
        condition = self.critic.memory(users, sets)
        distance = self.critic(condition, generated).mean() - self.critic(condition, real).mean()
        if o.lipschitz == "clip":
            return distance
        between = torch.lerp(real, generated, torch.rand(len(users), 1, device=users.device))
        between.requires_grad_()
        value = self.critic(condition.detach(), between).sum()
        (slope,) = torch.autograd.grad(value, between, create_graph=True)
        return distance + o.penalty_weight * (slope.norm(dim=1) - 1).square().mean()

    def after_critic_step(self) -> None:
        """Clip the critic's weights."""
        if self.options.lipschitz == "clip":
            self.critic.clip(self.options.clip_value)

    def generator_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return -mean D(m, g), a scalar; without effect while the critic is trained alone."""
        users = interaction[self.USER_ID]
        sets, _ = self._sets(users, interaction[self.ITEM_ID])
        with torch.no_grad():
            condition = self.critic.memory(users, sets)
        loss = -self.critic(condition, self.generator(users, sets)).mean()
        return (loss * 0 if self.warming else loss,)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the generator's vectors of users, times the highest rating, and of items."""
        return self.ratings.high * self.generator.users, self.generator.items
