"""The version of this package, and of the packages that a result depends on."""

__version__ = "0.2.0"


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, by package."""
    import platform  # with metadata, slower than all else that --help loads
    from importlib import metadata

    found = {"recbole_diffusion": __version__, "python": platform.python_version()}
    for name in ("recbole", "torch", "numpy", "scipy", "pandas"):
        found[name] = metadata.version(name)
    return found
