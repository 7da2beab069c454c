"""Columns of users and items that RecBole's models with features read: loaded, and of a type to embed."""

from typing import Any

from recbole_diffusion.compat import ModelType
from recbole_diffusion.errors import UsageError

# Sequential models that read the features of users and items, as context-aware ones do.
SEQUENCES_WITH_FEATURES = ("DIN", "DIEN")


def check_context(config: Any, dataset: Any) -> None:
    """Check that a context-aware model of RecBole that ranks all items reads no column of interactions.

    Raises:
        UsageError: it does; the items that a user does not have lack such a value.
    """
    of_recbole = config.model_class.__module__.startswith("recbole.model.")
    if config.model_class.type != ModelType.CONTEXT or not of_recbole:
        return
    if "full" not in config["eval_args"]["mode"].values():
        return
    plain = {config[option] for option in ("USER_ID_FIELD", "ITEM_ID_FIELD", "LABEL_FIELD")}
    plain |= {*((config["unused_col"] or {}).get("inter") or ())}
    numbers = config["numerical_features"] or ()
    kinds = {name: dataset.field2type[name].value for name in dataset.inter_feat}
    read = [
        name
        for name, kind in kinds.items()
        if name not in plain and (kind.startswith("token") or name in numbers)
    ]
    if read:
        raise UsageError(
            f"eval_args.mode full ranks all items, but {config['model']} reads {', '.join(read)} of each "
            "interaction, which an item that the user does not have lacks; leave such columns out of "
            "load_col.inter, or take eval_args.mode uni100, whose drawn items have those of the held-out row"
        )


def unread_numbers(config: Any, dataset: Any) -> list[str]:
    """Return a line on columns of numbers that a model with features leaves out: no option names them."""
    if config.model_class.type != ModelType.CONTEXT and config["model"] not in SEQUENCES_WITH_FEATURES:
        return []
    read = {*(config["numerical_features"] or ()), *(config["threshold"] or ())}
    read |= {config[option] for option in ("LABEL_FIELD", "RATING_FIELD", "TIME_FIELD")}
    feats = (dataset.inter_feat, dataset.user_feat, dataset.item_feat)
    columns = dict.fromkeys(name for feat in feats if feat is not None for name in feat)
    unread = [
        name for name in columns if name not in read and dataset.field2type[name].value.startswith("float")
    ]
    if not unread or config.stored:
        return []
    return [
        f"{config['model']} reads the columns of numbers that numerical_features names, and not "
        f"{', '.join(unread)}"
    ]
