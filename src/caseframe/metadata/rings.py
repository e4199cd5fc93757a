"""Directories of a TIFF structure that lead back to one that leads to them.

Exiv2 says so of the pointers that it follows. It passes over a pointer in a place where it expects
none, and over the maker note of an unknown maker, in silence: another program that opens the
picture may still go round there for ever, so it is worth a line.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from caseframe.metadata.tiff import (
    DIRECTORIES_MOST,
    ENTRIES_MOST,
    ENTRY_BYTES,
    POINTERS,
    SUB_IFDS_MOST,
    long_at,
)

_LONG, _IFD = 4, 13
"""Types of a pointer (TIFF 6.0, page 15; TIFF technical note 1)."""
_MAKER_NOTE = 0x927C
_FOLLOWED = POINTERS | {_MAKER_NOTE}
_FOLLOWED_BY_NIKON = frozenset({0x0011})
"""The preview; anywhere else the number means something else."""
_NIKON = b"Nikon\x00\x02"
_NIKON_HEAD = 10
"""Bytes before the TIFF structure, with offsets of its own, that Nikon's maker note is."""
_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}


def ring(data: bytes | memoryview) -> str | None:
    """One line on the first ring in a TIFF structure; None where there is none."""
    order = _ORDERS.get(bytes(data[:4]))
    return None if order is None else _Walk(memoryview(data), order, _FOLLOWED).found()


class _Walk:
    """One walk from directory to directory, each entered once, and into one maker note."""

    def __init__(self, data: memoryview, order: str, followed: frozenset[int]) -> None:
        self._data, self._order, self._followed = data, order, followed
        self._seen: set[int] = set()
        self._way: set[int] = set()
        self._note: memoryview | None = None

    def found(self) -> str | None:
        """One line on the first ring, which may be in the maker note."""
        back = self.back(self.long(4))
        if back is not None:
            return f"directory at offset {back} leads back to itself"
        within = None if self._note is None else _in_note(self._note)
        return within and f"maker note: {within}"

    def long(self, at: int) -> int:
        """Four bytes as a number; 0, which is no offset, beyond the end."""
        return long_at(self._data, at, self._order)

    def back(self, at: int) -> int | None:
        """The directory on the way here that this one leads back to, through others or straight."""
        if at in self._seen:
            return at if at in self._way else None
        if len(self._seen) == DIRECTORIES_MOST or not 0 < at <= len(self._data) - 2:
            return None
        self._seen.add(at)
        self._way.add(at)
        for target in self._targets(at):
            if (found := self.back(target)) is not None:
                return found
        self._way.remove(at)
        return None

    def _targets(self, at: int) -> Iterator[int]:
        """Where the directory points: by its entries, then as its next one."""
        count: int = struct.unpack_from(self._order + "H", self._data, at)[0]
        end = at + 2 + count * ENTRY_BYTES
        if count > ENTRIES_MOST or end > len(self._data):
            return
        tags = struct.unpack_from(self._order + "H10x" * count, self._data, at + 2)
        for place in [place for place, tag in enumerate(tags) if tag in self._followed]:
            yield from self._followed_from(at + 2 + place * ENTRY_BYTES)
        yield self.long(end)

    def _followed_from(self, entry: int) -> Iterator[int]:
        """One pointer stands in the entry itself, more of them where it says."""
        tag, kind, many, value = struct.unpack_from(self._order + "HHII", self._data, entry)
        if tag == _MAKER_NOTE:
            self._note = self._note or self._data[value : value + many]
        elif kind in (_LONG, _IFD):
            if many == 1:
                yield value
            else:
                yield from (self.long(value + 4 * n) for n in range(min(many, SUB_IFDS_MOST)))


def _in_note(note: memoryview) -> str | None:
    order = _ORDERS.get(bytes(note[_NIKON_HEAD : _NIKON_HEAD + 4]))
    if order is None or note[: len(_NIKON)] != _NIKON:
        return None
    return _Walk(note[_NIKON_HEAD:], order, _FOLLOWED_BY_NIKON).found()
