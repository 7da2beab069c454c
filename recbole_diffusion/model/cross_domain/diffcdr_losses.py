"""DiffCDR's distances of vectors: the error of the denoiser (L_DIM), and that of aligned vectors (Eq. 6)."""

import torch.nn.functional as F
from torch import Tensor


def denoiser_error(found: Tensor, target: Tensor, kind: str) -> Tensor:
    """Return the error of each row in L_DIM (section 3.3), [batch].

    Args:
        found: what the denoiser's layers give, [batch, k].
        target: what they are to give, [batch, k].
        kind: as ``denoiser_loss``: the mean square over coordinates; the Euclidean norm, which the paper
            writes; the mean of smooth L1 errors, d^2 / 2 below 1 and |d| - 1/2 above, the released code's.
    """
    if kind == "norm":
        return (found - target).norm(dim=1)
    if kind == "smooth_l1":
        return F.smooth_l1_loss(found, target, reduction="none").mean(1)
    return (found - target).square().mean(1)


def align_distance(found: Tensor, target: Tensor, kind: str, norm: int) -> Tensor:
    """Return the distance of aligned and target vectors, a scalar: over users always a mean.

    Args:
        found: aligned vectors, [batch, k].
        target: target vectors, [batch, k].
        kind: as ``align_loss``: Eq. 6, a sum over coordinates; or the mean of smooth L1 errors over them,
            the released code's, for k = 10 at most a tenth of Eq. 6 with n = 1.
        norm: n of Eq. 6, 1 for absolute and 2 for squared errors.
    """
    if kind == "smooth_l1":
        return F.smooth_l1_loss(found, target)
    gap = found - target
    return (gap.abs() if norm == 1 else gap.square()).sum(1).mean()
