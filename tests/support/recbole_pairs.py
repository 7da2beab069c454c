"""Models of RecBole on a small graph of knowledge, whose scores are held against RecBole's own methods."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recbole_diffusion.compat import Interaction, init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.model.recbole_autoencoders import RowLinear

USERS, ITEMS = 14, 30
GRAPH = {
    "inter": ["user_id", "item_id"],
    "kg": ["head_id", "relation_id", "tail_id"],
    "link": ["item_id", "entity_id"],
}


def write_graph(folder: Path) -> dict[str, Any]:
    """Write users with 4 to 17 items, and items with 0 to 3 triples; return the options of a run on them."""
    draw, place = np.random.default_rng(0), folder / "graph"
    place.mkdir()
    items = [draw.permutation(ITEMS)[: 4 + user] for user in range(USERS)]
    rows = "".join(f"u{user}\ti{item}\n" for user, some in enumerate(items) for item in some)
    (place / "graph.inter").write_text("user_id:token\titem_id:token\n" + rows)
    links = "".join(f"i{i}\te{i}\n" for i in range(ITEMS))
    (place / "graph.link").write_text("item_id:token\tentity_id:token\n" + links)
    ends = [(i, k, draw.integers(9)) for i in range(ITEMS) for k in range(i % 4)]
    triples = "".join(f"e{i}\tr{k}\tg{end}\n" for i, k, end in ends)
    triples += "".join(f"g{k}\tr3\tg{k + 1}\n" for k in range(8))
    (place / "graph.kg").write_text("head_id:token\trelation_id:token\ttail_id:token\n" + triples)
    return {"data_path": str(folder), "topk": [3], "use_gpu": False}


def built(name: str, options: dict[str, Any], scale: float = 0.5) -> Any:
    """Return a model as it runs here, evaluating, in double precision, with weights that all matter."""
    config = Config(name, "graph", overrides=options)
    train = prepare_data(config, create_dataset(config))[0]._dataset
    init_seed(3, True)  # of drawn neighbours
    model = config.model_class(config, train).double().eval()
    draw = torch.Generator().manual_seed(4)
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=draw, dtype=torch.double) * scale
    return model


def as_recboles(model: Any) -> Any:
    """Return an object of RecBole's class with the same weights: all it calls is RecBole's, layers too."""
    own = any(isinstance(layer, RowLinear) for layer in model.modules())
    weights = {id(weight): weight for weight in model.parameters()}
    plain = copy.deepcopy(model, weights) if own else copy.copy(model)
    plain.__class__ = type(model).adapts
    for layer in plain.modules() if own else ():
        if isinstance(layer, RowLinear):
            layer.__class__ = nn.Linear
    return plain


def recboles(model: Any, method: str, interaction: Interaction) -> Tensor:
    """Return what the method of RecBole's class gives on the same weights."""
    return getattr(as_recboles(model), method)(interaction)


def all_pairs(model: Any, users: Tensor) -> Interaction:
    """Return the pairs of users with all items, one user after the other."""
    items = torch.arange(model.n_items)
    pairs = {"user_id": users.repeat_interleave(len(items)), "item_id": items.repeat(len(users))}
    return Interaction(pairs)
