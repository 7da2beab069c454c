"""Options in the YAML files of RecBole's models that have no effect beside the others' values.

RecBole says nothing of them. Found by running each option of its general, context-aware and
sequential models at other values, and read in their code.
"""

from collections.abc import Mapping
from typing import Any

# Of each model: options, the option that decides, and its values under which they count.
_AGES = (("w_min", "w_max"), "time-aware", (True,))
_OF_LAYERS = ("n_layers", "n_heads", "inner_size", "hidden_dropout_prob", "attn_dropout_prob", "hidden_act")
COUNT_WITH: dict[str, tuple[tuple[tuple[str, ...], str, tuple[Any, ...]], ...]] = {
    "CORE": ((_OF_LAYERS, "dnn_type", ("trm",)),),
    "DCNV2": ((("expert_num", "low_rank"), "mixed", (True,)),),
    "DiffRec": (_AGES,),
    "FEARec": (
        (("lmd",), "contrast", ("us", "un")),
        (("lmd_sem",), "contrast", ("us", "su", "us_x")),
        (("fredom", "fredom_type"), "contrast", ("us_x",)),
        (("spatial_ratio", "attn_dropout_prob", "std"), "dual_domain", (True,)),
    ),
    "LDiffRec": (_AGES,),
    "LINE": ((("second_order_loss_weight",), "order", (2,)),),
    "NNCF": ((("resolution",), "neigh_info_method", ("louvain",)),),
    "RaCT": ((("critic_layers", "metrics_k"), "train_stage", ("critic_pretrain", "finetune")),),
    "RecVAE": ((("beta",), "gamma", (0, None)),),
    "SINE": ((("reg_loss_ratio",), "loss_type", ("NLL",)),),
}
NEVER = {
    "AsymKNN": {"q": "RecBole raises the scores to it, and not the similarities: their order stays"},
    "CORE": {"initializer_range": "all weights are drawn by the width, embedding_size"},
    "DMF": {"embedding_size": "DMF has user_embedding_size and item_embedding_size"},
    "FPMC": {"MAX_ITEM_LIST_LENGTH": "FPMC reads the last item of a history alone"},
    "HRM": {"reg_weight": "RecBole's HRM has no such term in its loss"},
    "MKR": {"kg_embedding_size": "RecBole's MKR has embedding_size for entities and relations too"},
    "RepeatNet": {"loss_type": "RepeatNet has the cross-entropy of its paper alone"},
}


def unread_of_recbole(model: str, final: Mapping[str, Any]) -> dict[str, str]:
    """Return the options of one of RecBole's models that have no effect, each with the reason.

    Args:
        model: its name.
        final: the values of all options.
    """
    reasons = dict(NEVER.get(model, {}))
    for names, switch, counts in COUNT_WITH.get(model, ()):
        if final.get(switch) not in counts:
            reasons |= dict.fromkeys(names, f"{switch} is {final.get(switch)}")
    return reasons
