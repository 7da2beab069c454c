"""Weights of an earlier run for a model of other users and items: those of known ids are taken by token."""

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_diffusion.compat import Interaction, init_seed
from recbole_diffusion.data.fingerprint import id_fingerprint
from recbole_diffusion.data.kept_rows import KeptRows
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.options.keys_read import keys_read_by
from recbole_diffusion.storage.properties import model_values
from recbole_diffusion.trainer.checkpoint import random_state, rename_weights, restore_random_state
from recbole_diffusion.trainer.checkpoint_form import not_finite

MORE_USERS, MORE_ITEMS = 1, 5  # by how much an axis of users, of items, or of both one after the other grows


def refuse_other_options(config: Any, stored: Mapping[str, Any], origin: Path) -> None:
    """Refuse to load what a model computed by other options: it would score by those, whatever is given now.

    Args:
        config: of a run whose model is computed when it is made.
        stored: the configuration of the run that ``origin`` belongs to.
        origin: the checkpoint.

    Raises:
        UsageError: an option of the model has another value.
    """
    read = {name for name in keys_read_by(config.model_class) if name.islower()} - {"device", "seed"}
    own = read | (model_values(config["model"]).keys() - {"train_neg_sample_args"})
    for name in sorted(own & stored.keys()):
        if config[name] != stored[name]:
            raise UsageError(
                f"{origin} was computed with {name} {stored[name]}, and {name} is {config[name]} here, which "
                f"what is loaded does not follow. Give --{name}={stored[name]}, or leave load_checkpoint or "
                f"continue_from out to compute {config['model']} anew"
            )


@dataclasses.dataclass(frozen=True)
class SharedIds:
    """The ids that two data sets share, of users or of items, the padding among them.

    Attributes:
        old: internal numbers in the earlier run, long [n].
        new: internal numbers of the same tokens in today's data, long [n].
        sizes: number of all ids in the earlier run, and today.
    """

    old: Tensor
    new: Tensor
    sizes: tuple[int, int]

    @classmethod
    def of(cls, before: np.ndarray, now: np.ndarray) -> "SharedIds":
        """Return the ids of two tables of tokens."""
        numbers = {token: number for number, token in enumerate(map(str, before))}
        pairs = [(numbers[token], number) for number, token in enumerate(map(str, now)) if token in numbers]
        old, new = torch.tensor(pairs, dtype=torch.long).T
        return cls(old, new, (len(before), len(now)))

    def then(self, other: "SharedIds") -> "SharedIds":
        """Return the ids of an axis that has these first and then those of ``other``."""
        old = torch.cat([self.old, other.old + self.sizes[0]])
        new = torch.cat([self.new, other.new + self.sizes[1]])
        return SharedIds(old, new, (self.sizes[0] + other.sizes[0], self.sizes[1] + other.sizes[1]))


def shared_ids(kept: KeptRows, dataset: Any) -> tuple[SharedIds, SharedIds]:
    """Return the users and the items that a run's rows share with a data set of today."""
    fields = (kept.user_field, dataset.uid_field), (kept.item_field, dataset.iid_field)
    users, items = (SharedIds.of(kept.tokens[old], dataset.field2id_token[new]) for old, new in fields)
    return users, items


def put_known_weights(
    model: Any, state: dict[str, Any], origin: Path, kept: KeptRows, config: Any, train: Any
) -> str:
    """Put the weights of a checkpoint into a model of other users and items.

    Known users and items get the weights they had, along every axis of users or of items; new ones stay as
    the model has initialised them, and so does what a model computes from its data.

    Args:
        model: the model, made for ``train``.
        state: from ``checkpoint.load``, of a model of the same name.
        origin: its file, for messages.
        kept: ids and rows of the run that wrote it.
        config: the run's configuration.
        train: today's training part.

    Returns:
        What was taken, one line for the log.

    Raises:
        RunError: ``kept`` is of another run, or the weights do not fit.
    """
    fields = {"uid_field": kept.user_field, "iid_field": kept.item_field}
    if id_fingerprint(SimpleNamespace(field2id_token=kept.tokens, **fields)) != state["ids"]:
        raise RunError(
            f"{origin} does not fit: users and items had other ids when it was made than the data.npz beside "
            "it; name a checkpoint in the folder of its run"
        )
    users, items = shared_ids(kept, train)
    rename_weights(state, model.renamed_weights)
    stored, own = state["state_dict"], model.state_dict()
    if stored.keys() != own.keys():
        other = ", ".join(sorted(stored.keys() ^ own.keys())[:3])
        raise RunError(f"{origin} does not fit this model or its options: they differ in {other}")
    axes = _axes(config, train, own, (users, items), origin)
    learned = _learned(model)
    for name, values in own.items():
        kinds = axes[name]
        if any(kinds) and name not in learned:
            continue  # computed from the data
        sizes = [kind.sizes[0] if kind else size for kind, size in zip(kinds, values.shape, strict=True)]
        if (
            list(stored[name].shape) != sizes
            or stored[name].is_floating_point() != values.is_floating_point()
        ):
            raise RunError(
                f"{origin} does not fit this model or its options: {name} has the shape "
                f"{list(stored[name].shape)} of {stored[name].dtype}, and needs {sizes} of {values.dtype}"
            )
        own[name] = _moved(values, stored[name], kinds)
    model.load_state_dict(own)
    if weights := not_finite(model):
        raise RunError(f"{origin} is damaged: {weights} has NaN or infinite numbers")
    return (
        f"{len(users.new) - 1:,} of {users.sizes[1] - 1:,} users and {len(items.new) - 1:,} of "
        f"{items.sizes[1] - 1:,} items begin with their weights in {origin}, the others anew"
    )


def _learned(model: torch.nn.Module) -> set[str]:
    """Return the names of what training changes: parameters, and buffers that ``learned_buffers`` names."""
    names = {name for name, _ in model.named_parameters()}
    for place, module in model.named_modules():
        names |= {f"{place}.{one}".lstrip(".") for one in getattr(module, "learned_buffers", ())}
    return names


def _moved(values: Tensor, stored: Tensor, kinds: tuple[SharedIds | None, ...]) -> Tensor:
    """Return new values with those of known ids from stored ones."""
    result = values.detach().clone()
    shared = [(axis, kind) for axis, kind in enumerate(kinds) if kind is not None]
    taken = stored.to(result)
    for axis, kind in shared:
        taken = taken.index_select(axis, kind.old.to(taken.device))
    _put(result, taken, [(axis, kind.new.to(taken.device)) for axis, kind in shared])
    return result


def _put(result: Tensor, taken: Tensor, axes: list[tuple[int, Tensor]]) -> None:
    """Copy a tensor into the rows, columns, ... of another one, in place."""
    if not axes:
        result.copy_(taken)
        return
    axis, numbers = axes[0]
    part = result.index_select(axis, numbers)
    _put(part, taken, axes[1:])
    result.index_copy_(axis, numbers, part)


def _axes(
    config: Any, train: Any, own: Mapping[str, Tensor], ids: tuple[SharedIds, SharedIds], origin: Path
) -> dict[str, tuple[SharedIds | None, ...]]:
    """Return for each weight whose ids its axes have: users, items, both one after the other, or none.

    The sizes alone do not say: a model may be as wide as the data has users. So the model is made once more,
    for a few users and items more, and the growth of an axis tells what it is of.

    Raises:
        RunError: an axis grows in another way, or the model cannot be made so.
    """
    kinds = {0: None, MORE_USERS: ids[0], MORE_ITEMS: ids[1], MORE_USERS + MORE_ITEMS: ids[0].then(ids[1])}
    before = random_state()
    try:
        init_seed(config.general.seed, config["reproducibility"])
        larger = config.model_class(config, _enlarged(config, train)).state_dict()
        return {
            name: tuple(
                kinds[more - size] for more, size in zip(larger[name].shape, values.shape, strict=True)
            )
            for name, values in own.items()
        }
    except Exception as error:  # any: a model may read what the added users and items do not have
        raise RunError(
            f"cannot tell which weights of {config['model']} in {origin} are of users and items, whose ids "
            f"have changed ({type(error).__name__}: {' '.join(str(error).split())[:100]}); train a new run"
        ) from error
    finally:
        restore_random_state(before)


def _enlarged(config: Any, train: Any) -> Any:
    """Return a training part with a few users and items more, of which the last user has all the items."""
    larger = copy.copy(train)
    larger.field2id_token = dict(train.field2id_token)
    for field, count in ((train.uid_field, MORE_USERS), (train.iid_field, MORE_ITEMS)):
        more = [f"\n{number}" for number in range(count)]
        larger.field2id_token[field] = np.append(train.field2id_token[field], more)
    rows = {
        name: torch.cat([values, values[:1].repeat_interleave(MORE_ITEMS, 0)])
        for name, values in train.inter_feat.interaction.items()
    }
    rows[train.uid_field][-MORE_ITEMS:] = larger.user_num - 1
    rows[train.iid_field][-MORE_ITEMS:] = torch.arange(larger.item_num - MORE_ITEMS, larger.item_num)
    larger.inter_feat = Interaction(rows)
    if getattr(train, "modalities", None):
        larger.modalities = {
            name: dataclasses.replace(one, rows=np.append(one.rows, np.repeat(one.rows[-1:], MORE_ITEMS)))
            for name, one in train.modalities.items()
        }
        # A model without item graphs has no knn_k and asks for no neighbours.
        count, k = larger.item_num - 1, getattr(config.options, "knn_k", 1)
        some = (torch.arange(count)[:, None] + torch.arange(k)) % count + 1  # any neighbours have their shape
        larger.neighbours = lambda _name: (some, torch.ones(count, k))
    return larger
