"""DGRM: diffusion and a Wasserstein GAN on rating rows.

Reference:
    Deng, Wang, Ye, Ji, Wang: "DGRM: Diffusion-GAN recommendation model to alleviate the mode collapse problem
    in sparse environments".
"""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.diffusion import GaussianDiffusion, uniform_steps
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.layers import noise_factor
from recbole_diffusion.model.rows.adversarial import AdversarialRecommender, Cells, RatingRows, real_or_fake
from recbole_diffusion.model.rows.dgrm_networks import Critic, Generator
from recbole_diffusion.model.rows.dgrm_options import DGRMOptions
from recbole_diffusion.model.user_blocks import UserBlocks, noise_seed


class DGRM(AdversarialRecommender):
    """A generator of ratings and a Wasserstein critic between two steps of a diffusion of rating rows.

    A user's row R^0 is noised to R^t (Eq. 11 to 14); the generator predicts R^0 from it, and the critic
    compares R^{t-1} drawn from q(R^{t-1} | R^t, R^0) with the true and with the predicted R^0, both at the
    rated items only (Eq. 15 to 22).

    Rows hold ratings divided by the scale's end, 0 where nothing is rated. A pair (R^{t-1}, R^t) of the
    forward process is drawn as R^t given R^0, then R^{t-1} given both: the same joint distribution, and the
    critic's two inputs differ in R^0 alone.

    Prediction (section 3.3) noises the row to R^T, denoises T' steps, and takes the generator's ratings of
    all items at R^{T-T'} (``prediction: generated``). The backward steps keep to the rated items, as in
    training. R^T is a sparse row plus Gaussian noise, and so is each R^{t-1}: the generator reads them
    through R W alone, a sparse product plus a Gaussian with covariance W^T W (exact in distribution), and no
    row of all items exists before the last layer.

    Choices where the paper is silent or contradicts itself, all in ``docs/models/dgrm.md`` with what they
    change:
        * Eq. 17 has a misprint under its root; the posterior is that of Ho et al. Its variance is the
          posterior's, not beta_t.
        * ``prediction: posterior`` is section 3.3 to the letter: the sample R^{T-T'} itself is the result.
        * DGRM-KL (``objective: kl``): a discriminator with cross entropy, whose optimal logit is log(P_r /
          P_g), and the generator minimises minus its mean logit, which then is KL(P_g || P_r), Eq. 26.
        * Dropout of the generator's input and the sigmoid at its end are ours.
    """

    takes_histories = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: DGRMOptions = config.options
        o = self.options
        self.evaluation_seed = config["seed"]
        self.ratings = RatingRows(dataset, config.rating.rating_scale)
        self.diffusion = GaussianDiffusion(o.betas())
        self.generator = Generator(
            self.n_items, o, min(max(self.ratings.mean / self.ratings.high, 0.01), 0.99)
        )
        self.critic = Critic(self.n_items, o) if o.objective != "none" else None
        self.loss_names = (
            ("reconstruction",) if self.critic is None else ("reconstruction", "adversarial", "critic")
        )
        self.user_blocks = UserBlocks(self.n_users, o.hidden_size, self._block_states)
        self.warn_if_wide()
        self._forget()

    # Training, Eq. 11 to 22.

    def _noised(self, users: Tensor) -> tuple[Cells, Tensor, Tensor]:
        """Return the rated cells, R^t [batch, n_items] (Eq. 13), and the steps [batch]."""
        cells, d = self.ratings.gather(users), self.diffusion
        items, _, rows, values = cells
        if self.options.fixed_step is None:
            t = uniform_steps(self.options.steps, len(users), device=users.device)
        else:
            t = torch.full((len(users),), self.options.fixed_step - 1, device=users.device)
        xt = self._noise(len(users)).mul_(d.noise[t][:, None])
        return cells, self.ratings.add_to(xt, rows, items, d.signal[t][rows] * values), t

    def _noise(self, n_rows: int) -> Tensor:
        noise = torch.randn(n_rows, self.n_items, device=self.ratings.values.device)
        noise[:, 0] = 0  # the padding item
        return noise

    def _kept(self, xt: Tensor, t: Tensor) -> Tensor:
        """Return what R^{t-1}, drawn from the posterior given R^0 and R^t, has of R^t and of new noise, [batch, n_items]."""
        d = self.diffusion
        return self._noise(len(t)).mul_(d.posterior_std(t, xt)).addcmul_(xt, d.posterior_xt[t][:, None])

    def _share(self, cells: Cells, values: Tensor, t: Tensor) -> Tensor:
        """Return what it has of R^0 with the given ``values`` at the rated cells, and 0 elsewhere, [cells] (Eq. 16, 17, 20)."""
        return self.diffusion.posterior_x0[t][cells[2]] * values

    def _before(self, cells: Cells, values: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """Return R^{t-1}, the sum of both, [batch, n_items]."""
        return self.ratings.add_to(self._kept(xt, t), cells[2], cells[0], self._share(cells, values, t))

    def _generated(self, cells: Cells, xt: Tensor, t: Tensor) -> Tensor:
        """Return the generated ratings of the rated items, [cells]: the masking layer leaves no others."""
        items, _, rows, _ = cells
        z = torch.randn(len(t), self.options.noise_size, device=xt.device)
        seen = losses.dropout(xt, self.options.dropout_prob) if self.training else xt
        return self.generator.rated(self.generator.hidden(seen @ self.generator.W, z, t), rows, items)

    def critic_loss(self, interaction: Any) -> Tensor:
        """Return Eq. 21 with the Lipschitz penalty, or cross entropy with ``objective: kl``, a scalar."""
        o, critic = self.options, self.critic
        cells, xt, t = self._noised(interaction[self.USER_ID])
        with torch.no_grad():
            generated = self._generated(cells, xt, t)
        condition = critic.condition(xt, t)
        real, fake = (
            condition + self._before(cells, values, xt, t) @ critic.before for values in (cells[3], generated)
        )
        of_real, of_fake = critic.value(real), critic.value(fake)
        if o.objective == "kl":
            return real_or_fake(of_real, of_fake)
        distance = of_fake.mean() - of_real.mean()
        if o.lipschitz == "clip":
            return distance
        between = torch.lerp(
            real, fake, torch.rand(len(t), 1, device=xt.device)
        )  # the layer is linear in the row
        return distance + o.penalty_weight * (critic.slope(between) - 1).square().mean()

    def after_critic_step(self) -> None:
        """Clip the critic's weights (``lipschitz: clip``)."""
        if self.options.objective == "wasserstein" and self.options.lipschitz == "clip":
            with torch.no_grad():
                for weight in self.critic.parameters():
                    weight.clamp_(-self.options.clip_value, self.options.clip_value)

    def generator_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the reconstruction and, with a critic, the adversarial part of Eq. 22, each a scalar."""
        o, critic = self.options, self.critic
        cells, xt, t = self._noised(interaction[self.USER_ID])
        items, starts, _, ratings = cells
        values = self._generated(cells, xt, t)
        error = (self.ratings.high * (values - ratings)).square().sum() / len(t)
        if critic is None:
            return (o.reconstruction_weight * error,)
        # R^{t-1} meets the critic in two parts: only its sparse one depends on the generator.
        first = critic.condition(xt, t) + self._kept(xt, t) @ critic.before
        first = first + losses.sum_by_row(critic.before, items, starts, self._share(cells, values, t))
        return o.reconstruction_weight * error, -o.adversarial_weight * critic.value(first).mean()

    # Prediction, section 3.3.

    def _forget(self) -> None:
        self._factor: Tensor | None = None
        if hasattr(self, "user_blocks"):  # not before the end of the constructor
            self.user_blocks.forget()

    def _noise_factor(self) -> Tensor:
        """Return C with C^T C = W^T W: eps C with eps ~ N(0, I_hidden) is distributed as eps W with eps ~ N(0, I_n_items)."""
        if self._factor is None:
            self._factor = noise_factor(self.generator.W)
        return self._factor

    @torch.no_grad()
    def _block_states(self, users: Tensor, block: int) -> Tensor:
        """Return the generator's last hidden layer for a block of users, [block, hidden]."""
        return self._denoised(*self.ratings.gather(users), noise_seed(self.evaluation_seed, block))

    def _denoised(self, items: Tensor, starts: Tensor, rows: Tensor, values: Tensor, seed: int) -> Tensor:
        """Return the generator's last hidden layer for rows of ratings in 0..1, [batch, hidden], from projections alone."""
        o, d, G, many = self.options, self.diffusion, self.generator, len(starts)
        draw = torch.Generator(G.W.device).manual_seed(seed)

        def noise(width: int) -> Tensor:
            return torch.randn(many, width, generator=draw, device=G.W.device)

        def hidden(p: Tensor, step: int) -> Tensor:
            return G.hidden(p, noise(o.noise_size), torch.full((many,), step, device=p.device))

        last = o.steps - 1
        projected = d.signal[last] * losses.sum_by_row(G.W, items, starts, values)
        projected = projected + d.noise[last] * (noise(o.hidden_size) @ self._noise_factor())
        state = hidden(projected, last)
        for step in range(last, last - o.denoising_steps, -1):
            rated = losses.sum_by_row(G.W, items, starts, G.rated(state, rows, items))
            projected = d.posterior_x0[step] * rated + d.posterior_xt[step] * projected
            if step > 0:
                deviation = torch.exp(0.5 * d.posterior_log_variance[step])
                projected = projected + deviation * (noise(o.hidden_size) @ self._noise_factor())
            state = hidden(projected, max(step - 1, 0))
        return state

    @torch.no_grad()
    def _posterior(self, items: Tensor, values: Tensor, seed: int) -> Tensor:
        """Return R^{T-T'} of one user's ratings in 0..1 [n_items], divided by its generated share, so on the rating scale."""
        o, d, G = self.options, self.diffusion, self.generator
        draw = torch.Generator(G.W.device).manual_seed(seed)

        def noise(width: int) -> Tensor:
            return torch.randn(1, width, generator=draw, device=G.W.device)

        def generated(x: Tensor, step: int) -> Tensor:
            return G.all(G.hidden(x @ G.W, noise(o.noise_size), torch.full((1,), step, device=x.device)))

        last, share = o.steps - 1, 0.0
        x = d.signal[last] * self.ratings.dense(1, torch.zeros_like(items), items, values) + d.noise[
            last
        ] * noise(self.n_items)
        if o.denoising_steps == 0:
            return generated(x, last)[0]
        for step in range(last, last - o.denoising_steps, -1):
            t = torch.full((1,), step, device=x.device)
            x = d.posterior_mean(generated(x, step), x, t) + d.posterior_std(t, x) * noise(self.n_items)
            share = float(d.posterior_x0[step]) + float(d.posterior_xt[step]) * share
        return x[0] / share

    def _posterior_of(self, user: int) -> Tensor:
        items, _, _, values = self.ratings.gather(torch.tensor([user], device=self.generator.W.device))
        return self._posterior(items, values, noise_seed(self.evaluation_seed, user))

    @torch.no_grad()
    def fold_in_scores(self, histories: FoldInHistories, seed: int) -> Tensor:
        """Return predicted ratings of all items for users who have rated these items, [batch, n_items]; ``seed``: the noise's."""
        values, many = histories.ratings / self.ratings.high, len(histories.starts)
        if self.options.prediction == "generated":
            state = self._denoised(histories.items, histories.starts, histories.rows, values, seed)
            return self.ratings.high * self.generator.all(state)
        sizes = torch.bincount(histories.rows, minlength=many).tolist()
        rows = zip(histories.items.split(sizes), values.split(sizes), range(many), strict=True)
        return self.ratings.high * torch.stack(
            [self._posterior(*row, seed + number) for *row, number in rows]
        )

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items]; a new tensor, which the evaluator may overwrite."""
        users = interaction[self.USER_ID]
        if self.options.prediction == "posterior":
            return self.ratings.high * torch.stack([self._posterior_of(user) for user in users.tolist()])
        return self.ratings.high * self.generator.all(self.user_blocks.gather(users))

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of user-item pairs, [batch]."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        rows = torch.arange(len(users), device=users.device)
        if self.options.prediction == "posterior":
            return self.full_sort_predict(interaction)[rows, items]
        return self.ratings.high * self.generator.rated(self.user_blocks.gather(users), rows, items)
