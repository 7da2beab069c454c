"""CCDRec: a diffusion aligns item vectors with their modalities; its chain yields negatives, easy ones first.

Reference:
    Yang, Ma, Meng, Xu, Xie, Meng: "Curriculum Conditioned Diffusion for Multimodal Recommendation". AAAI
    2025.

The algorithm. e are the free item vectors, h^v and h^t the projected features, h_hat the item graph's output,
h_u and h_i the vectors whose inner products score; DMA, NDI and CNS are the paper's modules, each a switch::

    the start of an epoch n
        e_T = sqrt(abar_T) e + sqrt(1 - abar_T) eps, for all items         Eq. 1      ItemDiffusion.chain
        e_{t-1} ~ p_theta(e_{t-1} | e_t, h^v, h^t), t = T..1       (DMA)   Eq. 2      ItemDiffusion.chain
        pools E_t = e_t at t = 3T/4, T/2, T/4, 0                   (NDI)   Eq. 6      fusion.begin_epoch
        t = (T/4)(3 - min(3, n // interval)), after tau_end: h_i   (CNS)   Eq. 7      CCDRec._pool
        nearest of each item in E_t, among 10 % of the items               "CNS"      nearest_candidates
    a batch of pairs (u, p), each with a random item r
        c   = one of the nearest of p that u does not have                 "CNS"      curricular_negatives
        e_t = sqrt(abar_t) e + sqrt(1 - abar_t) eps, t ~ 1..T              Eq. 1      ItemDiffusion.learn
        e~  = f_theta(e_t, t, h^v, h^t), a transformer             (DMA)              TransformerEstimator
        L_dm = |e - e~|^2; what it trains: ``gradient_path``               Eq. 5      ItemDiffusion.learn
        e_f = (1 - mu) h_hat + mu e~;  h_u, h_i = backbone of e_f          "DMA"      fusion.of_batch
        L   = (1 - omega) BPR(u, p, r) + omega BPR(u, p, c) + lambda L_dm  Eq. 8, 9   CCDRec.calculate_loss
    evaluation: the same e_f with e_0, the end of the chain, for e~                   fusion.of_all

The diffusion is in ``item_diffusion.py``, its estimators in ``estimators.py``, e_f in ``fusion.py``
(``fusion`` above is a ``DiffusedItemFusion``), the backbones in ``backbone.py`` and a file each, pools and
candidates in ``sampler/curriculum.py``. Longer than most files: the paper's three modules side by side.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.compat import InputType
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import WholeGraphModel
from recbole_diffusion.model.ema import AveragedWeights
from recbole_diffusion.model.full_rank import WithLinearTerm
from recbole_diffusion.model.multimodal.backbone import Backbone
from recbole_diffusion.model.multimodal.batch_softmax import batch_softmax
from recbole_diffusion.model.multimodal.bm3 import BM3
from recbole_diffusion.model.multimodal.ccdrec_options import CURRICULAR, CCDRecOptions
from recbole_diffusion.model.multimodal.estimators import AttentionEstimator, TransformerEstimator
from recbole_diffusion.model.multimodal.freedom import FREEDOM
from recbole_diffusion.model.multimodal.fusion import DiffusedItemFusion
from recbole_diffusion.model.multimodal.item_diffusion import ItemDiffusion
from recbole_diffusion.model.multimodal.lattice import LATTICE
from recbole_diffusion.model.multimodal.mcdrec import MCDRec
from recbole_diffusion.model.precision import in_single
from recbole_diffusion.sampler.choose import RealHNSLimit, ScoredVectors, choose_negatives
from recbole_diffusion.sampler.curriculum import (
    curricular_negatives,
    curriculum_step,
    discounted_draws,
    nearest_candidates,
    score_thresholds,
)
from recbole_diffusion.sampler.realhns import likeness_limit, mean_likeness
from recbole_diffusion.sampler.uniform import uniform_negatives

BACKBONES: dict[str, type[Backbone]] = {
    "FREEDOM": FREEDOM,
    "LATTICE": LATTICE,
    "MCDRec": MCDRec,
    "BM3": BM3,
}


class CCDRec(WithLinearTerm, WholeGraphModel):
    """A multimodal backbone with three additions, each of which can be switched off.

    * DMA (``aligning``): a diffusion estimates the free item vectors back from noise and modalities (Eq. 1 to
      5). The estimates are fused with the item graph's output; the fused vectors are what the user-item graph
      propagates, or replace that output (``fusion``).
    * NDI (``negative_sampler: curricular``): a second negative of each pair, from pools of item vectors that
      the reverse chain passes through (Eq. 6).
    * CNS (``curriculum``): the pool moves from the noisiest to the cleanest as epochs go by (Eq. 7), and in
      the end to the vectors that are scored. Without it, the pool is always the end of the chain.

    The backbone's own losses, beside its pairs, are added to Eq. 9.

    Differences from the paper's text:
        * The reverse step's mean is the posterior's given the estimate of e_0, not that of Eq. 3 for a noise
          estimate.
        * Vectors are diffused at unit mean square over the table (``diffused_scale``), and Eq. 5 moves the
          estimator, and the projections where nothing else trains them, not the vectors (``gradient_path``).
        * The estimator adds to the linear estimate sqrt(abar_t) x_t (``identity_path``).
    Differences from the authors' code:
        * The pools follow Eq. 7 from the first epoch on. Theirs has no pool in epoch 0 and is off by one
          after it.
        * The transformer layer has a residual connection and a feed-forward layer; theirs is one attention
          layer (``estimator``).
        * Eq. 5 is a norm, theirs a mean over coordinates (``diffusion_error``). Items that a batch does not
          estimate have the end of the epoch's chain, theirs h_hat alone (``outside_batch``).
        * Candidates are drawn without replacement, once an epoch for each block of items instead of once a
          batch.
        * The chain has a seed, so that scores depend on the weights alone.
        * Ours, off by default: ``random_loss: softmax``, ``linear_term``, and which of the nearest candidates
          may be drawn.
        * Backbones besides FREEDOM, which are not published. Over BM3 the pairs of Eq. 8 are scored as BM3
          scores, and join its own losses, which have no negatives.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    dataset_class = "multimodal"
    renamed_weights: ClassVar = {"fusion.aligning": "fusion.item_diffusion"}

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: CCDRecOptions = config.options
        o = self.options
        self.backbone = BACKBONES[o.backbone](config, dataset, wrapped=o.aligning)
        self.positives = self.backbone.positives
        self.draws_from_chain = o.negative_sampler == CURRICULAR
        # A linear model of full rank beside the vectors, with which scores are no inner products any more.
        self.make_linear_term(self.backbone.interactions)
        self.fusion = None
        if o.aligning:
            estimator = self._estimator()
            # The states that are kept: the end of the chain and, with CNS, the four pools (Eq. 6).
            steps = {0} | ({curriculum_step(n, o.steps, 1) for n in range(4)} if o.curriculum else set())
            diffusion = ItemDiffusion(o.betas(), estimator, **o.diffusion_path())
            self.fusion = DiffusedItemFusion(
                diffusion,
                o.diffused_ratio,
                o.fusion,
                outside=o.outside_batch,
                steps=steps,
                seed=o.chain_seed,
                stochastic=o.chain_noise,
            )
        # After all weights are made, which it copies.
        self.average = AveragedWeights(self, o.ema_decay) if o.ema_decay else None
        self._threshold = RealHNSLimit(None, (o.window_low, o.window_high)) if o.by_threshold else None
        self._nearest: Tensor | None = None  # of each item in the pool of the epoch, long [n_items, kept]
        self._draws: Tensor | None = None  # how often each of them is drawn
        self._admitting: tuple[Tensor, Tensor, Tensor] | None = None  # h_u, h_i and each user's threshold
        self._generated: Tensor | None = None  # the pool's vectors as they are scored, [n_items, d]
        self._omega = o.negative_weight
        self.loss_names = self._loss_names()
        self._begun = False
        self._forget()

    def _estimator(self) -> AttentionEstimator | TransformerEstimator:
        """Return f_theta of DMA."""
        o = self.options
        if o.estimator == "attention":
            return AttentionEstimator(o.embedding_size, o.steps, o.key_size)
        return TransformerEstimator(o.embedding_size, o.steps, o.key_size, o.feed_forward_size)

    def _loss_names(self) -> tuple[str, ...]:
        diffusion = ("diffusion",) if self.options.aligning else ()
        return ("random", "hard", *self.backbone.other_loss_names, *diffusion)

    def _forget(self) -> None:
        super()._forget()
        fusion: DiffusedItemFusion | None = getattr(self, "fusion", None)
        if fusion is not None:  # it is missing at first in the constructor
            fusion.forget()

    def begin_epoch(self, epoch: int) -> None:
        """Run the chain, unless the last evaluation has; search the pool (Eq. 7); begin the backbone."""
        o = self.options
        if self.fusion is not None:
            states = self.fusion.begin_epoch(self.backbone)  # E_t by step, each [n_items, d]
            if self.draws_from_chain:
                self._search(self._pool(epoch, states), final=self._is_final(epoch))
        else:
            # Without DMA the free vectors stand for the diffused ones.
            self.backbone.set_diffused_items(self.backbone.ego_items().detach())
        self.backbone.begin_epoch(epoch)
        if self._threshold is not None and epoch >= o.warm_epochs:
            limit = likeness_limit(epoch + 1, o.warm_epochs, mean_likeness(self._evaluated()[1]))
            self._threshold = self._threshold._replace(limit=limit)
        self._omega = o.negative_weight * o.negative_weight_decay**epoch
        self._begun = True

    def _search(self, pool: Tensor, final: bool) -> None:
        """Search what the second negatives of an epoch are drawn from.

        Args:
            pool: [n_items, d].
            final: whether these are the scored vectors.
        """
        o = self.options
        # c is drawn from the nearest items of its positive in the pool, searched once an epoch.
        self._nearest = nearest_candidates(
            pool,
            candidate_ratio=o.candidate_ratio,
            top_ratio=o.top_ratio,
            candidate_limit=o.candidate_limit,
            cut_ratio=o.cut_ratio,
        )
        counts = self.positives.items.bincount(minlength=self.n_items)
        self._draws = discounted_draws(self._nearest, counts, o.draw_discount) if o.draw_discount else None
        if o.score_share < 1:
            users, items = self._evaluated()
            thresholds = in_single(score_thresholds)(users, items, o.score_share)
            self._admitting = users.float(), items.float(), thresholds
        if o.generated_negatives:
            # The denoised vectors where the user-item graph's output stands in the scored ones.
            with torch.no_grad():
                joined = pool if final else self.backbone.joined(self.backbone.high_order(), pool)
                self._generated = joined if final else self.backbone.scored(joined)
            self.backbone._forget()  # a graph that LATTICE made for this has no gradient, which batches need

    def _is_final(self, epoch: int) -> bool:
        """Return whether an epoch's pool are the scored vectors."""
        end = self.options.curriculum_end
        return self.options.curriculum and end is not None and epoch > end

    def _pool(self, epoch: int, states: dict[int, Tensor]) -> Tensor:
        """Return an epoch's pool, [n_items, d]: a state of the chain, after tau_end the scored vectors."""
        o = self.options
        if not self._is_final(epoch):
            # Eq. 7; without CNS the end of the chain.
            return states[curriculum_step(epoch, o.steps, o.curriculum_interval) if o.curriculum else 0]
        return self._evaluated()[1]

    def _evaluated(self) -> tuple[Tensor, Tensor]:
        """Return h_u and h_i as the evaluation of the last epoch had them, [n_users, d] and [n_items, d]."""
        # A change of the mode drops what was derived.
        training = self.training
        if training:
            self.eval()
        kept = self._kept()
        if training:
            self.train()
        return kept

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, d] and item vectors [n_items, d]."""
        if self.average is None or self.training:
            return self._vectors_of_weights()
        # By the averages; the chain and the graph that they gave are of no use to their own weights.
        with self.average.in_place(self):
            self._drop_derived()
            found = self._vectors_of_weights()
        self._drop_derived()
        return found

    def _vectors_of_weights(self) -> tuple[Tensor, Tensor]:
        return self.backbone.vectors() if self.fusion is None else self.fusion.of_all(self.backbone)

    def _drop_derived(self) -> None:
        self.backbone._forget()
        if self.fusion is not None:
            self.fusion.forget()

    def after_step(self) -> None:
        """Move the average of the weights, if there is one, towards those of the step."""
        if self.average is not None:
            self.average.update(self)

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the parts of Eq. 9, each with its weight, in the order of ``loss_names``."""
        if not self._begun:
            self.begin_epoch(0)
        o = self.options
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]  # u and p, [batch]
        random = uniform_negatives(self.positives, users)  # r, [batch]
        second = self._second(users, items)  # c
        made = second.is_floating_point()  # vectors [batch, d] instead of ids [batch]
        # One forward pass for all ids; c is among them where it is an item.
        u, v, modal, diffusion = self._batch(
            users, torch.stack([items, random] if made else [items, random, second])
        )
        # u [batch, d] and v [kinds, batch, d]: p, r and, where it is an item, c; and what of them is scored.
        U, V = self.backbone.scored(u), self.backbone.scored(v)
        of_random, of_hard = self._pairs(users, torch.stack([items, random]), U, V, second if made else V[2])
        # The random and the hard negative share the weight: 1 - omega and omega (Eq. 8, 9).
        parts = {"random": (1 - self._omega) * of_random, "hard": self._omega * of_hard}
        parts |= self.backbone.other_losses(u, users, items, random, modal, v[0])
        if diffusion is not None:
            parts["diffusion"] = o.diffusion_weight * diffusion
        return tuple(parts.values())

    def _pairs(self, users: Tensor, ids: Tensor, U: Tensor, V: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses of the random and of the hard negatives (Eq. 8, or ``random_loss``).

        Args:
            users: long [batch].
            ids: p and r, long [2, batch].
            U: of the users, [batch, d].
            V: of p and r, and perhaps more, [kinds, batch, d].
            C: of c, [batch, d].
        """
        o = self.options
        if o.random_loss == "pairs":
            positive = (U * V[0]).sum(1)
            return losses.bpr(positive, (U * V[1]).sum(1)), losses.bpr(positive, (U * C).sum(1))
        tau = o.softmax_temperature
        of_random = batch_softmax(
            users, U, ids, V[:2], self.positives, temperature=tau, number=o.softmax_items
        )
        # The hard pairs by cosine too: the softmax leaves the lengths of vectors as they are.
        U, P, C = (
            F.normalize(U, dim=1) / o.softmax_temperature,
            F.normalize(V[0], dim=1),
            F.normalize(C, dim=1),
        )
        return of_random, losses.bpr((U * P).sum(1), (U * C).sum(1))

    def _batch(self, users: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Return what a batch needs.

        Args:
            users: long [batch].
            ids: items, random negatives and perhaps more, long [kinds, batch].

        Returns:
            user vectors [batch, d] and item vectors [kinds, batch, d], before ``scored``, and with
            ``aligning`` the projected features of the first two kinds [2, batch, modalities, d] and the
            diffusion loss.
        """
        if self.fusion is None:
            # Without DMA there are no estimates: the backbone's own vectors, gathered.
            U, V = self.backbone.unscored_from(self.backbone.high_order())
            return U.index_select(0, users), V.index_select(0, ids.flatten()).view(*ids.shape, -1), None, None
        # With h_hat outside of the batch, hard negatives are no part of it (the released code).
        estimated = 2 if self.fusion.leaves_others else len(ids)
        # The diffusion estimates each item of the batch once, in whatever rows and kinds it is.
        distinct, where = torch.unique(ids[:estimated], return_inverse=True)
        some_users, of_user = torch.unique(users, return_inverse=True)
        others = None
        if estimated < len(ids):
            # Behind them, long [k], the hard negatives that are not estimated.
            others, of_others = torch.unique(ids[estimated:], return_inverse=True)
            where = torch.cat([where, of_others + len(distinct)])
        fused = self.fusion.of_batch(self.backbone, distinct, some_users, others)
        modal = fused.modal.index_select(0, where[:2].flatten())  # of p and r, for the backbone's losses
        return (
            # h_u [batch, d], h_i [kinds, batch, d], and h^m [2, batch, modalities, d].
            fused.users.index_select(0, of_user),
            fused.items.index_select(0, where.flatten()).view(*ids.shape, -1),
            modal.view(2, len(users), *fused.modal.shape[1:]),
            fused.loss,
        )

    # The second negative.

    def _second(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the second negative of each row: ids, long [batch], or vectors [batch, d] of ``mixgcf``."""
        o = self.options
        if self.draws_from_chain:
            if self._nearest is None:
                raise RuntimeError("no pool has been searched: call begin_epoch before the first batch")
            # c, near to p in the pool of the epoch (CNS).
            admitted = self._admitted if self._admitting is not None else None
            drawn = curricular_negatives(
                self._nearest, items, users, self.positives, cumulative=self._draws, admitted=admitted
            )
            return drawn if self._generated is None else self._generated[drawn]
        ids, mixed = choose_negatives(
            o.negative_sampler,
            self.positives,
            users,
            items,
            lambda: self._candidate_vectors(users),
            candidate_items=o.candidate_items,
            hardest=o.hardest if o.negative_sampler == "realhns" else 1,
            false_ratio=o.false_ratio,
            threshold=self._threshold,
        )
        return ids if mixed is None else mixed

    def _admitted(self, users: Tensor, items: Tensor) -> Tensor:
        """Return whether items are within the top share of their user's scores, bool [pairs]."""
        assert self._admitting is not None  # as the caller sees to
        of_users, of_items, thresholds = self._admitting
        return (of_users[users] * of_items[items]).sum(1) >= thresholds[users]

    def _candidate_vectors(self, users: Tensor) -> ScoredVectors:
        """Return the vectors by which hard negatives of a batch are chosen."""
        U, tables = self._tables()
        # Candidates are compared by what is scored, the mean over layers; ``mixgcf`` mixes the layers.
        return ScoredVectors(U[users].detach(), torch.stack(tables).mean(0).detach(), tables)

    def _tables(self) -> tuple[Tensor, list[Tensor]]:
        """Return user vectors [n_users, d] and item vectors of each layer; their mean is what is scored."""
        # As :meth:`vectors`, by layer, and with the chain as it was at the start of the epoch.
        high, items = self.backbone.high_order(), None
        if self.fusion is not None:
            high, items = self.fusion.placed(high, self.fusion.end_of_chain())
        layers = self.backbone.layers(items)
        users, _ = self.backbone.encoder.pooled(layers)
        scored, joined = self.backbone.scored, self.backbone.joined
        # ``scored`` is affine, so that the mean over layers is scored as their means are.
        return scored(users), [scored(joined(high, of_items)) for _, of_items in layers]
