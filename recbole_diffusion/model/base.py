"""The interface between a model and the rest of the package, and base classes on top of RecBole's.

Longer than most files: what a model may declare is one list.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.compat import GeneralRecommender
from recbole_diffusion.model.batch_share import WHOLE, BatchShare


@dataclass(frozen=True)
class InnerProducts:
    """Scores as inner products of user and item vectors.

    Attributes:
        users: from long [batch] to vectors [batch, d].
        items: vectors, [n_items, d].
        near: for models whose exact vectors are dear, from long [batch] to vectors that are a little off,
            [batch, d], and each user's doubt, [batch]: two scores may be in the wrong order if they are
            nearer than this times the sum of the two items' lengths. For lists alone, which
            ``evaluation/near_vectors.py`` makes exact. Otherwise None.
    """

    users: Callable[[Tensor], Tensor]
    items: Tensor
    near: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None


@dataclass(frozen=True)
class HybridProducts:
    """Scores as inner products of vectors that are dense in part and sparse in part.

    Attributes:
        users: from long [batch] to the dense parts [batch, d] and the sparse ones, CSR [batch, n_items].
        items: dense parts, [n_items, d].
        sparse_items: sparse parts, CSR [n_items, n_items].
    """

    users: Callable[[Tensor], tuple[Tensor, sp.csr_matrix]]
    items: Tensor
    sparse_items: sp.csr_matrix


@dataclass(frozen=True)
class FoldInHistories:
    """The items of a batch of users to be folded in, one user after the other.

    Attributes:
        items: long [total], item ids, ascending within a user.
        starts: long [batch], where each user's items begin.
        rows: long [total], the position in the batch of each item's user.
        ratings: float [total] on the data set's scale, or None.
    """

    items: Tensor
    starts: Tensor
    rows: Tensor
    ratings: Tensor | None = None

    @property
    def known_ratings(self) -> Tensor:
        """Return the ratings, for a model that folds users in by them.

        Raises:
            ValueError: the histories have none.
        """
        if self.ratings is None:
            raise ValueError("the histories have no ratings, but the model folds users in by their ratings")
        return self.ratings


# Where pairs are asked for: rows of scores of all items that are held at once, and scores at most.
ROWS, CELLS = 1024, 2**24


def pairs_of(
    where: Tensor, items: Tensor, rows: int, n_items: int, scores_of: Callable[[slice], Tensor]
) -> Tensor:
    """Return the scores of pairs of a row and an item, [batch], from each row's scores of all items.

    Args:
        where: the row of each pair, long [batch].
        items: its item, long [batch].
        rows: how many there are.
        n_items: about how many scores a row has.
        scores_of: from a block of rows to their scores, [block, items].
    """
    size = max(min(ROWS, CELLS // n_items), 1)
    places, values = [], []
    for start in range(0, rows, size):
        own = ((where >= start) & (where < start + size)).nonzero().view(-1)
        block = slice(start, min(start + size, rows))
        places.append(own)
        values.append(scores_of(block)[where[own] - start, items[own]])
    return torch.cat(values)[torch.cat(places).argsort()]


@torch.no_grad()
def pairs_of_rows(model: Any, interaction: Any) -> Tensor:
    """Return the scores of user-item pairs, [batch], by ``full_sort_predict``, once for each user.

    For models that have no cheaper way to a single score.
    """
    users, items = interaction[model.USER_ID], interaction[model.ITEM_ID]
    distinct, where = torch.unique(users, return_inverse=True)

    def scores_of(block: slice) -> Tensor:
        some = distinct[block]
        # RecBole's models return them one after the other.
        return model.full_sort_predict({model.USER_ID: some}).view(len(some), -1)

    return pairs_of(where, items, len(distinct), model.n_items, scores_of)


class ModelInterface:
    """The interface between a model and the rest of the package, with defaults for all of it.

    This is the one list of what a model can declare or override. :class:`Recommender` inherits it; RecBole's
    models, and models from outside that inherit RecBole's classes alone, get it by
    ``recbole_models.adapted``. So no code has to test a model for an attribute.

    Declared by the class:

    Attributes:
        options_class: frozen dataclass of the model's options, for a model from outside. Models of this
            package have theirs beside them, see ``registry.options_class``.
        trainer_class: ``plain``, ``adversarial`` (two optimizers in turn, see ``trainer/adversarial.py``),
            ``staged`` (one part after the other, see ``trainer/staged.py``), ``alternating`` (an epoch is a
            sweep of least squares, see ``trainer/alternating.py``), ``adversary_epochs`` (an adversary has
            epochs of its own, see ``trainer/adversarial.py``), a trainer class, or None for RecBole's
            choice.
        dataset_class: ``interactions``, ``ordered`` (the training rows have their order in time, if the
            options ask for it), ``multimodal``, ``cross_domain``, a data set class, or None: by the model's
            type.
        loader_class: ``positives`` for batches without negatives (the model draws them itself), a class, or
            None for RecBole's choice by ``input_type``.
        protocol: a file of ``properties/protocol`` that says how the model's data is split and evaluated; it
            overrides the data set's YAML. Or None.
        loss_names: names of the parts that ``calculate_loss`` returns, for ``metrics.jsonl``.
        predicts_ratings: whether scores are ratings on the data set's scale; histories then have ratings too.
        reads_out: whether errors of ratings are those of :meth:`read_out`, not of the scores.
        has_item_vectors: whether scores are inner products, see :meth:`inner_products`.
        takes_histories: whether users can be folded in, see :meth:`fold_in_scores`.
        constant_scores: whether a model may score all items of every user alike, as a mean does; such a run
            fails for any other model.
        computed_when_made: whether the constructor computes the model whole, as EASE's does: no batch is
            drawn, and its one epoch is empty.
        renamed_weights: new dotted path of a module or parameter by the old one, for checkpoints of earlier
            versions.
        weighed_on_validation: whether the scores are the sum of two parts, see :meth:`weighed_parts`, by a
            weight that each validation chooses before it evaluates, and sets as ``chosen_weight``.
        fold_in_domain: ``source`` where histories are made of the items of the source domain, else None.
        share: the rows of each batch that this process trains; set by the trainer.
    """

    options_class: type | None = None
    trainer_class: type | str | None = None
    dataset_class: type | str | None = None
    loader_class: type | str | None = None
    protocol: str | None = None
    loss_names: tuple[str, ...] = ()
    predicts_ratings: bool = False
    reads_out: bool = False
    has_item_vectors: bool = False
    takes_histories: bool = False
    constant_scores: bool = False
    computed_when_made: bool = False
    weighed_on_validation: bool = False
    chosen_weight: float | None = None
    fold_in_domain: str | None = None
    renamed_weights: ClassVar[Mapping[str, str]] = {}
    share: BatchShare = WHOLE

    @classmethod
    def undivided(cls, config: Any) -> str | None:  # noqa: ARG003
        """Return why several workers cannot share the batches of a run, to follow a colon; None if they can.

        They can if ``calculate_loss`` draws for the whole batch, computes the rows of :attr:`share` and forms
        its means and sums by it.
        """
        return "its loss is not divided by rows"

    @classmethod
    def enlarges_batches(cls, config: Any) -> bool:  # noqa: ARG003
        """Return whether ``train_batch_size: auto`` may make batches larger where there is much data.

        It may if the loss is a mean over the rows of a batch, and if the memory of a row grows neither with
        the catalogue nor with the batch. It pays where a batch touches the whole graph or all weights.
        """
        return False

    # Training.

    def observe_parts(self, parts: Mapping[str, Any]) -> None:
        """Receive the held-out data sets by name, once before training; for diagnostics alone."""

    def begin_epoch(self, epoch: int) -> None:
        """Prepare a training epoch, counted from 0."""

    def after_step(self) -> None:
        """Follow the optimizer's step of a batch; of a batch with a mirror step, the second one."""

    def epoch_diagnostics(self) -> dict[str, float]:
        """Return numbers by name for the epoch's line of ``metrics.jsonl``."""
        return {}

    def final_diagnostics(self) -> dict[str, Any]:
        """Return the ``diagnostics`` of ``result.json``, computed with the best weights."""
        return {}

    def read_out(self, users: Tensor, items: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return the ratings whose absolute and whose squared errors count, [pairs] each, if ``reads_out``.

        Args:
            users: long [pairs].
            items: long [pairs].
            scores: of the pairs, [pairs].
        """
        raise TypeError(f"{type(self).__name__} declares no read-out")

    def weighed_parts(self, interaction: Any) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return the two parts of the scores, new tensors [batch, n_items], where ``weighed_on_validation``.

        The score is their sum, the second times ``chosen_weight``.
        """
        raise TypeError(f"{type(self).__name__} has no parts to weigh")

    # Serving.

    def list_note(self) -> str | None:
        """Return what ``recommend`` says of the model's lists, one line; None for nothing."""
        return None

    def inner_products(self) -> InnerProducts:
        """Return the vectors whose inner products are the scores, where ``has_item_vectors``."""
        raise TypeError(f"{type(self).__name__} declares no item vectors")

    def hybrid_products(self) -> HybridProducts | None:
        """Return vectors with a sparse part whose inner products are the scores; None if there are none."""
        return None

    def fold_in_vectors(self, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        """Return the vectors of users by their histories, [batch, d], where the model has item vectors, too.

        Args:
            histories: of the batch.
            seed: of the noise, where scoring has some: what :func:`user_blocks.noise_seed` gives for the
                batch.
        """
        raise TypeError(f"{type(self).__name__} cannot fold users in")

    def fold_in_scores(self, histories: FoldInHistories, seed: int) -> Tensor:
        """Return scores of all items for users by their histories, [batch, n_items]; nothing is trained."""
        # [batch, d] x [d, n_items]
        return self.fold_in_vectors(histories, seed) @ self.inner_products().items.T


class Recommender(ModelInterface, GeneralRecommender):
    """A model that may cache values derived from its weights until they change.

    RecBole switches the mode before each epoch and each evaluation, and weights move or are converted through
    ``_apply``: both call :meth:`_forget`, which a subclass overrides to drop what it has derived.
    """

    trainer_class = "plain"

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
    """A model whose scores are inner products of user and item vectors, computed once per evaluation."""

    has_item_vectors = True

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, d] and item vectors [n_items, d]."""
        raise NotImplementedError

    def _forget(self) -> None:
        self._scored: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def _kept(self) -> tuple[Tensor, Tensor]:
        """Return :meth:`vectors`; while evaluating, those of the first call."""
        # Weights move from batch to batch, so that nothing can be kept.
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
        # [batch, d] x [d, n_items]
        return users[interaction[self.USER_ID]] @ items.T

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the scores of user-item pairs, [batch]."""
        users, items = self._kept()
        return (users[interaction[self.USER_ID]] * items[interaction[self.ITEM_ID]]).sum(1)


class WholeGraphModel(InnerProductModel):
    """A model whose batches each propagate over the whole graph, whatever their rows are."""

    @classmethod
    def enlarges_batches(cls, config: Any) -> bool:  # noqa: ARG003
        """Return True: the more rows a batch has, the fewer propagations has an epoch."""
        return True
