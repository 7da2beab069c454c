"""What contrasts of a batch with itself cost: by blocks of rows (``log_sum_exp``) and as autograd has them.

    python -m benchmarks.contrast_speed [--output=FILE]

Forward and backward pass of the sum of log sum_j exp(a_i . b_j) over the n rows of a batch, of width 64, in
turns in one process: processor seconds, and what torch allocates at most.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion.model.layers import log_sum_exp

WIDTH, TEMPERATURE = 64, 0.2


def plain(left: Tensor, right: Tensor) -> Tensor:
    """Return log sum_j exp(left_i . right_j), [rows], of the whole product."""
    return (left @ right.T).logsumexp(1)


def spent(function: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> float:
    """Return the processor seconds of a forward and a backward pass."""
    begun = time.process_time()
    torch.autograd.grad(function(left, right).sum(), (left, right))
    return time.process_time() - begun


def most(function: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> float:
    """Return the megabytes that torch has allocated at most during both passes."""
    with torch.profiler.profile(profile_memory=True) as profile:
        torch.autograd.grad(function(left, right).sum(), (left, right))
    now = peak = 0
    for event in profile.profiler.kineto_results.events():  # in order of time
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak / 2**20


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = page_parser(__doc__)
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = table_head("rows", "plain, ms", "by blocks, ms", "ratio", "plain, MB", "by blocks, MB")
    for n in (512, 2048, 4096, 8192):
        torch.manual_seed(n)
        left, right = (F.normalize(torch.randn(n, WIDTH)) for _ in range(2))
        left = (left / TEMPERATURE).requires_grad_()
        right.requires_grad_()
        turns = [(spent(plain, left, right), spent(log_sum_exp, left, right)) for _ in range(arguments.turns)]
        whole, blocks = (1e3 * statistics.median(side) for side in zip(*turns, strict=True))
        ratio = statistics.median(one / other for one, other in turns)
        memory = [most(one, left, right) for one in (plain, log_sum_exp)]
        lines.append(
            f"| {n:,} | {whole:.0f} | {blocks:.0f} | {ratio:.2f} | {memory[0]:.1f} | {memory[1]:.1f} |"
        )
    command = " ".join(
        ["python -m benchmarks.contrast_speed", *(o for o in sys.argv[1:] if "output" not in o)]
    )
    lines += ["", f"`{command}`; medians of {arguments.turns} turns; {machine()}; {stack()}."]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
