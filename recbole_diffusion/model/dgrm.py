"""DGRM: diffusion and a Wasserstein GAN on rating rows.

Reference:
    Deng, Wang, Ye, Ji, Wang: "DGRM: Diffusion-GAN recommendation model to alleviate the mode collapse problem in sparse
    environments".
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.diffusion import GaussianDiffusion, uniform_steps
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.adversarial import AdversarialRecommender, RatingRows, perceptron, real_or_fake
from recbole_diffusion.model.base import Histories
from recbole_diffusion.model.dgrm_options import DGRMOptions
from recbole_diffusion.model.layers import gram, pair_scores

USER_BLOCK = 1024  # users whose prediction noise is drawn together; fixed, so that scores do not depend on how a caller batches


class Generator(nn.Module):
    """G(R^t, z, v_t): a perceptron on the noised row, a noise vector and the step embedding, one rating for each item.

    The first layer's part for the row is a matrix W [n_items, hidden] of its own: it meets a dense R^t, or the projection R^t W.
    """

    def __init__(self, n_items: int, options: DGRMOptions, mean: float) -> None:
        super().__init__()
        self.options = options
        self.W = losses.xavier(n_items, options.hidden_size)
        self.steps = nn.Embedding(options.steps, options.step_size)
        self.context = nn.Linear(options.noise_size + options.step_size, options.hidden_size)
        # One layer over [R^t, z, v_t]: the same scale for all of it, so that z does not drown the row.
        inputs = n_items + options.noise_size + options.step_size
        nn.init.normal_(self.context.weight, std=math.sqrt(2 / (inputs + options.hidden_size)))
        nn.init.zeros_(self.context.bias)
        self.V = losses.xavier(n_items, options.hidden_size)
        self.bias = nn.Parameter(torch.full((n_items,), math.log(mean / (1 - mean)) if options.output == "sigmoid" else mean))
        with torch.no_grad():
            for table in (self.W, self.V, self.bias):
                table[0] = 0  # the padding item is never rated

    def hidden(self, projected: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """Return the hidden layer [batch, hidden] from R^t W [batch, hidden], z [batch, noise_size] and steps [batch]."""
        return torch.tanh(projected + self.context(torch.cat([z, self.steps(t)], 1)))

    def rated(self, hidden: Tensor, rows: Tensor, items: Tensor) -> Tensor:
        """Return the ratings of the cells (rows[k], items[k]), [cells]: the masking layer, without the cells it would drop."""
        return self._output(pair_scores(hidden, self.V, rows, items) + self.bias[items])

    def all(self, hidden: Tensor) -> Tensor:
        """Return the ratings of all items, [batch, n_items]."""
        return self._output(torch.addmm(self.bias, hidden, self.V.T))

    def _output(self, scores: Tensor) -> Tensor:
        return torch.sigmoid(scores) if self.options.output == "sigmoid" else scores


class Critic(nn.Module):
    """D(R^{t-1}, R^t, t): a perceptron on two rows and the step embedding, one number."""

    def __init__(self, n_items: int, options: DGRMOptions) -> None:
        super().__init__()
        self.steps = nn.Embedding(options.steps, options.step_size)
        inputs = 2 * n_items + options.step_size
        cancels = options.objective == "wasserstein"  # a constant in both means of Eq. 21
        self.layers = perceptron(inputs, options.critic_size, 1, nn.LeakyReLU(0.2), last_bias=not cancels)

    def forward(self, before: Tensor, after: Tensor, t: Tensor) -> Tensor:
        """Return the critic's value of each pair of rows R^{t-1} and R^t [batch, n_items] at steps t [batch], [batch]."""
        return self.layers(torch.cat([before, after, self.steps(t)], 1)).squeeze(1)


class DGRM(AdversarialRecommender):
    """A generator of ratings and a Wasserstein critic between two steps of a diffusion of rating rows.

    A user's row R^0 is noised to R^t (Eq. 11 to 14); the generator predicts R^0 from it, and the critic compares R^{t-1} drawn
    from q(R^{t-1} | R^t, R^0) with the true and with the predicted R^0, both at the rated items only (Eq. 15 to 22).

    Rows hold ratings divided by the scale's end, 0 where nothing is rated. A pair (R^{t-1}, R^t) of the forward process is drawn
    as R^t given R^0, then R^{t-1} given both: the same joint distribution, and the critic's two inputs differ in R^0 alone.

    Prediction (section 3.3) noises the row to R^T, denoises T' steps, and takes the generator's ratings of all items at R^{T-T'}
    (``prediction: generated``). The backward steps keep to the rated items, as in training. R^T is a sparse row plus Gaussian
    noise, and so is each R^{t-1}: the generator reads them through R W alone, a sparse product plus a Gaussian with covariance
    W^T W (exact in distribution), and no row of all items exists before the last layer.

    Choices where the paper is silent or contradicts itself, all in ``docs/reproduction.md`` with what they change:
        * Eq. 17 has a misprint under its root; the posterior is that of Ho et al. Its variance is the posterior's, not beta_t.
        * ``prediction: posterior`` is section 3.3 to the letter: the sample R^{T-T'} itself is the result.
        * DGRM-KL (``objective: kl``): a discriminator with cross entropy, whose optimal logit is log(P_r / P_g), and the
          generator minimises minus its mean logit, which then is KL(P_g || P_r), Eq. 26.
        * Dropout of the generator's input and the sigmoid at its end are ours.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: DGRMOptions = config.options
        o = self.options
        self.evaluation_seed = config["seed"]
        self.ratings = RatingRows(dataset, config.rating.rating_scale)
        self.diffusion = GaussianDiffusion(o.betas())
        self.generator = Generator(self.n_items, o, min(max(self.ratings.mean / self.ratings.high, 0.01), 0.99))
        self.critic = Critic(self.n_items, o) if o.objective != "none" else None
        self.loss_names = ("reconstruction",) if self.critic is None else ("reconstruction", "adversarial", "critic")
        self.tell_cost()
        self._forget()

    # Training, Eq. 11 to 22.

    def _noised(self, users: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor, Tensor]:
        """Return the sparse cells (rows, items, ratings), R^0 and R^t [batch, n_items], and the steps [batch]."""
        items, _, rows, values = self.ratings.of(users)
        x0 = self.ratings.dense(len(users), rows, items, values)
        if self.options.fixed_step is None:
            t = uniform_steps(self.options.steps, len(users), device=users.device)
        else:
            t = torch.full((len(users),), self.options.fixed_step - 1, device=users.device)
        return (rows, items, values), x0, self.diffusion.q_sample(x0, t, self._noise_like(x0)), t

    @staticmethod
    def _noise_like(rows: Tensor) -> Tensor:
        noise = torch.randn_like(rows)
        noise[:, 0] = 0  # the padding item
        return noise

    def _before(self, x0: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """Return R^{t-1} drawn from the posterior given R^0 and R^t (Eq. 16, 17, 20), [batch, n_items]."""
        return self.diffusion.posterior_mean(x0, xt, t) + self.diffusion.posterior_std(t, xt) * self._noise_like(xt)

    def _generated(self, cells: tuple[Tensor, ...], xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the generated ratings of the rated items [cells], and as rows with zeros elsewhere, [batch, n_items]."""
        rows, items, _ = cells
        z = torch.randn(len(t), self.options.noise_size, device=xt.device)
        seen = F.dropout(xt, self.options.dropout_prob, training=self.training)
        values = self.generator.rated(self.generator.hidden(seen @ self.generator.W, z, t), rows, items)
        return values, self.ratings.dense(len(t), rows, items, values)

    def critic_loss(self, interaction: Any) -> Tensor:
        """Return Eq. 21 with the Lipschitz penalty, or cross entropy with ``objective: kl``, a scalar."""
        o = self.options
        cells, x0, xt, t = self._noised(interaction[self.USER_ID])
        with torch.no_grad():
            fake = self._before(self._generated(cells, xt, t)[1], xt, t)
        real = self._before(x0, xt, t)
        of_real, of_fake = self.critic(real, xt, t), self.critic(fake, xt, t)
        if o.objective == "kl":
            return real_or_fake(of_real, of_fake)
        distance = of_fake.mean() - of_real.mean()
        if o.lipschitz == "clip":
            return distance
        share = torch.rand(len(t), 1, device=xt.device)
        between = torch.lerp(real, fake, share).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between, xt, t).sum(), between, create_graph=True)
        return distance + o.penalty_weight * (slope.norm(dim=1) - 1).square().mean()

    def after_critic_step(self) -> None:
        """Clip the critic's weights (``lipschitz: clip``)."""
        if self.options.objective == "wasserstein" and self.options.lipschitz == "clip":
            with torch.no_grad():
                for weight in self.critic.parameters():
                    weight.clamp_(-self.options.clip_value, self.options.clip_value)

    def generator_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the reconstruction and, with a critic, the adversarial part of Eq. 22, each a scalar."""
        o = self.options
        cells, _, xt, t = self._noised(interaction[self.USER_ID])
        values, predicted = self._generated(cells, xt, t)
        error = (self.ratings.high * (values - cells[2])).square().sum() / len(t)
        if self.critic is None:
            return (o.reconstruction_weight * error,)
        adversarial = -o.adversarial_weight * self.critic(self._before(predicted, xt, t), xt, t).mean()
        return o.reconstruction_weight * error, adversarial

    # Prediction, section 3.3.

    def _forget(self) -> None:
        self._blocks: dict[int, Tensor] = {}
        self._factor: Tensor | None = None

    def _noise_factor(self) -> Tensor:
        """Return C with C^T C = W^T W: eps C with eps ~ N(0, I_hidden) is distributed as eps W with eps ~ N(0, I_n_items)."""
        if self._factor is None:
            covariance = gram(self.generator.W.detach().double())
            covariance.diagonal().add_(1e-12 * covariance.diagonal().mean() + 1e-30)
            self._factor = torch.linalg.cholesky(covariance).T.to(self.generator.W.dtype)
        return self._factor

    @torch.no_grad()
    def _hidden(self, block: int) -> Tensor:
        """Return the generator's last hidden layer for a block of users, [block, hidden]."""
        if block not in self._blocks:
            users = torch.arange(block * USER_BLOCK, min((block + 1) * USER_BLOCK, self.n_users), device=self.generator.W.device)
            self._blocks[block] = self._denoised(*self.ratings.of(users), self.evaluation_seed * 1_000_003 + block)
        return self._blocks[block]

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
        x = d.signal[last] * self.ratings.dense(1, torch.zeros_like(items), items, values) + d.noise[last] * noise(self.n_items)
        if o.denoising_steps == 0:
            return generated(x, last)[0]
        for step in range(last, last - o.denoising_steps, -1):
            t = torch.full((1,), step, device=x.device)
            x = d.posterior_mean(generated(x, step), x, t) + d.posterior_std(t, x) * noise(self.n_items)
            share = float(d.posterior_x0[step]) + float(d.posterior_xt[step]) * share
        return x[0] / share

    def _posterior_of(self, user: int) -> Tensor:
        items, _, _, values = self.ratings.of(torch.tensor([user], device=self.generator.W.device))
        return self._posterior(items, values, self.evaluation_seed * 1_000_003 + user)

    @torch.no_grad()
    def history_scores(self, histories: Histories, seed: int) -> Tensor:
        """Return predicted ratings of all items for users who have rated these items, [batch, n_items]; ``seed``: the noise's."""
        values, many = histories.ratings / self.ratings.high, len(histories.starts)
        if self.options.prediction == "generated":
            state = self._denoised(histories.items, histories.starts, histories.rows, values, seed)
            return self.ratings.high * self.generator.all(state)
        sizes = torch.bincount(histories.rows, minlength=many).tolist()
        rows = zip(histories.items.split(sizes), values.split(sizes), range(many), strict=True)
        return self.ratings.high * torch.stack([self._posterior(*row, seed + number) for *row, number in rows])

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items]; a new tensor, which the evaluator may overwrite."""
        users = interaction[self.USER_ID]
        if self.options.prediction == "posterior":
            return self.ratings.high * torch.stack([self._posterior_of(user) for user in users.tolist()])
        return self.ratings.high * self.generator.all(self._states(users))

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of user-item pairs, [batch]."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        rows = torch.arange(len(users), device=users.device)
        if self.options.prediction == "posterior":
            return self.full_sort_predict(interaction)[rows, items]
        return self.ratings.high * self.generator.rated(self._states(users), rows, items)

    def _states(self, users: Tensor) -> Tensor:
        """Return the last hidden layer of some users, [batch, hidden]."""
        blocks = users // USER_BLOCK
        states = self.generator.W.new_empty(len(users), self.options.hidden_size)
        for block in torch.unique(blocks).tolist():
            own = blocks == block
            states[own] = self._hidden(block)[users[own] - block * USER_BLOCK]
        return states
