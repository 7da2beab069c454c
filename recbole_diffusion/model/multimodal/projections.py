"""Linear projections of item features into the space of the item vectors: h_i^m = e_i^m W_m + b_m."""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from recbole_diffusion.data.features import Modality

# Numbers of a feature matrix that is held in memory, 64 MB of float32; a larger one stays on disk.
RESIDENT = 2**24
BLOCK = 4096  # rows of one read


class Projection(nn.Module):
    """One modality's features, and the linear layer on them.

    Args:
        modality: the features; a small matrix follows the model to its device, a large one is read from its
            memory map.
        size: d.
        trained: whether the features are weights too, in memory and in checkpoints whatever their size.
    """

    table: Tensor | None

    def __init__(self, modality: Modality, size: int, trained: bool = False) -> None:
        super().__init__()
        self.modality, self.n_items = modality, len(modality.rows) + 1
        self.linear = nn.Linear(modality.width, size)
        nn.init.xavier_normal_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        table = None
        if trained or self.n_items * modality.width <= RESIDENT:
            # Rows are item ids: the padding id 0 has zeros for features, [n_items, width].
            rows = modality.take_stored(torch.arange(1, self.n_items))  # half the memory if stored in 16 bits
            table = torch.cat([rows.new_zeros(1, modality.width), rows])
        if trained and table is not None:
            self.table = nn.Parameter(table.float())
        else:
            self.register_buffer("table", table, persistent=False)

    def features(self, items: Tensor) -> Tensor:
        """Return the features of items, [n, width]; those of the padding id are zeros."""
        if self.table is not None:
            return self.table.index_select(0, items).to(self.linear.weight.dtype)
        ids = items.cpu()
        # Features are asked for from item 1 on: the padding id reads those of item 1, times 0.
        rows = self.modality.take(ids.clamp(min=1)) * (ids > 0)[:, None]
        return rows.to(device=items.device, dtype=self.linear.weight.dtype)

    def forward(self, items: Tensor) -> Tensor:
        """Return h^m of items, [n, d]."""
        return self.linear(self.features(items))


class Projections(nn.ModuleList):
    """The projections of all modalities, in their order; arguments as of :class:`Projection`."""

    def __init__(self, modalities: Iterable[Modality], size: int, trained: bool = False) -> None:
        super().__init__(Projection(modality, size, trained) for modality in modalities)
        if trained:
            numbers = sum(one.table.numel() for one in self.each() if one.table is not None)
            logging.getLogger().info(
                "train_features: %s numbers of features are trained, %.0f MB with gradients and Adam's means",
                f"{numbers:,}",
                16 * numbers / 1e6,
            )

    def each(self) -> list[Projection]:
        """Return the projections, by their type."""
        return [one for one in self if isinstance(one, Projection)]

    def project(self, items: Tensor) -> Tensor:
        """Return h^m of items [...] in each modality, [..., modalities, d]."""
        # One product for each modality over all ids, [ids, modalities, d]; then the shape of the ids.
        flat = torch.stack([projection(items.flatten()) for projection in self], dim=1)
        return flat.view(*items.shape, len(self), -1)

    @torch.no_grad()
    def project_all(self) -> Tensor:
        """Return h^m of all items in each modality, [n_items, modalities, d], without gradient."""
        first = self[0]
        assert isinstance(first, Projection)  # as all of them, by the constructor
        # In blocks: features on disk are read so many rows at a time.
        ids = torch.arange(first.n_items, device=first.linear.weight.device)
        return torch.cat([self.project(block) for block in ids.split(BLOCK)])
