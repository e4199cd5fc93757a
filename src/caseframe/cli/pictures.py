"""The pictures that words on a command line stand for: files, folders, standard input."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from caseframe.domain.errors import ReadError, SourceError
from caseframe.scanner.reading import open_root, opened, read_all
from caseframe.scanner.sniff import HEAD, PICTURES, sniff
from caseframe.scanner.walk import Entry, walk

_STANDARD_INPUT = "-"


@dataclass
class Found:
    """A picture's bytes, or the reason why there are none."""

    path: bytes
    data: bytes | None
    error: str | None = None


def pictures(arguments: Sequence[str], most: int) -> Iterator[Found]:
    """Each picture in order, read when its turn comes; `most` bytes a picture.

    A file is taken whatever it is; of a folder, in sorted order, what starts like a picture.
    """
    for argument in arguments:
        path = os.fsencode(argument)
        if argument == _STANDARD_INPUT:
            yield _standard_input(most)
        elif os.path.isdir(path):
            yield from _folder(path, most)
        else:
            yield _file(path, most)


def _standard_input(most: int) -> Found:
    with os.fdopen(0, "rb", closefd=False) as stream:
        data = stream.read(most + 1)
    shown = _STANDARD_INPUT.encode()
    if len(data) > most:
        return Found(shown, None, _too_large(None, most))
    return Found(shown, data)


def _too_large(size: int | None, most: int) -> str:
    what = "larger than" if size is None else f"{size} bytes, over"
    return f"{what} the limit of {most} bytes (vision_image_bytes)"


def _file(path: bytes, most: int) -> Found:
    """A file that was named itself; its path may pass through links."""
    folder, name = os.path.split(os.path.realpath(path))
    try:
        root = open_root(folder)
    except OSError as error:
        return Found(path, None, f"cannot be opened: {error.strerror}")
    try:
        data = _read(root, name, most, pictures_only=False)
    except ReadError as error:
        return Found(path, None, str(error))
    finally:
        os.close(root)
    return Found(path, data)


def _folder(folder: bytes, most: int) -> Iterator[Found]:
    try:
        entries = sorted(walk(folder))
        root = open_root(folder)
    except (SourceError, OSError) as error:
        yield Found(folder, None, str(error))
        return
    try:
        found = (one for entry in entries for one in _entry(root, folder, entry, most))
        first = next(found, None)
        yield first or Found(folder, None, "no pictures in this folder")
        yield from found
    finally:
        os.close(root)


def _entry(root: int, folder: bytes, entry: Entry, most: int) -> Iterator[Found]:
    path = os.path.join(folder, entry.path)
    if entry.unreadable:
        yield Found(path, None, entry.skipped)
    elif entry.skipped is None:
        yield from _below(root, path, entry.path, most)


def _below(root: int, path: bytes, name: bytes, most: int) -> Iterator[Found]:
    try:
        data = _read(root, name, most, pictures_only=True)
    except ReadError as error:
        yield Found(path, None, str(error))
    else:
        if data is not None:
            yield Found(path, data)


def _named_as_picture(name: bytes) -> bool:
    ending = os.path.splitext(name)[1].decode("utf-8", "replace").lstrip(".").lower()
    return any(ending in kind.extensions for kind in PICTURES)


def _read(root: int, name: bytes, most: int, *, pictures_only: bool) -> bytes | None:
    """The whole file, or None for one that is not wanted. Raises ReadError."""
    with opened(root, name) as (descriptor, status):
        try:
            if pictures_only and not status.st_size and _named_as_picture(name):
                raise ReadError("the picture is empty: 0 bytes")
            if pictures_only and not sniff(os.pread(descriptor, HEAD, 0)).picture:
                return None
        except OSError as error:
            raise ReadError(f"cannot be read: {error.strerror}") from error
        if status.st_size > most:
            raise ReadError(_too_large(status.st_size, most))
        return read_all(descriptor, status.st_size)
