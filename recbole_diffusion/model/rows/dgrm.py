"""DGRM: diffusion and a Wasserstein GAN on rating rows.

Reference:
    Deng, Wang, Ye, Ji, Wang: "DGRM: Diffusion-GAN recommendation model to alleviate the mode collapse problem
    in sparse environments".

The algorithm. R^0 is a batch of rating rows divided by the highest rating, 0 where nothing is rated; G is the
generator, D the critic, c1, c2 and sigma the posterior's tables of ``diffusion/gaussian.py``::

    a batch                                                            equation    method
        t ~ 1..T,  R^t = sqrt(abar_t) R^0 + sqrt(1 - abar_t) eps       13, 14      DGRM._noised
        F^0 = G(R^t, z, v_t) at the rated items, 0 elsewhere           step 2      DGRM._generated
        R^{t-1} = c1(t) R^0 + c2(t) R^t + sigma(t) eps'   (real)       16, 17      DGRM._previous_step
        F^{t-1} = c1(t) F^0 + c2(t) R^t + sigma(t) eps''  (fake)       20          DGRM._previous_step
        critic:     mean D(F^{t-1}, R^t, t) - mean D(R^{t-1}, R^t, t)
                    + w mean (|dD/dR^{t-1}| - 1)^2                     21          DGRM.critic_loss
        generator:  lambda |F^0 - R^0|^2 - mean D(F^{t-1}, R^t, t)     22          DGRM.generator_loss
    prediction                                                         3.3
        R^T = sqrt(abar_T) R^0 + sqrt(1 - abar_T) eps                              DGRM._denoised
        T' times: R^{t-1} = c1 G(R^t, z, v_t) + c2 R^t + sigma eps                 DGRM._denoised
        ratings of all items: G(R^{T-T'}, z, v_{T-T'})                             Generator.all

Rows are in ``adversarial.py``, G and D in ``dgrm_networks.py``; ``trainer/adversarial.py`` takes
``critic_steps`` updates of D and then ``generator_steps`` of G on each batch. In the code t counts from 0.

Ours, off by default: G may add to a closed form (``base``: F^0 = base + G), the critic's part may be weighed
by its gradient (``adversarial_share``), ratings may be read as levels (``level_share``); ``dgrm_base.py``.

Longer than most files: the paper's equations in its order, losses to sampling.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.diffusion import GaussianDiffusion, uniform_steps
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import FoldInHistories, pairs_of_rows
from recbole_diffusion.model.layers import noise_factor
from recbole_diffusion.model.rows import adversarial
from recbole_diffusion.model.rows.adversarial import (
    AdversarialRecommender,
    RatedCells,
    RatingRows,
    balance,
)
from recbole_diffusion.model.rows.dgrm_base import ClosedForm, Levels, without
from recbole_diffusion.model.rows.dgrm_networks import Critic, Generator
from recbole_diffusion.model.rows.dgrm_options import DGRMOptions
from recbole_diffusion.model.rows.dgrm_posterior import posterior_samples
from recbole_diffusion.model.rows.popularity_term import popularity_term
from recbole_diffusion.model.user_blocks import USER_BLOCK, UserBlocks, noise_seed

FIFTHS = 5  # parts of each user's ratings that are left out in turn, where ratings are read as levels


class DGRM(AdversarialRecommender):
    """A generator of ratings and a Wasserstein critic between two steps of a diffusion of rating rows.

    A pair (R^{t-1}, R^t) of the forward process is drawn as R^t given R^0, then R^{t-1} given both: the same
    joint distribution, and the critic's two inputs differ in R^0 alone.

    Prediction keeps to the rated items in its backward steps, as training does. R^T is a sparse row plus
    Gaussian noise, and so is each R^{t-1}; the generator reads them through R W alone, a sparse product plus
    a Gaussian with covariance W^T W (identity 3 of ``docs/architecture.md``; exact in distribution). So no
    row of all items exists before the last layer.

    Choices where the paper is silent or contradicts itself; ``docs/models/dgrm.md`` has all of them with
    their effect:
        * Eq. 17 has a misprint under its root; the posterior is that of Ho et al. Its variance is the
          posterior's, not beta_t.
        * ``prediction: posterior`` is section 3.3 to the letter: the sample R^{T-T'} itself is the result.
        * DGRM-KL (``objective: kl``): a discriminator with cross entropy, whose optimal logit is log(P_r /
          P_g), and the generator minimises minus its mean logit, which then is KL(P_g || P_r), Eq. 26.
        * Dropout of the generator's input and the sigmoid at its end are ours.
    """

    takes_histories = True
    generator: Generator
    critic: Critic | None
    popularity: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: DGRMOptions = config.options
        o = self.options
        self.evaluation_seed = config.general.seed
        # R^0 by user, in 0..1.
        self.ratings = RatingRows(dataset, config.rating.rating_scale)
        # Added to ratings of all items before they are read, on the rating scale, [n_items].
        counts = torch.bincount(self.ratings.rated.items, minlength=self.n_items)
        self.register_buffer("popularity", popularity_term(counts, o.popularity_weight), persistent=False)
        self.base = None if o.base == "none" else ClosedForm(dataset, self.ratings, o)
        self.diffusion = GaussianDiffusion(o.betas())
        # Deviation of the noise in the unit of the rows.
        self.unit = 1 / self.ratings.high if o.noise_unit == "rating" else 1.0
        mean = min(max(self.ratings.mean / self.ratings.high, 0.01), 0.99)  # where the sigmoid starts
        # G starts at the mean rating: its output bias is made of it.
        self.generator = Generator(self.n_items, o, mean, self.ratings.high)
        self.critic = Critic(self.n_items, o) if o.objective != "none" else None
        self.loss_names = (
            ("reconstruction",) if self.critic is None else ("reconstruction", "adversarial", "critic")
        )
        # The last hidden layer of G for each user, [n_users, hidden]: all ratings of a user follow from it.
        self.user_blocks = UserBlocks(self.n_users, o.hidden_size, self._block_states)
        self.warn_if_wide()
        self._forget()

    # Training, Eq. 11 to 22.

    def _cells(self, users: Tensor, unknown: bool = True) -> RatedCells:
        """Return the rated cells of users, with a closed form that does not know them, or one that does."""
        return self.ratings.gather(users) if self.base is None else self.base.cells(users, unknown)

    def _noised(self, users: Tensor) -> tuple[RatedCells, Tensor, Tensor]:
        """Return the rated cells, R^t [batch, n_items] (Eq. 13), and the steps [batch]."""
        cells, d = self._cells(users), self.diffusion
        # t, long [batch], from 0: the paper's step t is t - 1 here.
        if self.options.fixed_step is None:
            t = uniform_steps(self.options.steps, len(users), device=users.device)
        else:
            t = torch.full((len(users),), self.options.fixed_step - 1, device=users.device)
        # Noise in all items, and the signal sqrt(abar_t) R^0 added where there are ratings.
        xt = self._noise(len(users)).mul_(d.noise[t][:, None])  # [batch, n_items]
        return cells, self.ratings.add_to(xt, cells, d.signal[t][cells.rows] * cells.ratings), t

    def _noise(self, n_rows: int) -> Tensor:
        noise = torch.randn(n_rows, self.n_items, device=self.ratings.values.device)
        noise[:, 0] = 0  # the padding item
        return noise if self.unit == 1 else noise.mul_(self.unit)

    def _generated(self, cells: RatedCells, xt: Tensor, t: Tensor) -> Tensor:
        """Return G(R^t, z, v_t) at the rated cells, [cells]; the masking layer leaves only these (3.2)."""
        # z_u, [batch, noise_size]: the generator's own randomness beside that of R^t.
        z = torch.randn(len(t), self.options.noise_size, device=xt.device)
        seen = losses.dropout(xt, self.options.dropout_prob) if self.training else xt
        # R^t is dense, so that its projection R^t W is too: [batch, n_items] x [n_items, hidden].
        hidden = self.generator.hidden(seen @ self.generator.W, z, t)  # [batch, hidden]
        return self._rated(hidden, cells)

    def _rated(self, hidden: Tensor, cells: RatedCells, share: float = 1.0) -> Tensor:
        """Return F^0 at the cells, [cells]: the generator's ratings, on the closed form if there is one.

        Args:
            hidden: the generator's last hidden layer, [batch, hidden].
            cells: where.
            share: of the generator's part beside a closed form.
        """
        values = self.generator.rated(hidden, cells.rows, cells.items)
        return values if cells.base is None else cells.base + share * values

    # R^{t-1} given R^t and R^0 (Eq. 16, 17), in a dense part without gradient and a part as sparse as R^0.

    def _rest_of_step(self, xt: Tensor, t: Tensor) -> Tensor:
        """Return c2(t) R^t + sigma(t) eps with new noise, [batch, n_items]."""
        d = self.diffusion
        # sigma(t) eps, then + c2(t) R^t in place.
        return self._noise(len(t)).mul_(d.posterior_std(t, xt)).addcmul_(xt, d.posterior_xt[t][:, None])

    def _signal_of_step(self, cells: RatedCells, values: Tensor, t: Tensor) -> Tensor:
        """Return c1(t) R^0 at the rated cells for an R^0 with these ``values`` there, [cells]."""
        # c1 by row, [batch], at the row's cells, [cells].
        return self.diffusion.posterior_x0[t][cells.rows] * values

    def _previous_step(self, cells: RatedCells, values: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """Return R^{t-1}, drawn from the posterior for an R^0 with these ``values``, [batch, n_items]."""
        # c1(t) R^0 is 0 but at the rated cells, where it is added to the dense part.
        return self.ratings.add_to(self._rest_of_step(xt, t), cells, self._signal_of_step(cells, values, t))

    def critic_loss(self, interaction: Any) -> Tensor:
        """Return Eq. 21 with the Lipschitz penalty, or cross entropy with ``objective: kl``, a scalar."""
        o, critic = self.options, self.critic
        if critic is None:
            raise TypeError("objective: none has no critic, so it has no critic's loss")
        cells, xt, t = self._noised(interaction[self.USER_ID])
        # F^0 at the rated cells, [cells]; G is fixed while the critic learns.
        with torch.no_grad():
            generated = self._generated(cells, xt, t)
        # Real and fake rows share R^t and t, so also what these give to the critic's first layer.
        condition = critic.condition(xt, t)  # [batch, critic_size]
        # Both of [batch, critic_size]; each row of R^{t-1} and of F^{t-1} has noise of its own.
        real = critic.first_layer(condition, self._previous_step(cells, cells.ratings, xt, t))
        fake = critic.first_layer(condition, self._previous_step(cells, generated, xt, t))
        of_real, of_fake = critic.value(real), critic.value(fake)  # [batch] each
        # DGRM-KL: a discriminator's cross entropy, not the Wasserstein distance.
        if o.objective == "kl":
            return adversarial.real_or_fake(of_real, of_fake)
        # Minus the estimate of the Wasserstein distance, with the signs of Eq. 10.
        distance = of_fake.mean() - of_real.mean()
        # Weights are clipped after each update instead, see :meth:`after_critic_step`.
        if o.lipschitz == "clip":
            return distance
        # The penalty is taken at rows between real and fake ones. The layer is linear in the row, so that a
        # point between two rows has a first layer between theirs.
        between = torch.lerp(real, fake, torch.rand(len(t), 1, device=xt.device).to(real))
        # |dD/dR^{t-1}| is held at 1 for each row between, [batch].
        return distance + o.penalty_weight * (critic.slope(between) - 1).square().mean()

    def after_critic_step(self) -> None:
        """Clip the critic's weights (``lipschitz: clip``)."""
        o = self.options
        if self.critic is not None and o.objective == "wasserstein" and o.lipschitz == "clip":
            with torch.no_grad():
                for weight in self.critic.parameters():
                    weight.clamp_(-o.clip_value, o.clip_value)

    def generator_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the reconstruction and, with a critic, the adversarial part of Eq. 22, each a scalar."""
        o, critic = self.options, self.critic
        cells, xt, t = self._noised(interaction[self.USER_ID])
        # F^0 at the rated cells, [cells], with gradient to G.
        values = self._generated(cells, xt, t)
        # On the rating scale, summed over a user's ratings, a mean over users.
        error = (self.ratings.high * (values - cells.ratings)).square().sum() / len(t)
        if critic is None:
            return (o.reconstruction_weight * error,)
        # D(F^{t-1}, R^t, t), where only the sparse part of F^{t-1} depends on the generator: no gradient of
        # [batch, n_items] is needed.
        first = critic.first_layer(critic.condition(xt, t), self._rest_of_step(xt, t))
        first = critic.with_sparse_row(first, cells, self._signal_of_step(cells, values, t))
        error, judged = o.reconstruction_weight * error, -critic.value(first).mean()
        # Without a share the critic's part of the gradient is what Eq. 22 makes of it: 3 to 4 % here.
        if o.adversarial_share is None or not judged.requires_grad:
            return error, o.adversarial_weight * judged
        return error, balance(error, judged, values, o.adversarial_share) * judged

    # Prediction, section 3.3.

    def _forget(self) -> None:
        self._factor: Tensor | None = None
        self._read: Levels | None = None
        if hasattr(self, "user_blocks"):  # not before the end of the constructor
            self.user_blocks.forget()

    def _noise_factor(self) -> Tensor:
        """Return C, eps C being distributed as noise of all items times W (identity 3): C^T C = W^T W."""
        if self._factor is None:
            self._factor = noise_factor(self.generator.W) * self.unit
        return self._factor

    @torch.no_grad()
    def _block_states(self, users: Tensor, block: int) -> Tensor:
        """Return the generator's last hidden layer for a block of users, [block, hidden]."""
        return self._denoised(self._cells(users, unknown=False), noise_seed(self.evaluation_seed, block))

    def _on_base(self, generated: Tensor, cells: RatedCells) -> Tensor:
        """Return ratings of all items, [batch, n_items], from the generator's and the rows they are for."""
        if self.base is not None:
            generated = self.base.scores(cells) + self.options.generator_share * generated
        return self._read_out(generated, self.popularity)

    # Ratings of all items are on the rating scale from here.

    def _read_out(self, generated: Tensor, popularity: Tensor) -> Tensor:
        """Return generated ratings [...], in the unit of rows, as read, with the term of their items."""
        predictions = self.ratings.high * generated + popularity
        if self.options.level_share == 0:
            return predictions
        if self._read is None:
            self._read = Levels(*self._unseen(), self.options.level_share)
        return self._read.of(predictions)

    def _unseen(self) -> tuple[Tensor, Tensor]:
        """Return predictions of all training ratings by rows that lack them, and the ratings, [ratings] each.

        Each rating is left out once, with a fifth of its user's, so that predictions are spread as those of
        ratings to come are: what a model says of ratings that it reads is spread more widely.
        """
        values, o = self.ratings.values, self.options
        share = o.generator_share if o.prediction == "generated" else 1.0
        draw = torch.Generator(values.device).manual_seed(self.evaluation_seed)
        part = torch.randint(FIFTHS, values.shape, generator=draw, device=values.device)
        found = torch.empty_like(values)
        everyone = torch.arange(1, self.n_users, device=values.device)
        for number, users in enumerate(everyone.split(USER_BLOCK)):
            cells = self._cells(users)
            places, _, _ = self.ratings.rated.places(users)
            for fifth in range(FIFTHS):
                out = part[places] == fifth
                state = self._denoised(without(cells, out), noise_seed(self.evaluation_seed, number))
                found[places[out]] = self._rated(state, without(cells, ~out), share)
        # ``places`` are those of ``rated.items``: each rating gets the term of its item.
        term = self.popularity[self.ratings.rated.items]
        return self.ratings.high * found + term, self.ratings.high * values

    def _denoised(self, cells: RatedCells, seed: int) -> Tensor:
        """Return the generator's last hidden layer at R^{T-T'}, [batch, hidden], from projections R^t W."""
        o, d, G, many = self.options, self.diffusion, self.generator, len(cells.starts)
        # New users, whose F^0 is the function of the row that it is for trained ones.
        if self.base is not None and cells.base is None:
            cells = cells._replace(base=self.base.at(cells))
        draw = torch.Generator(G.W.device).manual_seed(seed)

        def noise(width: int) -> Tensor:
            return torch.randn(many, width, generator=draw, device=G.W.device)

        # G's last hidden layer from R^t W, with a new z at each step.
        def hidden(p: Tensor, step: int) -> Tensor:
            return G.hidden(p, noise(o.noise_size), torch.full((many,), step, device=p.device))

        # R^T W: a sparse row times W, and the projection of noise of all items; [batch, hidden] from here on.
        last = o.steps - 1
        projected = d.signal[last] * losses.sum_by_row(G.W, cells.items, cells.starts, cells.ratings)
        projected = projected + d.noise[last] * (noise(o.hidden_size) @ self._noise_factor())
        # At step T, before any backward step.
        state = hidden(projected, last)
        for step in range(last, last - o.denoising_steps, -1):
            # R^{t-1} W = c1 F^0 W + c2 R^t W + sigma eps W, with F^0 generated at the rated items.
            generated = self._rated(state, cells)  # [cells]
            rated = losses.sum_by_row(G.W, cells.items, cells.starts, generated)
            projected = d.posterior_x0[step] * rated + d.posterior_xt[step] * projected
            if step > 0:
                # sigma(t) eps W, drawn as [batch, hidden] instead of [batch, n_items] (identity 3).
                deviation = torch.exp(0.5 * d.posterior_log_variance[step])
                projected = projected + deviation * (noise(o.hidden_size) @ self._noise_factor())
            # After step 0 comes R^0 itself, which has no v_t of its own: it is read with that of step 0.
            state = hidden(projected, max(step - 1, 0))
        return state

    def _posterior_samples(self, cells: RatedCells, seeds: Iterable[int]) -> Tensor:
        """Return R^{T-T'} of each user on the rows' scale, [batch, n_items] (``prediction: posterior``)."""
        base = None if self.base is None else self.base.scores(cells)
        rows = self.ratings.each_row(cells)
        return posterior_samples(
            self.generator, self.diffusion, self.options, rows, seeds, base=base, unit=self.unit
        )

    @torch.no_grad()
    def fold_in_scores(self, histories: FoldInHistories, seed: int) -> Tensor:
        """Return predicted ratings of all items for users by their ratings, [batch, n_items]."""
        cells = RatedCells(
            histories.items, histories.starts, histories.rows, histories.known_ratings / self.ratings.high
        )
        # Sparse histories to the last hidden layer, then all items at once.
        if self.options.prediction == "generated":
            return self._on_base(self.generator.all(self._denoised(cells, seed)), cells)
        # One seed for each user; those of a batch follow each other.
        samples = self._posterior_samples(cells, range(seed, seed + len(cells.starts)))
        return self._read_out(samples, self.popularity)

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items], a new tensor."""
        users = interaction[self.USER_ID]
        if self.options.prediction == "posterior":
            # One seed for each user, so that a score does not depend on who else is asked for.
            seeds = [noise_seed(self.evaluation_seed, user) for user in users.tolist()]
            samples = self._posterior_samples(self.ratings.gather(users), seeds)
            return self._read_out(samples, self.popularity)
        return self._on_base(self.generator.all(self.user_blocks.gather(users)), self.ratings.gather(users))

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of user-item pairs, [batch]."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        if self.options.prediction == "posterior" or self.base is not None:
            return pairs_of_rows(self, interaction)
        # One cell of the output layer for each pair.
        rows = torch.arange(len(users), device=users.device)
        predicted = self.generator.rated(self.user_blocks.gather(users), rows, items)
        return self._read_out(predicted, self.popularity[items])
