"""The source files of a set: in the user's folder, kept from an earlier run, or on the network."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from recbole_diffusion.errors import RunError, UsageError, command_line
from recbole_diffusion.prepare.download import BadFileError, check, digest, download
from recbole_diffusion.prepare.recipe import Recipe, SourceFile

KEPT = "source"  # folder inside the set's own


def kept_folder(recipe: Recipe, output: Path) -> Path:
    """Return the folder of a set's downloaded files."""
    return output / recipe.name / KEPT


def find_files(recipe: Recipe, output: Path, source: Path | None) -> dict[str, Path]:
    """Return the path of each file of a set by its name; a file that is nowhere else is downloaded.

    Args:
        recipe: the set.
        output: the folder of the prepared sets.
        source: the user's folder, or the file itself if the set has only one; None: first the folder of
            downloaded files, then the network.

    Raises:
        UsageError: a file is missing and has no address.
        RunError: the download failed.
    """
    if source is not None:
        missing = [file for file in recipe.files if not _local(file, source).is_file()]
        if missing:
            raise UsageError(f"--source={source} lacks {_names(missing)}. {how_to_get(recipe, missing)}")
        files = {file.name: _local(file, source) for file in recipe.files}
    else:
        folder = kept_folder(recipe, output)
        missing = [file for file in recipe.files if not (folder / file.name).is_file()]
        without = [file for file in missing if not file.urls]
        if without:
            raise UsageError(
                f"data set {recipe.name!r} needs {_names(without)}, which cannot be downloaded freely. "
                f"{how_to_get(recipe, without)}"
            )
        for file in missing:
            try:
                download(file, folder)
            except RunError as error:
                raise RunError(f"{error}. {how_to_get(recipe, [file])}") from error
        files = {file.name: folder / file.name for file in recipe.files}
    return files


def how_to_get(recipe: Recipe, files: Iterable[SourceFile]) -> str:
    """Return how a user can get files: pages, addresses, and the command for files fetched by hand."""
    pages = "; ".join(f"{file.name}: {' or '.join((file.page, *file.urls))}" for file in files)
    command = command_line("prepare", recipe.name, "--source=FOLDER_OF_THE_FILE")
    return f"Get it by hand ({pages}), then run: {command}"


def describe(file: SourceFile, path: Path, given: bool) -> dict[str, str | int]:
    """Return name, size and SHA-256 of a file, and whether it is the one of the recipe.

    Args:
        file: the recipe's entry.
        path: the file.
        given: the user named it; then a difference to the recipe is only a warning, since editions of one set
            differ.

    Raises:
        UsageError: a downloaded file has another size or checksum than the recipe's.
    """
    known = [name for name in ("size", "sha256", "md5") if getattr(file, name) is not None]
    checked = (
        f"equal in {' and '.join(known)}"
        if known
        else "nothing to check against: no size or checksum is published"
    )
    try:
        check(path, file)
    except BadFileError as error:
        if not given:
            raise UsageError(
                f"{path} {error}; it is damaged or another version: remove it and run again"
            ) from error
        logging.getLogger(__name__).warning(
            "%s %s: another version than the one that this recipe was written for, or damaged", path, error
        )
        checked = f"differs: {error}"
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": digest(path),
        "checked": checked,
        "page": file.page,
    }


def refuse_files_of_another_set(recipe: Recipe, paths: Mapping[str, Path], recipes: Iterable[Recipe]) -> None:
    """Refuse a file that has another size than the recipe's and that of one of another set.

    Args:
        recipe: the set.
        paths: path of each source file by name.
        recipes: all sets.

    Raises:
        UsageError: there is one; it names the set.
    """
    others = {
        file.size: (other.name, file.name)
        for other in recipes
        for file in other.files
        if file.size is not None and other is not recipe
    }
    for file in recipe.files:
        size = paths[file.name].stat().st_size
        if size != file.size and size in others:
            name, theirs = others[size]
            raise UsageError(
                f"{paths[file.name]} has the {size:,} bytes of {theirs} of {name}, another set; give the "
                f"files of {recipe.name}, or prepare {name}"
            )


def _local(file: SourceFile, source: Path) -> Path:
    names = [name for name in (file.name, file.other_form) if name is not None]
    if source.is_file() and source.name in names:
        return source
    there = [source / name for name in names if (source / name).is_file()]
    return there[0] if there else source / file.name


def _names(files: Iterable[SourceFile]) -> str:
    return ", ".join(" or ".join(filter(None, (file.name, file.other_form))) for file in files)
