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
CONTENT_STATES = frozenset({FileState.PICTURE, FileState.CORRUPT})
"""The states that tell of the content alone; over a limit it is as long as the limits are those."""
PROBLEM_STATES = (FileState.CORRUPT, FileState.UNREADABLE, FileState.OVER_LIMIT)
"""The states that people must be told about."""
FOLDER = "inode/directory"
"""The type of a folder that could not be read: only such folders have a row."""
MOST_PIXELS_A_SIDE = 2**31 - 1
"""The longest side that a catalog holds; a header that says more is not believed."""
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
    """What one reading of a file gave; `modified_ns` as `held_time` gives it.

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


def content_changed(sha256: bytes) -> str:
    """The note on a name whose content is not what it was; `sha256` is what it was."""
    return f"the content changed since the last scan; its SHA-256 was {sha256.hex()}"


def held_time(nanoseconds: int) -> tuple[int, str | None]:
    """(a modification time as a catalog holds it, a note where the file's own is another one).

    Both times are nanoseconds since 1970 UTC. 64 bits with a sign reach from 1677 to 2262, and
    file systems further.
    """
    held = min(max(nanoseconds, -(2**63)), 2**63 - 1)
    if held == nanoseconds:
        return held, None
    seconds = nanoseconds // 10**9
    return held, f"its modification time, {seconds} s from 1970, is beyond what can be stored"


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
