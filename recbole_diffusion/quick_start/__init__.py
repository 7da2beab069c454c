"""run(): configuration -> data -> model -> trainer -> result. One run is one folder."""

from recbole_diffusion.quick_start.quick_start import run

__all__ = [
    "run",
]
