"""Files in public repositories, by addresses that name a commit."""

from recbole_diffusion.prepare.recipe import SourceFile

RAW = "https://raw.githubusercontent.com"
IN_A_REPOSITORY = "see the repository, and the publisher of the data; for research, no redistribution here"


def file_of(
    name: str, repository: str, commit: str, path: str, size: int | None = None, *more: str
) -> SourceFile:
    """Return a file of a repository, by default at one of its commits."""
    urls = (f"{RAW}/{repository}/{commit}/{path}", *more)
    return SourceFile(name, f"https://github.com/{repository}", urls, size)
