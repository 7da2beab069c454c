"""The interface of a staged model to its trainer: stages in order, and the updates of a batch in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class UpdateStep:
    """One update of each batch, with an optimizer of its own.

    Attributes:
        loss: function from the rows of the batch, long [batch], to a scalar.
        parameters: updated by the loss; no others get a gradient.
        learning_rate: step size of the optimizer.
        repeats: how many times in a row the update is made on a batch.
        weight_decay: of the optimizer; None for the run's own.
        after: called after each update.
        clipped: whether the run's ``clip_grad_norm`` applies.
        optimizer: makes the optimizer of parameter groups with ``lr`` and ``weight_decay``, given as
            ``params``; None: the run's ``learner``.
    """

    loss: Callable[[Tensor], Tensor]
    parameters: Sequence[nn.Parameter]
    learning_rate: float
    repeats: int = 1
    weight_decay: float | None = None
    after: Callable[[], None] | None = None
    clipped: bool = True
    optimizer: Callable[..., Optimizer] | None = None


@dataclass(frozen=True)
class TrainingStage:
    """One stage of training, which ends with the weights of its best validation.

    Attributes:
        name: unique in a model; files and records are named after it.
        steps: the updates of each batch, in order.
        rows: training examples, long [n]: row numbers of ratings, or users; shuffled in each epoch.
        batch_size: rows of a batch.
        epochs: epochs at most.
        stopping_step: early-stopping patience, in validations.
        error: validation error, smaller is better; None for the run's own validation.
        begin: called once before the first epoch.
        module: the part of the model that the stage trains, for the cache of stages.
        key: names everything that the stage's weights depend on; None: not cached.
        min_updates: batches before which no epoch is chosen, except the last one.
        patience_in_updates: early-stopping patience in batches, used where it is longer than
            ``stopping_step``.
        one_optimizer: one optimizer for all updates. Gradients of the other updates' parameters are then 0
            in an update instead of none, so that an optimizer with momentum moves those parameters too.
        rate_option: name of the option that the step size is, for messages.
    """

    name: str
    steps: tuple[UpdateStep, ...]
    rows: Tensor
    batch_size: int
    epochs: int
    stopping_step: int
    error: Callable[[], float] | None = None
    begin: Callable[[], None] | None = None
    module: nn.Module | None = None
    key: str | None = None
    min_updates: int = 0
    patience_in_updates: int = 0
    one_optimizer: bool = False
    rate_option: str = "learning_rate"
