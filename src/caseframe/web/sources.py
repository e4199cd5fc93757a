"""The sources root: listing its folders, and turning what a client names into a real folder in it.

A path travels as a token: its bytes percent-encoded, so that names that are no valid text come back
as they were. Every step is opened without following links, so nothing leads outside the root.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote_from_bytes, unquote_to_bytes

from caseframe.domain.errors import NotFound, ReadError
from caseframe.domain.evidence import path_text
from caseframe.scanner.reading import open_beneath, open_root

_MOST = 5000


@dataclass(frozen=True)
class Folder:
    """A folder below the root; `token` names it to us, `name` to people."""

    token: str
    name: str


@dataclass(frozen=True)
class Listing:
    """Folders by name, the number of other entries, and whether there were too many to list."""

    folders: tuple[Folder, ...]
    files: int
    more: bool
    parent: str | None


def token_of(path: bytes) -> str:
    """The token of a path relative to the root."""
    return quote_from_bytes(path)


def list_folder(root: bytes, token: str) -> Listing:
    """What stands in a folder below `root`; "" is the root. Raises NotFound."""
    path = unquote_to_bytes(token)
    descriptor = _open(root, path)
    try:
        folders, files, more = _entries(descriptor)
    finally:
        os.close(descriptor)
    below = path + b"/" if path else b""
    found = tuple(Folder(token_of(below + name), path_text(name)) for name in sorted(folders))
    parent = token_of(path.rpartition(b"/")[0]) if path else None
    return Listing(found, files, more, parent)


def folder_at(root: bytes, token: str) -> bytes:
    """The absolute path of a folder below `root`. Raises NotFound for anything else."""
    path = unquote_to_bytes(token)
    os.close(_open(root, path))
    return os.path.join(root, path) if path else root


def _open(root: bytes, path: bytes) -> int:
    try:
        top = open_root(root)
    except OSError as error:
        raise NotFound(f"the sources root cannot be opened: {error.strerror}") from error
    if not path:
        return top
    try:
        return open_beneath(top, path, folder=True)
    except (OSError, ReadError, ValueError) as error:
        raise NotFound("there is no such folder below the sources root") from error
    finally:
        os.close(top)


def _entries(descriptor: int) -> tuple[list[bytes], int, bool]:
    folders: list[bytes] = []
    files = 0
    with os.scandir(descriptor) as entries:
        found = list(islice(entries, _MOST + 1))
    for entry in found[:_MOST]:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode):
            folders.append(os.fsencode(entry.name))
        elif stat.S_ISREG(mode):
            files += 1
    return folders, files, len(found) > _MOST
