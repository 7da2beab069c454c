"""Columns of users and items that RecBole's models with features read: loaded, and of a type to embed."""

from typing import Any

from recbole_diffusion.compat import ModelType

# Sequential models that read the features of users and items, as context-aware ones do.
SEQUENCES_WITH_FEATURES = ("DIN", "DIEN")


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
