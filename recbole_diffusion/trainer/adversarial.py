"""Adversarial training: critic and generator in turn, each with its own optimizer; both resume exactly."""

import math
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from recbole_diffusion.errors import RunError
from recbole_diffusion.trainer.base import RunMixin
from recbole_diffusion.trainer.mirror_gradient import refusal
from recbole_diffusion.trainer.recbole_patches import FusedSteps


class _AlternatingSteps(FusedSteps):
    """RecBole's Trainer with updates of the critic, then of the generator, on each batch."""

    def _train_epoch(
        self,
        train_data: Any,
        epoch_idx: int,
        loss_func: Any = None,  # noqa: ARG002
        show_progress: bool = False,
    ) -> Any:
        """Train one epoch; return the sum over batches of each loss, averaged over the updates of a batch."""
        self.model.train()
        options = self.model.options
        totals: list[float] = []
        batches = (
            tqdm(train_data, total=len(train_data), ncols=100, desc=f"Train {epoch_idx:>5}")
            if show_progress
            else train_data
        )
        for batch in batches:
            interaction = batch.to(self.device)
            critic = 0.0
            if self.model.critic is not None:
                # The critic first: its updates, then the generator's, on the same batch.
                for _ in range(options.critic_steps):
                    critic += self._critic_step(interaction) / options.critic_steps
            parts = [self._generator_step(interaction, critic) for _ in range(options.generator_steps)]
            # Mean over the generator's updates of each of its parts, then the critic's mean.
            values = [sum(column) / len(parts) for column in zip(*parts, strict=True)]
            values += [] if self.model.critic is None else [critic]
            totals = (
                [total + value for total, value in zip(totals, values, strict=True)] if totals else values
            )
        return tuple(totals) if len(totals) > 1 else totals[0]

    def _critic_step(self, interaction: Any) -> float:
        with self.in_precision():
            loss = self.model.critic_loss(interaction)
        value = loss.item()
        self._stop_if_diverged(value, None)
        self._step(self.critic_optimizer, loss, self.model.critic)
        self.model.after_critic_step()
        return value

    def _generator_step(self, interaction: Any, critic: float) -> list[float]:
        other = self.model.critic
        # The generator's loss runs through the critic, which gets no gradient.
        if other is not None:  # its gradient would be computed and discarded
            other.requires_grad_(False)
        try:
            with self.in_precision():
                losses = self.model.generator_loss(interaction)
            total = sum(losses)
            # One transfer from the device for all numbers.
            whole, *values = torch.stack([total, *losses]).tolist()
            self._stop_if_diverged(critic, whole)
            self._step(self.optimizer, total, self.model.generator)
        finally:
            if other is not None:
                other.requires_grad_(True)
        return values

    def _step(self, optimizer: torch.optim.Optimizer, loss: Tensor, network: torch.nn.Module) -> None:
        """Update one of the two networks."""
        # Of both networks, so that nothing of an earlier update is left.
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip_grad_norm:
            torch.nn.utils.clip_grad_norm_(network.parameters(), **self.clip_grad_norm)
        optimizer.step()

    def _stop_if_diverged(self, critic: float, generator: float | None) -> None:
        """Stop if a loss is not finite, or the critic's exceeds ``divergence_limit``.

        Raises:
            RunError: with the epoch, both losses and what to try.
        """
        self._last_generator = (
            generator if generator is not None else getattr(self, "_last_generator", math.nan)
        )
        limit = self.model.options.divergence_limit
        # NaN or infinite in either loss; the critic's may also grow without bound.
        broken = not math.isfinite(critic) or (generator is not None and not math.isfinite(generator))
        if broken or abs(critic) > limit:
            what = (
                "a loss is not finite"
                if broken
                else f"the critic's loss is beyond divergence_limit {limit:g}"
            )
            raise RunError(
                f"training diverged in epoch {self._epoch}: {what}; critic {critic:.4g}, generator "
                f"{self._last_generator:.4g}. "
                f"Try a smaller critic_learning_rate (now {self.model.options.critic_learning_rate:g}) or "
                f"learning_rate (now {self.learning_rate:g}), lipschitz: gradient_penalty with a larger "
                f"penalty_weight, or fewer critic_steps. {self.last_state()}"
            )


class _AdversaryEpochs(FusedSteps):
    """RecBole's Trainer; before some epochs an adversary has one, while all other weights stay."""

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> Any:
        if self.model.adversary_due(epoch_idx):
            self._train_adversary(train_data)
        self.model.adversary.requires_grad_(False)  # its gradient would be computed and discarded
        try:
            return super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)
        finally:
            self.model.adversary.requires_grad_(True)

    def _train_adversary(self, train_data: Any) -> None:
        self.model.train()
        for batch in train_data:
            with self.in_precision():
                loss = self.model.adversary_loss(batch.to(self.device))
            self._check_nan(loss)
            self.adversary_optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if self.clip_grad_norm:
                torch.nn.utils.clip_grad_norm_(self.model.adversary.parameters(), **self.clip_grad_norm)
            self.adversary_optimizer.step()
        # What is left would count in the length by which the encoder's gradients are clipped.
        self.adversary_optimizer.zero_grad(set_to_none=True)


class AdversaryEpochsTrainer(RunMixin, _AdversaryEpochs):
    """``_AdversaryEpochs`` with a run folder.

    A model has ``encoder`` and ``adversary``, modules without a common weight, ``adversary_due(epoch)`` and
    ``adversary_loss(interaction)``.
    """

    def __init__(self, config: Any, model: Any, folder: Any) -> None:
        if config.general.mirror_gradient:
            raise refusal(config["model"], "which trains two players in turn")
        super().__init__(config, model, folder)
        self.refuse_scaler()
        self.optimizer = self._build_optimizer(params=model.encoder.parameters())
        self.adversary_optimizer = self._build_optimizer(
            params=model.adversary.parameters(), learning_rate=model.options.adversary_learning_rate
        )


class AdversarialTrainer(RunMixin, _AlternatingSteps):
    """``_AlternatingSteps`` with a run folder. ``RunMixin`` saves every optimizer that is an attribute."""

    def __init__(self, config: Any, model: Any, folder: Any) -> None:
        if config.general.mirror_gradient:
            raise refusal(config["model"], "which trains two networks in turn")
        super().__init__(config, model, folder)
        self.refuse_scaler()
        self.optimizer = self._build_optimizer(params=model.generator.parameters())
        if model.critic is not None:
            rate = model.options.critic_learning_rate
            self.critic_optimizer = self._build_optimizer(
                params=model.critic.parameters(), learning_rate=rate
            )
