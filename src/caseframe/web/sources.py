"""The sources root as browsers see it: folders as tokens that come back exactly.

A token is a path's bytes percent-encoded, so that names that are no valid text come back as they
were.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

from caseframe.domain.evidence import path_text
from caseframe.scanner import sources


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
    listed = sources.entries(root, path)
    below = path + b"/" if path else b""
    found = tuple(Folder(token_of(below + name), path_text(name)) for name in listed.folders)
    parent = token_of(path.rpartition(b"/")[0]) if path else None
    return Listing(found, listed.files, listed.more, parent)


def folder_at(root: bytes, token: str) -> bytes:
    """The absolute path of a folder below `root`. Raises NotFound for anything else."""
    return sources.folder_at(root, unquote_to_bytes(token))
