"""Examining one file: read it once, hash it, type it, decode it once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from caseframe.domain.errors import OverLimit, PictureError, ReadError
from caseframe.domain.evidence import Digests, Examined, FileState, PictureInfo
from caseframe.scanner.digest import digests
from caseframe.scanner.limits import Limits
from caseframe.scanner.picture import Picture
from caseframe.scanner.reading import ensure_unchanged, opened, read_all, read_chunks
from caseframe.scanner.sniff import HEAD, Kind, extension_note, sniff

Step = Callable[[str], str | None]
"""Told the name of each step before it starts; answers why it must be left out, or None."""
TOO_MUCH_MEMORY = "decoding it takes more memory than a worker may use (worker_memory_mb)"


@dataclass(frozen=True, slots=True)
class Scanned:
    """An examined file and, where it is a picture in memory, the picture for the stages."""

    examined: Examined
    picture: Picture | None = None


def every_step(_name: str) -> str | None:
    """A `Step` that leaves nothing out."""
    return None


def scan_file(
    root: int,
    path: bytes,
    limits: Limits,
    *,
    known: frozenset[bytes] = frozenset(),
    step: Step = every_step,
) -> Scanned:
    """Examine the file at `path` below the open folder `root`. Never raises for a bad file.

    When its SHA-256 is in `known`, hashing is all that is done: the content was examined before.
    """
    try:
        with opened(root, path) as (descriptor, status):
            content, kind, digest = _read(descriptor, status, limits)
    except ReadError as error:
        return Scanned(Examined(FileState.UNREADABLE, 0, 0, str(error)))
    base = Examined(
        FileState.NOT_A_PICTURE, status.st_size, status.st_mtime_ns, mime=kind.mime, digests=digest
    )
    if digest is not None and digest.sha256 in known:
        return Scanned(_noted(replace(base, state=FileState.PICTURE), path, kind))
    return _judge(base, path, kind, content, limits, step)


def _read(
    descriptor: int, status: os.stat_result, limits: Limits
) -> tuple[bytes | None, Kind, Digests | None]:
    """(the whole content or None, its kind, its digests or None when left alone)."""
    size = status.st_size
    if size <= limits.max_file_bytes:
        head = read_all(descriptor, size) if size <= limits.other_hash_bytes else b""
        if not head and size:
            head = os.pread(descriptor, HEAD, 0)
        kind = sniff(head)
        if len(head) < size and kind.picture:
            head = read_all(descriptor, size)
        if len(head) < size and not kind.picture:
            return None, kind, None
        ensure_unchanged(descriptor, status, len(head))
        return head, kind, digests((head,))
    kind = sniff(os.pread(descriptor, HEAD, 0))
    if not kind.picture:
        return None, kind, None
    count = _Counter()
    digest = digests(count.over(read_chunks(descriptor)))
    ensure_unchanged(descriptor, status, count.total)
    return None, kind, digest


class _Counter:
    def __init__(self) -> None:
        self.total = 0

    def over(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.total += len(piece)
            yield piece


def _noted(examined: Examined, path: bytes, kind: Kind) -> Examined:
    note = extension_note(path, kind)
    return replace(examined, notes=(*examined.notes, note)) if note else examined


def _judge(
    base: Examined, path: bytes, kind: Kind, content: bytes | None, limits: Limits, step: Step
) -> Scanned:
    if not kind.picture:
        return Scanned(replace(base, reason=_not_a_picture(kind, base, limits)))
    base = _noted(base, path, kind)
    if base.size < limits.min_file_bytes:
        reason = f"{base.size} bytes, below the minimum of {limits.min_file_bytes} (min_file_bytes)"
        return Scanned(replace(base, state=FileState.OVER_LIMIT, reason=reason))
    if content is None:
        reason = f"{base.size} bytes, over the limit of {limits.max_file_bytes} (max_file_bytes)"
        return Scanned(replace(base, state=FileState.OVER_LIMIT, reason=reason))
    picture = Picture(content, kind, limits)
    return Scanned(_decoded(base, picture, step), picture)


def _not_a_picture(kind: Kind, base: Examined, limits: Limits) -> str:
    if not base.size:
        return "empty file"
    said = f"not a picture: {kind.mime}"
    if base.digests is None:
        return f"{said}; not hashed, over {limits.other_hash_bytes} bytes (other_hash_bytes)"
    return said


def _decoded(base: Examined, picture: Picture, step: Step) -> Examined:
    info: PictureInfo | None = None
    try:
        picture.give_up_header(step("header"))
        info = picture.info
        picture.check_limits()
        picture.give_up_pixels(step("decode"))
        thumbnail = picture.thumbnail()
    except OverLimit as error:
        return replace(base, state=FileState.OVER_LIMIT, reason=str(error), picture=info)
    except PictureError as error:
        return replace(base, state=FileState.CORRUPT, reason=str(error), picture=info)
    except MemoryError:
        picture.give_up_pixels(TOO_MUCH_MEMORY)
        return replace(base, state=FileState.OVER_LIMIT, reason=TOO_MUCH_MEMORY, picture=info)
    state = FileState.CORRUPT if picture.damage else FileState.PICTURE
    return replace(base, state=state, reason=picture.damage, picture=info, thumbnail=thumbnail)
