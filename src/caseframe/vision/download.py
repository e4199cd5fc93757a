"""Fetching one file of a model: resumed where it stopped, held against its digest, never half.

What has arrived stands in `NAME.part`; the name itself appears only when the digest was right.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from caseframe.domain.errors import CaseframeError
from caseframe.vision.manifest import PinnedFile

if TYPE_CHECKING:  # slow to load, and every scan asks the store which models there are
    import httpx

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are here, and how many there will be."""
CHUNK = 1 << 20
_MOST_BYTES = 8_000_000_000
_GONE_ON = 416


@dataclass(frozen=True)
class DownloadOptions:
    """Where files come from and how patient we are; times in seconds."""

    url: str = "https://huggingface.co"
    connect_seconds: float = 20.0
    silent_seconds: float = 60.0
    """How long the server may send nothing."""
    tries: int = 5
    pause_seconds: float = 1.0


@dataclass(frozen=True)
class Stated:
    """What the server says of a file: size in bytes, and digests of its content in hex."""

    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    """Git's name of the content: SHA-1 over `blob SIZE NUL` and the content."""


class _Broken(Exception):
    """The connection ended early; what arrived is kept."""


@contextmanager
def client_for(options: DownloadOptions) -> Iterator[httpx.Client]:
    """A client that follows redirections, but never from https to anything else."""
    import httpx  # noqa: PLC0415 - see above

    secure = options.url.startswith("https:")

    def hold_scheme(request: httpx.Request) -> None:
        if secure and request.url.scheme != "https":
            raise CaseframeError(f"{options.url} redirects to {request.url.scheme}: refused")

    timeout = httpx.Timeout(options.silent_seconds, connect=options.connect_seconds)
    with httpx.Client(
        follow_redirects=True,
        max_redirects=5,
        timeout=timeout,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"request": [hold_scheme]},
    ) as client:
        yield client


def fetch(
    client: httpx.Client,
    url: str,
    folder: Path,
    pinned: PinnedFile,
    options: DownloadOptions,
    progress: Progress,
) -> str:
    """Bring one file into `folder` and return its SHA-256 (hex). A file that is there is kept.

    Raises CaseframeError: not found, refused, wrong digest, cut too often, disk full.
    """
    import httpx  # noqa: PLC0415 - see above

    path = folder / pinned.name
    if path.exists():
        if (here := sha256_of(path)) == (pinned.sha256 or here):
            return here
        path.unlink()
    part = folder / f"{pinned.name}.part"
    for left in reversed(range(options.tries)):
        try:
            stated = _receive(client, url, part, pinned, progress)
            break
        except (_Broken, httpx.TransportError) as error:
            if not left:
                raise CaseframeError(_cut(pinned.name, part, error)) from error
            time.sleep(options.pause_seconds)
    digest = _accept(part, pinned, stated)
    part.rename(path)
    return digest


def _cut(name: str, part: Path, error: Exception) -> str:
    arrived = part.stat().st_size if part.exists() else 0
    return (
        f"{name}: the connection failed after {arrived / 1e6:,.1f} MB "
        f"({str(error) or type(error).__name__}); the same command goes on from there"
    )


def _receive(
    client: httpx.Client, url: str, part: Path, pinned: PinnedFile, progress: Progress
) -> Stated:
    have = part.stat().st_size if part.exists() else 0
    if pinned.size is not None and have > pinned.size:
        part.unlink()
        have = 0
    if have and have == pinned.size and pinned.sha256:
        return Stated()  # whole already; only its digest remains to be looked at
    with client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as response:
        if response.status_code == _GONE_ON:
            part.unlink(missing_ok=True)
            raise _Broken("what was here did not fit; it starts again")
        if response.status_code not in {200, 206}:
            raise CaseframeError(
                f"{pinned.name}: {response.url.host} answers {response.status_code} "
                f"{response.reason_phrase} (models_url says where models are fetched)"
            )
        start = _start_of(response, have)
        stated = _stated(response, start)
        total = pinned.size if pinned.size is not None else stated.size
        if stated.size not in {None, total}:
            raise CaseframeError(
                f"{pinned.name}: the server has a file of {stated.size} bytes, the known one has "
                f"{total}; nothing is installed"
            )
        _store(response, part, start, total, lambda done: progress(pinned.name, done, total))
    return stated


def _start_of(response: httpx.Response, have: int) -> int:
    """Where the answer begins: 0 from servers that do not know ranges."""
    if response.status_code == 200:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        raise _Broken("the server answers with another part than was asked for")
    return have


def _stated(response: httpx.Response, start: int) -> Stated:
    """The hub names size and digest of large files on the redirection to their store."""
    size = sha256 = git_sha1 = None
    length = response.headers.get("Content-Length", "")
    if length.isdigit():
        size = int(length) + start
    for answer in (*response.history, response):
        linked = answer.headers.get("X-Linked-Size", "")
        size = int(linked) if linked.isdigit() else size
        for header in ("X-Linked-ETag", "ETag"):
            tag = answer.headers.get(header, "").removeprefix("W/").strip('"')
            if re.fullmatch(r"[0-9a-f]{64}", tag):
                sha256 = sha256 or tag
            elif re.fullmatch(r"[0-9a-f]{40}", tag):
                git_sha1 = git_sha1 or tag
    return Stated(size, sha256, git_sha1)


def _store(
    response: httpx.Response,
    part: Path,
    start: int,
    total: int | None,
    progress: Callable[[int], None],
) -> None:
    most = _MOST_BYTES if total is None else total
    done = start
    with disk_errors(part), part.open("r+b" if part.exists() else "wb") as file:
        file.truncate(start)
        file.seek(start)
        # Pieces as they come: what waits in a buffer when the connection breaks would be lost.
        for chunk in response.iter_raw():
            done += len(chunk)
            if done > most:
                raise CaseframeError(f"{part.stem}: the server sends more than the file holds")
            file.write(chunk)
            progress(done)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise _Broken(f"{done} of {total} bytes arrived")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Errors of the file system as CaseframeError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise CaseframeError(
                f"no space is left for {path}; make room and run the same command again"
            ) from error
        raise CaseframeError(f"{path} cannot be written: {error.strerror or error}") from error


def _accept(part: Path, pinned: PinnedFile, stated: Stated) -> str:
    """The digest of a whole download; a wrong one is deleted, so that the next try starts anew."""
    sha256, wanted = sha256_of(part), pinned.sha256 or stated.sha256
    if wanted is None and stated.git_sha1 is None:
        part.unlink()
        raise CaseframeError(
            f"{pinned.name}: the server states no digest and none is pinned, so nobody can tell "
            "whether it is right; fetch it elsewhere and use: caseframe models import"
        )
    right = sha256 == wanted if wanted else _git_sha1(part) == stated.git_sha1
    if not right:
        part.unlink()
        raise CaseframeError(f"{pinned.name}: wrong checksum; it was deleted, nothing is installed")
    return sha256


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_sha1(path: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
