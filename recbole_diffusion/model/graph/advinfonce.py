"""AdvInfoNCE: InfoNCE whose negatives are weighted by an adversary, which trains in epochs of its own.

Reference:
    Zhang, Sheng, Cai, Wang, Chua: "Empowering Collaborative Filtering with Principled Adversarial Contrastive
    Loss". NeurIPS 2023.

With cosines s of the encoder's vectors and N uniform negatives j of a pair (u, i)::

    p_j = softmax_j(a_u . b_j), a and b the adversary's tables
    L   = -log e^(s_ui/tau) / (e^(s_ui/tau) + kappa N sum_j p_j e^(s_uj/tau))

With p uniform and kappa = 1 this is InfoNCE; log(N p_j) is the hardness of a negative. The encoder descends
L and the adversary climbs it, which is a distributionally robust loss over a KL ball around uniform
negatives; how long the adversary trains sets the radius eta, the mean KL(p || uniform).
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model.encoder import Distinct
from recbole_diffusion.model.graph.host import EncoderModel, candidate_scores
from recbole_diffusion.model.graph.options import AdvInfoNCEOptions
from recbole_diffusion.model.loss import xavier
from recbole_diffusion.sampler.uniform import uniform_negatives


class AdvInfoNCE(EncoderModel):
    """The adversary's epoch goes before the encoder's in every ``adversary_interval``-th epoch, a few times.

    Differences from the authors' code:
        * kappa is ``negative_factor``, 1 by default as in the paper's formula; theirs is 64, which adds
          tau log 64 to all negatives.
        * The penalty of the negatives is half the square; theirs is 0.5 to the power of the norm. Theirs has
          one for the adversary, which is made of the encoder's vectors and so without effect: none here.
    """

    options: AdvInfoNCEOptions
    trainer_class = "adversary_epochs"

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o = self.options
        # a [n_users, width] and b [n_items, width].
        sizes = {"user": self.n_users, "item": self.n_items}
        self.adversary = nn.ParameterDict({name: xavier(n, o.adversary_size) for name, n in sizes.items()})
        self.loss_names = ("contrast", "penalty")
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:  # noqa: ARG002
        """Reset the statistics."""
        self._radii: list[Tensor] = []

    def epoch_diagnostics(self) -> dict[str, float]:
        """Return eta, the mean KL(p || uniform) of the epoch's batches."""
        return {"radius": float(torch.stack(self._radii).mean())} if self._radii else {}

    def adversary_due(self, epoch: int) -> bool:
        """Return whether the adversary has an epoch before this one of the encoder, counted from 0."""
        o = self.options

        def on(number: int) -> bool:
            return number >= o.adversary_start and (number + 3) % o.adversary_interval == 0

        return on(epoch) and sum(map(on, range(epoch))) < o.adversary_epochs

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user and item vectors of length 1, [n_users, d] and [n_items, d]: scores are cosines."""
        users, items = self.encoder.vectors()
        return F.normalize(users, dim=1), F.normalize(items, dim=1)

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, Tensor]:
        """Return L and the penalty of a batch."""
        users, items, negatives = self._drawn(interaction)
        loss, radius = self._contrast(users, items, negatives)
        self._radii.append(radius)
        everything = torch.cat([items, negatives.flatten()])
        return loss, self.options.reg_weight * self.counted_penalty(users, everything)

    def adversary_loss(self, interaction: Any) -> Tensor:
        """Return what the adversary descends, -L of a batch; the encoder's vectors have no gradient."""
        return -self._contrast(*self._drawn(interaction), of_adversary=True)[0]

    def _drawn(self, interaction: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return users and positives, long [batch], and negatives, long [batch, N]."""
        users, items = self.drawn_pairs(interaction)
        many = users.repeat_interleave(self.options.n_negatives)
        return users, items, uniform_negatives(self.positives, many).view(len(users), -1)

    def _contrast(
        self, users: Tensor, items: Tensor, negatives: Tensor, of_adversary: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return L, and the mean KL(p || uniform) without gradient."""
        some_users = Distinct(users)
        some_items = Distinct(torch.cat([items[:, None], negatives], 1), self.n_items)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not of_adversary):
            tables = self.encoder.vectors((some_users.ids, some_items.ids))
            U, V = (F.normalize(table, dim=1) for table in tables)
            # [batch, 1 + N], the positive first.
            scores = candidate_scores(F.embedding(some_users.places, U), V, some_items.places)
        a, b = F.embedding(users, self.adversary["user"]), F.embedding(some_items.ids, self.adversary["item"])
        harder = candidate_scores(a, b, some_items.places[:, 1:])
        return self.contrast(scores[:, 0], scores[:, 1:], harder)

    def contrast(self, positive: Tensor, negative: Tensor, harder: Tensor) -> tuple[Tensor, Tensor]:
        """Return L of cosines, and the mean KL(p || uniform) without gradient.

        Args:
            positive: s_ui, [batch].
            negative: s_uj, [batch, N].
            harder: a_u . b_j, [batch, N].
        """
        o, log_p = self.options, F.log_softmax(harder, dim=1)
        count = math.log(negative.shape[1])
        # log(kappa N p_j e^(s_uj / tau)), beside s_ui / tau.
        others = negative / o.temperature + log_p + count + math.log(o.negative_factor)
        own = positive / o.temperature
        loss = (torch.cat([own[:, None], others], 1).logsumexp(1) - own).mean()
        return loss, (log_p.exp() * (log_p + count)).sum(1).mean().detach()
