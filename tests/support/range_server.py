"""A local web server that serves bytes as a mirror: whole, from a position, cut short or refused."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What one path of the server gives.

    Attributes:
        content: the whole file.
        etag: its version, or empty for a server that names none.
        cuts: after how many bytes of the body the connection is closed, for the first requests in turn.
        failures: status of the first requests in turn, instead of the file.
        ranges: whether the server knows the header Range.
    """

    content: bytes = b""
    etag: str = '"1"'
    cuts: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    ranges: bool = True


class Mirror:
    """The server, with the requests that it got: path, and the first byte that was asked for."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, Served] = {}
        self.requests: list[tuple[str, int]] = []

    def serve(self, path: str, content: bytes, **how) -> str:
        """Put a file on the server and return its address."""
        self.files[path] = Served(content, **how)
        return self.address + path

    def url(self, path: str) -> str:
        """Return the address of a path, served or not."""
        return self.address + path


@contextlib.contextmanager
def running_mirror() -> Iterator[Mirror]:
    """Run the server while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.mirror = Mirror(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        mirror: Mirror = self.server.mirror
        asked = self.headers.get("Range", "bytes=0-")
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        mirror.requests.append((self.path, start))
        file = mirror.files.get(self.path)
        if file is None or file.failures:
            self._empty(file.failures.pop(0) if file else 404)
            return
        if not file.ranges or (start and self.headers.get("If-Range") != file.etag):
            start = 0
        if start and start >= len(file.content):
            self._empty(416, {"Content-Range": f"bytes */{len(file.content)}"})
            return
        body = file.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(file.content) - 1}/{len(file.content)}")
        if file.etag:
            self.send_header("ETag", file.etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: file.cuts.pop(0)] if file.cuts else body)

    def _empty(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args) -> None:
        """Say nothing."""
