"""The evidence itself on its way out: read through the source's own descriptor, and checked.

A file is sent only as far as it is the content that was scanned. The last piece waits until the
digest of all is right; else the answer ends early, and its length says that it is not whole.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote
from weakref import finalize

from caseframe.catalog.showing import Content
from caseframe.domain.errors import ReadError
from caseframe.domain.evidence import path_text
from caseframe.scanner.reading import open_root, opened, read_chunks

_CHANGED = "the file is not what it was when it was scanned; scan the folder again"
_INERT = frozenset({
    "image/jpeg", "image/png", "image/webp", "image/tiff", "image/gif", "image/bmp", "image/heic",
    "image/heif", "image/avif",
})  # fmt: skip
_LONGEST_NAME = 200


def media_type(mime: str) -> str:
    """The type to send evidence as: its own if nothing in it can run, else that of mere bytes."""
    return mime if mime in _INERT else "application/octet-stream"


def disposition(path: bytes) -> str:
    """The value of Content-Disposition for a download under the file's own name (RFC 6266)."""
    name = path_text(path).rpartition("/")[2][-_LONGEST_NAME:]
    name = "".join(c for c in name if unicodedata.category(c) not in {"Cc", "Cf"}).strip(" .")
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " -_.()") else "_" for c in name)
    return f"attachment; filename=\"{plain or 'picture'}\"; filename*=UTF-8''{quote(name, safe='')}"


def original(source: bytes, content: Content) -> tuple[bytes, Iterator[bytes]]:
    """(the path that is read, its bytes in pieces), from the first path that still fits.

    Raises ReadError when there is none; while it is read also when it turns out to have changed.
    """
    reason = ReadError("the job knows no path of this picture any more; scan the folder again")
    for path in content.paths:
        with ExitStack() as stack:
            try:
                root = open_root(source)
                stack.callback(os.close, root)
                descriptor, status = stack.enter_context(opened(root, path))
            except OSError as error:
                raise ReadError(f"the source folder cannot be opened: {error.strerror}") from error
            except ReadError as error:
                reason = error
                continue
            if status.st_size == content.size:
                kept = stack.pop_all()
                pieces = _checked(descriptor, content.sha256, kept)
                finalize(pieces, kept.close)  # also if nobody ever asks for a piece
                return path, pieces
            reason = ReadError(_CHANGED)
    raise reason


def _checked(descriptor: int, sha256: bytes, stack: ExitStack) -> Iterator[bytes]:
    """The pieces of a file; `stack` is closed after the last one."""
    with stack:
        digest, held = hashlib.sha256(), b""
        for piece in read_chunks(descriptor):
            if held:
                yield held
            digest.update(piece)
            held = piece
        if digest.digest() != sha256:
            raise ReadError(_CHANGED)
        yield held
