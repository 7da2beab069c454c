"""The version of this package, and of the packages that a result depends on."""

import functools

__version__ = "0.2.0"


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, by package."""
    import platform  # slower than all else that --help loads

    found = {"recbole_diffusion": __version__, "python": platform.python_version()}
    return found | {name: _installed(name) for name in ("recbole", "torch", "numpy", "scipy", "pandas")}


@functools.cache  # a package's description is parsed like a mail: 2 ms
def _installed(name: str) -> str:
    from importlib import metadata  # slow as well

    return metadata.version(name)
