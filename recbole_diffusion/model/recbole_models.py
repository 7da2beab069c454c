"""Adapters from RecBole's own models to ``ModelInterface``.

Longer than most files, to have all adapters beside the table of the models that they are of.
"""

import contextlib
import copy
import copyreg
import functools
import io
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.compat import Interaction
from recbole_diffusion.data.dataset import TIME_RANK
from recbole_diffusion.data.graph import binary, binary_interactions, popularity, scaled
from recbole_diffusion.data.sampling import require_negatives
from recbole_diffusion.model.base import FoldInHistories, InnerProducts, ModelInterface, pairs_of_rows
from recbole_diffusion.model.encoder import FactorEncoder
from recbole_diffusion.model.propagation import SparseMatrix, layers_of, mean_of_layers
from recbole_diffusion.model.recbole_autoencoders import SparseRows
from recbole_diffusion.model.recbole_computed import EASE, SLIM, Computed, Counts, Drawn, ItemKNN
from recbole_diffusion.model.recbole_diffused import DiffRec
from recbole_diffusion.model.recbole_histories import HISTORIES
from recbole_diffusion.model.recbole_knowledge import KNOWLEDGE
from recbole_diffusion.model.recbole_neumf import NeuMF
from recbole_diffusion.model.recbole_sequential import SEQUENTIAL, EncodedHistories
from recbole_diffusion.model.recbole_sides import SIDES
from recbole_diffusion.model.table_rows import gather_rows, margins
from recbole_diffusion.model.user_blocks import RowNoise
from recbole_diffusion.options.negatives import samplers_of
from recbole_diffusion.sampler.choose import NegativeChoice, ScoredVectors
from recbole_diffusion.sampler.interaction_csr import InteractionCSR


class _Chooses(ModelInterface):
    """Models of pairs of ids; ``negative_choice`` chooses the second one, None where the loader draws it."""

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)  # type: ignore[call-arg]
        o, self.negative_choice = getattr(config, "negatives", None), None  # a Config of RecBole has none
        if o is not None and o.negative_sampler is not None:
            interactions = binary_interactions(dataset)
            law = o.negative_sampler == "popularity" and o.popularity_power > 0
            require_negatives(dataset, interactions, law, " or take another negative_sampler" if law else "")
            counts = torch.from_numpy(popularity(interactions))
            self.negative_choice = NegativeChoice(InteractionCSR.from_scipy(interactions), counts, o)

    def begin_epoch(self: Any, epoch: int) -> None:
        super().begin_epoch(epoch)
        if self.negative_choice is not None:
            self.negative_choice.begin_epoch(epoch, lambda: self.inner_products().items)


class _ChoosesAhead(_Chooses):
    """Models that know nothing of it: their loss is given the chosen ids."""

    def calculate_loss(self: Any, interaction: Interaction) -> Tensor | tuple[Tensor, ...]:
        if self.negative_choice is None:
            return super().calculate_loss(interaction)  # type: ignore[misc]
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        if self.has_item_vectors or self.negative_choice.name != "dns":
            ids, _ = self.negative_choice(users, items, lambda: self._vectors_of(users))
        else:
            ids = self.negative_choice.by_scores(users, self._scores_of)
        whole = Interaction({**interaction.interaction, self.NEG_ITEM_ID: ids})
        return super().calculate_loss(whole)  # type: ignore[misc]

    def _vectors_of(self: Any, users: Tensor) -> ScoredVectors:
        # In the mode of training: SGL makes its graphs anew each time that the mode changes.
        found = self.inner_products()
        return ScoredVectors(found.users(users).detach(), found.items)

    @torch.no_grad()
    def _scores_of(self: Any, users: Tensor, items: Tensor) -> Tensor:
        self.eval()
        scores = self.predict(Interaction({self.USER_ID: users, self.ITEM_ID: items}))
        self.train()
        return scores


class _Pairs(ModelInterface):
    """Models of pairs of ids whose loss is a mean over rows, while each step moves all weights.

    Beside the mean, LightGCN has a penalty, the norm of a batch's vectors divided by its rows, which falls
    with the square root of the rows; with ``require_pow`` it is a mean too.
    """

    @classmethod
    def enlarges_batches(cls, config: Any) -> bool:  # noqa: ARG003
        return True


class _NeuMF(NeuMF, _Pairs):
    """NeuMF: scores of all items at once, batches of pairs."""


class _Divided(ModelInterface):
    """Models of triples whose batches several workers can share: negatives are drawn for the whole batch."""

    @classmethod
    def undivided(cls, config: Any) -> None:  # noqa: ARG003
        return None


class _Embeddings(_Divided, _Chooses, _Pairs):
    """BPR: two tables."""

    has_item_vectors = True

    def calculate_loss(self: Any, interaction: Interaction) -> Tensor:
        tables = self.user_embedding.weight, self.item_embedding.weight
        margin, _ = _margins(self, interaction, [tables], tables)
        return _ranking_loss(self, self.loss, margin)

    def inner_products(self: Any) -> InnerProducts:
        return InnerProducts(self.user_embedding, self.item_embedding.weight.detach())


class _KeptVectors(ModelInterface):
    """Graph models that keep the vectors of an evaluation, whose inner products are the scores."""

    has_item_vectors = True

    @torch.no_grad()
    def inner_products(self: Any) -> InnerProducts:
        self.full_sort_predict(asking(self, torch.ones(1, dtype=torch.long)))  # computes and keeps them
        users = self.restore_user_e.detach()
        return InnerProducts(lambda numbers: users[numbers], self.restore_item_e.detach())

    @torch.no_grad()
    def predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of user-item pairs, [batch]; RecBole propagates anew for each batch of them."""
        found = self.inner_products()
        return (found.users(interaction[self.USER_ID]) * found.items[interaction[self.ITEM_ID]]).sum(1)


class _DGCF(_KeptVectors):
    """DGCF, whose penalty of dependent factors draws no more users and items than there are.

    RecBole draws as many of both, the larger number divided by the batches of an epoch: with few batches and
    far more users than items (or the other way about) that is more than there are of the fewer.
    """

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)  # type: ignore[call-arg]
        self.cor_batch_size = min(self.cor_batch_size, self.n_users, self.n_items)


class _LightGCN(_Divided, _Chooses, _Pairs, _KeptVectors):
    """LightGCN with R and its transpose as CSR matrices, and the propagation as one operator.

    RecBole multiplies the square adjacency as a COO matrix, one entry after the other, and makes it from a
    Python dictionary of its entries.
    """

    def get_norm_adj_mat(self: Any) -> SparseMatrix:
        return SparseMatrix(scaled(binary(self.interaction_matrix), 0.5, 0.5))

    def forward(self: Any) -> tuple[Tensor, Tensor]:
        tables = self.user_embedding.weight, self.item_embedding.weight
        return mean_of_layers(self.norm_adj_matrix, self.n_layers, *tables)

    def calculate_loss(self: Any, interaction: Interaction) -> Tensor:
        self.restore_user_e = self.restore_item_e = None
        tables = self.user_embedding.weight, self.item_embedding.weight
        if (
            self.negative_choice is not None and self.negative_choice.name == "mixgcf"
        ):  # which mixes the layers
            layers = layers_of(self.norm_adj_matrix, self.n_layers, *tables)
            margin, ids = _margins(self, interaction, layers, FactorEncoder.pooled(layers))
        else:
            margin, ids = _margins(self, interaction, [], self.forward())
        users, positive, negative = ids
        items = torch.cat([positive, negative])
        free = gather_rows(self.item_embedding.weight, items).split([len(positive), len(negative)])
        of_users = gather_rows(self.user_embedding.weight, users)
        if self.share.workers == 1:
            penalty = self.reg_loss(of_users, *free, require_pow=self.require_pow)
        else:
            # The same by the norms of the whole batch, divided by its rows.
            norms = torch.stack([self.share.norm(one) for one in (of_users, *free)])
            total = norms.square().sum() / 2 if self.require_pow else norms.sum()
            penalty = total.view(1) / len(interaction[self.USER_ID])
        return _ranking_loss(self, self.mf_loss, margin) + self.reg_weight * penalty


class _WholeRows(ModelInterface):
    """Models that compute the scores of all items for one: RecBole does so for each pair, a user's alike."""

    def predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of user-item pairs, [batch], from each user's scores, computed once."""
        return pairs_of_rows(self, interaction)


class _Rows(_WholeRows):
    """Autoencoders, whose only input is the user's row from ``get_rating_matrix``."""

    takes_histories = True

    def fold_in_scores(self: Any, histories: FoldInHistories, seed: int) -> Tensor:
        many = len(histories.starts)
        # The users' rows, 0 and 1, in the place of those that RecBole makes of its training part.
        rows = torch.zeros(many, self.n_items, device=histories.items.device)
        rows[histories.rows, histories.items] = 1.0
        self.get_rating_matrix = lambda users: rows[users]
        try:
            # Noise of its own seed, and the run's random stream as it was.
            with torch.no_grad(), torch.random.fork_rng():
                torch.manual_seed(seed)
                return self.full_sort_predict(asking(self, torch.arange(many))).view(many, -1)
        finally:
            del self.get_rating_matrix


class _Encoded(SparseRows, _Rows):
    """Autoencoders whose first layer is wide; that of CDAE is too narrow to gain."""


class _DiffusedRows(_Rows):
    """DiffRec and LDiffRec; weighing interactions by their time needs more than the row."""

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        # RecBole's class comes next in the MRO.
        super().__init__(config, dataset)  # type: ignore[call-arg]
        self.takes_histories, self.evaluation_seed = not self.time_aware, config["seed"]

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return scores of all items, [batch, n_items]; a user's noise, if any, does not know the batch."""
        if not (self.sampling_noise or self.sampling_steps):
            return super().full_sort_predict(interaction)  # type: ignore[misc]
        with RowNoise(interaction[self.USER_ID], self.evaluation_seed):
            return super().full_sort_predict(interaction)  # type: ignore[misc]

    def fold_in_scores(self: Any, histories: FoldInHistories, seed: int) -> Tensor:
        """Return scores by the items of histories, [batch, n_items], with noise of ``seed``."""
        kept, self.evaluation_seed = self.evaluation_seed, seed
        try:
            return super().fold_in_scores(histories, seed)
        finally:
            self.evaluation_seed = kept

    def build_histroy_items(self: Any, dataset: Any) -> None:
        """Make RecBole's tables of histories; their order in time is that of the times in 64 bits.

        RecBole sorts by its tensor of times, whose 32 bits are 128 seconds apart today.
        """
        if self.time_aware and TIME_RANK in dataset.inter_feat:  # not a data set of RecBole
            rows, ordered = dataset.inter_feat, copy.copy(dataset)
            columns = {name: rows[name] for name in (dataset.uid_field, dataset.iid_field)}
            ordered.inter_feat = Interaction({**columns, dataset.time_field: rows[TIME_RANK]})
            dataset = ordered
        super().build_histroy_items(dataset)  # type: ignore[misc]


class _DiffRec(DiffRec, _DiffusedRows):
    """DiffRec."""


class _Quiet(ModelInterface):
    """Models whose constructors print what their author looked at."""

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            # RecBole's class comes next in the MRO.
            super().__init__(config, dataset)  # type: ignore[call-arg]


class _QuietDiffusedRows(_DiffusedRows, _Quiet):
    """LDiffRec."""


class _QuietHistories(EncodedHistories, _Quiet):
    """FEARec."""


ADAPTERS: dict[str, type[ModelInterface]] = {
    "BPR": _Embeddings,
    "NeuMF": _NeuMF,
    "Pop": Counts,
    "LightGCN": _LightGCN,
    **dict.fromkeys(("NGCF", "SGL", "NCL", "SpectralCF"), _KeptVectors),
    "DGCF": _DGCF,
    **dict.fromkeys(("CDAE", "DMF", "SimpleX"), _WholeRows),
    **dict.fromkeys(("MultiVAE", "MultiDAE", "MacridVAE", "RecVAE", "RaCT"), _Encoded),
    "DiffRec": _DiffRec,
    "LDiffRec": _QuietDiffusedRows,
    **HISTORIES,
    **SIDES,
    **KNOWLEDGE,
    **SEQUENTIAL,
    "FEARec": _QuietHistories,
    "EASE": EASE,
    "SLIMElastic": SLIM,
    **dict.fromkeys(("ADMMSLIM", "AsymKNN", "NCEPLRec"), Computed),
    "Random": Drawn,
    "ItemKNN": ItemKNN,
}


def _margins(
    model: Any,
    interaction: Interaction,
    layers: Sequence[tuple[Tensor, Tensor]],
    vectors: tuple[Tensor, Tensor],
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Return by how much positives score above negatives, and the ids, in this worker's rows of a batch.

    Args:
        model: a ``_Chooses``.
        interaction: the batch.
        layers: tables of users and items of each layer, for ``mixgcf``.
        vectors: those that score, [n_users, d] and [n_items, d].

    Returns:
        [rows], and users, positives and negatives, long [rows] each.
    """
    users, positive, mixed = interaction[model.USER_ID], interaction[model.ITEM_ID], None
    U, V = vectors

    def scored() -> ScoredVectors:
        return ScoredVectors(U.detach()[users], V.detach(), [of_items for _, of_items in layers])

    if model.negative_choice is None:
        negative = interaction[model.NEG_ITEM_ID]
    else:
        negative, mixed = model.negative_choice(users, positive, scored)
    mine = model.share.rows(len(users))
    ids = users[mine], positive[mine], negative[mine]
    if mixed is None:
        return margins(U, V, *ids), ids
    return (gather_rows(U, ids[0]) * (gather_rows(V, ids[1]) - mixed[mine])).sum(1), ids


def _ranking_loss(model: Any, loss: Any, margin: Tensor) -> Tensor:
    """Return RecBole's BPR loss of margins [rows], the mean over the rows of all workers."""
    if model.share.workers == 1:
        return loss(margin, torch.zeros_like(margin))
    return model.share.mean(-torch.log(loss.gamma + torch.sigmoid(margin)))


def asking(model: Any, users: Tensor) -> Interaction:
    """Return an interaction that asks for some users, long [batch], on the model's device."""
    return Interaction({model.USER_ID: users}).to(model.device)


class _Adapted(type):
    """The type of adapted classes; pickle, which finds a class by its name, is told how to make one again."""


@functools.cache
def adapted(cls: type) -> type:
    """Return a model class with the attributes and methods of ``ModelInterface``, under the same name.

    Attributes of the class itself take precedence over the defaults. A class that inherits one of RecBole's
    may score differently: it gets the defaults alone, and declares what it can do.
    """
    of_recbole = cls.__module__.startswith("recbole.")
    whole = issubclass(cls, ModelInterface)
    if isinstance(cls, _Adapted) or (whole and not samplers_of("", cls)):
        return cls
    adapters: list[type] = [ADAPTERS[cls.__name__]] if of_recbole and cls.__name__ in ADAPTERS else []
    bases = (cls,) if whole else (*adapters, cls, ModelInterface)
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    found = _Adapted(cls.__name__, bases, {**names, "adapts": cls})
    if issubclass(found, _Chooses) or not samplers_of(cls.__name__ if of_recbole else "", found):
        return found
    return _Adapted(cls.__name__, (_ChoosesAhead, *bases), {**names, "adapts": cls})


def _reduced(cls: Any) -> tuple[Any, tuple[type]]:
    return adapted, (cls.adapts,)


copyreg.pickle(_Adapted, _reduced)
