"""Mirror gradient: every few batches a step down is followed by a smaller step up, which favours flat minima.

Reference:
    Zhong, Huang, Li, Wen, Qin, Lin: "Mirror Gradient: Towards Robust Multimodal Recommender Systems via
    Exploring Flat Local Minima". WWW 2024.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from recbole_diffusion.compat import ModelType
from recbole_diffusion.errors import UsageError

Loss = Tensor | tuple[Tensor, ...]


class MirrorGradient:
    """Part of a trainer with ``config``, ``model``, ``optimizer`` and RecBole's loop of one step a batch.

    In each ``mirror_interval``-th batch the optimizer steps down ``mirror_descent`` times the loss here;
    RecBole's own step then follows the gradient of ``-mirror_ascent`` times the loss of the same batch at the
    new weights. The loss that is logged is the latter's, with its true value.
    """

    def mirrored(self, loss_func: Callable[[Any], Loss] | None) -> Callable[[Any], Loss] | None:
        """Return the loss function of an epoch with mirror steps, or ``loss_func`` itself where they are off.

        Args:
            loss_func: batch -> loss or its parts; None for the model's ``calculate_loss``.

        Raises:
            UsageError: gradients are scaled, or the model does not learn by gradient steps.
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
            self.optimizer.step()
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
            UsageError: the loop makes its own steps, so that the option would do nothing.
        """
        if self.config.general.mirror_gradient and not self._mirrored_batches:
            raise refusal(self.config["model"], "whose trainer makes its own steps")


def refusal(model: str, reason: str) -> UsageError:
    """Return the error of a model that cannot take mirror steps."""
    return UsageError(f"mirror_gradient does not go with {model}, {reason}; set it to False")


def _ascending(loss: Tensor, ascent: float) -> Tensor:
    """Return a tensor of the loss's value whose gradient is that of ``-ascent`` times the loss."""
    return loss.detach() - ascent * (loss - loss.detach())
