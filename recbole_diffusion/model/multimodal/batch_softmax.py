"""Cross entropy of a pair's item against many items of the batch, by cosines: a sampled softmax.

Reference:
    Wu, Wang, Gao, Chen, Fu, Qiu: "On the Effectiveness of Sampled Softmax Loss for Item Recommendation". ACM
    TOIS 2024.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.model.precision import in_single
from recbole_diffusion.sampler.interaction_csr import InteractionCSR


@in_single
def batch_softmax(
    users: Tensor,
    vectors: Tensor,
    items: Tensor,
    item_vectors: Tensor,
    positives: InteractionCSR,
    *,
    temperature: float,
    number: int,
) -> Tensor:
    """Return the mean of -log(e^(cos(u, p) / tau) / (e^(cos(u, p) / tau) + sum_j e^(cos(u, j) / tau))).

    j runs over some of the distinct items of the batch, the same for all rows, without those that the row's
    user has. Where the items are positives and uniform negatives of the pairs, popular items are among the j
    more often than others, and none is there twice.

    Args:
        users: long [batch].
        vectors: of the users, [batch, d].
        items: the pairs' items first, then others, long [kinds, batch].
        item_vectors: theirs, [kinds, batch, d].
        positives: the training positives.
        temperature: tau.
        number: how many items j there are at most.
    """
    distinct, of_place = torch.unique(items.flatten(), return_inverse=True)
    # A place of each distinct item, whichever: all of them have the same vector.
    places = torch.empty_like(distinct)
    places[of_place] = torch.arange(items.numel(), device=items.device)
    some = torch.randperm(len(distinct), device=items.device)[:number]
    u, v = F.normalize(vectors, dim=1), F.normalize(item_vectors, dim=2)
    others = v.flatten(0, 1).index_select(0, places[some])  # [number, d]
    # [batch, 1 + number], first the pair's own item; what the user has counts for nothing.
    own = (u * v[0]).sum(1, keepdim=True) / temperature
    scores = (u @ others.T / temperature).masked_fill(~positives.lacks(users, distinct[some]), -torch.inf)
    return (torch.cat([own, scores], 1).logsumexp(1) - own.squeeze(1)).mean()
