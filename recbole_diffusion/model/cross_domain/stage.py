"""What a model of several training stages tells its trainer: the stages in turn, and the updates of a batch in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class UpdateStep:
    """One update of a batch, with an optimizer of its own.

    Attributes:
        loss: rows of the batch, long [batch] -> scalar.
        parameters: what the loss updates, and nothing else.
        learning_rate: step size.
        repeats: how often a batch is used for it, before the next one.
        weight_decay: of the optimizer; None for the run's own.
        after: called after each update.
    """

    loss: Callable[[Tensor], Tensor]
    parameters: Sequence[nn.Parameter]
    learning_rate: float
    repeats: int = 1
    weight_decay: float | None = None
    after: Callable[[], None] | None = None


@dataclass(frozen=True)
class TrainingStage:
    """One stage of training, which ends with the weights of its best validation.

    Attributes:
        name: of the stage, unique in a model; files and records are named by it.
        steps: the updates of each batch, in turn.
        rows: what batches are drawn from, long [n]: numbers of ratings, or users; shuffled in each epoch.
        batch_size: rows of a batch.
        epochs: epochs at most.
        stopping_step: validations without a better score that are forgiven.
        error: validation error, the smaller the better; None for the run's own validation, in the last stage.
        begin: called once before the first epoch.
        module: the part of the model that the stage trains, for the cache of stages.
        key: text that tells what the stage's weights depend on; None: not to be cached.
        least_updates: batches before which no epoch is chosen, except the last one.
        patience_updates: batches without a better score that are forgiven, if more than ``stopping_step``
            validations.
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
    least_updates: int = 0
    patience_updates: int = 0
