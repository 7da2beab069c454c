"""Item vectors fused with diffused ones: e_f = (1 - mu) h_hat + mu e_0 (CCDRec, "Learning Phase of DMA")."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recbole_diffusion.model.multimodal.backbone import Backbone
from recbole_diffusion.model.multimodal.item_diffusion import ItemDiffusion


class FusedBatch(NamedTuple):
    """The fused vectors of a training batch.

    Attributes:
        users: vectors of the batch's distinct users, [m, d].
        items: vectors of the batch's distinct items, [n, d].
        modal: projected features of those that are estimated, [n, modalities, d].
        loss: of the diffusion (Eq. 5), a scalar.
    """

    users: Tensor
    items: Tensor
    modal: Tensor
    loss: Tensor


class DiffusedItemFusion(nn.Module):
    """Vectors of a backbone with diffused items: in training of a batch, in evaluation of all by the chain.

    With ``place: output`` e_f replaces h_hat in the scored vectors. With ``place: input`` the user-item graph
    propagates e_f, and h_hat is joined as it is; in training, items that are not estimated then have in its
    place the e_f of the chain at the start of the epoch (``outside: chain``), or h_hat alone (``high_order``,
    the released code).

    Args:
        item_diffusion: the diffusion.
        ratio: mu, of the diffused vector.
        place: ``output`` or ``input``.
        outside: ``chain`` or ``high_order``.
        steps: states of the chain that are kept, 0 among them.
        seed: of the chain.
        stochastic: whether the chain adds noise at each step.
        network: a map of the fused vectors and the projected features, [n, (1 + modalities) d], to what the
            user-item graph starts from, [n, d], for ``place: input``; None: the fused vectors themselves. In
            training, items that are not estimated have their features as projected at the epoch's start.
    """

    def __init__(
        self,
        item_diffusion: ItemDiffusion,
        ratio: float,
        place: str,
        outside: str,
        steps: set[int],
        seed: int,
        stochastic: bool,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.item_diffusion, self.ratio, self.place, self.outside = item_diffusion, ratio, place, outside
        self.steps, self.seed, self.stochastic = steps, seed, stochastic
        # Of the start of the epoch: the end of the chain [n_items, d], h^m [n_items, modalities, d].
        self.end: Tensor | None = None
        self.conditions: Tensor | None = None
        self.forget()

    @property
    def leaves_others(self) -> bool:
        """Whether items may be asked for that are not estimated, see :meth:`of_batch`."""
        return self.place == "input" and self.outside == "high_order"

    def forget(self) -> None:
        """Drop the states of the chain; weights are about to change."""
        self._states: dict[int, Tensor] | None = None
        self._conditions: Tensor | None = None

    @torch.no_grad()
    def states(self, backbone: Backbone) -> dict[int, Tensor]:
        """Return the kept states of the chain by step, each [n_items, d]; one chain until :meth:`forget`."""
        if self._states is None:
            # e, noised to step T and taken back; with its seed the chain is a function of the weights.
            table = backbone.ego_items().detach()
            generator = torch.Generator(table.device).manual_seed(self.seed)
            conditions = backbone.built_projections.project_all()  # [n_items, modalities, d]
            self._conditions = conditions if self.network is not None else None
            self._states = self.item_diffusion.chain(
                table, conditions, self.steps, generator, self.stochastic
            )
        return self._states

    def begin_epoch(self, backbone: Backbone) -> dict[int, Tensor]:
        """Run the chain, pass its end to the backbone, and return the kept states."""
        states = self.states(backbone)
        self.end, self.conditions = states[0], self._conditions
        backbone.set_diffused_items(self.end)
        return states

    def end_of_chain(self) -> Tensor:
        """Return the end of the chain at the start of the epoch, [n_items, d].

        Raises:
            RuntimeError: no epoch has begun.
        """
        if self.end is None:
            raise RuntimeError("the chain has not run: call begin_epoch before the first batch")
        return self.end

    def of_batch(
        self, backbone: Backbone, distinct: Tensor, users: Tensor, others: Tensor | None = None
    ) -> FusedBatch:
        """Return the vectors of a training batch: the estimates of e_0 of its items, fused and propagated.

        Args:
            backbone: the wrapped model.
            distinct: long [n], ids of the batch's items that are estimated, each once.
            users: long [m], ids of the batch's users, each once.
            others: long [k], ids of items that are not estimated and whose vectors are asked for too, behind
                    those of ``distinct``; where the fusion ``leaves_others`` alone.
        """
        ego, high = backbone.ego_items(), backbone.high_order()  # e and h_hat, [n_items, d] each
        modal = backbone.modal_items(distinct)  # h^m, [n, modalities, d]
        # e~ [n, d] and L_dm, from the noised e of the batch (Eq. 1, 5).
        estimate, loss = self.item_diffusion.learn(
            ego.index_select(0, distinct), modal, self.item_diffusion.scale(ego), backbone.trains_projections
        )
        if self.place == "output":
            # e_f in the place of h_hat: only the rows of the batch are fused, [n, d].
            u, propagated = backbone.propagated((users, distinct))
            fused = self.fused(high.index_select(0, distinct), estimate)
            return FusedBatch(u, backbone.joined(fused, propagated), modal, loss)
        asked = distinct if others is None else torch.cat([distinct, others])
        # e_f of all items goes through the user-item graph; h_hat joins its output as it is.
        start = self._input(high, distinct, estimate)
        if self.network is not None and self.conditions is not None:
            start = self._mapped(start, self.conditions.index_copy(0, distinct, modal))
        u, propagated = backbone.propagated((users, asked), start)
        return FusedBatch(u, backbone.joined(high.index_select(0, asked), propagated), modal, loss)

    def _input(self, high: Tensor, distinct: Tensor, estimate: Tensor) -> Tensor:
        """Return what the user-item graph starts from, [n_items, d], where some items are estimated."""
        if self.outside == "high_order":
            return high.index_copy(0, distinct, self.fused(high.index_select(0, distinct), estimate))
        # The graph needs all items: those of the batch by their estimates, the others by the last chain.
        return self.fused(high, self.end_of_chain().index_copy(0, distinct, estimate))

    def of_all(self, backbone: Backbone) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, d] and item vectors [n_items, d], with the end of the chain."""
        high, start = self.placed(backbone.high_order(), self.states(backbone)[0])
        if self._conditions is not None and start is not None:
            start = self._mapped(start, self._conditions)
        return backbone.vectors_from(high, start)

    def _mapped(self, fused: Tensor, conditions: Tensor) -> Tensor:
        """Return the network's output for fused vectors [n, d] and features [n, modalities, d], [n, d]."""
        assert self.network is not None  # as the callers see to
        found: Tensor = self.network(torch.cat([fused, conditions.flatten(1)], 1))
        return found

    def placed(self, high_order: Tensor, diffused: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the item vectors for both places, [n_items, d] each.

        Returns:
            the vectors that are joined to the user-item graph's items, and those that the graph starts from;
            None for the free ones.
        """
        fused = self.fused(high_order, diffused)
        return (fused, None) if self.place == "output" else (high_order, fused)

    def fused(self, high_order: Tensor, diffused: Tensor) -> Tensor:
        """Return e_f = (1 - mu) h_hat + mu e_0."""
        # At mu = 1 no h_hat is left, and no gradient of zeros runs through the item graph.
        # One of the two may be of 16 bits under autocast.
        return diffused if self.ratio == 1 else torch.lerp(high_order, diffused.to(high_order), self.ratio)
