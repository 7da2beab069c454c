"""TVDiff: a tri-view diffusion framework for recommendation.

Reference:
    Chen, Lei, Sheng, Liu, Gong: "Towards A Tri-View Diffusion Framework for Recommendation", KDD 2026.

The algorithm, for a batch of users with rows x_0 [batch, n_items]; identities are those of
``docs/architecture.md``::

    H = tanh(R_norm^T W_U)                                    Eq. 13          tvdiff_denoiser.GraphItemEncoder
    training, Algorithm 1: t ~ 1..T
        z_t = sqrt(abar_t) x_0 W_I + sqrt(1 - abar_t) eps W_I Eq. 1           identity 3, _projected_energy
        u_t = tanh(Agg(z_t, e_t)),  x0_hat = u_t H^T          Eq. 13, View II _vectors
        energy  = |x0_hat - x_0|^2                            Eq. 9, View I   identity 2, model/loss.py
        entropy = BPR, BCE or NLL of the user's items         Eq. 9, View I   _entropy
            with negatives by acceptance, rejection, Gumbel   Eq. 16, 17,     sampler/ar_gsp.py
                                                              View III
        loss    = energy + temperature * entropy                              calculate_loss
    scoring, Algorithm 2: z = x_0 W_I, then for t = T-1..1
        z <- c1(t) u_t (H^T W_I) + c2(t) z                                    identity 1, _reverse
        scores = u_0 H^T                                                      inner_products

``tvdiff_dense.py`` has the same on arrays [batch, n_items].

Longer than most files: the paper's three views in its order, exact and projected beside each other.
"""

import math
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.compat.processor import WIDE, multiplies_bfloat16
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.diffusion import GaussianDiffusion, sinusoidal_embedding, uniform_steps
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import FoldInHistories, InnerProducts, pairs_of_rows
from recbole_diffusion.model.full_rank import WithLinearTerm, by_deviation
from recbole_diffusion.model.history_model import history_rows
from recbole_diffusion.model.layers import noise_factor, pair_scores
from recbole_diffusion.model.precision import in_single
from recbole_diffusion.model.rows.tvdiff_chain import SAMPLE, Chain, ShortChain, short_chain
from recbole_diffusion.model.rows.tvdiff_denoiser import aggregated, make_item_encoder
from recbole_diffusion.model.rows.tvdiff_dense import dense_energy, dense_rows, dense_scores
from recbole_diffusion.model.rows.tvdiff_options import TVDiffOptions
from recbole_diffusion.model.user_blocks import KeptUsers, UserBlocks, checksum, noise_seed
from recbole_diffusion.sampler.ar_gsp import ArGsp
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.row_proportion import RowProportion
from recbole_diffusion.sampler.uniform import uniform_negatives


class TVDiff(WithLinearTerm):
    """Diffusion of user rows with three views, each a switch.

    A user's row x_0 [n_items] is noised to x_t (Eq. 1) and reconstructed as x0_hat = u_t H^T with u_t =
    tanh(x_t W_I + e_t) and H = tanh(R_norm^T W_U) (View II, Eq. 13; ``aggregation`` and ``topology`` take
    other forms of the two). Training minimises minus the free energy: squared error plus ``temperature``
    times an entropy term (View I, Eq. 9), whose negatives AR-GSP draws (View III, Eq. 16 and 17). Without any
    view it is DiffRec's denoiser, trained with the unweighted squared error.

    x_t enters only through z_t = x_t W_I. So the squared error over the catalogue, the forward noise and the
    whole reverse chain are computed in the hidden space (``training`` and ``scoring``: ``projected``);
    ``dense`` computes them as the paper writes them.

    The chain has rank d. ``linear_term``, ours, adds the scores of a linear item-item model of full rank
    (EASE or EDLAE in closed form) to it in scoring; such scores are not inner products.

    Differences from the authors' code (``docs/models/tvdiff.md`` says why and what they change):
        * AR-GSP is on by default and works; the released code never reaches it, and would score each row on
          all rows' negatives.
        * A user's positives are never drawn, instead of with a tiny probability.
        * Dropout is off in scoring.
        * With dropout, the noise part of the training input is matched in its second moment instead of being
          dropped out itself (``training: projected`` only).
        * BPR uses log sigmoid, without the 1e-5 inside the logarithm.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    has_item_vectors = True
    takes_histories = True
    loss_names = ("energy", "entropy")
    renamed_weights: ClassVar = {"tower": "item_encoder"}
    time_table: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: TVDiffOptions = config.options
        o = self.options
        self.evaluation_seed = config.general.seed
        interactions = binary_interactions(dataset)
        self.positives = InteractionCSR.from_scipy(interactions)

        self.diffusion = GaussianDiffusion(o.betas(), first_beta=o.first_beta)
        # Features of each step, [T, embedding_size]; constant, and so not in checkpoints.
        table = sinusoidal_embedding(torch.arange(o.steps), o.embedding_size)
        self.register_buffer("time_table", table, persistent=False)

        # W_I, [n_items, d]: all that the denoiser sees of x_t is z_t = x_t W_I.
        self.W_I = losses.xavier(self.n_items, o.hidden_size)
        nn.init.zeros_(self.W_I.data[0])  # the padding item: no row of x_t reaches it
        # e_t: features of the step to [batch, d].
        self.time_layer = nn.Linear(o.embedding_size, o.hidden_size)
        nn.init.xavier_normal_(self.time_layer.weight)
        nn.init.zeros_(self.time_layer.bias)
        # View II: H from W_U over the graph, or free.
        self.item_encoder = make_item_encoder(o.denoiser, o.topology, interactions, o.hidden_size)
        # View III: hard negatives by rank.
        self.sampler = ArGsp(o.gamma, o.relaxation_rate, o.steps, o.exact_rank_cells, o.candidate_items)
        self.in_proportion = RowProportion(o.sl_power, o.exact_rank_cells, o.candidate_items)
        # u_0 of each user, [n_users, width]; one column more where H has a bias.
        width = o.hidden_size + self.item_encoder.has_bias
        self.user_blocks = UserBlocks(self.n_users, width, self._block_vectors)
        # The same for lists, within the tolerance.
        self.near_users = KeptUsers(self.n_users, width, self._near_vectors)
        # A linear model of full rank beside the denoiser, with which scores are no inner products any more.
        self.make_linear_term(interactions)
        self._forget()

    @classmethod
    def enlarges_batches(cls, config: Any) -> bool:
        """Return whether rows are not dense: a batch then costs H and H^T H, whatever its rows are."""
        return config.options.training == "projected"

    @classmethod
    def undivided(cls, config: Any) -> str | None:
        """Return why its batches cannot be shared: dense rows are drawn with their noise."""
        return None if config.options.training == "projected" else "its training is dense"

    # The denoiser, Eq. 13.

    def item_vectors(self) -> Tensor:
        """Return H [n_items, width], row 0 zero: scores are inner products with :meth:`user_vectors`."""
        return self.item_encoder()

    def _vectors(self, z: Tensor, t: Tensor) -> Tensor:
        """Return u_t = tanh(Agg(x_t W_I, e_t)) [rows, width] from z_t = x_t W_I [rows, d]."""
        # z_t + e_t by default, [rows, d]; where all rows are at one step, e_t is one row.
        e = self.time_layer(self.time_table[t])
        return self._with_one(torch.tanh(aggregated(z, e, self.options.aggregation)))

    def _with_one(self, u: Tensor) -> Tensor:
        """Return u [rows, d] with a one behind, which meets a perceptron's bias, the last column of H."""
        return F.pad(u, (0, 1), value=1.0) if self.item_encoder.has_bias else u

    def _vectors_of_rows(self, x: Tensor, t: Tensor) -> Tensor:
        """Return u_t [rows, width] from dense x_t [rows, n_items]."""
        return self._vectors(x @ self.W_I, t)

    # Training, Algorithm 1.

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return energy and entropy parts of minus the free energy (Eq. 9), each a scalar, by cell."""
        o = self.options
        users = interaction[self.USER_ID]
        # A step for each row, long [rows]; a user who is in the batch twice gets two.
        t = uniform_steps(o.steps, len(users), device=users.device)
        # H once for the batch, [n_items, width]: it depends on neither x_t nor t.
        H = self.item_vectors()
        if o.training == "dense":
            u, dense, error = self._dense_energy(users, t, H)
        else:
            dense = None
            u, error = self._projected_energy(users, t, H)
        energy = self.share.mean(error) / (self.n_items - 1)  # by cell; item 0 is the padding
        if o.entropy_loss == "none" or o.temperature == 0:
            return (energy,)
        return energy, o.temperature * self._entropy(interaction, users, t, u, H, dense)

    def _projected_energy(self, users: Tensor, t: Tensor, H: Tensor) -> tuple[Tensor, Tensor]:
        """Return u_t [rows, width] and the squared errors [rows] without an array of [rows, n_items].

        Rows are those of this worker's share; all draws are for the whole batch.
        """
        o, diffusion = self.options, self.diffusion
        whole, mine = users, self.share.rows(len(users))
        users, t = users[mine], t[mine]
        # Identity 3: z_t is sqrt(abar_t) times the sum of W_I over the user's items, plus projected noise.
        items, starts, _ = self.positives.gather(users)
        keep = 1 - o.dropout_prob
        weights = None
        if o.dropout_prob:
            # Inverted dropout of x_0's ones: 0, or 1 / keep with probability keep.
            number, some = self.share.entries(self.positives.counts(whole), len(items))
            drawn = torch.rand(number, device=users.device)[some]
            weights = (drawn < keep).to(H.dtype) / keep  # [total]
        signal = losses.sum_by_row(self.W_I, items, starts, weights)  # x_0 W_I, [rows, d]
        # Distributed as eps W_I.
        eps = torch.randn(len(whole), signal.shape[1], device=signal.device, dtype=signal.dtype)
        noise = eps[mine] @ self._factor()
        # Dropout keeps a coordinate with probability keep and divides it by keep: 1 / keep of the variance.
        z = diffusion.signal[t, None] * signal + (diffusion.noise[t, None] / math.sqrt(keep)) * noise
        u = self._vectors(z, t)
        # Identity 2: the sums of H over each user's items, once for users who are in the batch several times.
        distinct, where = torch.unique(users, return_inverse=True)
        items, starts, _ = self.positives.gather(distinct)
        # Sum of h_i over N(u), [rows, width].
        sums = losses.sum_by_row(H, items, starts)[where]
        return u, losses.full_catalogue_squared_error(u, H, sums, self.positives.counts(users).to(H.dtype))

    def _dense_energy(self, users: Tensor, t: Tensor, H: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return u_t, x0_hat [rows, n_items] and the squared errors, as the paper writes them."""
        x0 = dense_rows(self.positives, users, H.dtype)  # [rows, n_items]
        prob = self.options.dropout_prob if self.training else 0.0
        return dense_energy(self._vectors_of_rows, self.diffusion, x0, t, H, prob)

    def _entropy(
        self, interaction: Any, users: Tensor, t: Tensor, u: Tensor, H: Tensor, dense: Tensor | None
    ) -> Tensor:
        """Return the entropy term of Eq. 9: BCE or NLL by cell, as the squared error, or BPR by pair."""
        o, share, mine = self.options, self.share, self.share.rows(len(users))
        pairs = o.entropy_loss == "bpr" and o.batch_by == "interaction"
        # A pair of the batch itself and one negative for each row, or all items of each user and as many.
        counts = torch.ones_like(users) if pairs else self.positives.counts(users)  # [batch]
        if pairs:
            rows, positive = torch.arange(len(u), device=users.device), interaction[self.ITEM_ID][mine]
        else:
            positive, _, rows = self.positives.gather(users[mine])  # long [total]

        def scores(rows: Tensor, items: Tensor) -> Tensor:
            # u_t . h_i at the given cells, [cells]; x0_hat has them where it was computed.
            return pair_scores(u, H, rows, items) if dense is None else dense[rows, items]

        # The number of cells that the squared error is a mean over.
        cells = len(users) * (self.n_items - 1)
        if o.entropy_loss == "nll":
            return share.sum(losses.negative_log_likelihood(scores(rows, positive))) / cells
        threshold = None
        if o.negative_sampler == "uniform":
            negative = uniform_negatives(self.positives, users if pairs else users.repeat_interleave(counts))
        else:
            # The model's own scores decide what is hard; the choice has no gradient.
            vectors, H_now = share.gather(u, len(users)).detach(), H.detach()
            negative, threshold = self._hard_negatives(vectors, H_now, users, t, counts)
        entries = share.entries(counts, len(positive))[1]
        # One call for both: a pair product over the batch is cheaper than two.
        of_positive, of_negative = scores(rows.repeat(2), torch.cat([positive, negative[entries]])).chunk(2)
        if o.entropy_loss == "bpr":
            terms = losses.bpr_terms(of_positive, of_negative)
            if threshold is not None and o.margin_power and pairs:
                # Of the whole batch, one negative a row: the mean margin is the batch's in every worker.
                margins = (
                    pair_scores(vectors, H_now, torch.arange(len(users), device=users.device), negative)
                    - threshold
                )
                terms = terms * losses.margin_weights(margins, o.margin_power)[entries]
            return share.mean(terms)
        return share.sum(losses.binary_cross_entropy(of_positive, of_negative)) / cells

    @in_single
    def _hard_negatives(
        self, vectors: Tensor, H: Tensor, users: Tensor, t: Tensor, counts: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return negatives of each row, long [counts.sum()], and AR-GSP's thresholds, [rows] (View III)."""
        if self.options.negative_sampler == "sl":
            return self.in_proportion.draw(vectors, H, self.positives, users, counts), None
        return self.sampler.draw_by_threshold(vectors, H, self.positives, users, t, counts)  # Eq. 16, 17

    # Scoring, Algorithm 2.

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; what evaluation derived outlives equal weights."""
        if not (mode or self.training) and self._cache and self._derived_from == checksum(self.parameters()):
            return self
        return super().train(mode)

    def _forget(self) -> None:
        self._cache: dict[str, Tensor] = {}
        self._derived_from: tuple[int, ...] = ()
        self._noise_factor: Tensor | None = None
        self._short: tuple[ShortChain | None] | None = None
        if hasattr(self, "near_users"):  # not before the end of the constructor
            self.user_blocks.forget()
            self.near_users.forget()

    def _factor(self) -> Tensor:
        """Return C with C^T C = W_I^T W_I, kept until the weights change (identity 3)."""
        if self._noise_factor is None:
            self._noise_factor = noise_factor(self.W_I)
        return self._noise_factor

    def _item_side(self) -> Tensor:
        """Return H, kept with M = H^T W_I until the weights change."""
        if not self._cache:
            # Constant in evaluation: H [n_items, width] and M [width, d], with u_t M = x0_hat W_I.
            self._cache["H"] = self.item_vectors().detach()
            self._cache["M"] = self._cache["H"].T @ self.W_I
            self._derived_from = checksum(self.parameters())
        return self._cache["H"]

    @torch.no_grad()
    def user_vectors(self, users: Tensor) -> Tensor:
        """Return u_0 of the last reverse step, [batch, width]; c1 = 1 and c2 = 0 there: x0_hat = u_0 H^T."""
        return self.user_blocks.gather(users)

    def _block_vectors(self, users: Tensor, block: int) -> Tensor:
        items, starts, _ = self.positives.gather(users)
        return self._fold_in_vectors(items, starts, noise_seed(self.evaluation_seed, block))

    @torch.no_grad()
    def _fold_in_vectors(self, items: Tensor, starts: Tensor, seed: int) -> Tensor:
        """Return u_0 [batch, width] of users who have these items; ``seed`` of the chain's noise."""
        self._item_side()
        generator = torch.Generator(items.device).manual_seed(seed)
        # x_0 W_I, [batch, d]: the sum of W_I over the user's items.
        return self._reverse(losses.sum_by_row(self.W_I, items, starts), generator)

    def own_products(self) -> InnerProducts:
        """Return u_0 and H; a chain without noise runs for the asked users, for lists in short."""

        def of(users: Tensor) -> Tensor:
            # A noisy chain draws by block of users, so that its vectors come from there.
            if self._noisy():
                return self.user_vectors(users)
            return self._fold_in_vectors(*self.positives.gather(users)[:2], self.evaluation_seed)

        with torch.no_grad():
            return InnerProducts(of, self._item_side(), None if self._noisy() else self.near_users.gather)

    @torch.no_grad()
    def _near_vectors(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Return u_0 by the short chain, where it is worth while, [batch, width], and the doubt, [batch]."""
        self._item_side()
        z = losses.sum_by_row(self.W_I, *self.positives.gather(users)[:2])
        short = self.short_chain() if len(users) >= SAMPLE else None
        if short is None:
            return self._reverse(z, None), z.new_zeros(len(users))
        u = short.chain.end(short(z))
        return self._with_one(u), short.doubt * u.norm(dim=1)

    @torch.no_grad()
    def short_chain(self) -> ShortChain | None:
        """Return the chain with few products, ``tvdiff_chain.py``, made once for the weights; None: plain."""
        o = self.options
        if self._short is None:
            H, steps, short = self._item_side(), o.inference_steps or o.steps, None
            # With another aggregation than the addition there is no tolerance (options).
            if o.chain_tolerance and o.hidden_size >= WIDE and multiplies_bfloat16(H.device):
                chain = Chain(
                    self.time_layer(self.time_table[:steps]),
                    self.diffusion.posterior_x0[:steps],
                    self.diffusion.posterior_xt[:steps],
                    self._cache["M"],
                )
                users = torch.linspace(1, self.n_users - 1, SAMPLE, device=H.device).long()
                sample = losses.sum_by_row(self.W_I, *self.positives.gather(users)[:2])
                short = short_chain(chain, sample, H, o.chain_tolerance)
            self._short = (short,)
        return self._short[0]

    def final_diagnostics(self) -> dict[str, Any]:
        """Return the products and the error of the chain that made the lists, and the term's weight."""
        found = super().final_diagnostics()
        short = self._short[0] if self._short else None
        if short is None:
            return found
        return found | {"chain": {"products": len(short.blocks), "largest_error": short.error}}

    def fold_in_vectors(self, histories: FoldInHistories, seed: int) -> Tensor:
        """Return u_0 of users by their items, [batch, width]; ``seed`` of the chain's noise."""
        return self._fold_in_vectors(histories.items, histories.starts, seed)

    @torch.no_grad()
    def fold_in_scores(self, histories: FoldInHistories, seed: int) -> Tensor:
        """Return scores of all items for users by their items, [batch, n_items]."""
        scores = self.fold_in_vectors(histories, seed) @ self._item_side().T
        if self.linear is None:
            return scores
        linear = self.linear.of_rows(history_rows(histories, self.n_items))
        return by_deviation(scores, linear, self.weight)

    def _noisy(self) -> bool:
        return self.options.sampling_steps > 0 or self.options.sampling_noise

    def _reverse(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        """Run the reverse chain on z = x_0 W_I [rows, d] and return u_0 [rows, width] (identity 1).

        The posterior mean x_{t-1} = c1(t) x0_hat + c2(t) x_t times W_I, with x0_hat = u_t H^T and M = H^T W_I
        [width, d], is z_{t-1} = c1(t) u_t M + c2(t) z_t. Noise enters as a Gaussian with covariance W_I^T
        W_I.
        """
        o, diffusion = self.options, self.diffusion

        def noise(like: Tensor) -> Tensor:
            return (
                torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
                @ self._factor()
            )

        if o.sampling_steps:  # a history that is noised first
            last = o.sampling_steps - 1
            # x_0 noised to step T', without leaving [rows, d]: sqrt(abar) x_0 W_I + sqrt(1 - abar) eps W_I.
            z = diffusion.signal[last] * z + diffusion.noise[last] * noise(z)
        # From the noisiest step to 1; step 0 follows the loop.
        for t in range((o.inference_steps or o.steps) - 1, 0, -1):
            u = self._vectors(z, torch.full((1,), t, device=z.device))  # [rows, width]
            # z <- c1(t) u_t M + c2(t) z_t
            z = torch.addmm(
                z,
                u,
                self._cache["M"],
                beta=float(diffusion.posterior_xt[t]),
                alpha=float(diffusion.posterior_x0[t]),
            )
            if o.sampling_noise:
                # sigma(t) eps W_I, [rows, d].
                z = z + math.exp(0.5 * float(diffusion.posterior_log_variance[t])) * noise(z)
        # c1 = 1 and c2 = 0 at step 0: x_0 is u_0 H^T, and u_0 is enough.
        return self._vectors(z, torch.zeros(1, dtype=torch.long, device=z.device))

    @torch.no_grad()
    def own_scores(self, users: Tensor) -> Tensor:
        """Return scores of all items without the linear term, a new tensor [batch, n_items]."""
        if self.options.scoring == "dense":
            return self._dense_scores(users)
        # [batch, width] x [width, n_items]
        return self.user_vectors(users) @ self._cache["H"].T

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the scores of user-item pairs, [batch]."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        if self.linear is not None:
            return pairs_of_rows(self, interaction)  # the deviations are over all items
        if self.options.scoring == "dense":
            return self._dense_scores(users)[torch.arange(len(users), device=users.device), items]
        return (self.user_vectors(users) * self._cache["H"][items]).sum(1)

    def _dense_scores(self, users: Tensor) -> Tensor:
        """Return the scores by the plain chain, [batch, n_items]."""
        H = self._item_side()
        steps = self.options.inference_steps or self.options.steps
        return dense_scores(
            self._vectors_of_rows, self.diffusion, dense_rows(self.positives, users, H.dtype), H, steps
        )
