"""The estimator of MCDRec's released code: a small U-Net on item vectors as square images.

The 64 numbers of a vector are 8 x 8 pixels, the modalities further channels. Base blocks and their order are
those of Ho et al. 2020, "Denoising Diffusion Probabilistic Models", appendix B.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.diffusion import sinusoidal_embedding

CHANNELS, GROUPS, TIME, DROPOUT = 8, 8, 32, 0.1  # of the finest level, of the norms, of a step, of the blocks
BLOCKS = 2  # of a level on the way down; one more on the way up


class _Block(nn.Module):
    """Two 3 x 3 convolutions with a step's embedding between them, around a residual connection."""

    def __init__(self, wide: int, channels: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.GroupNorm(GROUPS, wide), nn.GroupNorm(GROUPS, channels)
        self.first, self.second = (nn.Conv2d(n, channels, 3, padding=1) for n in (wide, channels))
        self.step = nn.Linear(TIME, channels)
        self.skip = nn.Conv2d(wide, channels, 1) if wide != channels else nn.Identity()

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """Return [n, channels, side, side] of x [n, wide, side, side] and embeddings [n, TIME]."""
        hidden = self.first(F.silu(self.first_norm(x))) + self.step(F.silu(step))[:, :, None, None]
        hidden = F.dropout(F.silu(self.second_norm(hidden)), DROPOUT, self.training)
        found: Tensor = self.second(hidden) + self.skip(x)
        return found


class UNetEstimator(nn.Module):
    """f_theta of MCDRec: levels of halved sides down to one pixel, and back with skip connections.

    Attention in the middle has one pixel to attend to, so that it is a linear map of its value. Of the three
    channels that the released code gives out, it reads the first; there is only that here.

    Args:
        size: d, the number of pixels, a power of 4.
        steps: T.
        modalities: M.
    """

    time_table: Tensor

    def __init__(self, size: int, steps: int, modalities: int) -> None:
        super().__init__()
        self.side = round(size**0.5)
        levels = self.side.bit_length()  # 8, 4, 2, 1 pixels a side
        widths = [CHANNELS, *[2 * CHANNELS] * (levels - 1)]
        self.register_buffer(
            "time_table", sinusoidal_embedding(torch.arange(steps), CHANNELS), persistent=False
        )
        self.time = nn.Sequential(nn.Linear(CHANNELS, TIME), nn.SiLU(), nn.Linear(TIME, TIME))
        self.input = nn.Conv2d(1 + modalities, CHANNELS, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.smaller, self.larger = nn.ModuleList(), nn.ModuleList()
        kept, wide = [CHANNELS], CHANNELS  # channels of the states that the way up takes again
        for level, width in enumerate(widths):
            for _ in range(BLOCKS):
                self.down.append(_Block(wide, width))
                wide = width
                kept.append(wide)
            if level < levels - 1:
                self.smaller.append(nn.Conv2d(wide, wide, 3, stride=2, padding=1))
                kept.append(wide)
        self.before, self.after = _Block(wide, wide), _Block(wide, wide)
        self.value = nn.Sequential(
            nn.GroupNorm(GROUPS, wide), nn.Conv2d(wide, wide, 1), nn.Conv2d(wide, wide, 1)
        )
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(BLOCKS + 1):
                self.up.append(_Block(wide + kept.pop(), width))
                wide = width
            if level:
                self.larger.append(nn.Conv2d(wide, wide, 3, padding=1))
        self.output = nn.Sequential(nn.GroupNorm(GROUPS, wide), nn.SiLU(), nn.Conv2d(wide, 1, 3, padding=1))

    def prepare(self, conditions: Tensor) -> tuple[Tensor]:
        """Return features h^m [n, modalities, d] as images, [n, modalities, side, side]."""
        return (conditions.unflatten(2, (self.side, self.side)),)

    @staticmethod
    def chosen(prepared: tuple[Tensor, ...], some: Tensor) -> tuple[Tensor]:
        """Return what :meth:`prepare` found of some of the items, long [m]."""
        return (prepared[0].index_select(0, some),)

    def forward(self, x: Tensor, t: Tensor, prepared: tuple[Tensor]) -> Tensor:
        """Return the estimate of x_0, as ``AttentionEstimator`` does."""
        step = self.time(self.time_table.to(x.dtype)).index_select(0, t)  # [n, TIME]
        h = self.input(torch.cat([x.view(-1, 1, self.side, self.side), *prepared], 1))
        kept = [h]
        for number, block in enumerate(self.down):
            h = block(h, step)
            kept.append(h)
            level, last = divmod(number, BLOCKS)
            if last == BLOCKS - 1 and level < len(self.smaller):
                h = self.smaller[level](h)
                kept.append(h)
        h = self.before(h, step)
        h = self.after(h + self.value(h), step)
        for number, block in enumerate(self.up):
            h = block(torch.cat([h, kept.pop()], 1), step)
            level, last = divmod(number, BLOCKS + 1)
            if last == BLOCKS and level < len(self.larger):
                h = self.larger[level](F.interpolate(h, scale_factor=2.0, mode="nearest"))
        found: Tensor = self.output(h).flatten(1)
        return found
