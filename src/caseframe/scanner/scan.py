"""Examining one file: read it once, hash it, type it, decode it once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from caseframe.domain.errors import OverLimit, PictureError, ReadError
from caseframe.domain.evidence import Digests, Examined, FileState, PictureInfo, held_time
from caseframe.scanner.digest import digests
from caseframe.scanner.limits import Limits
from caseframe.scanner.picture import Picture
from caseframe.scanner.reading import ensure_unchanged, opened, read_all, read_chunks, read_head
from caseframe.scanner.sniff import HEAD, Kind, extension_note, sniff

Step = Callable[[str], str | None]
"""Told the name of each step before it starts; answers why it must be left out, or None.

It is told of "open" again after each piece that was read.
"""
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
            content, kind, digest = _read(descriptor, status, limits, lambda: step("open"))
    except ReadError as error:
        return Scanned(Examined(FileState.UNREADABLE, 0, 0, str(error)))
    base = _base(status, kind, digest)
    if digest is not None and digest.sha256 in known:
        return Scanned(_noted(replace(base, state=FileState.PICTURE), path, kind))
    return _judge(base, path, kind, content, limits, step)


def _base(status: os.stat_result, kind: Kind, digest: Digests | None) -> Examined:
    modified_ns, note = held_time(status.st_mtime_ns)
    return Examined(
        FileState.NOT_A_PICTURE, status.st_size, modified_ns, mime=kind.mime, digests=digest,
        notes=(note,) if note else (),
    )  # fmt: skip


def _read(
    descriptor: int, status: os.stat_result, limits: Limits, told: Callable[[], object]
) -> tuple[bytes | None, Kind, Digests | None]:
    """(the whole content or None, its kind, its digests or None when left alone)."""
    size = status.st_size
    kind = None
    if size > min(limits.max_file_bytes, limits.other_hash_bytes):
        kind = sniff(read_head(descriptor, HEAD))
        if not kind.picture and size > limits.other_hash_bytes:
            return None, kind, None
        if size > limits.max_file_bytes:
            count = _Counter(size, told)
            digest = digests(count.over(read_chunks(descriptor)))
            ensure_unchanged(descriptor, status, count.total)
            return None, kind, digest
    content = read_all(descriptor, size, told)
    ensure_unchanged(descriptor, status, len(content))
    return content, kind or sniff(content), digests((content,))


class _Counter:
    def __init__(self, most: int, told: Callable[[], object]) -> None:
        self.total = 0
        self._most = most
        self._told = told

    def over(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.total += len(piece)
            self._told()
            yield piece
            if self.total > self._most:
                return  # what grows while it is read need never end


def _noted(examined: Examined, path: bytes, kind: Kind) -> Examined:
    note = extension_note(path, kind)
    return replace(examined, notes=(*examined.notes, note)) if note else examined


def _judge(
    base: Examined, path: bytes, kind: Kind, content: bytes | None, limits: Limits, step: Step
) -> Scanned:
    base = _noted(base, path, kind)
    if not kind.picture:
        return Scanned(replace(base, reason=_not_a_picture(kind, base, limits)))
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
