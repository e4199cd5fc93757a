"""Folders for pictures from the network, so that workers open files as ever."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from caseframe.domain.errors import ServiceAway

_MEMORY = Path("/dev/shm")  # noqa: S108 - memory that looks like a folder, on every Linux
_LEAST_FREE = 1_000_000_000
_PREFIX = "caseframe-held-"


@dataclass(frozen=True)
class Held:
    """Where a picture lies: a folder, as the root of orders, and its name there."""

    root: bytes
    name: bytes


class Spool:
    """Holds pictures as files; in memory while there is room, else in the temporary folder.

    `least_free` is how many bytes of memory are left to others.
    """

    def __init__(
        self, memory: Path = _MEMORY, disk: Path | None = None, least_free: int = _LEAST_FREE
    ) -> None:
        self._memory = memory
        self._disk = disk or Path(tempfile.gettempdir())
        self._least_free = least_free
        self._folders: dict[Path, bytes] = {}
        self._locks: list[int] = []
        self._numbers = itertools.count(1)

    def nothing(self) -> Held:
        """A place that no picture has, for orders that open none."""
        return Held(os.fsencode(self._disk), self._name())

    def put(self, data: bytes) -> Held:
        """Store a picture. Raises ServiceAway while there is no room: others will be dropped."""
        places = [self._disk]
        if self._fits(len(data)):
            places.insert(0, self._memory)
        for place in places:
            try:
                return self._stored(place, data)
            except OSError as error:
                said = error.strerror
        raise ServiceAway(f"no picture can be stored in {self._disk}: {said}")

    def drop(self, held: Held) -> None:
        """Forget a picture."""
        with suppress(OSError):
            os.unlink(os.path.join(held.root, held.name))

    def close(self) -> None:
        """Remove the folders with all that is in them."""
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        while self._locks:
            os.close(self._locks.pop())

    def _name(self) -> bytes:
        return b"%d" % next(self._numbers)

    def _fits(self, size: int) -> bool:
        try:
            status = os.statvfs(self._memory)
        except OSError:
            return False
        free = status.f_bavail * status.f_frsize
        return free - size >= self._least_free and os.access(self._memory, os.W_OK)

    def _stored(self, place: Path, data: bytes) -> Held:
        held = Held(self._folder(place), self._name())
        try:
            with open(os.path.join(held.root, held.name), "xb") as file:
                file.write(data)
        except FileNotFoundError:  # somebody tidied up: the next one gets a folder of its own
            self._folders.pop(place, None)
            raise
        except OSError:
            self.drop(held)  # its beginning would take room until we end
            raise
        return held

    def _folder(self, place: Path) -> bytes:
        if place not in self._folders:
            _tidy(place)
            made = tempfile.mkdtemp(prefix=_PREFIX, dir=place)
            if (lock := _locked(made)) is not None:
                self._locks.append(lock)
            self._folders[place] = os.fsencode(made)
        return self._folders[place]


def _tidy(place: Path) -> None:
    """Remove what workers left that were killed: its end frees the lock of whoever held it."""
    for folder in place.glob(f"{_PREFIX}*"):
        if (lock := _locked(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder: str | Path) -> int | None:
    """The descriptor of a folder of our own that is locked now; None where that cannot be had."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
    except OSError:
        pass
    os.close(lock)
    return None
