"""What our models share on top of RecBole's: derived state that never outlives its weights, and scores by inner products."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from torch import Tensor


@dataclass(frozen=True)
class InnerProducts:
    """Scores as inner products of user and item vectors.

    Attributes:
        users: from long [batch] to vectors [batch, d].
        items: vectors, [n_items, d].
    """

    users: Callable[[Tensor], Tensor]
    items: Tensor


@dataclass(frozen=True)
class Histories:
    """What some users have, one after the other, whether the model was trained on these users or not.

    Attributes:
        items: long [total], item ids, ascending within a user.
        starts: long [batch], where each user's begin.
        rows: long [total], whose they are as a position in the batch.
        ratings: float [total] on the data set's scale, or None.
    """

    items: Tensor
    starts: Tensor
    rows: Tensor
    ratings: Tensor | None = None


class Recommender(GeneralRecommender):
    """A model that may keep what it derives from its weights until they change.

    RecBole switches the mode before each epoch and each evaluation, and weights move or are converted through
    ``_apply``: both call :meth:`_forget`, which a subclass overrides to drop what it has derived.

    A model that takes users by what they have, and so also users that it was not trained on, has a further
    method ``history_scores(histories, seed)``: from :class:`Histories` and a seed of its noise to scores of
    all items, [batch, n_items]; or, if it has :meth:`inner_products`, ``history_vectors(histories, seed)``,
    to user vectors [batch, d].
    """

    # New dotted path of a module or parameter by the old one, for checkpoints of earlier versions.
    renamed_weights: ClassVar[Mapping[str, str]] = {}

    def inner_products(self) -> InnerProducts | None:
        """Return the vectors whose inner products are the scores; None where scores are something else."""
        return None

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation, and drop what was derived from the weights."""
        self._forget()
        return super().train(mode)

    def _apply(self, *arguments: Any, **named: Any) -> Self:
        self._forget()
        return super()._apply(*arguments, **named)

    def _forget(self) -> None:
        """Drop what was derived from the weights."""


class InnerProductModel(Recommender):
    """A model whose scores are inner products of user vectors and item vectors, computed once per evaluation."""

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, d] and item vectors [n_items, d]."""
        raise NotImplementedError

    def _forget(self) -> None:
        self._scored: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def _kept(self) -> tuple[Tensor, Tensor]:
        """Return :meth:`vectors`; while evaluating, those of the first call."""
        if self.training:
            return self.vectors()
        if self._scored is None:
            self._scored = self.vectors()
        return self._scored

    def inner_products(self) -> InnerProducts:
        """Return :meth:`vectors` as they score."""
        users, items = self._kept()
        return InnerProducts(lambda numbers: users[numbers], items)

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return scores of all items, [batch, n_items]; a new tensor, which the evaluator may overwrite."""
        users, items = self._kept()
        return users[interaction[self.USER_ID]] @ items.T

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the scores of user-item pairs, [batch]."""
        users, items = self._kept()
        return (users[interaction[self.USER_ID]] * items[interaction[self.ITEM_ID]]).sum(1)
