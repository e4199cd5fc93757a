"""SHA-256, SHA-1 and MD5 of the same bytes in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from caseframe.domain.evidence import Digests


def digests(pieces: Iterable[bytes]) -> Digests:
    """All three digests of the pieces joined; MD5 and SHA-1 serve hash sets, never identity."""
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    md5 = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        sha256.update(piece)
        sha1.update(piece)
        md5.update(piece)
    return Digests(sha256.digest(), sha1.digest(), md5.digest())
