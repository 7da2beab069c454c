"""Mirror gradient: a descent step is now and then followed by a smaller ascent step, towards flat minima.

Reference:
    Zhong, Huang, Li, Wen, Qin, Lin: "Mirror Gradient: Towards Robust Multimodal Recommender Systems via
    Exploring Flat Local Minima". WWW 2024.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from recbole_diffusion.compat import ModelType
from recbole_diffusion.errors import UsageError

if TYPE_CHECKING:
    from recbole_diffusion.compat import Trainer
else:
    Trainer = object  # a mixin: the trainer comes after it in the MRO

Loss = Tensor | tuple[Tensor, ...]


class MirrorGradient(Trainer):
    """Mixin for a trainer whose loop, as RecBole's, takes one optimizer step per batch.

    In every ``mirror_interval``-th batch the optimizer first takes a step down ``mirror_descent`` times the
    loss; RecBole's own step then follows the gradient of ``-mirror_ascent`` times the loss of the same batch
    at the new weights. The second loss is logged, with its true value.
    """

    _descends = False  # whether the step down is taken, after which a step up follows

    def after_step(self) -> None:
        """Tell the model of a step, but not of a step down, after which it will be told of the step up."""
        if not self._descends:
            self.model.after_step()

    def mirrored(self, loss_func: Callable[[Any], Loss] | None) -> Callable[[Any], Loss] | None:
        """Return the loss function of an epoch with mirror steps, or ``loss_func`` itself if they are off.

        Args:
            loss_func: batch -> loss or its parts; None for the model's ``calculate_loss``.

        Raises:
            UsageError: gradients are scaled, or the model does not learn by gradient descent.
        """
        self._mirrored_batches = 0
        if not self.config.general.mirror_gradient:
            return loss_func
        if self.enable_scaler or self.config["MODEL_TYPE"] == ModelType.TRADITIONAL:
            raise UsageError(
                "mirror_gradient needs a model that learns by gradient steps, without enable_scaler; set it "
                "to False"
            )
        compute = loss_func or self.model.calculate_loss
        options = self.config.general
        interval, descent, ascent = options.mirror_interval, options.mirror_descent, options.mirror_ascent

        def mirrored_loss(interaction: Any) -> Loss:
            self._mirrored_batches += 1
            losses = compute(interaction)
            if (self._mirrored_batches - 1) % interval:
                return losses
            total = sum(losses) if isinstance(losses, tuple) else losses
            self._check_nan(total)
            (descent * total).backward()
            if self.clip_grad_norm:
                clip_grad_norm_(self.model.parameters(), **self.clip_grad_norm)
            self._descends = True
            self.optimizer.step()
            self._descends = False
            self.optimizer.zero_grad()
            again = compute(interaction)
            return (
                tuple(_ascending(one, ascent) for one in again)
                if isinstance(again, tuple)
                else _ascending(again, ascent)
            )

        return mirrored_loss

    def require_mirrored(self) -> None:
        """Check after an epoch that the trainer's loop has used the loss function of :meth:`mirrored`.

        Raises:
            UsageError: the loop computes its own losses, so that the option would have no effect.
        """
        if self.config.general.mirror_gradient and not self._mirrored_batches:
            raise refusal(self.config["model"], "whose trainer makes its own steps")


def refusal(model: str, reason: str) -> UsageError:
    """Return the error of a model that cannot take mirror steps."""
    return UsageError(f"mirror_gradient does not go with {model}, {reason}; set it to False")


def _ascending(loss: Tensor, ascent: float) -> Tensor:
    """Return a tensor with the value of the loss and the gradient of ``-ascent`` times the loss."""
    return loss.detach() - ascent * (loss - loss.detach())
