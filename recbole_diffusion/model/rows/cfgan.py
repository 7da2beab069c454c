"""CFGAN: vector-wise adversarial collaborative filtering on rating rows.

Reference:
    Chae, Kang, Kim, Lee: "CFGAN: A Generic Collaborative Filtering Framework based on Generative Adversarial
    Networks", CIKM 2018.
"""

from typing import Any

import torch
from torch import Tensor, nn

from recbole_diffusion.model.base import FoldInHistories, pairs_of_rows
from recbole_diffusion.model.rows.adversarial import (
    AdversarialRecommender,
    RatingRows,
    perceptron,
    real_or_fake,
)
from recbole_diffusion.model.rows.options import CFGANOptions
from recbole_diffusion.sampler.uniform import uniform_negatives


class CFGAN(AdversarialRecommender):
    """A generator maps rating rows to dense rows, judged at rated and at sampled other items (CFGAN_ZP).

    A user's row, divided by the highest rating, is both the condition c_u and the real row. The generated row
    is masked with e_u + k_u, where k_u marks ``masked_negatives`` sampled unrated items, at which the real
    row has zeros. The generator minimises mean log(1 - D) plus the squared ratings that it generates for
    ``zero_negatives`` sampled unrated items.
    """

    loss_names = ("adversarial", "zeros", "critic")
    takes_histories = True
    critic: nn.Sequential

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: CFGANOptions = config.options
        o = self.options
        self.ratings = RatingRows(dataset, config.rating.rating_scale)
        # G: a rating row, [batch, n_items], to the logits of a dense row of the same shape.
        self.generator = perceptron(self.n_items, o.hidden_size, self.n_items, nn.Sigmoid())
        # D: a row and its condition side by side, [batch, 2 n_items], to one logit each.
        self.critic = perceptron(2 * self.n_items, o.critic_size, 1, nn.Sigmoid())
        self.warn_if_wide()

    def _rows(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Return rating rows and rated masks, [batch, n_items] each."""
        # [cells] each: who has rated what, and how.
        items, _, rows, values = self.ratings.gather(users)[:4]
        # Rating row and e_u: the ratings, and ones, at the same cells.
        row = self.ratings.dense(len(users), rows, items, values)
        return row, self.ratings.dense(len(users), rows, items, torch.ones_like(values))

    def _sampled(self, users: Tensor, mask: Tensor, count: int) -> Tensor:
        """Return a mask of ``count`` sampled unrated items, fewer if drawn twice, [batch, n_items]."""
        found = torch.zeros_like(mask)
        if count:
            # Drawn with replacement, [batch * count]; as a mask, an item drawn twice is one cell.
            negatives = uniform_negatives(self.ratings.rated, users.repeat_interleave(count))
            found.scatter_(1, negatives.view(len(users), count), 1.0)
        return found

    def _logit(self, rows: Tensor, condition: Tensor) -> Tensor:
        # [batch, 2 n_items] -> [batch]
        return self.critic(torch.cat([rows, condition], 1)).squeeze(1)

    def critic_loss(self, interaction: Any) -> Tensor:
        """Return the discriminator's cross entropy on real and generated rows, a scalar."""
        users = interaction[self.USER_ID]
        real, mask = self._rows(users)
        # G is fixed while D learns.
        with torch.no_grad():
            shown = mask + self._sampled(users, mask, self.options.masked_negatives)  # e_u + k_u
            # D sees the generated row at e_u + k_u alone; at k_u the real row is 0 as it stands.
            fake = torch.sigmoid(self.generator(real)) * shown
        # The condition c_u of both rows is the real one.
        return real_or_fake(self._logit(real, real), self._logit(fake, real))

    def generator_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return mean log(1 - D) and the zero reconstruction, each a scalar."""
        o, users = self.options, interaction[self.USER_ID]
        real, mask = self._rows(users)
        row = torch.sigmoid(self.generator(real))  # the dense row, [batch, n_items]
        # Masked as D is trained to see it, [batch].
        logit = self._logit(row * (mask + self._sampled(users, mask, o.masked_negatives)), real)
        adversarial = -nn.functional.softplus(logit).mean()  # log(1 - sigmoid(x)) = -softplus(x)
        # The sampled unrated items are to be 0; a draw of their own, beside that of the mask.
        zeros = (row * self._sampled(users, mask, o.zero_negatives)).square().sum() / len(users)
        return adversarial, o.zero_weight * zeros

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items]."""
        # Without a mask: the dense row is the prediction, on the rating scale again.
        row, _ = self._rows(interaction[self.USER_ID])
        return self.ratings.high * torch.sigmoid(self.generator(row))

    @torch.no_grad()
    def fold_in_scores(self, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        """Return predicted ratings of all items for users by their ratings, [batch, n_items]; no noise."""
        # In 0..1, as the rows of training.
        values = histories.known_ratings / self.ratings.high
        row = self.ratings.dense(len(histories.starts), histories.rows, histories.items, values)
        return self.ratings.high * torch.sigmoid(self.generator(row))

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of user-item pairs, [batch]."""
        return pairs_of_rows(self, interaction)  # all items of a user are generated
