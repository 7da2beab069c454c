"""Hard negatives by acceptance-rejection and Gumbel softmax (AR-GSP): TV-Diff, section 3.3, Eq. 16 and 17.

Eq. 16 gives the items that the model ranks among the first ``gamma * n`` of all items the same probability 1
/ (gamma n), and the rest an infinitesimal one. Eq. 17 perturbs the logarithms with Gumbel noise and divides
by a temperature that grows with the diffusion step. This is the plain form, on any set of candidate items;
``ar_gsp`` draws the same in fewer steps.
"""

import math

import torch
from torch import Tensor


def step_temperature(t: Tensor, steps: int, relaxation_rate: float) -> Tensor:
    """Return tau(t) = exp(-lambda (1 - t / T)) of Eq. 17: 1 at the noisiest step, smallest at the cleanest.

    Args:
        t: long [rows], 0 the least noisy step (the paper's t = 1).
        steps: T.
        relaxation_rate: lambda.
    """
    # (t + 1) / T, since the paper's t counts from 1.
    return torch.exp(-relaxation_rate * (1 - (t + 1).double() / steps))


def rank_threshold(scores: Tensor, gamma: float, overwrite: bool = False) -> Tensor:
    """Return the score of rank ``max(1, floor(gamma n))`` in each row.

    On all items' scores this is Rank(j) <= gamma n of Eq. 16, where items that tie with the last rank are all
    in; on a random subset's scores it estimates the same quantile.

    Args:
        scores: [rows, n].
        gamma: share of the items that count as informative, in (0, 1].
        overwrite: the scores are not needed afterwards; their order changes.
    """
    keep = max(1, math.floor(gamma * scores.shape[1] + 1e-9))  # 0.29 * 100 is 28.999... in floating point
    place = scores.shape[1] - keep  # of the keep-th largest, ascending from 0
    if scores.device.type == "cpu":  # numpy's partition takes a seventh of the time of kthvalue
        ordered = scores.numpy() if overwrite else scores.numpy().copy()
        ordered.partition(place, axis=1)
        return torch.from_numpy(ordered[:, place].copy())
    return ascending(scores, place)


def ascending(scores: Tensor, place: int) -> Tensor:
    """Return the score at a place of each row's ascending order, [rows]; on the device, unlike numpy's."""
    return scores.kthvalue(place + 1, dim=1).values  # which counts from 1


def acceptance_log_probability(
    scores: Tensor, threshold: Tensor, log_epsilon: float = math.log(1e-10)
) -> Tensor:
    """Return log p_n of Eq. 16 up to a constant: 0 where the score reaches the threshold, else log(epsilon).

    The constant -log(gamma n) of the accepted items shifts a whole row and cancels in Eq. 17's softmax;
    epsilon is relative to it.

    Args:
        scores: [rows, candidates].
        threshold: [rows].
        log_epsilon: logarithm of the infinitesimal.
    """
    return torch.where(scores >= threshold[:, None], 0.0, log_epsilon)


def gumbel_softmax_draw(
    log_probability: Tensor,
    temperature: Tensor,
    counts: Tensor,
    allowed: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw candidates from Softmax((log p + g) / tau) of Eq. 17, without replacement within a row.

    A draw without replacement from a softmax is the order of its logits plus fresh Gumbel noise g' (Gumbel
    top-k), and (log p + g) / tau + g' orders a row as log p + g + tau g' does. A row that asks for more
    negatives than it has accepted candidates gets those again from the start, never the rejected ones; only a
    row without any accepted candidate draws from all that are allowed, as Eq. 16's common epsilon says.

    Args:
        log_probability: [rows, candidates], from :func:`acceptance_log_probability`.
        temperature: [rows], from :func:`step_temperature`.
        counts: long [rows], how many negatives each row needs.
        allowed: bool [rows, candidates]; False for positives and padding, which are never drawn.
        generator: source of randomness; torch's global one if None.

    Returns:
        Positions of candidates, long [counts.sum()], row after row.

    Raises:
        ValueError: a row needs negatives and has no allowed candidate.
    """
    if bool((~allowed.any(1) & (counts > 0)).any()):
        raise ValueError(
            "a row has no candidate left that is not a positive: raise candidate_items, or its user has "
            "every item"
        )
    # How many candidates a row may get, [rows]: those accepted, or all that are allowed if none is.
    accepted = (allowed & (log_probability == 0)).sum(1)
    available = torch.where(accepted > 0, accepted, allowed.sum(1))
    tau = temperature[:, None].to(log_probability.dtype)
    # The order of (log p + g) / tau + g', multiplied by tau: [rows, candidates].
    order_key = (
        log_probability + gumbel(log_probability, generator) + tau * gumbel(log_probability, generator)
    )
    # Last in order, after all candidates that are allowed.
    order_key.masked_fill_(~allowed, -math.inf)
    width = min(int(counts.max()), order_key.shape[1])
    drawn = order_key.topk(width, dim=1).indices  # [rows, width]
    # Row and place of each negative, long [counts.sum()].
    rows = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    place = torch.arange(len(rows), device=counts.device) - (counts.cumsum(0) - counts)[rows]
    # A row with fewer candidates than places starts again at its first.
    return drawn[rows, place % available.clamp(max=width)[rows]]


def gumbel(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return Gumbel(0, 1) noise, -log(-log(mu)) with mu uniform (the paper's text loses one minus sign)."""
    noise = torch.empty_like(like).exponential_(generator=generator)  # -log(mu) is exponential
    return noise.clamp_(min=torch.finfo(like.dtype).tiny).log_().neg_()
