"""A small collection of drawn pictures to try the product on: `draw(folder)`."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from caseframe.demo.collection import COLLECTION, README_NAME, README_TEXT, made
from caseframe.demo.errors import DemoError
from caseframe.demo.metadata import Shot
from caseframe.demo.portraits import portrait
from caseframe.domain.evidence import path_text

__all__ = ["DemoError", "draw"]

_README_TIME = datetime(2024, 6, 1, 12, tzinfo=UTC)


def draw(folder: Path, *, progress: Callable[[str], None] | None = None) -> int:
    """Draw the collection into an empty folder, and say how many files it holds.

    A folder that already holds this collection, or a part of it, is completed. Raises DemoError
    when the folder holds anything else, cannot be written, or scikit-image is missing.
    """
    portrait()  # first, so that a missing package is told before anything is written
    root = os.fsencode(folder)
    try:
        os.makedirs(root, exist_ok=True)
        _refuse_strangers(root)
        return _fill(root, progress or _silent)
    except OSError as error:
        raise DemoError(f"cannot draw the demo into {folder}: {error.strerror}") from error


def _silent(_: str) -> None:
    """Nobody wants to know how far it is."""


def _fill(root: bytes, progress: Callable[[str], None]) -> int:
    """Write every file that is not there yet; the number of files that are there in the end."""
    readme = (README_NAME, README_TEXT.encode(), _README_TIME.timestamp())
    count = int(_put(root, *readme))
    for item, data in made():
        if _put(root, item.path, data, _moment(item.shot)):
            count += 1
            progress(path_text(item.path))
    return count


def _refuse_strangers(root: bytes) -> None:
    """Raise DemoError for any file in the folder that is none of the collection's."""
    ours = {item.path for item in COLLECTION} | {README_NAME}
    for place, _, names in os.walk(root):
        for name in names:
            path = os.path.relpath(os.path.join(place, name), root)
            if path not in ours:
                shown = path_text(path)
                raise DemoError(
                    f"the folder is not empty (it holds {shown!r}): choose a new folder"
                )


def _put(root: bytes, path: bytes, data: bytes, moment: float) -> bool:
    """Write one file with its time; False where the file system refuses its name.

    A file that is there with other content is somebody's own and is left alone.
    """
    target = os.path.join(root, path)
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "xb") as file:
            file.write(data)
    except FileExistsError:
        if Path(os.fsdecode(target)).read_bytes() != data:
            raise DemoError(
                f"{path_text(path)!r} is there with other content: choose a new folder"
            ) from None
        if os.stat(target).st_mtime == moment:
            return True
    except OSError:
        if _is_utf8(path):
            raise
        return False  # macOS and some network drives take only UTF-8
    os.utime(target, (moment, moment))
    return True


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def _moment(shot: Shot) -> float:
    """The capture time as seconds since 1970; taken for UTC where the shot has no offset."""
    return datetime.fromisoformat(shot.taken.isoformat() + (shot.offset or "+00:00")).timestamp()
