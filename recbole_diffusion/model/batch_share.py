"""One worker's rows of a training batch that several workers share, and the sums over all of them.

Every worker makes the same draws for the whole batch, from generators in the same state, and computes its
rows. A loss that is written with :meth:`BatchShare.mean` or :meth:`BatchShare.sum` then has the value
that one worker would find, and its gradients, each of the worker's rows alone, add up over the workers to the
whole gradient (``trainer/divided.py``). With one worker, rows are all rows and sums are as they are.
"""

import torch
import torch.distributed as dist
from torch import Tensor


class BatchShare:
    """The share of one worker in each batch.

    Attributes:
        rank: number of the worker, from 0.
        workers: how many there are; with more than one, the process is in torch's default process group.
    """

    def __init__(self, rank: int = 0, workers: int = 1) -> None:
        self.rank, self.workers = rank, workers

    def rows(self, count: int) -> slice:
        """Return the worker's rows of a batch of ``count``; it may be none."""
        return slice(count * self.rank // self.workers, count * (self.rank + 1) // self.workers)

    def entries(self, counts: Tensor, own: int) -> tuple[int, slice]:
        """Return the number of entries of a batch, and those of the worker's rows.

        Args:
            counts: long [batch], entries of each row, row after row.
            own: the number of the worker's entries.
        """
        if self.workers == 1:
            return own, slice(0, own)
        before = int(counts[: self.rows(len(counts)).start].sum())
        return int(counts.sum()), slice(before, before + own)

    def sum(self, part: Tensor) -> Tensor:
        """Return the sum over the workers of a scalar; its gradient is that of this worker's part."""
        if self.workers == 1:
            return part
        total = part.detach().clone()
        dist.all_reduce(total)
        return part + (total - part.detach())

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the values of all workers, each [values of the worker's rows]."""
        if self.workers == 1:
            return values.mean()
        number = torch.tensor(float(values.numel()), device=values.device)
        dist.all_reduce(number)
        return self.sum(values.sum() / number)

    def norm(self, part: Tensor) -> Tensor:
        """Return the Euclidean norm of the parts of all workers together."""
        return part.norm() if self.workers == 1 else self.sum(part.square().sum()).sqrt()

    def gather(self, part: Tensor, count: int) -> Tensor:
        """Return the rows of all workers, [count, ...], of the worker's rows; without gradient."""
        part = part.detach()
        if self.workers == 1:
            return part
        whole = part.new_zeros(count, *part.shape[1:])
        whole[self.rows(count)] = part
        dist.all_reduce(whole)
        return whole


WHOLE = BatchShare()
