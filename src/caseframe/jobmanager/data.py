"""The bytes of one file below the sources root, in pieces, whole or with an error.

Whoever asks names a path. It is opened one name at a time without following links, so nothing
outside of the root can be read, whatever the path says.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from caseframe.domain.errors import JobsAway, NotFound, ReadError
from caseframe.jobmanager.protocol import CHUNK
from caseframe.scanner.reading import ensure_unchanged, open_beneath, open_root

_TAG = b"\x0a"  # of the field `data`: number 1, length-delimited
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_BROKEN = {errno.EACCES, errno.EPERM, errno.EIO}


@dataclass
class OpenFile:
    """A file that was opened, `size` bytes long. The descriptor is its own; close it."""

    descriptor: int
    status: os.stat_result = field(repr=False)

    @property
    def size(self) -> int:
        """How many bytes it had when it was opened."""
        return self.status.st_size

    def messages(self) -> Iterator[bytes]:
        """All bytes as encoded `GetDataResponse`s.

        Encoded by hand, because a message object would copy every piece twice more. Raises
        ReadError when the disk does, or when the file changed while it was read.
        """
        left = self.size
        while left:
            piece = self._read(min(left, CHUNK))
            if not piece:
                break
            left -= len(piece)
            yield b"".join((_TAG, _varint(len(piece)), piece))
        ensure_unchanged(self.descriptor, self.status, self.size - left)

    def _read(self, most: int) -> bytes:
        try:
            return os.read(self.descriptor, most)
        except OSError as error:
            raise ReadError(f"cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


def asked_path(filepath: str, path: bytes) -> bytes:
    """The path relative to the root that a request names; `path` counts where it is not empty."""
    return path or filepath.encode("utf-8").removeprefix(b"/")


def open_file(root: bytes, path: bytes) -> OpenFile:
    """Open a regular file below `root`.

    Raises NotFound for everything that is none or is not there, ReadError for a file that this
    process may not read, JobsAway when no more files can be opened now.
    """
    try:
        top = open_root(root)
        try:
            descriptor = open_beneath(top, path)
        finally:
            os.close(top)
    except OSError as error:
        raise _refusal(error) from error
    except (ReadError, ValueError) as error:
        raise NotFound("there is no such file") from error
    opened = OpenFile(descriptor, os.fstat(descriptor))
    if not stat.S_ISREG(opened.status.st_mode):
        opened.close()
        raise NotFound("there is no such file")
    return opened


def _refusal(error: OSError) -> Exception:
    if error.errno in _NO_ROOM:
        return JobsAway(f"no more files can be opened now: {error.strerror}")
    if error.errno in _BROKEN:
        return ReadError(f"cannot be opened: {error.strerror}")
    return NotFound("there is no such file")


def _varint(number: int) -> bytes:
    """Base 128, the least significant group first, as protobuf writes lengths."""
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)
