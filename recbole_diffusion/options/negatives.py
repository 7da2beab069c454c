"""Options of the negative samplers, which any pairwise model takes, and which model takes which."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option, refusal

# By what a sampler needs of the model: at most scores of pairs; vectors whose inner products are the scores;
# a loss that takes vectors in the place of items.
BY_SCORES = ("uniform", "popularity", "dns")
BY_VECTORS = (*BY_SCORES, "ahns", "ar", "sl", "realhns")
MIXED = (*BY_VECTORS, "mixgcf")
# RecBole's models whose loss compares a positive with one negative item.
OF_RECBOLE = {
    **dict.fromkeys(("BPR", "LightGCN"), MIXED),
    **dict.fromkeys(("NGCF", "DGCF", "SGL", "NCL", "SpectralCF"), BY_VECTORS),
    **dict.fromkeys(("ConvNCF", "GCMC", "LINE"), BY_SCORES),
}
# The samplers that read an option, with those options.
OF_SAMPLERS = {
    ("dns", "mixgcf", "ahns", "realhns"): ("candidate_items",),
    ("dns", "realhns"): ("hardest",),
    ("popularity",): ("popularity_power",),
    ("ahns",): ("ahns_alpha", "ahns_beta", "ahns_p"),
    ("ar",): ("ar_share",),
    ("sl",): ("sl_power", "sl_positives"),
    ("realhns",): ("realhns", "false_ratio", "window_low", "window_high", "warm_epochs"),
}


@dataclass(frozen=True)
class PoolOptions:
    """Samplers that choose from a pool of candidates, and that by popularity."""

    candidate_items: int = option("pool N of dns, mixgcf, ahns and realhns", low=1)
    hardest: int = option("M of dns and of realhns share: of the M highest scores of N candidates", low=1)
    popularity_power: float = option("power of an item's count in the popularity sampler", low=0)
    ahns_alpha: float = option("alpha of ahns, added to a positive's cosine", low=1)
    ahns_beta: float = option("beta of ahns, factor of the hardness asked for", low=0, open_low=True)
    ahns_p: float = option("p of ahns, power of the hardness is p + 1", high=0, open_high=True)


@dataclass(frozen=True)
class RealHNSOptions:
    """RealHNS, within one domain."""

    realhns: str = option(
        "how realhns finds false negatives: as published, among a window of ranks by a threshold that rises "
        "over the epochs; or a share of the highest ranks",
        choices=("threshold", "share"),
    )
    false_ratio: float = option(
        "ratio of the hardest that realhns share drops as false negatives, those most like the positive",
        low=0,
        high=1,
    )
    window_low: float = option(
        "rank from which realhns threshold keeps candidates, as a share of them",
        low=0,
        high=1,
        open_high=True,
    )
    window_high: float = option("rank to which it keeps them", low=0, high=1, open_low=True)
    warm_epochs: int = option("first epochs, in which realhns threshold has uniform negatives", low=0)

    def check_window(self) -> None:
        """Refuse an empty window of ranks.

        Raises:
            UsageError: it is.
        """
        if self.window_low >= self.window_high:
            raise UsageError(
                f"window_low is {self.window_low:g} and window_high {self.window_high:g}: the window is "
                "empty; give window_low below window_high"
            )

    @property
    def by_threshold(self) -> bool:
        """Whether the negatives are RealHNS's as published, whose epochs differ."""
        return getattr(self, "negative_sampler", None) == "realhns" and self.realhns == "threshold"

    def of_other_form(self) -> dict[str, str]:
        """Return the options of the form of realhns that is not chosen, with the reason."""
        window = ("window_low", "window_high", "warm_epochs")
        names = window if self.realhns == "share" else ("hardest", "false_ratio")
        return dict.fromkeys(names, f"realhns is {self.realhns}")


@dataclass(frozen=True)
class NegativeOptions(RealHNSOptions, PoolOptions):
    """Negatives of a pairwise model, for RecBole's and for those from outside."""

    negative_sampler: str | None = option(
        "how negatives are chosen, in place of train_neg_sample_args: by the model's own scores, or by law; "
        "null: by RecBole's loader",
        choices=MIXED,
    )
    ar_share: float = option(
        "gamma of ar, share of the items that are a user's best", low=0, high=1, open_low=True
    )
    sl_power: float = option("power of the positive scores that sl draws by", low=0, open_low=True)
    sl_positives: bool = option("let sl draw a user's own items too, as the released code does")

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        sampler = f"negative_sampler is {self.negative_sampler or 'null'}"
        found = self.of_other_form() if self.negative_sampler == "realhns" else {}
        for reading, names in OF_SAMPLERS.items():
            if self.negative_sampler not in reading:
                found |= dict.fromkeys(names, sampler)
        return found

    def kept(self) -> set[str]:
        """Return the options that a run's configuration keeps: none without a sampler, else those read."""
        if self.negative_sampler is None:
            return set()
        return {field.name for field in fields(self)} - self.unread().keys()

    def __post_init__(self) -> None:
        self.check_window()
        takes_hardest = self.negative_sampler == "dns" or (
            self.negative_sampler == "realhns" and self.realhns == "share"
        )
        if takes_hardest and self.hardest > self.candidate_items:
            raise UsageError(
                f"hardest is {self.hardest} but candidate_items only {self.candidate_items}; "
                f"{self.negative_sampler} takes M of N"
            )


def samplers_of(model: str, model_class: type[Any]) -> tuple[str, ...]:
    """Return the samplers that a model takes, empty for one that compares no pairs of items.

    A model from outside takes them if it is a general recommender of pairs with RecBole's loader.
    """
    if model in OF_RECBOLE:
        return OF_RECBOLE[model]
    kind = getattr(model_class, "input_type", None), getattr(model_class, "type", None)
    if model_class.__module__.startswith(("recbole.", "recbole_diffusion.")):
        return ()
    names = tuple(one.name if one is not None else "" for one in kind)
    if names != ("PAIRWISE", "GENERAL") or model_class.loader_class is not None:
        return ()
    own = getattr(model_class.options_class, "__dataclass_fields__", {})
    if own.keys() & NegativeOptions.__dataclass_fields__.keys():  # it has samplers of its own
        return ()
    return BY_VECTORS if model_class.has_item_vectors else BY_SCORES


def negative_notes(loaded: Any, samplers: tuple[str, ...], modes: str, any_other: bool) -> list[str]:
    """Return the log's lines on the negatives that RecBole's loader draws.

    Args:
        loaded: ``train_neg_sample_args`` of a model for which that loader draws; None for others.
        samplers: what the model takes as ``negative_sampler``.
        modes: of evaluation, as text; negatives by popularity there have the ``alpha`` of training.
        any_other: whether ``repeatable`` is given to a model of users, whose negatives are then any item but
            that of the row.
    """
    if not isinstance(loaded, Mapping) or loaded.get("distribution") in (None, "none", "None"):
        return []
    unused = []
    if loaded["distribution"] != "popularity" and loaded.get("alpha", 1) != 1 and "pop" not in modes:
        unused.append(f"alpha (distribution is {loaded['distribution']})")
    if loaded.get("candidate_num") and not loaded.get("dynamic"):
        unused.append("candidate_num (dynamic is false)")
    notes = [f"no effect of train_neg_sample_args.{one}" for one in unused]
    if loaded["distribution"] == "popularity":
        instead = "; negative_sampler: popularity counts train alone" if "popularity" in samplers else ""
        notes.append(
            "train_neg_sample_args popularity has RecBole's counts, which are those of all parts: training "
            f"draws items of valid and test more often{instead}"
        )
    if any_other:
        instead = "; negative_sampler: uniform leaves out all of the user's" if "uniform" in samplers else ""
        notes.append(
            "repeatable: negatives of training are any items but that of the row, as in RecBole, the user's "
            f"other items among them{instead}"
        )
    return notes


def takes_none(model: str) -> UsageError:
    """Return the error of a sampler that is named for a model that takes none."""
    return UsageError(
        f"{model} takes no negative_sampler: its loss does not compare a positive with one negative item, as "
        f"those of {', '.join(OF_RECBOLE)}, CNSDiff, CCDRec and models of pairs from outside do"
    )


def check_sampler(name: str | None, model: str, taken: tuple[str, ...]) -> None:
    """Refuse a sampler that a model cannot take.

    Raises:
        UsageError: the model has no vectors for it, or its loss takes no vectors.
    """
    if name is None or name in taken:
        return
    why = (
        "mixgcf makes vectors, which its loss does not take"
        if name == "mixgcf"
        else f"{name} needs vectors whose inner products are the scores"
    )
    raise refusal("negative_sampler", name, f"{', '.join(taken)} or null with {model}; {why}")
