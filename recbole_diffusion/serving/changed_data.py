"""Data that has changed since a run was trained: what is new, and what can still be served."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.data.fingerprint import BESIDE
from recbole_diffusion.data.known_ids import NewIds
from recbole_diffusion.data.valid_shift import LEARNED
from recbole_diffusion.errors import RunError, UsageError, counted, shown_name
from recbole_diffusion.serving.scoring import scores_of_users

SAMPLE = 64  # users whose scores are compared
Scores = Callable[[Any], Tensor]


@dataclass(frozen=True)
class ChangedData:
    """What is new in the data of a trained run.

    Attributes:
        folder: the run's folder.
        parts: what is new, as text by the name of the part; empty if nothing is.
        divided: whether the parts are groups of users, and a model knows from them which users are cold.
        without_rows: makes the trained model on half of the training rows, which shows whether its scores
            depend on rows besides its weights.
        kept: whether the run has kept its ids and rows, so that the model and the parts are those of the
            training.
        new: the new users and items, which are left out; None if the ids were not kept.
    """

    folder: Path
    parts: Mapping[str, str]
    divided: bool
    without_rows: Callable[[], Any]
    kept: bool = False
    new: NewIds | None = None

    @property
    def told(self) -> str:
        """Return all that is new in one line."""
        return "; ".join(self.parts.values())

    @property
    def news(self) -> str:
        """Return :attr:`told` and the new users and items in one line; empty if nothing is new."""
        if self.new is None or not self.new.rows:
            return self.told
        users, items = len(self.new.users), self.new.items
        new = f"{counted(users, 'new user')} and {counted(items, 'new item')} are left out"
        return "; ".join([*self.parts.values(), f"{new}, with {counted(self.new.rows, 'row')}"])

    @property
    def beside(self) -> bool:
        """Return whether something has changed that models read beside their rows and weights."""
        return any(name == "source" or name.startswith(BESIDE) for name in self.parts)

    def check_evaluated(self) -> None:
        """Check that metrics of the parts are those of the trained model.

        Raises:
            UsageError: the parts have changed and were not kept, or what the model reads beside them has.
        """
        if not self.told or (self.kept and not self.beside):
            return
        why = (
            "the model reads what is there today, and its scores are not those of the training"
            if self.kept
            else "its parts are not the same now, and may hold rows that it was trained on"
        )
        raise UsageError(
            f"the data of the run in {self.folder} has changed since the training: {self.told}; {why}. Put "
            "the old files back"
        )

    def check_exclude(self, exclude: str) -> None:
        """Check that the items to leave out are known.

        Raises:
            UsageError: they are those of the old training and validation parts.
        """
        if exclude == "history" and not self.kept and self.parts.keys() & set(LEARNED):
            raise UsageError(
                f"exclude is history, what the run in {self.folder} had in train and valid, but its data "
                f"has changed: {self.told}; put the old files back, or give exclude all or none"
            )

    def check_users(self, model: Any, seed: int) -> None:
        """Check that the scores of known users are those of the trained model.

        Raises:
            RunError: they depend on data that has changed.
        """
        users = torch.linspace(1, model.n_users - 1, min(SAMPLE, model.n_users - 1)).long().to(model.device)
        self._check(model, lambda one: scores_of_users(one, seed)(users))

    def check_histories(self, model: Any, histories: Any, seed: int) -> None:
        """Check that the scores of some new users are those of the trained model.

        Raises:
            RunError: they depend on data that has changed.
        """
        self._check(model, lambda one: one.fold_in_scores(histories, seed))

    def _check(self, model: Any, scores: Scores) -> None:
        names = self.parts.keys()
        beside = self.beside or (self.divided and bool(names))
        rows = "train" in names and not self.kept
        if beside or (rows and self._uses_rows(model, scores)):
            raise RunError(
                f"the scores of {shown_name(model)} depend on data beside its weights, and that of the "
                f"run in {self.folder} has changed: {self.told}; put the old files back, or train again"
            )

    def _uses_rows(self, model: Any, scores: Scores) -> bool:
        """Return whether scores are others on half of the training rows, with the same weights."""
        try:
            with torch.no_grad():
                mine, other = scores(model), scores(self.without_rows())
        except Exception:  # any: half of the rows may be no data set for a model, which then reads them
            return True
        return not torch.allclose(mine, other, rtol=1e-4, atol=1e-6, equal_nan=True)
