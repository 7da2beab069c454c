"""KuaiRec (``KuaiRec.zip``): ``big_matrix.csv``, the platform's log, and ``small_matrix.csv``, whose users saw every video.

Both are read out of the archive as they are decompressed; nothing is unpacked. The folder inside differs by
version (``KuaiRec/data/``, ``KuaiRec 2.0/data/``), so that the last part of the name decides.
"""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from recbole_diffusion.prepare.interactions import UNKNOWN, Collector, Interactions
from recbole_diffusion.prepare.rows import Rows, SourceError

COLUMNS = ("user_id", "video_id", "timestamp", "watch_ratio")
MATRICES = {"big_matrix.csv": False, "small_matrix.csv": True}  # name -> fully exposed


def read(files: Mapping[str, Path], threshold: float) -> Interactions:
    """Read the views that lasted at least ``threshold`` lengths of their video; the time of some views is not published.

    Args:
        files: path of ``KuaiRec.zip`` by that name.
        threshold: the smallest watch_ratio that is positive.

    Raises:
        SourceError: no zip archive, a matrix is not in it, or it is malformed; the message names the row.
    """
    path = files["KuaiRec.zip"]
    collector = Collector()
    try:
        with zipfile.ZipFile(path) as archive:
            for name, exposed in MATRICES.items():
                collector.read += _read_matrix(
                    archive, _member(archive, path, name), exposed, threshold, collector
                )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceError(
            f"{path} is no readable zip archive ({error}); remove it and get it again"
        ) from error
    return collector.finish()


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo:
    found = [member for member in archive.infolist() if PurePosixPath(member.filename).name == name]
    if len(found) != 1:
        there = ", ".join(member.filename for member in found) or "none"
        raise SourceError(
            f"{path} should hold one {name}, found {there}; get it again from the page of the data set"
        )
    return found[0]


def _read_matrix(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, exposed: bool, threshold: float, collector: Collector
) -> int:
    with archive.open(member) as stream:
        rows = Rows(stream, member.filename, member.file_size)
        for user, item, moment, ratio in rows.of_csv(COLUMNS):
            if rows.number(ratio, "watch_ratio") >= threshold:
                seconds = rows.number(moment, "timestamp") if moment else UNKNOWN
                collector.add(rows.token(user, "user_id"), rows.token(item, "video_id"), seconds, exposed)
        return rows.row
