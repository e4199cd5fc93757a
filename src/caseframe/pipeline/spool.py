"""A folder in memory for pictures from the network, so that workers open files as ever."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from contextlib import suppress

_MEMORY = "/dev/shm"  # noqa: S108 - memory that looks like a folder, on every Linux
_LEAST_FREE = 1_000_000_000


class Spool:
    """Holds pictures as files; in memory where there is room, else in the temporary folder."""

    def __init__(self) -> None:
        self._folder = os.fsencode(tempfile.mkdtemp(prefix="caseframe-spool-", dir=_place()))
        self._numbers = itertools.count(1)

    @property
    def root(self) -> bytes:
        """The folder, as the root of orders."""
        return self._folder

    def name(self) -> bytes:
        """A name that no picture has here."""
        return b"%d" % next(self._numbers)

    def put(self, data: bytes) -> bytes:
        """Store a picture; its name below the root. Raises OSError when there is no room."""
        name = self.name()
        with open(os.path.join(self._folder, name), "xb") as file:
            file.write(data)
        return name

    def drop(self, name: bytes) -> None:
        """Forget a picture."""
        with suppress(OSError):
            os.unlink(os.path.join(self._folder, name))

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _place() -> str | None:
    try:
        status = os.statvfs(_MEMORY)
    except OSError:
        return None
    free = status.f_bavail * status.f_frsize
    return _MEMORY if free >= _LEAST_FREE and os.access(_MEMORY, os.W_OK) else None
