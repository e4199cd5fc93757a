"""Pictures that look alike: groups of perceptual hashes within a Hamming distance.

All pairs of n hashes would be n^2 / 2 comparisons. Instead each 256-bit hash is cut into 16 words
of 16 bits: two hashes that differ in at most d bits agree, in at least one word, up to d // 16 bits
(multi-index hashing: Norouzi, Punjani, Fleet, CVPR 2012). So only hashes that share such a word are
compared.

Frames of a camera that stands still share nearly all their words, which would make it all pairs
again. So equal hashes count once, and hashes that are in one group already are not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

NEAR = 31
"""Bits of 256 within which PDQ's authors call two pictures the same."""
LEAST_QUALITY = 50
"""Hashes of pictures with less detail are left out, as PDQ's authors advise."""
MOST = 63
_WORDS = 16
_BLOCK = 1 << 20


def pack(hashes: Sequence[bytes]) -> Hashes:
    """(n, 32) bytes of n hashes."""
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32)


def distances(hashes: Hashes, one: bytes) -> Indices:
    """Hamming distance of each of n hashes to `one`: (n,), 0 to 256."""
    different = np.bitwise_xor(hashes, np.frombuffer(one, dtype=np.uint8))
    found: Indices = np.bitwise_count(different).sum(axis=1, dtype=np.int64)
    return found


def near_pairs(
    hashes: Hashes, distance: int, labels: Indices | None = None
) -> Iterator[tuple[Indices, Indices]]:
    """Blocks of index pairs (a < b) of hashes at most `distance` bits apart; pairs may repeat.

    `labels` (n,) may change between blocks; pairs of equal labels are left out.
    """
    labels = np.arange(len(hashes)) if labels is None else labels
    words = np.ascontiguousarray(hashes).view(np.uint16).reshape(-1, _WORDS)
    quads = np.ascontiguousarray(hashes).view(np.uint64)
    for column in range(_WORDS):
        order = np.argsort(words[:, column], kind="stable")
        keys = words[order, column]
        for mask in _masks(distance // _WORDS):
            for one, other in _candidates(keys, order, mask, labels[order]):
                apart = labels[one] != labels[other]
                left, right = one[apart], other[apart]
                near = np.bitwise_count(quads[left] ^ quads[right]).sum(axis=1) <= distance
                if near.any():
                    yield left[near], right[near]


def _masks(radius: int) -> list[int]:
    """All 16-bit words with at most `radius` bits set."""
    bits = range(16)
    return [
        sum(1 << bit for bit in chosen)
        for count in range(radius + 1)
        for chosen in combinations(bits, count)
    ]


def _candidates(
    keys: npt.NDArray[np.uint16], order: Indices, mask: int, labels: Indices
) -> Iterator[tuple[Indices, Indices]]:
    """Pairs (a < b) whose word differs in exactly the bits of `mask`, in blocks of bounded size.

    `labels` are in the order of `keys`; what has partners of its own label only is left out.
    """
    wanted = keys ^ np.uint16(mask)
    low = np.searchsorted(keys, wanted, "left")
    high = np.searchsorted(keys, wanted, "right")
    counts = np.where(_joined(labels, low, high), 0, high - low)
    ends = np.cumsum(counts)
    start = 0
    while start < len(keys):
        base = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, base + _BLOCK, "right")))
        yield _expand(order, low[start:stop], counts[start:stop], start)
        start = stop


def _joined(labels: Indices, low: Indices, high: Indices) -> npt.NDArray[np.bool_]:
    """Whether each of n labels is the only one in its range [low, high); any for an empty range."""
    first = np.minimum(low, len(labels) - 1)
    runs = np.cumsum(np.diff(labels, prepend=labels[:1]) != 0)
    found: npt.NDArray[np.bool_] = (runs[first] == runs[high - 1]) & (labels[first] == labels)
    return found


def _expand(order: Indices, low: Indices, counts: Indices, start: int) -> tuple[Indices, Indices]:
    rows = np.repeat(np.arange(len(low)), counts)
    offset = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    left, right = order[start + rows], order[low[rows] + offset]
    once = left < right
    return left[once], right[once]


def groups(hashes: Hashes, distance: int) -> list[list[int]]:
    """Indices of hashes linked by steps of at most `distance` bits, in groups of two or more.

    `distance` is 0 to 63. Members are in index order, groups by their first member.
    """
    whole = np.ascontiguousarray(hashes).view("V32").reshape(-1)
    distinct, place = np.unique(whole, return_inverse=True)
    labels = np.arange(len(distinct))
    for left, right in near_pairs(distinct.view(np.uint8).reshape(-1, 32), distance, labels):
        _join(labels, left, right)
    gathered: dict[int, list[int]] = {}
    for index, label in enumerate(labels[place].tolist()):
        gathered.setdefault(label, []).append(index)
    return [members for members in gathered.values() if len(members) > 1]


def _join(labels: Indices, left: Indices, right: Indices) -> None:
    """Give the hashes of each pair one label, in place; a label is its group's least index."""
    while True:
        one, other = labels[left], labels[right]
        apart = one != other
        if not apart.any():
            return
        left, right, one, other = left[apart], right[apart], one[apart], other[apart]
        # Of several labels that one is to take at once the least wins; the next round joins others.
        np.minimum.at(labels, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(shorter := labels[labels], labels):
            labels[:] = shorter
