"""The version of this package, and of the packages that a result depends on."""

import platform
from importlib import metadata

__version__ = "0.2.0"


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, by package."""
    found = {"recbole_diffusion": __version__, "python": platform.python_version()}
    for name in ("recbole", "torch", "numpy", "scipy", "pandas"):
        found[name] = metadata.version(name)
    return found
