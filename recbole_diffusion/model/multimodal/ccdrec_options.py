"""Hyper-parameters of CCDRec; their defaults are in ``properties/model/CCDRec.yaml``."""

import math
from dataclasses import dataclass, fields

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.multimodal.options import (
    OF_BM3,
    OF_ITEM_GRAPHS,
    ONE_NUMBER,
    BM3GraphOptions,
    DiffusedOptions,
    LATTICEGraphOptions,
    MCDRecGraphOptions,
)
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.linear_term import LinearTermOptions
from recbole_diffusion.options.multimodal import MultimodalOptions
from recbole_diffusion.options.negatives import RealHNSOptions

CURRICULAR = "curricular"
# What each backbone reads of the options that not all of them do.
OF_BACKBONE = {
    "FREEDOM": {"edge_dropout", "modal_weight"} | OF_ITEM_GRAPHS,
    "LATTICE": {"original_ratio", "reg_weight"} | OF_ITEM_GRAPHS - {"modality_weights"},
    "MCDRec": {"edge_dropout", "modal_weight", "graph_temperature"} | OF_ITEM_GRAPHS,
    "BM3": OF_BM3,
}
OF_BACKBONES = set().union(*OF_BACKBONE.values())
# Which of the nearest candidates are drawn, and what of them is scored.
OF_DRAWS = ("cut_ratio", "draw_discount", "score_share", "generated_negatives")
OF_SEARCH = ("candidate_ratio", "top_ratio", "candidate_limit")
OF_CURRICULAR = ("curriculum", "curriculum_interval", "curriculum_end", *OF_SEARCH, *OF_DRAWS)
# What the diffusion alone reads, in CCDRec.
OF_DIFFUSION = {"fusion", "estimator", "key_size", "feed_forward_size"}
OF_DIFFUSION |= {field.name for field in fields(DiffusedOptions)} - {
    field.name for field in fields(MultimodalOptions)
}


@dataclass(frozen=True)
class CCDRecOptions(
    DiffusedOptions,
    MCDRecGraphOptions,
    LATTICEGraphOptions,
    BM3GraphOptions,
    RealHNSOptions,
    LinearTermOptions,
):
    """Read once by the constructor, checked before data loads."""

    # The backbone and the three modules: DMA, NDI and CNS.
    backbone: str = option("the model that is wrapped", choices=("FREEDOM", "LATTICE", "MCDRec", "BM3"))
    aligning: bool = option("DMA, the diffusion that aligns item vectors with their modalities")
    negative_sampler: str = option(
        "where the second negative comes from: the pools of the diffusion (NDI), or one of the paper's "
        "comparison",
        choices=(CURRICULAR, "uniform", "dns", "mixgcf", "realhns"),
    )
    curriculum: bool = option(
        "CNS, pools that get harder with the epochs; False: always the end of the chain"
    )
    fusion: str = option(
        "where fused item vectors go: into the user-item graph as in the authors' code, or into its output "
        "in place of h_hat",
        choices=("input", "output"),
    )
    negative_weight: float = option(
        "omega, weight of the second negative against the random one (Eq. 9)", low=0, high=1
    )
    random_loss: str = option(
        "loss of the random negatives: pairs (Eq. 8), or softmax, cross entropy of an item against many "
        "of the batch (ours)",
        choices=("pairs", "softmax"),
    )
    softmax_temperature: float = option("tau of the cosines in the softmax", low=0, open_low=True)
    softmax_items: int = option("items of the batch in the softmax of each pair", low=1)
    ema_decay: float = option(
        "decay of the moving average of the weights by which items are scored; 0: the weights themselves "
        "(ours)",
        low=0,
        high=1,
        open_high=True,
    )
    # The estimator of DMA.
    estimator: str = option(
        "a transformer layer (the text), or its attention alone (the authors' code)",
        choices=("transformer", "attention"),
    )
    key_size: int = option("width of keys and queries in the estimator's attention", low=1)
    feed_forward_size: int = option("width of the estimator's feed-forward layer", low=1)
    # The curriculum (Eq. 7) and its candidates.
    curriculum_interval: int = option("delta tau, epochs between two pools (Eq. 7)", low=1)
    curriculum_end: int | None = option(
        "tau_end, last epoch in which a pool of the chain is used; then the final item vectors; null: never",
        low=0,
    )
    candidate_ratio: float = option("ratio of the items drawn as candidates", low=0, high=1, open_low=True)
    top_ratio: float = option("ratio k of the candidates that may be drawn", low=0, high=1, open_low=True)
    candidate_limit: int = option("maximum number of candidates, whatever candidate_ratio says", low=1)
    # What may be drawn of them, ours.
    cut_ratio: float = option(
        "ratio of the candidates, the nearest ones, that are left out as likely false negatives (ours)",
        low=0,
        high=1,
        open_high=True,
    )
    draw_discount: float = option(
        "candidates are drawn in proportion to their training rows to the minus this power (ours)",
        low=0,
    )
    score_share: float = option(
        "a second negative must lie within this top share of its user's scores; 1: any (ours)",
        low=0,
        high=1,
        open_low=True,
    )
    generated_negatives: bool = option(
        "the second negative has the denoised vector of the pool in place of its propagated one (ours)"
    )
    negative_weight_decay: float = option(
        "omega is multiplied by this with each epoch after the first (ours)", low=0, high=1
    )
    # Samplers of the paper's comparison.
    candidate_items: int = option("pool N of dns, mixgcf and realhns", low=2)
    hardest: int = option(
        "M of realhns share: the coarse choice keeps the M highest scores of N candidates", low=1
    )

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        found = dict.fromkeys(OF_BACKBONES - OF_BACKBONE[self.backbone], f"backbone is {self.backbone}")
        found |= self._unread_of_second()
        found |= LinearTermOptions.unread(self)
        if self.random_loss == "pairs":
            found |= dict.fromkeys(("softmax_temperature", "softmax_items"), "random_loss is pairs")
        if self.fusion == "output":
            found["outside_batch"] = "fusion is output"
        if self.estimator == "attention":
            found["feed_forward_size"] = "estimator is attention"
        if not self.aligning:
            found |= dict.fromkeys(OF_DIFFUSION, "aligning is False")
            if self.backbone == "FREEDOM" and self.modal_weight == 0:
                found["train_features"] = "aligning is False and modal_weight is 0"
        return found

    def _unread_of_second(self) -> dict[str, str]:
        """Return what of the second negative these values leave unread."""
        sampler = f"negative_sampler is {self.negative_sampler}"
        chosen = self.negative_sampler == CURRICULAR
        found = {} if chosen else dict.fromkeys(OF_CURRICULAR, sampler)
        if self.negative_sampler not in ("dns", "mixgcf", "realhns"):
            found["candidate_items"] = sampler
        if self.negative_sampler != "realhns":
            found |= dict.fromkeys(("hardest", *RealHNSOptions.__dataclass_fields__), sampler)
        else:
            found |= self.of_other_form()
        if chosen and not self.curriculum:
            found |= dict.fromkeys(("curriculum_interval", "curriculum_end"), "curriculum is False")
        if self.negative_weight == 0:
            found |= dict.fromkeys((*OF_CURRICULAR, "negative_weight_decay"), "negative_weight is 0")
        return found

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_window()
        if self.backbone == "MCDRec" and not self.aligning:
            raise UsageError(
                "backbone MCDRec without aligning is MCDRec itself: take --model=MCDRec, or another backbone"
            )
        if self.aligning and self.embedding_size < 2:
            raise UsageError(ONE_NUMBER)
        needs = self.negative_sampler == CURRICULAR
        if needs and not self.aligning:
            raise UsageError(
                "negative_sampler 'curricular' draws from the diffusion, which aligning: False leaves out; "
                "take another"
            )
        end = math.inf if self.curriculum_end is None else self.curriculum_end
        if needs and self.curriculum and end < 3 * self.curriculum_interval:
            raise UsageError(
                f"curriculum_end (tau_end) is {self.curriculum_end}, before the hardest pool is reached in "
                f"epoch {3 * self.curriculum_interval}; set it to 3 x curriculum_interval or later, or lower "
                "the interval"
            )
        if needs and self.steps < 4:
            raise UsageError(f"steps is {self.steps}; the four pools of the curriculum need 4 steps at least")
        if needs and self.cut_ratio + self.top_ratio > 1:
            raise UsageError(
                f"cut_ratio is {self.cut_ratio:g} and top_ratio {self.top_ratio:g}, more than all candidates "
                "together; their sum takes at most 1"
            )
        of_share = self.negative_sampler == "realhns" and self.realhns == "share"
        if of_share and self.hardest > self.candidate_items:
            raise UsageError(
                f"hardest is {self.hardest} but candidate_items only {self.candidate_items}; realhns takes M "
                "of N"
            )
