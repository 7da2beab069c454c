"""What the processor can do that decides how a product is computed."""

import torch

WIDE = 256  # width from which products cost more than what prepares them


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies matrices of bfloat16 many times as fast as those of float32.

    Intel's processors with AMX do, six times as fast in torch 2.13; without its tiles torch is no faster.
    """
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return device.type == "cpu" and bool(has_tiles())
