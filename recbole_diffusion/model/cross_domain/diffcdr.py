"""DiffCDR: target vectors of cold users by a diffusion conditioned on their source domain.

Paper: "Diffusion Cross-domain Recommendation" (DiffCDR).

The algorithm (Algorithm 1). u^s and u^t are a user's vectors in two factorisations, v_j and o_j an item's
target vector and offset, alpha(t)^2 + sigma(t)^2 = 1, F the denoiser's layers::

    stages 1 and 2: factorise source and target             lines 1, 2  MappingRecommender.stages
    stage 3, a batch of shared users with all their ratings
        c   = the condition, 0 for a tenth of the users     3.3         DiffCDR.condition, noise_loss
        x_t = alpha(t) u^t + sigma(t) eps,  t ~ (0, 1]      Eq. 5       DiffCDR.noise_loss
        L_DIM = |target(u^t, eps, t) - F(x_t, t, c)|^2      line 8      DiffCDR.noise_loss, Denoiser.target
        --- an update of the denoiser, then with it fixed
        eps(x, t) = eps_0 + s (eps_c - eps_0)               Eq. 3       Denoiser.guided
        u^  = Solver(eps, x_1), the end at time 0           Eq. 4       DiffCDR.diffused, transferred
        L_ALM  = |ALM(u^) - u^t|_n                          Eq. 6       DiffCDR.align_loss
        L_task = mean |r_j - o_j - ALM(u^) . v_j|^2         Eq. 2       MappingRecommender.task_loss_at
        --- an update of ALM by L_ALM + lambda L_task       Eq. 7       DiffCDR.align_loss
    a cold user's rating of item j: o_j + ALM(u^) . v_j                 DiffCDR.transfer, ColdStartRecommender

The two updates are the pair that ``DiffCDR.mapping_updates`` returns; ``trainer/staged.py`` makes them on
each batch. The denoiser and the solver's use of it are in ``diffcdr_denoiser.py``, ALM is in
``diffcdr_alignment.py``, the solver in ``diffusion/solver.py``.

Longer than most files: the paper's algorithm in its order.
"""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.diffusion import LinearVP, antithetic_steps
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.diffcdr_alignment import Alignment
from recbole_diffusion.model.cross_domain.diffcdr_denoiser import Denoiser, transferred
from recbole_diffusion.model.cross_domain.diffcdr_levels import LevelFactors
from recbole_diffusion.model.cross_domain.diffcdr_losses import align_distance, denoiser_error
from recbole_diffusion.model.cross_domain.mapping import MappingRecommender
from recbole_diffusion.model.cross_domain.matrix_factorization import derived_seed
from recbole_diffusion.model.cross_domain.profile import SIZE, SourceProfile
from recbole_diffusion.model.cross_domain.source_attention import SIZE as HISTORY_SIZE
from recbole_diffusion.model.cross_domain.source_attention import SourceAttention
from recbole_diffusion.model.cross_domain.source_history import SourceRatings
from recbole_diffusion.model.ema import EMA
from recbole_diffusion.model.stage import TrainingStage, UpdateStep

STEPS = 1000  # training times are 1/STEPS, 2/STEPS, ..., 1
FIGURE_4 = (1, 5, 30)


class DiffCDR(MappingRecommender):
    """DIM makes target vectors from the source, ALM aligns them; each batch updates both in turn.

    A batch is a set of shared users with all of their training ratings, so that the solver runs once per
    user, not once per rating. ``docs/models/diffcdr.md`` has each difference from the paper and the released
    code with its measured effect; in short:

    - The network has activations; with ``activation: none``, the authors', and a linear ALM the whole is an
      affine map.
    - Solver and training share one schedule and one meaning of time.
    - The two updates have an optimizer each. The authors' share one, so that Adam's momentum moves what has
      no gradient (``one_optimizer``).
    - Conditional and unconditional noise are the two halves of one pass.
    - The epoch is chosen on validation users, not on test users.
    - ALM starts as the identity; ``align_start: random`` is the authors'. Vectors are standardised for the
      diffusion (``standardise``): regularised factors are far smaller than the noise that the schedule ends
      with.
    - A batch may be of ratings (``batch_rows``), the authors': a user then counts once for each.
    - Items may have learned offsets (``item_offset_reg_weight``): the factors' offsets go with users whose
      biases are known, and those of cold users are only guessed.
    - The network predicts velocity, which does not amplify errors near time 1; ``prediction: noise`` is the
      paper's.
    - The solver may start at the mean of noise, 0 (``start: mean``). It then ends in the middle of the
      conditional distribution, where a draw or the source vector, the paper's start, leads to a sample.
    - The solver and the predictions use moving averages of the weights (``ema_decay``; the paper's: 0), so
      that ALM does not chase a denoiser that jumps with each batch.
    - With ``bias`` the vector is [u, b_u], see ``matrix_factorization.py``; the paper has no biases.
    """

    loss_names = ("dim", "alm")
    renamed_weights: ClassVar = {
        "average": "ema_denoiser",
        "average_alignment": "ema_alignment",
        "average_alignment.copy.shift": "ema_alignment.copy.item_offset",
        "alignment.shift": "alignment.item_offset",
    }
    statistics: Tensor
    rated_users: Tensor
    noise: Tensor  # with ``start: noise``, [n_users, k]

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o = self.options
        # The width of what is diffused: [u, b_u], with ``levels`` followed by a_u.
        self.diffused_width = self.width
        self.source_levels = self.target_levels = None
        if o.levels:
            shape = self.source_shape
            self.source_levels = LevelFactors(shape.n_users, shape.n_items, self.levels)
            self.target_levels = LevelFactors(self.n_users, self.n_items, self.levels)
            self.diffused_width += len(self.levels)
        self.histories: SourceRatings | None = None
        if o.diffusion:
            schedule, velocity = LinearVP(o.beta_0, o.beta_1), o.prediction == "velocity"
            # Width of the condition c.
            width = self.diffused_width
            size = {
                "vector": width,
                "profile": SIZE,
                "both": width + SIZE,
                "history": HISTORY_SIZE,
                "profile_history": SIZE + HISTORY_SIZE,
            }[o.condition]
            self.denoiser = Denoiser(
                schedule, (width, size), o.hidden_size, o.time_size, o.activation, velocity, o.join
            )
            if "history" in o.condition:
                # A part of the denoiser, whose loss trains it and whose moving average has it too.
                self.denoiser.attention = SourceAttention(self.width)
                self.histories = SourceRatings(self.source_ratings, self.source_shape.n_users)
            # The solver and the predictions read these averages, training updates the denoiser itself.
            self.ema_denoiser = EMA(self.denoiser, o.ema_decay)
        with_offsets = o.task_weight > 0 and o.item_offset_reg_weight is not None
        offsets = self.n_items if with_offsets else None
        levels = len(self.levels) if o.levels else None
        self.alignment = Alignment(self.width, offsets, o.alignment, o.align_start, levels)
        self.ema_alignment = EMA(self.alignment, o.ema_decay)
        # Mean and deviation of the source vectors (rows 0, 1) and of the target vectors (2, 3), [4, k];
        # persistent, since they belong to the weights.
        statistics = torch.tensor([0.0, 1.0, 0.0, 1.0])[:, None].repeat(1, self.diffused_width)
        self.register_buffer("statistics", statistics)
        self.reads_profile = o.diffusion and o.condition in ("profile", "both", "profile_history")
        if self.reads_profile or o.levels:
            self.profile = SourceProfile(self.scale)
        # Target ids of all users with target ratings, for ``unconditional_users: all``.
        self.register_buffer("rated_users", torch.unique(self.ratings.users), persistent=False)
        if o.start == "noise":  # one draw a user, so that scores do not depend on the batch
            generator = torch.Generator().manual_seed(derived_seed(self.seed, "start"))
            self.register_buffer(
                "noise",
                torch.randn(self.n_users, self.diffused_width, generator=generator),
                persistent=False,
            )

    def begin_transfer(self) -> None:
        """Compute level factors, mean and deviation of the training users' vectors, and those of profiles."""
        if self.profile is not None:
            self._all_profiles = self.learned_profiles(self.shared.to(self.statistics.device))
        if self.source_levels is not None and self.target_levels is not None:
            penalty, everyone = self.options.level_reg_weight, torch.arange(self.n_users)
            told = self.profiles_of(everyone.to(self.statistics.device))
            assert told is not None  # there are profiles with levels
            self.source_levels.fit(self.source_ratings, penalty)
            self.target_levels.fit(self.ratings, penalty, torch.where(self.source_of[:, None] > 0, told, 0.0))
        if self.options.standardise:
            # Of the shared training users, who are the ones that the diffusion learns from.
            users = self.shared.to(self.statistics.device)
            for row, vectors in ((0, self.source_states(users)), (2, self.target_states(users))):
                self.statistics[row] = vectors.mean(0)
                self.statistics[row + 1] = vectors.std(0, correction=0).clamp(min=1e-6)

    def source_states(self, users: Tensor) -> Tensor:
        """Return [u^s, b_u^s] of users by target id and, with ``levels``, a_u^s, [batch, k]."""
        vectors, levels = self.source_vectors(users), self.source_levels
        # The same levels in both domains, where factors have no common basis.
        return vectors if levels is None else torch.cat([vectors, levels.users[self.source_of[users]]], 1)

    def target_states(self, users: Tensor) -> Tensor:
        """Return [u^t, b_u^t] of training users and, with ``levels``, a_u^t, [batch, k]: the x_0 of DIM."""
        vectors, levels = self.target_vectors(users), self.target_levels
        return vectors if levels is None else torch.cat([vectors, levels.users[users]], 1)

    def condition(self, users: Tensor) -> Tensor:
        """Return the denoiser's condition c for users by target id, [batch, size]."""
        histories = None if self.histories is None else self.histories.of(self.source_of[users])
        return self._condition(self.denoiser, self.source_states(users), self.profiles_of(users), histories)

    def _condition(
        self,
        denoiser: Denoiser,
        vectors: Tensor,
        profiles: Tensor | None,
        histories: tuple[Tensor, Tensor, Tensor] | None,
    ) -> Tensor:
        """Return c of source states, profiles and histories (items, rows, ratings), [batch, size]."""
        parts = []
        if self.options.condition in ("vector", "both"):
            parts.append(self._standardised(vectors))
        if profiles is not None and self.reads_profile:
            parts.append(profiles)
        if histories is not None:
            items, rows, ratings = histories
            gaps = ratings - self.source.item_offsets().detach()[items]
            parts.append(denoiser.attention(self.source_items(items), gaps, rows, len(vectors)))
        return torch.cat(parts, 1)

    def _standardised(self, vectors: Tensor) -> Tensor:
        # The denoiser reads mean 0 and deviation 1 in each coordinate, [batch, k].
        return (vectors - self.statistics[0]) / self.statistics[1]

    # Training.

    def stages(self) -> list[TrainingStage]:
        """Return the stages of every mapping model, the last one with one optimizer if asked for."""
        *factors, transfer = super().stages()
        return [*factors, replace(transfer, one_optimizer=self.options.one_optimizer)]

    def transfer_rows(self, users: Tensor) -> Tensor:
        """Return what a batch is made of for training users: the users, or places of their ratings."""
        return users if self.options.batch_rows == "users" else self.places_of(users)[0]

    def users_of(self, batch: Tensor) -> Tensor:
        """Return the user of each row of a batch, long [batch]; repeated where rows are ratings."""
        if self.options.batch_rows == "users":
            return batch
        # The last user whose ratings do not begin after the place.
        return torch.searchsorted(self.rated.offsets, batch, right=True) - 1

    def mapping_updates(self) -> tuple[UpdateStep, ...]:
        """Return the updates of DIM and of ALM (Algorithm 1, lines 7 to 10)."""
        found = []
        if self.options.diffusion:
            update, repeats = partial(self.ema_denoiser.update, self.denoiser), self.options.denoiser_updates
            rate, weights = self.general["learning_rate"], list(self.denoiser.parameters())
            found.append(UpdateStep(self.noise_loss, weights, rate, repeats, after=update))
        aligned = list(self.alignment.parameters())
        if aligned:
            update = partial(self.ema_alignment.update, self.alignment)
            rate = self.options.align_learning_rate
            found.append(UpdateStep(self.align_loss, aligned, rate, weight_decay=0.0, after=update))
        return tuple(found)

    def noise_loss(self, batch: Tensor) -> Tensor:
        """Return L_DIM (section 3.3), a scalar, at antithetic times.

        A user of n target ratings weighs n / (n + ``rating_count_half_weight``): a vector of few ratings says
        little about its user.

        Args:
            batch: target ids or, with ``batch_rows: ratings``, places of ratings, long [batch].
        """
        users, known = self.users_of(batch), len(batch)
        if self.options.unconditional_users == "all":
            # As many users of the target, shared or not, for the unconditional branch alone.
            drawn = torch.randint(len(self.rated_users), (known,), device=self.rated_users.device)
            users = torch.cat([users, self.rated_users[drawn]])
        mean, deviation = self.statistics[2:]
        x0 = (self.target_states(users) - mean) / deviation  # u^t standardised, [batch, k]
        # Target ratings of each user, [batch].
        counts = (self.rated.offsets[users + 1] - self.rated.offsets[users]).to(x0.dtype)
        weights = counts / (counts + self.options.rating_count_half_weight)  # [batch]
        # 1/STEPS, 2/STEPS, ..., 1, in pairs around the middle, [batch].
        t = (antithetic_steps(STEPS, len(users), device=x0.device) + 1) / STEPS
        noise = torch.randn_like(x0)
        schedule = self.denoiser.schedule
        xt = schedule.alpha(t)[:, None] * x0 + schedule.sigma(t)[:, None] * noise  # Eq. 5
        # Users without condition train the unconditional noise of Eq. 3; [batch, 1].
        kept = torch.rand(len(users), 1, device=x0.device) >= self.options.condition_dropout
        given = self.condition(users[:known])
        given = F.pad(given, (0, 0, 0, len(users) - known))  # no condition for the users drawn
        # F(x_t, t, c) against the noise, or the velocity that it stands for, [batch, k] (line 8).
        found = self.denoiser(xt, t, given * kept)
        error = denoiser_error(found, self.denoiser.target(x0, noise, t), self.options.denoiser_loss)
        # Weights have mean 1, so that they do not change the size of the loss.
        return (weights / weights.mean() * error).mean()

    def align_loss(self, batch: Tensor) -> Tensor:
        """Return Eq. 7, a scalar: distance to target vectors (Eq. 6) and error of the training ratings.

        Args:
            batch: as in :meth:`noise_loss`. With users, the error is that of all their ratings.
        """
        o, alm, users = self.options, self.alignment, self.users_of(batch)
        if o.batch_rows == "users":
            states = self.diffused(users)  # no gradient to the denoiser
            vectors = alm(states[:, : self.width])  # ALM(u^), [batch, k]
            places, row_of = self.places_of(users)
            of_ratings = vectors[row_of]
        else:
            # The solver runs once for each distinct user of the batch.
            distinct, row_of = torch.unique(users, return_inverse=True)
            states = self.diffused(distinct)
            places, vectors = batch, alm(states[:, : self.width])[row_of]
            of_ratings = vectors
        # |ALM(u^) - u^t|_n of Eq. 6, or the released code's mean.
        distance = align_distance(vectors, self.target_vectors(users), o.align_loss, o.align_norm)
        loss = o.align_weight * distance
        if not o.task_weight:
            return loss
        # L_task by the users' own training ratings (Eq. 2), with the learned offsets.
        common = 0.0 if alm.common is None else alm.common  # None without item_offset
        task = self.task_loss_at(places, of_ratings, alm.item_offset, common)
        if alm.levels is not None:
            of_users = users[row_of] if o.batch_rows == "users" else distinct[row_of]
            task = task + self._level_loss(places, of_users, states[row_of][:, self.width :])
        return loss + o.task_weight * task

    def _level_loss(self, places: Tensor, users: Tensor, vectors: Tensor) -> Tensor:
        """Return the mean negative log-likelihood of ratings by their users' a_u, a scalar.

        Args:
            places: of training ratings in ``rated``, long [total].
            users: of the ratings, long [total].
            vectors: transferred a_u of each rating's user, [total, L].
        """
        levels, base = self.alignment.levels, self.target_levels
        assert levels is not None and base is not None  # made together, by the constructor
        logits = levels(base, users, self.rated.items[places], vectors)
        return F.cross_entropy(logits, base.places(self.rated_values[places]))

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return item vectors and offsets of the target factors, with the learned offsets."""
        vectors, offsets = super().item_side()
        learned = self.ema_alignment.copy
        if learned.item_offset is not None:
            assert learned.common is not None  # made with item_offset, by the constructor
            offsets = offsets + learned.item_offset + learned.common  # [n_items]
        return vectors, offsets

    # Transfer.

    def diffused(self, users: Tensor, evaluations: int | None = None) -> Tensor:
        """Return u^ of Eq. 4 at the scale of target vectors, [batch, k], without gradient.

        Args:
            users: distinct target ids of shared users, long [batch].
            evaluations: of the noise; those of the options by default, 0 for where the solver starts.
        """
        drawn = self.noise[users] if self.options.start == "noise" else None
        histories = None if self.histories is None else self.histories.of(self.source_of[users])
        return self._solved(self.source_states(users), self.profiles_of(users), histories, drawn, evaluations)

    def _solved(
        self,
        vectors: Tensor,
        profiles: Tensor | None,
        histories: tuple[Tensor, Tensor, Tensor] | None,
        drawn: Tensor | None,
        evaluations: int | None = None,
    ) -> Tensor:
        """Return u^ from source states, profiles, histories and noise to start at, [batch, k].

        Args:
            vectors: source states, [batch, k].
            profiles: [batch, SIZE], or None.
            histories: items, rows and ratings of the users' source ratings, [total] each, or None.
            drawn: noise that the solver starts at whatever ``start`` says, [batch, k], or None.
            evaluations: of the noise; None for those of the options.
        """
        o, x = self.options, self._standardised(vectors)  # without diffusion u^ is the source vector
        if o.diffusion:
            start = {"mean": torch.zeros_like(x), "source": x}.get(o.start) if drawn is None else drawn  # x_1
            assert start is not None  # ``start: noise`` comes with noise
            denoiser = self.ema_denoiser.copy
            with torch.no_grad():
                condition = self._condition(denoiser, vectors, profiles, histories)
            evaluations = o.evaluations if evaluations is None else evaluations
            # From time 1 to 0 under guidance (Eq. 3, 4), [batch, k].
            x = transferred(denoiser, start, condition, o.guidance, evaluations)
        # Back to the scale of target vectors.
        return x * self.statistics[3] + self.statistics[2]

    def transfer(self, users: Tensor) -> Tensor:
        """Return ALM(u^) by the averaged weights, [batch, k]."""
        return self.ema_alignment.copy(self.diffused(users)[:, : self.width])

    def transfer_new(self, vectors: Tensor, histories: FoldInHistories, seed: int) -> Tensor:
        """Return ALM(u^) of users by their source vectors and source ratings, [batch, k]."""
        many = len(vectors)
        profiles, drawn = self.new_profiles(histories, many), None
        rated = histories.items, histories.rows, histories.known_ratings
        if self.source_levels is not None:
            vectors = torch.cat([vectors, self.source_levels.of_histories(*rated, many)], 1)
        if self.options.start == "noise":
            generator = torch.Generator(vectors.device).manual_seed(seed)
            drawn = torch.randn(vectors.shape, generator=generator, device=vectors.device)
        found = self._solved(vectors, profiles, None if self.histories is None else rated, drawn)
        return self.ema_alignment.copy(found[:, : self.width])

    # Level probabilities.

    @torch.no_grad()
    def level_probabilities(self, users: Tensor, items: Tensor, scores: Tensor) -> Tensor:
        """Return the read-out's probabilities mixed with those of the level factors, [pairs, L].

        Those are the mean over ``samples`` vectors of each user, which the solver makes of as many draws of
        noise, the same for all users.
        """
        found, levels, base = (
            super().level_probabilities(users, items, scores),
            self.ema_alignment.copy.levels,
            self.target_levels,
        )
        if levels is None or base is None:
            return found
        o = self.options
        distinct, rows = torch.unique(users, return_inverse=True)
        starts: list[Tensor | None] = [None]
        if o.samples and o.diffusion:
            generator = torch.Generator().manual_seed(derived_seed(self.seed, "samples"))
            draws = torch.randn(o.samples, self.diffused_width, generator=generator).to(users.device)
            starts = [one.expand(len(distinct), -1) for one in draws]
        histories = None if self.histories is None else self.histories.of(self.source_of[distinct])
        states, profiles = self.source_states(distinct), self.profiles_of(distinct)
        total = torch.zeros_like(found)
        for start in starts:
            start = self.noise[distinct] if start is None and o.start == "noise" else start
            made = self._solved(states, profiles, histories, start)[:, self.width :]  # a_u, [distinct, L]
            total += levels(base, users, items, made[rows]).double().softmax(1) / len(starts)
        return (1 - o.level_share) * found + o.level_share * total

    @torch.no_grad()
    def final_diagnostics(self) -> dict[str, Any]:
        """Add the number of Figure 4: mean distance of training users' vectors to their target vectors.

        Measured at each point of :meth:`transfer_path`, over at most 1,000 users. ``mean vector`` is the
        distance of the mean target vector, the same for everyone; a transfer has to be below it.
        """
        found = super().final_diagnostics()
        if self.options.diffusion:
            users = self.drawn_users(1000)  # as many as in the paper
            # ``truth`` are the vectors that the ratings were factorised into, [n, k].
            truth = self.target_vectors(users)
            made = self.transfer_path(users) | {"mean vector": truth.mean(0)}
            gaps = {name: (one - truth).norm(dim=1) for name, one in made.items()}  # [n] each
            found["distance_to_target"] = {name: gap.mean().item() for name, gap in gaps.items()}
        return found

    @torch.no_grad()
    def transfer_path(self, users: Tensor) -> dict[str, Tensor]:
        """Return training users' vectors at points of their way to the target, [n, k] each, by name.

        ``source`` are the source vectors at the scale of the target; ``1``, ``5`` and ``30`` the solver's
        output after so many evaluations of the noise; ``aligned`` the vectors that score.
        """
        # Mean and deviation of the source replaced by those of the target.
        source = self._standardised(self.source_states(users)) * self.statistics[3] + self.statistics[2]
        made = {"source": source} | {str(one): self.diffused(users, one) for one in FIGURE_4}
        made = {name: one[:, : self.width] for name, one in made.items()}
        return made | {"aligned": self.transfer(users)}
