"""A published file, fetched once: resumable, from several mirrors in turn, checked, complete or absent.

Bytes go to ``NAME.part``; ``NAME.part.json`` beside it says from which address and which version of the file
(ETag or Last-Modified) they are. A later attempt continues only what the same address still serves in the
same version, by the HTTP headers Range and If-Range; otherwise it starts over. A checked file is renamed to
its name.
"""

import hashlib
import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError
from recbole_diffusion.prepare.recipe import SourceFile
from recbole_diffusion.prepare.rows import byte_bar

BLOCK = 1 << 20
RETRIED = (408, 425, 429, 500, 502, 503, 504)  # statuses that may be temporary


class BadFileError(Exception):
    """The address serves something other than the file; another attempt would not help."""


class _BrokenOffError(Exception):
    """The connection failed or ended early: another attempt may get the rest."""


def download(
    file: SourceFile, folder: Path, *, attempts: int = 3, timeout: float = 30.0, wait: float = 2.0
) -> Path:
    """Fetch one file into ``folder`` and return its path.

    Args:
        file: what to fetch; its addresses are tried in their order.
        folder: where it is stored; created if missing.
        attempts: maximum attempts at one address when a failure may be temporary.
        timeout: seconds without a byte after which a connection is closed.
        wait: seconds before the second attempt; each later one waits twice as long.

    Raises:
        RunError: no address has the file, or it cannot be written; the message lists each address with the
            reason.
    """
    target = folder / file.name
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for url in file.urls:
            failure = _from_mirror(url, file, target, attempts, timeout, wait)
            if failure is None:
                return target
            failures.append(f"{url}: {failure}")
            logging.getLogger(__name__).warning("cannot get %s from %s: %s", file.name, url, failure)
    except OSError as error:
        raise RunError(
            f"cannot write {target}: {error.strerror or error}; free some space, then run the command again"
        ) from error
    raise RunError(f"no address has {file.name} ({'; '.join(failures)})")


def _from_mirror(
    url: str, file: SourceFile, target: Path, attempts: int, timeout: float, wait: float
) -> str | None:
    """Fetch from one address; return why that failed, or None."""
    part = _Part(target, url)
    failure = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(wait * 2 ** (attempt - 1))
        try:
            _fetch(url, file, part, timeout)
            check(part.path, file)
            part.path.replace(target)
            part.forget()
            return None
        except BadFileError as error:
            if part.is_from_here():
                part.forget()
            return str(error)
        except _BrokenOffError as error:
            failure = str(error)
    return failure


class _Part:
    """The bytes of an unfinished download, and where they are from."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self.url = url

    def _noted(self) -> dict[str, str]:
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def is_from_here(self) -> bool:
        """Return whether the bytes are from this address, not from another mirror."""
        return self._noted().get("url") == self.url

    def resume_headers(self) -> tuple[int, dict[str, str]]:
        """Return the number of bytes to continue after, and the request headers that ask for the rest."""
        done = self.path.stat().st_size if self.path.is_file() else 0
        version = self._noted().get("version")
        if not done or not version or not self.is_from_here():
            return 0, {}
        return done, {"Range": f"bytes={done}-", "If-Range": version}

    def remember(self, headers: Any) -> None:
        """Note the version of the file that the bytes are from; a weak ETag does not promise equal bytes."""
        tag = headers.get("ETag", "")
        version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
        self.note.write_text(json.dumps({"url": self.url, "version": version}), encoding="utf-8")

    def forget(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _fetch(url: str, file: SourceFile, part: _Part, timeout: float) -> None:
    """Bring the part file to its full length."""
    done, headers = part.resume_headers()
    request = urllib.request.Request(
        url, headers={"User-Agent": "recbole-diffusion", "Accept-Encoding": "identity", **headers}
    )
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # no more bytes: ours are complete, or too many, which the check will find
            if done == file.size or (done and error.headers.get("Content-Range", "") == f"bytes */{done}"):
                return
            part.forget()
            raise _BrokenOffError("the unfinished download does not fit; started over") from error
        text = f"HTTP status {error.code} ({error.reason})"
        raise (_BrokenOffError if error.code in RETRIED else BadFileError)(text) from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"no connection ({getattr(error, 'reason', None) or error})") from error
    with response:
        continues = response.status == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {done}-"
        )
        done = done if continues else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else file.size
        if file.size is not None and total != file.size:
            raise BadFileError(f"serves {total:,} bytes, expected {file.size:,}")
        if not continues:
            part.remember(response.headers)
        _append(response, part.path, done, total, file.name)


def _append(response: Any, path: Path, done: int, total: int | None, title: str) -> None:
    """Write the body of a response after the first ``done`` bytes of a file.

    A partial file is kept for the next attempt.
    """
    with path.open("r+b" if done else "wb") as out, byte_bar(title, total, done) as bar:
        out.seek(done)
        out.truncate()
        while True:
            try:
                block = response.read(BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise _BrokenOffError(f"the connection broke after {out.tell():,} bytes ({error})") from error
            if not block:
                break
            out.write(block)
            bar.update(len(block))
        if total is not None and out.tell() != total:
            raise _BrokenOffError(f"the connection ended after {out.tell():,} of {total:,} bytes")


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return a checksum of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def check(path: Path, file: SourceFile) -> None:
    """Compare a complete file with its entry in the recipe.

    Raises:
        BadFileError: its size or checksum differs.
    """
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise BadFileError(f"has {size:,} bytes, expected {file.size:,}")
    algorithm, expected = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
    found = digest(path, algorithm) if expected else None
    if expected and found != expected.lower():
        raise BadFileError(f"has the {algorithm.upper()} {found}, expected {expected.lower()}")
