"""Many small ridge regressions at once: one for each row of a sparse matrix of ratings."""

import torch
from torch import Tensor

BLOCK = 2**22  # numbers of the padded features that are held at once
# So that there is one solution for a row with fewer ratings than the features are wide.
LEAST_PENALTY = 1e-6


class RatedSide:
    """The ratings of a matrix by one of its sides, users or items, for :meth:`solve`.

    Args:
        own: row of each rating on this side, long [ratings], in any order.
        other: its row on the other side, long [ratings].
        n_rows: number of rows of this side.
    """

    def __init__(self, own: Tensor, other: Tensor, n_rows: int) -> None:
        # Ratings of a row side by side: ``order`` [ratings] puts any column of ratings into that form.
        self.order = torch.argsort(own, stable=True)
        self.other = other[self.order]
        self.counts = torch.bincount(own, minlength=n_rows)
        self.starts = self.counts.cumsum(0) - self.counts
        # Rows of like length are padded to one length together; rows without a rating are left out.
        by_length = torch.argsort(self.counts, descending=True, stable=True)
        self.rows = by_length[: int((self.counts > 0).sum())]

    def blocks(self, width: int) -> list[Tensor]:
        """Return the rows in blocks, long [block] each, whose padded features of ``width`` fit into BLOCK."""
        found, left = [], self.rows
        while len(left):
            many = max(BLOCK // (int(self.counts[left[0]]) * width), 1)
            found.append(left[:many])
            left = left[many:]
        return found

    def solve(self, features: Tensor, targets: Tensor, penalties: Tensor) -> Tensor:
        """Return for each row the x that minimises sum of (target - feature . x)^2 + penalty |x|^2.

        Args:
            features: of the other side's rows, [n_others, width].
            targets: of the ratings, in the order that the constructor was given, [ratings].
            penalties: of each row, [n_rows].

        Returns:
            float64 [n_rows, width]; 0 for a row without ratings.
        """
        features, targets = features.double(), targets.double()[self.order]
        width = features.shape[1]
        found = features.new_zeros(len(self.counts), width)
        for rows in self.blocks(width):
            counts = self.counts[rows]
            # Places of the rows' ratings, padded to the longest, [block, longest].
            step = torch.arange(int(counts.max()), device=rows.device)
            inside = step < counts[:, None]
            place = (self.starts[rows][:, None] + step).where(inside, 0)
            # F, with zeros where it is padded, [block, longest, width], and its targets.
            seen = features[self.other[place]] * inside[:, :, None]
            wanted = (targets[place] * inside)[:, :, None]
            # (F^T F + penalty I) x = F^T y of each row.
            gram = seen.mT @ seen
            gram.diagonal(dim1=1, dim2=2).add_(penalties[rows].double().clamp(min=LEAST_PENALTY)[:, None])
            found[rows] = torch.linalg.solve(gram, seen.mT @ wanted).squeeze(2)
        return found
