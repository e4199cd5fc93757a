"""Words for numbers in their order, so that the word index can narrow a search to a span of them.

A number is written in as many hexadecimal digits as the largest one, so that what begins alike lies
together, and a long span is a few beginnings. What they cover may be more than the span.
"""

from __future__ import annotations

from collections.abc import Iterable

from caseframe.catalog.search.candidates import Candidates, Either, Lexeme
from caseframe.catalog.search.document import MARK

_MOST_WORDS = 24
_SIZE_DIGITS = 3
_BLOCK_DIGITS = 8
BLOCK_BITS = 8
"""Bits of an image's number that its block leaves out."""
_LARGEST_SIZE = 2**63 - 1


def size_mark(size: int) -> tuple[str, str]:
    """The field and word of a size in bytes: 32 words for each doubling."""
    return "size", f"{_size_step(size):0{_SIZE_DIGITS}x}"


def block_mark(image_id: int) -> tuple[str, str]:
    """The field and word of the 256 images that are numbered around this one.

    The field has no name, so that nobody can type it.
    """
    return "", f"{block_of(image_id):0{_BLOCK_DIGITS}x}"


def block_of(image_id: int) -> int:
    """The number of an image's block."""
    return image_id >> BLOCK_BITS


def sizes(least: int, most: int) -> Candidates:
    """Words that cover all sizes from `least` to `most`."""
    low, high = (_size_step(min(max(size, 0), _LARGEST_SIZE)) for size in (least, most))
    return _beginnings("size", low, high, _SIZE_DIGITS)


def numbers(first: int, last: int) -> Candidates:
    """Words that cover all images from one number to another."""
    return _beginnings("", block_of(first), block_of(last), _BLOCK_DIGITS)


def blocks(wanted: Iterable[int]) -> Candidates:
    """Words that cover these blocks of images."""
    return Either(tuple(Lexeme(f"{MARK}{number:0{_BLOCK_DIGITS}x}") for number in wanted))


def _size_step(size: int) -> int:
    bits = size.bit_length()
    return bits * 32 + ((size >> max(bits - 6, 0)) & 31)


def _beginnings(field: str, low: int, high: int, width: int) -> Candidates:
    """Words of `width` digits, and beginnings of such, that cover `low` to `high`."""
    heads: list[Lexeme] = []
    whole = True

    def add(steps: range) -> None:
        heads.extend(Lexeme(f"{field}{MARK}{step:0{width}x}", not whole) for step in steps)

    while high - low >= 256 * _MOST_WORDS:  # so many that a little more than these will do
        low, high, width, whole = low >> 4, high >> 4, width - 1, False
    if high - low >= 16 * _MOST_WORDS:
        first = -(-low // 16)  # of a span without an end, most of what there is lies at its start
        add(range(low, first * 16))
        low, high, width, whole = first, high >> 4, width - 1, False
    while width > 1 and high - low >= 16:
        first, last = -(-low // 16), (high + 1) // 16 - 1  # what is whole among the sixteens
        add(range(low, first * 16))
        add(range((last + 1) * 16, high + 1))
        low, high, width, whole = first, last, width - 1, False
    add(range(low, high + 1))
    return Either(tuple(heads))
