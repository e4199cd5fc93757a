"""A model hub on 127.0.0.1: files by their path, with the faults that real servers have."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from caseframe.vision.download import DownloadOptions
from caseframe.vision.manifest import PinnedFile, PinnedModel
from caseframe.vision.store import ModelStore

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What is served, how, and what was asked for. Names are file names without a path."""

    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    ranges: bool = True
    etags: str = "hub"
    """hub: SHA-256 in X-Linked-ETag on a redirection; git: SHA-1 of the blob; none."""
    cut: dict[str, int] = field(default_factory=dict)
    """Name to the bytes after which the connection breaks, once each time it is asked for."""
    status: dict[str, int] = field(default_factory=dict)
    silent: threading.Event | None = None
    """Set by the test when a server that sends nothing more may end."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request, those for the store behind the redirection only."""

    def serve(self, folder: Path) -> None:
        """Serve the files of a folder."""
        self.files.update({path.name: path.read_bytes() for path in sorted(folder.iterdir())})


@contextmanager
def hub() -> Iterator[Hub]:
    """A running hub."""
    made = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": made}))
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        if made.silent is not None:
            made.silent.set()
        server.shutdown()
        server.server_close()
        thread.join()


def pin(files: dict[str, bytes], *, digests: bool = True) -> dict[str, PinnedModel]:
    """A manifest with one model, `blip-tiny`, of these files."""
    pinned = tuple(
        PinnedFile(name, len(data), hashlib.sha256(data).hexdigest())
        if digests
        else PinnedFile(name)
        for name, data in files.items()
    )
    model = PinnedModel("blip-tiny", "tiny", "example/tiny", REVISION, "MIT", pinned)
    return {"blip-tiny": model}


def options(source: Hub, **more: object) -> DownloadOptions:
    """Fetching from a hub, once and without pauses unless told otherwise."""
    given = {"tries": 1, "pause_seconds": 0.0, **more}
    return DownloadOptions(url=source.url, **given)  # type: ignore[arg-type]


def store_of(source: Hub, root: Path, *, digests: bool = True) -> ModelStore:
    """A store below `root` that knows the hub's files as `blip-tiny`."""
    return ModelStore(root / "models", pin(source.files, digests=digests))


def nothing_installed(store: ModelStore) -> bool:
    """Neither a model nor the rest of one."""
    return all(entry.installed is None and entry.reason is None for entry in store.list())


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        data = self.hub.files.get(name)
        status = self.hub.status.get(name, 200 if data is not None else 404)
        if status != 200 or data is None:
            self._head(status, {"Content-Length": "0"})
        elif self.hub.etags == "hub" and not self.path.startswith("/store/"):
            self._head(302, {
                "Location": f"/store/{name}", "Content-Length": "0",
                "X-Linked-Size": str(len(data)),
                "X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            })  # fmt: skip
        else:
            self._send(name, data)

    def _send(self, name: str, data: bytes) -> None:
        asked = self.headers.get("Range")
        self.hub.asked.append((self.path, asked))
        headers = {}
        if self.hub.etags == "git":
            blob = b"blob %d\0" % len(data) + data
            headers["ETag"] = f'"{hashlib.sha1(blob).hexdigest()}"'
        start = int(re.findall(r"\d+", asked)[0]) if asked and self.hub.ranges else 0
        if start >= len(data) > 0:
            self._head(416, {"Content-Length": "0"})
            return
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        self._head(206 if start else 200, {"Content-Length": str(len(body)), **headers})
        most = self.hub.cut.get(name)
        self.wfile.write(body[:most])
        if most is not None and most < len(body):
            self.wfile.flush()
            if self.hub.silent is not None:
                self.hub.silent.wait(60)
            self.close_connection = True

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
