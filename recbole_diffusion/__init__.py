"""Diffusion recommenders for RecBole 1.2.1, on a current stack.

Importing the package loads neither RecBole nor Ray: what it offers is resolved on first use.
"""

from typing import Any

from recbole_diffusion.storage.versions import __version__

__all__ = ["__version__", "enable", "load_run", "run"]


def __getattr__(name: str) -> Any:
    if name == "run":
        from recbole_diffusion.quick_start import run

        return run
    if name == "load_run":
        from recbole_diffusion.serving.loaded_run import load_run

        return load_run
    if name == "enable":
        from recbole_diffusion.serving.in_recbole import enable

        return enable
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names of the package, with those that are resolved on first use: consoles offer them."""
    return sorted({*globals(), *__all__})
