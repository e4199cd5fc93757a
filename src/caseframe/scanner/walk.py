"""Walking a source folder of any depth, every name as the bytes it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from caseframe.domain.errors import ReadError, SourceError
from caseframe.domain.evidence import FOLDER, held_time, path_text
from caseframe.scanner.reading import open_beneath, open_root

_SPECIAL = {
    stat.S_IFLNK: ("inode/symlink", "symbolic link, not followed"),
    stat.S_IFIFO: ("inode/fifo", "named pipe, not read"),
    stat.S_IFSOCK: ("inode/socket", "socket, not read"),
    stat.S_IFCHR: ("inode/chardevice", "character device, not read"),
    stat.S_IFBLK: ("inode/blockdevice", "block device, not read"),
}


class Entry(NamedTuple):
    """One name found: a regular file to scan, or something that ends here with its reason.

    `skipped` is None for a regular file. `unreadable` is true when the name could not even be
    looked at (a folder without permission): then whatever is below it was not seen.
    `modified_ns` is as `held_time` gives it.
    """

    path: bytes
    size: int
    modified_ns: int
    skipped: str | None = None
    mime: str | None = None
    unreadable: bool = False


def check_source(root: bytes) -> None:
    """Raise SourceError, in one line that says what to do, unless `root` is a readable folder."""
    shown = path_text(root)
    if not os.path.lexists(root):
        raise SourceError(f"no folder at {shown}; check the path")
    if not os.path.isdir(root):
        raise SourceError(f"{shown} is a file, not a folder; give the folder that holds it")
    try:
        with os.scandir(root):
            pass
    except OSError as error:
        raise SourceError(
            f"the folder {shown} cannot be read: {error.strerror}; check its permissions"
        ) from error


def _entry(path: bytes, found: os.DirEntry[str]) -> Entry:
    try:
        status = found.stat(follow_symlinks=False)
    except OSError as error:
        return Entry(path, 0, 0, f"cannot be looked at: {error.strerror}", unreadable=True)
    modified_ns, note = held_time(status.st_mtime_ns)
    if stat.S_ISREG(status.st_mode):
        return Entry(path, status.st_size, modified_ns)
    mime, reason = _SPECIAL.get(stat.S_IFMT(status.st_mode), (None, "no regular file, not read"))
    return Entry(path, status.st_size, modified_ns, f"{reason}; {note}" if note else reason, mime)


def _unreadable(path: bytes, error: Exception) -> Entry:
    detail = error.strerror if isinstance(error, OSError) else str(error)
    reason = f"folder cannot be read: {detail}; nothing below it was seen"
    return Entry(path, 0, 0, reason, FOLDER, unreadable=True)


def _list(root: int, folder: bytes) -> Iterator[tuple[bytes, os.DirEntry[str]]]:
    descriptor = open_beneath(root, folder, folder=True) if folder else os.dup(root)
    try:
        # A folder listed by descriptor gives names as text; fsencode takes them back exactly.
        with os.scandir(descriptor) as names:
            for found in names:
                name = os.fsencode(found.name)
                yield (folder + b"/" + name if folder else name), found
    finally:
        os.close(descriptor)


def walk(root: bytes) -> Iterator[Entry]:
    """Every name below `root` but folders themselves, one at a time, in the system's own order.

    Only the folders that wait to be listed are held in memory.
    Raises SourceError when `root` cannot be listed; anything below is an Entry, never an error.
    """
    check_source(root)
    top = open_root(root)
    waiting = [b""]
    try:
        while waiting:
            folder = waiting.pop()
            try:
                for path, found in _list(top, folder):
                    if not found.is_dir(follow_symlinks=False):
                        yield _entry(path, found)
                    else:
                        waiting.append(path)
            except (OSError, ReadError) as error:
                yield _unreadable(folder or b".", error)
    finally:
        os.close(top)
