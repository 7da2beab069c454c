"""The hyperboloid of curvature -1, by vectors of the tangent space at its origin, and descent on it.

Points x in R^d have <x, x> = -x_1^2 + x_2^2 + ... = -1 and x_1 > 0; the origin is (1, 0, ...). A tangent
vector u at the origin has the coordinates u' = (u_2, ...), and its first is ignored. Its point is exp_0(u) =
(cosh r, sinh(r) u' / r) with r = |u'|, the distance from the origin.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST = 15.0  # radius, so that cosh stays within float32
SMALL = 1e-12
LARGEST_SQUARE = 50.0  # squared distances in losses, as in the released codes


def exp_origin(u: Tensor) -> Tensor:
    """Return the points of tangent vectors at the origin, [..., d] -> [..., d]."""
    radius = u[..., 1:].norm(dim=-1, keepdim=True).clamp(SMALL, LARGEST)
    direction = F.normalize(u[..., 1:], dim=-1, eps=SMALL)
    return torch.cat([radius.cosh(), radius.sinh() * direction], -1)


def log_origin(x: Tensor) -> Tensor:
    """Return the tangent vectors at the origin of points, [..., d] -> [..., d], first coordinate 0."""
    # arcosh(x_1) = arsinh(|x'|) on the hyperboloid, exact near the origin too.
    length = x[..., 1:].norm(dim=-1, keepdim=True).clamp(min=SMALL)
    return F.pad(torch.asinh(length) / length * x[..., 1:], (1, 0))


def squared_distance(u: Tensor, v: Tensor) -> Tensor:
    """Return the squared distances of the points exp_0(u) and exp_0(v), [..., d] each -> [...].

    With radii r and the angle theta, -<x, y> - 1 = s = 2 sinh^2((r_1 - r_2) / 2) + sinh r_1 sinh r_2 (1 - cos
    theta), a sum of parts above 0: no difference of large numbers, as -<x, y> is, and a finite gradient.
    """
    u, v = u[..., 1:], v[..., 1:]
    r_1, r_2 = (one.norm(dim=-1).clamp(SMALL, LARGEST) for one in (u, v))
    # 1 - cos theta, half the squared distance of the directions.
    angle = (F.normalize(u, dim=-1, eps=SMALL) - F.normalize(v, dim=-1, eps=SMALL)).square().sum(-1) / 2
    s = 2 * torch.sinh((r_1 - r_2) / 2).square() + r_1.sinh() * r_2.sinh() * angle
    s = s.clamp(min=SMALL)  # at 0 the root has no gradient
    return torch.log1p(s + (s * (s + 2)).sqrt()).square()  # arcosh(1 + s)^2


def hinge(u: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Return max(0, d^2(u, positive) - d^2(u, negative) + margin) of tangent vectors, [batch]."""
    near, far = (squared_distance(u, one).clamp(max=LARGEST_SQUARE) for one in (positive, negative))
    return F.relu(near - far + margin)


def product_vectors(users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Return float64 vectors whose inner product is <x, y>, in the order of falling distance.

    d = arcosh(-<x, y>), so that the nearest item has the largest product. In float32 the product of a point
    at radius 8 with itself is -0.75 instead of -1.

    Args:
        users: tangent vectors, [n_users, d].
        items: tangent vectors, [n_items, d].
    """
    x, y = exp_origin(users.double()), exp_origin(items.double())
    return torch.cat([-x[:, :1], x[:, 1:]], 1), y


def inner(x: Tensor, y: Tensor) -> Tensor:
    """Return <x, y> = -x_1 y_1 + x_2 y_2 + ..., [..., d] each -> [..., 1]."""
    product = x * y
    return product.sum(-1, keepdim=True) - 2 * product[..., :1]


class RiemannianSGD(torch.optim.Optimizer):
    """Gradient descent with momentum on points of the hyperboloid, [n, d].

    The gradient g becomes tangent, J g + <x, J g> x with the sign of g's first coordinate flipped by J; the
    step follows the geodesic, and the momentum is carried along it by parallel transport.

    Args:
        params: parameters, or groups of them with ``lr`` and ``weight_decay``.
        lr: step size.
        momentum: share of the last step's direction that is kept.
        weight_decay: weight of |x|^2 / 2.
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step."""
        loss = closure() if closure else None
        for group in self.param_groups:
            for x in group["params"]:
                if x.grad is None:
                    continue
                g = x.grad + group["weight_decay"] * x
                g[..., 0].neg_()
                direction = g + inner(x, g) * x
                state = self.state[x]
                if group["momentum"] and "momentum" in state:
                    direction += group["momentum"] * state["momentum"]
                moved = exp_at(x, -group["lr"] * direction)
                if group["momentum"]:
                    state["momentum"] = transported(direction, x, moved)
                x.copy_(moved)
        return loss


def exp_at(x: Tensor, v: Tensor) -> Tensor:
    """Return the end of the geodesic from x along its tangent vector v, [n, d]."""
    length = inner(v, v).clamp(min=SMALL**2).sqrt().clamp(max=LARGEST)
    moved = (length.cosh() * x + length.sinh() / length * v)[..., 1:]
    # The first coordinate anew, so that rounding does not leave the hyperboloid.
    return torch.cat([(1 + moved.square().sum(-1, keepdim=True)).sqrt(), moved], -1)


def transported(v: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return v, tangent at x, carried to y along the geodesic, [n, d]."""
    carried = v + inner(y, v) / (1 - inner(x, y)) * (x + y)
    return carried + inner(y, carried) * y  # tangent despite rounding
