"""What is known of a file and of the picture in it, before any stage looks at it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum


class FileState(StrEnum):
    """The one state in which every file of a source ends; all but the first with a reason."""

    PICTURE = "picture"
    NOT_A_PICTURE = "not-a-picture"
    UNREADABLE = "unreadable"
    CORRUPT = "corrupt"
    OVER_LIMIT = "over-limit"


PICTURE_STATES = frozenset({FileState.PICTURE, FileState.CORRUPT, FileState.OVER_LIMIT})
"""The states of files whose content is a picture, whatever is wrong with it."""
PROBLEM_STATES = (FileState.CORRUPT, FileState.UNREADABLE, FileState.OVER_LIMIT)
"""The states that people must be told about."""
SCAN = "scan"
"""Stands where a stage's name would, for what the scanner itself has to say."""


@dataclass(frozen=True)
class Digests:
    """The three digests of one file's content, raw bytes; only `sha256` is identity."""

    sha256: bytes
    sha1: bytes
    md5: bytes


@dataclass(frozen=True)
class PictureInfo:
    """What a picture's header says; width and height are in pixels of the upright picture."""

    mime: str
    format: str
    width: int
    height: int
    orientation: int = 1
    """EXIF orientation 1-8 that was applied to make the picture upright; 1 when it has none."""
    colorspace: str | None = None
    bit_depth: int | None = None
    """Bits a channel."""
    resolution_dpi: float | None = None
    """Horizontal pixels an inch; None when the file does not say."""


@dataclass(frozen=True)
class Thumbnail:
    """A small upright copy, encoded; `data` is a whole JPEG file."""

    mime: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True)
class Examined:
    """What one reading of a file gave.

    `digests` is None when the bytes could not be read (or were left alone), `picture` when the
    content is not a picture or its header cannot be read, `thumbnail` when no pixel could be
    decoded. `notes` are remarks that do not change the state, such as a wrong file extension.
    """

    state: FileState
    size: int
    modified_ns: int
    reason: str | None = None
    mime: str | None = None
    digests: Digests | None = None
    picture: PictureInfo | None = None
    thumbnail: Thumbnail | None = None
    notes: tuple[str, ...] = ()


def path_text(path: bytes) -> str:
    """A path as text for people; bytes that are not UTF-8 show as U+FFFD, the same for all."""
    return path.decode("utf-8", "replace")


def path_base64(path: bytes) -> str | None:
    """The exact bytes of a path that is not UTF-8, in base64; None when the text says it all."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(path).decode("ascii")
    return None


def path_fields(path: bytes) -> dict[str, str]:
    """A path for JSON: `path` as text, and `path_bytes` in base64 where that is not exact."""
    exact = path_base64(path)
    return {"path": path_text(path)} | ({} if exact is None else {"path_bytes": exact})
