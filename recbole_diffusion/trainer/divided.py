"""Training by several workers, each with its rows of every batch: the same run as one worker's.

Worker 0 validates and writes the run folder. Before each epoch the others take its weights and the states of
its random generators, so that all draw the same numbers for the whole batch (``model/batch_share.py``).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.batch_share import WHOLE, BatchShare
from recbole_diffusion.trainer import checkpoint

if TYPE_CHECKING:
    from recbole_diffusion.compat import Trainer
else:
    Trainer = object  # a mixin: the trainer comes after it in the MRO

Loss = Tensor | tuple[Tensor, ...]


def check_divided(config: Any) -> None:
    """Check that several workers can share the batches of a run.

    Raises:
        UsageError: the model's loss cannot be divided by rows, or worker processes prepare its batches.
    """
    reason = config.model_class.undivided(config)
    if config["worker"]:
        reason = f"worker is {config['worker']}, and processes that prepare batches draw numbers of their own"
    if reason:
        raise UsageError(
            f"{config['model']} cannot be trained by several workers: {reason}; leave out train_workers and "
            "workers_per_trial"
        )


def agreed(share: BatchShare, value: Any) -> Any:
    """Return worker 0's value, of plain types, in every worker."""
    if share.workers == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


class Divided(Trainer):
    """Mixin for a trainer whose loop, as RecBole's, takes one optimizer step per batch."""

    share: BatchShare = WHOLE

    def take_share(self, share: BatchShare) -> None:
        """Train a part of each batch.

        Raises:
            UsageError: see :func:`check_divided`.
        """
        check_divided(self.config)
        self.share = self.model.share = share

    def begin_together(self, train_data: Any) -> None:
        """Take worker 0's weights and random states."""
        if self.share.workers == 1:
            return
        with torch.no_grad():
            for weights in self.model.parameters():
                dist.broadcast(weights.data, src=0)
        generator = getattr(train_data, "generator", None)
        order = None if generator is None else generator.get_state()
        states = agreed(self.share, (checkpoint.random_state(), order) if self.share.rank == 0 else None)
        checkpoint.restore_random_state(states[0])
        if generator is not None:
            generator.set_state(states[1])

    def divided(self, loss_func: Callable[[Any], Loss] | None) -> Callable[[Any], Loss] | None:
        """Return a loss function whose gradients are those of all workers; ``loss_func`` with one worker.

        Args:
            loss_func: batch -> loss or its parts, with the gradients of the worker's rows; None for the
                model's ``calculate_loss``.
        """
        if self.share.workers == 1:
            return loss_func
        compute = loss_func or self.model.calculate_loss
        weights = [one for one in self.model.parameters() if one.requires_grad]

        def summed(interaction: Any) -> Loss:
            losses = compute(interaction)
            parts = losses if isinstance(losses, tuple) else (losses,)
            total: Any = sum(parts)
            gradients = torch.autograd.grad(total, weights, allow_unused=True)
            first = _Given.apply(parts[0].detach(), _added(weights, gradients), *weights)
            return (first, *(part.detach() for part in parts[1:])) if isinstance(losses, tuple) else first

        return summed


def _added(weights: list[Tensor], gradients: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    """Return the sums of the workers' gradients; None for weights that no worker's loss depends on."""
    used = weights[0].new_tensor([float(one is not None) for one in gradients])
    dense = [
        torch.zeros_like(weight) if one is None else one
        for weight, one in zip(weights, gradients, strict=True)
    ]
    # All in one message, [numbers].
    flat = torch.cat([used, *(one.reshape(-1) for one in dense)])
    dist.all_reduce(flat)
    used, *sums = flat.split([len(weights), *(one.numel() for one in weights)])
    return [
        total.view_as(weight) if flag else None
        for weight, total, flag in zip(weights, sums, used.tolist(), strict=True)
    ]


class _Given(torch.autograd.Function):
    """A number with given gradients to some weights."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor | None], *weights: Tensor) -> Tensor:  # noqa: ARG004
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        factor = outer.reshape(())
        return None, None, *(None if one is None else factor * one for one in ctx.gradients)
