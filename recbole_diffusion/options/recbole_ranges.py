"""What the options of RecBole's own models can be: a range or a choice for each key of their YAML files.

RecBole checks next to none of them. A negative number of layers, a dropout of 2 or a misspelled view gives a
run that ends with a number, of another model than the one asked for. Found in the code that reads them; a
test goes through every key of every model.

Longer than most files: an entry for each option.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from recbole_diffusion.options.declare import refusal
from recbole_diffusion.options.recbole_unread import unread_of_recbole


class Allowed(NamedTuple):
    """The values that one option takes.

    Attributes:
        kind: int or float, whole numbers included; str for ``choices``.
        low: smallest allowed number.
        high: largest allowed number; None: no bound.
        inside: the bounds themselves are not allowed: "" both are, "low", "high" or "both" are not.
        many: a list of such values; "list", or "filled" for one that may not be empty.
        choices: the allowed texts.
    """

    kind: type = float
    low: float | None = 0
    high: float | None = None
    inside: str = ""
    many: str = ""
    choices: tuple[str, ...] = ()

    def takes(self, value: Any) -> bool:
        """Return whether a value is allowed."""
        if self.many:
            filled = isinstance(value, list) and (bool(value) or self.many == "list")
            return filled and all(map(self._takes_one, value))
        return self._takes_one(value)

    def _takes_one(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if type(value) is not int and not (self.kind is float and type(value) is float):
            return False
        above = self.low is None or (
            value > self.low if self.inside in ("low", "both") else value >= self.low
        )
        below = self.high is None or (
            value < self.high if self.inside in ("high", "both") else value <= self.high
        )
        return math.isfinite(value) and above and below

    def text(self) -> str:
        """Return what is allowed, for messages and tables: ``whole number from 1``."""
        if self.choices:
            return " | ".join(self.choices)
        plural = "s" if self.many else ""
        number = f"whole number{plural}" if self.kind is int else f"number{plural}"
        if self.low is None:
            bounds = "" if self.high is None else f" to {self.high:g}"
        elif self.high is not None:
            left = "(" if self.inside in ("low", "both") else "["
            right = ")" if self.inside in ("high", "both") else "]"
            bounds = f" in {left}{self.low:g}, {self.high:g}{right}"
        else:
            bounds = f" above {self.low:g}" if self.inside else f" from {self.low:g}"
        wanted = {"filled": "a list of one or more ", "list": "a list of "}.get(self.many, "a ")
        return f"{wanted}{number}{bounds}"


def _choice(*choices: str) -> Allowed:
    return Allowed(str, choices=choices)


def _for(names: str, allowed: Allowed) -> dict[str, Allowed]:
    return dict.fromkeys(names.split(), allowed)


_FROM_0, _ABOVE_0 = Allowed(), Allowed(inside="low")
_COUNT, _COUNT_OR_NONE = Allowed(int, 1), Allowed(int, 0)
_SHARE, _DROPPED = Allowed(float, 0, 1), Allowed(float, 0, 1, "high")
_POOLING = _choice("mean", "max", "sum")
_POOLED = _choice("max", "average")
_ACTIVATION = _choice("sigmoid", "tanh", "relu", "leakyrelu", "none")

ALLOWED: dict[str, Allowed] = {
    # Widths, heads, neighbours, iterations.
    **_for(
        "embedding_size hidden_size inner_size attention_size gcn_output_dim hidden_dimension "
        "kg_embedding_size item_embedding_size user_embedding_size ui_embedding_size "
        "neigh_embedding_size mf_embedding_size mlp_embedding_size latent_dimension weight_size "
        "low_rank rank expert_num prototype_size interest_size k_interests kfac n_factors n_heads "
        "num_heads nh nv num_basis_functions num_clusters num_conv_kernel conv_kernel_size "
        "pool_kernel_size kernel_size block_num class_num depth t_depth neigh_num "
        "neighbor_sample_size n_memory history_len history_num_per_term high_order order_len "
        "short_item_length k m_step n_cate n_enc_epochs n_dec_epochs n_iter n_iterations "
        "num_layers steps step metrics_k n_hop n_hops kge_interval train_rec_step "
        "save_step topk_factor hyper_layers cross_layer_num context_hops low_layers_num "
        "high_layers_num lightgcn_layer item_agg_layer",
        _COUNT,
    ),
    **_for(
        "n_layers anneal_steps vae_anneal_steps total_anneal_steps pretrain_epochs warm_up_step "
        "train_kg_step sampling_steps split_to",
        _COUNT_OR_NONE,
    ),
    **_for(
        "mlp_hidden_size encoder_hidden_size hidden_size_list item_hidden_size_list "
        "user_hidden_size_list cin_layer_size t_cin cnn_channels cnn_kernels cnn_strides "
        "critic_layers dilations dims_dnn in_dims layers order_list",
        Allowed(int, 1, many="filled"),
    ),
    "out_dims": Allowed(int, 1, many="list"),
    # Shares of what is dropped, masked or mixed.
    **_for(
        "dropout_prob hidden_dropout_prob attn_dropout_prob dropout message_dropout mess_dropout "
        "mess_dropout_rate node_dropout node_dropout_rate drop_ratio drop_ex drop_im item_dropout "
        "sess_dropout corruption_ratio",
        _DROPPED,
    ),
    "dropout_probs": _DROPPED._replace(many="filled"),
    **_for("mask_ratio ft_ratio l1_ratio global_ratio spatial_ratio lambda_coeff weight", _SHARE),
    # Weights of losses and penalties.
    **_for(
        "reg_weight reg_weight_1 reg_weight_2 reg_loss_ratio lambda1 lambda2 lamda alpha beta "
        "ssl_weight ssl_reg proto_reg cor_weight negative_weight second_order_loss_weight "
        "sim_regularity lmd lmd_sem kg_weight ls_weight align_weight aap_weight mip_weight "
        "map_weight sp_weight anneal_cap vae_anneal_cap shrink noise_scale noise_min noise_max "
        "w_min w_max initializer_range margin gamma resolution",
        _FROM_0,
    ),
    "reg_weights": _FROM_0._replace(many="filled"),
    "mixture_weights": _FROM_0._replace(many="filled"),
    **_for("rho q tau tau_ratio temperature ssl_tau ssl_temp layer_norm_eps", _ABOVE_0),
    # Names.
    "knn_method": _choice("item", "user"),
    "inter_matrix_type": _choice("01", "rating"),
    "algorithm": _choice("prod", "concat"),
    "accum": _choice("stack", "sum"),
    "neigh_info_method": _choice("random", "knn", "louvain"),
    "noise_schedule": _choice("linear", "linear-var", "cosine", "binomial"),
    "mean_type": _choice("x0", "eps"),
    "mlp_act_func": _ACTIVATION,
    "ae_act_func": _ACTIVATION,
    "hid_activation": _choice("sigmoid", "relu", "tanh"),
    "out_activation": _choice("sigmoid", "relu"),
    "hidden_act": _choice("gelu", "relu", "swish", "tanh", "sigmoid"),
    "dnn_type": _choice("trm", "ave"),
    "pooling_mode": _POOLING,
    "pooling_type": _POOLED,
    "pooling_type_layer_1": _POOLED,
    "pooling_type_layer_2": _POOLED,
    "loss_type": _choice("BPR", "CE"),
    "loss_function": _choice("inner_product", "transe"),
    "aggregator": _choice("sum", "neighbor", "concat"),
    "aggregator_type": _choice("gcn", "graphsage", "bi"),
    "train_stage": _choice("actor_pretrain", "critic_pretrain", "finetune"),
    "train_method": _choice("no_pretrain", "after_pretrain"),
    "structure": _choice("parallel", "stacked"),
    "gru_type": _choice("GRU", "AIGRU", "AGRU", "AUGRU"),
    "phase": _choice("teacher_training", "distillation", "finetuning"),
    "teacher": _choice("CrossNet", "CIN"),  # RecBole evaluates the text as Python: nothing else may get there
    "ind": _choice("cosine", "distance", "mi"),
    "fredom_type": _choice("None", "us", "un", "su", "us_x"),
    # Partitions of the softmax (CPR).
    **_for("n_facet n_facet_all n_facet_hidden", _COUNT),
    **_for("n_facet_context n_facet_reranker", _COUNT_OR_NONE),
    **_for("n_facet_window n_facet_MLP", Allowed(int, None, 0)),
    "n_facet_emb": Allowed(int, 0, 2),
    "weight_mode": _choice("", "dynamic", "static", "max_logits"),
    "partition_merging_mode": _choice("replace", "add", "half"),
    "reranker_merging_mode": _choice("replace", "add"),
}
# Where a name means something else in one model.
OF_MODEL: dict[str, dict[str, Allowed]] = {
    "AsymKNN": {"alpha": _SHARE, "beta": _SHARE},
    "CDAE": {"loss_type": _choice("BCE", "MSE")},
    "HGN": {"reg_weight": _FROM_0._replace(many="filled")},
    "SHAN": {"reg_weight": _FROM_0._replace(many="filled")},
    # An embedding of a step is half cosines, half sines: of one number nothing is left.
    "DiffRec": {"embedding_size": Allowed(int, 2), "noise_max": _DROPPED, "noise_min": _DROPPED},
    "KD_DAGFM": {"type": _choice("inner", "outer")},
    "LDiffRec": {"embedding_size": Allowed(int, 2), "noise_max": _DROPPED, "noise_min": _DROPPED},
    "LINE": {"order": Allowed(int, 1, 2)},
    "MacridVAE": {"std": _ABOVE_0},
    "MCCLK": {"alpha": _SHARE, "beta": _SHARE},
    "S3Rec": {"train_stage": _choice("pretrain", "finetune")},
    "SGL": {"type": _choice("ED", "ND", "RW")},
    "SimpleX": {
        "aggregator": _choice("mean", "user_attention", "self_attention"),
        "gamma": _SHARE,
        "margin": Allowed(float, -1, 1),
    },
    "SINE": {"loss_type": _choice("BPR", "CE", "NLL")},
    "SLIMElastic": {"alpha": _ABOVE_0},
}
# By model: an option, and another one that it cannot exceed.
DIVISORS = (
    ("AutoInt", "num_heads", "attention_size"),
    ("CORE", "n_heads", "embedding_size"),
    ("DGCF", "n_factors", "embedding_size"),
    ("FiGNN", "num_heads", "attention_size"),
)
AT_MOST = (
    ("HRM", "high_order", "MAX_ITEM_LIST_LENGTH"),
    ("FOSSIL", "order_len", "MAX_ITEM_LIST_LENGTH"),
    ("SINE", "interest_size", "prototype_size"),
)
# Networks whose last layer is read: without one they fail, or are another model.
_LAYERED = (
    *("AutoInt", "BERT4Rec", "CORE", "DGCF", "FDSA", "FEARec", "FiGNN", "GCSAN", "LightSANs", "S3Rec"),
    *("SASRec", "SASRecCPR", "SASRecF", "SpectralCF"),
)


def check(final: Mapping[str, Any], model_class: type[Any], below: Mapping[str, Any]) -> None:
    """Check the options of one of RecBole's models against what its code can take.

    Args:
        final: the values of all layers.
        model_class: the model; nothing is checked if it is not RecBole's.
        below: the values of the layers below the user's; what has one there cannot be null.

    Raises:
        UsageError: a value is out of range or none of the choices.
    """
    if not model_class.__module__.startswith("recbole.model."):
        return
    for name, allowed in of_model(final["model"]).items():
        value = final.get(name)
        if not allowed.takes(value) and (value is not None or below.get(name) is not None):
            raise refusal(name, value, f"{allowed.text()} with {final['model']} of RecBole")
    _check_together(final)


def of_model(model: str) -> dict[str, Allowed]:
    """Return what each option can be with one model; names that the model does not read are among them."""
    layers = {"n_layers": _COUNT} if model in _LAYERED else {}
    return {**ALLOWED, **layers, **OF_MODEL.get(model, {})}


def _check_together(final: Mapping[str, Any]) -> None:
    """Check the options of RecBole's models that limit each other."""
    model = final["model"]
    if model in ("DiffRec", "LDiffRec"):
        if final["sampling_steps"] > final["steps"]:
            raise refusal("sampling_steps", final["sampling_steps"], f"0 to steps, which is {final['steps']}")
        if final["steps"] < 2 and final["noise_scale"]:
            raise refusal("steps", final["steps"], "a whole number from 2, or 1 with noise_scale: 0")
        if final["mlp_act_func"] == "none":
            allowed = "another function: without one RecBole's network ends before its last layer"
            raise refusal("mlp_act_func", "none", allowed)
        if final["noise_min"] > final["noise_max"]:
            raise refusal("noise_min", final["noise_min"], f"0 to noise_max, which is {final['noise_max']}")
    width, heads = final.get("hidden_size"), final.get("n_heads")
    if type(width) is int and type(heads) is int and width % heads:
        raise refusal("n_heads", heads, f"a divisor of hidden_size, which is {width}")
    for one, name, limit in AT_MOST:
        if model == one and final[name] > final[limit]:
            raise refusal(name, final[name], f"at most {limit}, which is {final[limit]}")
    for one, name, whole in DIVISORS:
        if model == one and name not in unread_of_recbole(model, final) and final[whole] % final[name]:
            raise refusal(name, final[name], f"a divisor of {whole}, which is {final[whole]}")
    if model == "DSSM" and not final["double_tower"]:
        raise refusal("double_tower", final["double_tower"], "True with DSSM, which has two towers")
