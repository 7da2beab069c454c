"""TVDiff's reverse chain with a few products in full precision, for processors that multiply bfloat16.

The chain z_{t-1} = c1(t) u_t M + c2(t) z_t with u_t = tanh(z_t + e_t) is linear in what M multiplies. So a
block of steps t = b..a is, exactly,

    z_{a-1} = A z_b + (sum_t w_t u_t) M,    A = prod_t c2(t),    w_t = c1(t) prod_{a <= s < t} c2(s):

one product of [rows, d] and [d, d] a block instead of one a step, if the u_t inside were known. They need
z_t, and so u_t M at each step. The block before has a pair whose product is known, v = sum_t w_t u_t / sum_t
w_t and v M. Within a block u_t stays near v, so that

    u_t M = v M + (u_t - v) M

needs its last product to a few digits only: it is one of bfloat16, with a relative error of about 2^-9 of
(u_t - v) M. What that does to z_t goes through tanh and M once more before it is in z_{a-1}, with a block's
share of the chain as its weight: the fewer steps a block has, the smaller.

How large it is in the end depends on the weights (a bound by |M| alone grows as e^{|M| sum c1}), so it is
measured: :func:`short_chain` takes the fewest blocks with which the vectors of a sample of users are within a
tolerance of the plain chain's, and measures what is left in differences of scores. A list in which an item
could pass an earlier one within that is made again by the plain chain (``evaluation/near_vectors.py``).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Users of one product, and numbers that a thread makes at once: they stay in a core's second cache.
USERS, CELLS = 256, 2**15
SAMPLE = 64  # users on which the plain chain runs as well
BLOCKS = (3, 4, 5, 6, 8, 10, 13, 16, 20, 25)
# Of the plain chain's products: with more blocks those of bfloat16 and the rest cost what blocks save.
WORTH = 0.4
# Places of the sample's lists whose errors are measured, and how much more than the largest is doubted.
LISTED, SAFETY = 100, 2.0


@dataclass(frozen=True)
class Chain:
    """The tables of a reverse chain of the steps 0..last.

    Attributes:
        times: e_t, [last + 1, d].
        x0: c1(t), [last + 1].
        xt: c2(t), [last + 1].
        product: M = H^T W_I, [d, d], or [d + 1, d] where u_t has a one behind.
    """

    times: Tensor
    x0: Tensor
    xt: Tensor
    product: Tensor

    @property
    def width(self) -> int:
        """Return d."""
        return self.times.shape[1]

    @property
    def last(self) -> int:
        """Return the number of products of the plain chain."""
        return len(self.times) - 1

    def moved(self, u: Tensor) -> Tensor:
        """Return u M for tanh's part of u, [rows, d]."""
        whole = u @ self.product[: self.width]
        return whole if len(self.product) == self.width else whole + self.product[-1]

    def end(self, z: Tensor) -> Tensor:
        """Return tanh's part of u_0, [rows, d]."""
        return torch.tanh(z + self.times[0])

    def plain(self, z: Tensor) -> Tensor:
        """Return z_0 of the plain chain, [rows, d]."""
        for t in range(self.last, 0, -1):
            z = self.x0[t] * self.moved(torch.tanh(z + self.times[t])) + self.xt[t] * z
        return z


@dataclass(frozen=True)
class Step:
    """A step t of a block: z_t = kept z_b + known v M + kept (sum of earlier products by their ``weight``).

    Attributes:
        t: the step.
        kept: A up to here, the product of c2 of the block's earlier steps.
        known: the weight of v M.
        weight: c1(t) / (A after this step), of the step's own product.
        share: w_t.
    """

    t: int
    kept: float
    known: float
    weight: float
    share: float


def block_sizes(x0: Tensor, blocks: int) -> list[int]:
    """Return the number of steps of each block: 1, since no product is known, 2, then equal sums of c1.

    Args:
        x0: c1(t) of the steps 0..last.
        blocks: their number, from 3 to ``last`` - 2.
    """
    steps = range(len(x0) - 4, 0, -1)  # after the first three
    sums = torch.tensor([float(x0[t]) for t in steps], dtype=torch.float64).cumsum(0)
    parts, cuts = blocks - 2, [0]
    for part in range(1, parts):
        cut = int(torch.searchsorted(sums, sums[-1] * part / parts))
        cuts.append(min(max(cut, cuts[-1] + 1), len(steps) - (parts - part)))  # each has a step
    return [1, 2, *(b - a for a, b in zip(cuts, [*cuts[1:], len(steps)], strict=True))]


def make_block(chain: Chain, first: int, size: int) -> list[Step]:
    """Return the steps first, first - 1, ... of a block."""
    steps, kept, known = [], 1.0, 0.0
    factors = [float(chain.xt[t]) for t in range(first, first - size, -1)]
    for place, factor in enumerate(factors):
        c1 = float(chain.x0[first - place])
        share = c1
        for later in factors[place + 1 :]:
            share *= later
        steps.append(Step(first - place, kept, known, c1 / (kept * factor), share))
        kept, known = kept * factor, factor * known + c1
    return steps


class ShortChain:
    """The chain by blocks, for any users.

    Attributes:
        error: largest |u_0 - u_0 of the plain chain| / |u_0| of the sampled users.
        doubt: how far the difference of two scores may be off, by |u_0| and the sum of the items' lengths.

    Args:
        chain: its tables.
        sizes: steps of each block, the first 1.
    """

    def __init__(self, chain: Chain, sizes: list[int]) -> None:
        self.chain, self.error, self.doubt = chain, 0.0, 0.0
        firsts = [chain.last - sum(sizes[:number]) for number in range(len(sizes))]
        self.blocks = [make_block(chain, first, size) for first, size in zip(firsts, sizes, strict=True)]
        self._exact = chain.product[: chain.width].T.contiguous()  # M^T
        self._short = self._exact.bfloat16()
        self._ones = chain.product[chain.width :].T if len(chain.product) > chain.width else None  # [d, 1]

    def __call__(self, z: Tensor) -> Tensor:
        """Return z_0 [rows, d] from z = x_0 W_I [rows, d]."""
        ended = torch.empty_like(z)
        full = [z.new_empty(min(USERS, len(z)) * z.shape[1]) for _ in range(6)]
        short = [torch.empty_like(full[0], dtype=self._short.dtype) for _ in range(2)]
        for some, of_some in zip(z.split(USERS), ended.split(USERS), strict=True):
            shape = z.shape[1], len(some)
            work = [one[: some.numel()].view(shape) for one in (*full, *short)]
            work[0].copy_(some.T)
            self._run(*work)
            of_some.copy_(work[0].T)
        return ended

    def _run(self, z: Tensor, *work: Tensor) -> None:
        """Turn z into z_0, [d, users]: a product then begins with M^T, which needs no new layout.

        Args:
            z: of the users.
            work: memory of the same shape, five and then two of the type of the short products: z_t without
                its share of v M, sum_t w_t u_t, v, v M, the block's product; u_t - v, and its product.
        """
        inside, total, v, known, product, off, moved = work
        v.zero_()
        known.zero_()
        rows = max(1, CELLS * torch.get_num_threads() // z.shape[1])
        u = z.new_empty(rows, z.shape[1])
        for block in self.blocks:
            inside.copy_(z)
            total.zero_()
            for number, step in enumerate(block):
                e = self.chain.times[step.t][:, None]
                whole = (e, inside, moved, known, v, total, off)
                for parts in zip(*(one.split(rows) for one in whole), strict=True):
                    e_of, z_of, moved_of, known_of, v_of, total_of, off_of = parts
                    u_of = u[: len(z_of)]
                    # z_t = kept (z_b + what (u_s - v) M of earlier steps added) + known v M.
                    if number:
                        z_of.add_(moved_of, alpha=block[number - 1].weight)
                    torch.add(e_of, z_of, alpha=step.kept, out=u_of)
                    u_of.add_(known_of, alpha=step.known).tanh_()
                    total_of.add_(u_of, alpha=step.share)
                    if step is not block[-1]:
                        off_of.copy_(u_of.sub_(v_of))
                # (u_t - v) M to a few digits, for the next z_t; the last u_t is in the block's product.
                if step is not block[-1]:
                    torch.mm(self._short, off, out=moved)
            # z_{a-1} = A z_b + (sum_t w_t u_t) M, in full.
            weight = sum(step.share for step in block)
            torch.mm(self._exact, total, out=product)
            if self._ones is not None:
                product.add_(self._ones, alpha=weight)
            z.mul_(block[-1].kept * float(self.chain.xt[block[-1].t])).add_(product)
            # The pair whose product the next block knows.
            torch.mul(total, 1 / weight, out=v)
            torch.mul(product, 1 / weight, out=known)


def short_chain(chain: Chain, sample: Tensor, items: Tensor, tolerance: float) -> ShortChain | None:
    """Return the chain with the fewest blocks that keeps to a tolerance, or None: the plain one is as cheap.

    Args:
        chain: its tables.
        sample: z = x_0 W_I of a few users, [users, d].
        items: H, [n_items, d or d + 1].
        tolerance: largest |u_0 - u_0 of the plain chain| / |u_0| of the sampled users.
    """
    u = chain.end(chain.plain(sample))
    for count in BLOCKS:
        if count > WORTH * chain.last:
            return None
        short = ShortChain(chain, block_sizes(chain.x0, count))
        off = chain.end(short(sample)) - u
        short.error = float((off.norm(dim=1) / u.norm(dim=1)).max())
        if short.error <= tolerance:
            short.doubt = SAFETY * _largest_doubt(u, off, items[1:])
            return short
    return None


def _largest_doubt(u: Tensor, off: Tensor, items: Tensor) -> float:
    """Return the largest error of a difference of neighbours in the sample's lists, as ``ShortChain.doubt``.

    Args:
        u: tanh's part of u_0 of the plain chain, [users, d].
        off: what the short chain adds to it, [users, d].
        items: H without the padding item, [n_items, d or more]; the ones behind u are never off.
    """
    ones = u.new_ones(len(u), items.shape[1] - u.shape[1])
    best = (torch.cat([u, ones], 1) @ items.T).topk(min(LISTED, len(items)), 1).indices
    listed = items[best]  # [users, places, d or more]
    error = (listed[..., : u.shape[1]] @ off[:, :, None]).squeeze(2)
    lengths = listed.norm(dim=2)
    scale = u.norm(dim=1)[:, None] * (lengths[:, 1:] + lengths[:, :-1])
    return float((error.diff(dim=1).abs() / scale.clamp_min(torch.finfo(u.dtype).tiny)).max())
