"""The computation of CCDRec's released code, written anew in plain torch, to compare the time of an epoch.

What it does a batch, by its published settings: both feature tables are trained, projected whole and updated
whole; graphs are COO matrices of users and items together; one draw of candidates a batch is compared with
its positives and masked by a dense table of all interactions; negatives come from a loop over the rows. It
gives no accuracy here, and is no model of the package.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEPS, WIDTH, FUSED, HARD, KEPT = 20, 64, 0.5, 0.8, 0.1


def coo(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, size: int) -> Tensor:
    """Return a square COO matrix, [size, size]."""
    index = torch.from_numpy(np.stack([rows, columns]).astype(np.int64))
    values = torch.from_numpy(values.astype(np.float32))
    return torch.sparse_coo_tensor(index, values, (size, size), check_invariants=False)


class Attention(nn.Module):
    """One layer of attention over the tokens of an item, whose mean is the estimate of its vector."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the estimate [n, d] of tokens [n, tokens, d]."""
        tokens = self.norm(tokens)
        weights = (self.query(tokens) @ self.key(tokens).transpose(1, 2) / WIDTH**0.5).softmax(2)
        return self.norm(weights @ self.value(tokens)).mean(1)


class PlainCCDRec(nn.Module):
    """The released computation over a FREEDOM backbone.

    Args:
        interactions: scipy CSR [n_users, n_items], without padding ids.
        item_graph: scipy CSR [n_items, n_items].
        features: of the modalities, each [n_items, width].
        edge_dropout: ratio of the interactions that an epoch's graph leaves out.
    """

    def __init__(
        self, interactions: Any, item_graph: Any, features: list[Tensor], edge_dropout: float
    ) -> None:
        super().__init__()
        self.n_users, self.n_items = interactions.shape
        self.edges, self.edge_dropout = interactions.tocoo(), edge_dropout
        self.seen = torch.from_numpy(interactions.toarray())  # [n_users, n_items]
        graph = item_graph.tocoo()
        self.item_graph = coo(graph.row, graph.col, graph.data, self.n_items)
        self.users = nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.n_users, WIDTH)))
        self.items = nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.n_items, WIDTH)))
        self.features = nn.ParameterList(nn.Parameter(table.clone()) for table in features)
        self.projections = nn.ModuleList(nn.Linear(table.shape[1], WIDTH) for table in features)
        self.estimator = Attention()
        self.time = nn.Linear(WIDTH, WIDTH)
        self.abar = (1 - torch.linspace(1e-4, 0.02, STEPS)).cumprod(0)
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Draw the graph of the epoch, and run the chain whose states are pools of negatives."""
        users, items = self.edges.row, self.edges.col
        of_users, of_items = (np.bincount(one)[one] for one in (users, items))
        chance = torch.from_numpy(1 / np.sqrt(of_users * of_items))
        kept = torch.multinomial(chance, int(len(users) * (1 - self.edge_dropout))).numpy()
        users, items = users[kept], items[kept]
        values = 1 / np.sqrt(np.bincount(users)[users] * np.bincount(items)[items])
        rows, columns = np.r_[users, items + self.n_users], np.r_[items + self.n_users, users]
        self.graph = coo(rows, columns, np.r_[values, values], self.n_users + self.n_items)
        with torch.no_grad():
            modal = [layer(table) for layer, table in zip(self.projections, self.features, strict=True)]
            x = torch.randn_like(self.items)
            for step in reversed(range(STEPS)):
                t = torch.full((self.n_items,), step)
                x = 0.5 * self._estimate(x, modal, t) + 0.5 * x + 0.01 * torch.randn_like(x)
            self.pool = x

    def _estimate(self, x: Tensor, modal: list[Tensor], t: Tensor) -> Tensor:
        halves = t[:, None] * torch.exp(-torch.arange(WIDTH // 2) * (9.21 / (WIDTH // 2 - 1)))
        time = self.time(torch.cat([halves.sin(), halves.cos()], 1))
        return self.estimator(torch.stack([x, *modal, time], 1))

    def _hard(self, users: Tensor, items: Tensor) -> Tensor:
        """Return one of the candidates nearest to each positive, long [batch]."""
        drawn = torch.randint(self.n_items, (self.n_items // 10,))
        near = self.pool[items] @ self.pool[drawn].T  # [batch, candidates]
        near[self.seen[users][:, drawn] == 1] = -torch.inf
        best = near.topk(int(KEPT * len(drawn)), dim=1).indices
        return drawn[best[torch.arange(len(items)), torch.randint(best.shape[1], (len(items),))]]

    def loss(self, users: Tensor, items: Tensor, negatives: Tensor) -> Tensor:
        """Return the loss of a batch, ids long [batch] each."""
        modal = [layer(table) for layer, table in zip(self.projections, self.features, strict=True)]
        both = torch.cat([items, negatives])
        half = torch.randint(STEPS, (len(both) // 2 + 1,))
        t = torch.cat([half, STEPS - half - 1])[: len(both)]
        x0 = self.items[both]
        x = self.abar[t].sqrt()[:, None] * x0 + (1 - self.abar[t]).sqrt()[:, None] * torch.randn_like(x0)
        estimate = self._estimate(x, [one[both] for one in modal], t)
        h = torch.sparse.mm(self.item_graph, self.items)
        mixed = h.clone()
        mixed[both] = FUSED * estimate + (1 - FUSED) * h[both]
        layers = [torch.cat([self.users, mixed])]
        for _ in range(2):
            layers.append(torch.sparse.mm(self.graph, layers[-1]))
        of_users, of_items = torch.stack(layers, 1).mean(1).split([self.n_users, self.n_items])
        of_items = of_items + h
        u = of_users[users]
        hard = self._hard(users, items)
        modal_loss = sum(bpr(of_users[users], one[items], one[negatives]) for one in modal)
        return (
            (1 - HARD) * bpr(u, of_items[items], of_items[negatives])
            + HARD * bpr(u, of_items[items], of_items[hard])
            + 0.0 * modal_loss
            + F.mse_loss(x0, estimate)
        )


def bpr(u: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Return the pairwise loss of rows [batch, d]."""
    return -F.logsigmoid((u * positive).sum(1) - (u * negative).sum(1)).mean()


def plain_batches(model: PlainCCDRec, batch_size: int) -> Iterator[Callable[[], None]]:
    """Return the training of each batch of an epoch, negatives by a loop over its rows included."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
    users, items = torch.from_numpy(model.edges.row).long(), torch.from_numpy(model.edges.col).long()
    history = [set(row) for row in np.split(model.edges.col, np.bincount(model.edges.row).cumsum()[:-1])]

    def negative(user: int) -> int:
        item = random.randrange(model.n_items)
        while item in history[user]:
            item = random.randrange(model.n_items)
        return item

    def step(rows: Tensor) -> None:
        negatives = torch.tensor([negative(user) for user in users[rows].tolist()])
        optimizer.zero_grad()
        model.loss(users[rows], items[rows], negatives).backward()
        optimizer.step()

    return (lambda rows=rows: step(rows) for rows in torch.randperm(len(users)).split(batch_size))
