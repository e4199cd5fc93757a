"""Words for numbers in their order: a cover leaves nothing out, and takes in little more."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from caseframe.catalog.search import spans
from caseframe.catalog.search.candidates import Candidates, Either, Lexeme

RNG = random.Random(5)
EDGES = (0, 1, 31, 32, 63, 64, 255, 256, 4095, 4096, 2**20 - 1, 2**20, 2**40 - 1)


def _holds(cover: Candidates, mark: tuple[str, str]) -> bool:
    assert isinstance(cover, Either)
    word = "·".join(mark)
    lexemes = [part for part in cover.parts if isinstance(part, Lexeme)]
    assert len(lexemes) == len(cover.parts)
    return any(word.startswith(x.word) if x.prefix else word == x.word for x in lexemes)


def _pairs() -> list[tuple[int, int]]:
    pairs = [(a, b) for a in EDGES for b in EDGES if a <= b]
    for bits in range(1, 41):
        for _ in range(20):
            low, high = sorted(RNG.randrange(2**bits) for _ in range(2))
            pairs += [(low, high), (low, min(low + RNG.randrange(2000), 2**40 - 1))]
    return pairs


@pytest.mark.parametrize(
    ("cover", "mark"), [(spans.numbers, spans.block_mark), (spans.sizes, spans.size_mark)]
)
def test_a_cover_holds_all_of_its_span(
    cover: Callable[[int, int], Candidates], mark: Callable[[int], tuple[str, str]]
) -> None:
    for low, high in _pairs():
        words = cover(low, high)
        assert isinstance(words, Either)
        assert len(words.parts) <= 64
        for value in (low, high, (low + high) // 2, RNG.randint(low, high)):
            assert _holds(words, mark(value)), (low, high, value)


def test_a_cover_holds_little_else() -> None:
    words = spans.numbers(100_000, 200_000)
    assert not _holds(words, spans.block_mark(95_000))
    assert not _holds(words, spans.block_mark(205_000))
    large = spans.sizes(20_000_000, 2**62)
    assert not _holds(large, spans.size_mark(19_000_000))
    assert _holds(large, spans.size_mark(2**62))


def test_words_stand_in_the_order_of_their_sizes() -> None:
    sizes = sorted({*EDGES, *(RNG.randrange(2 ** RNG.randrange(1, 63)) for _ in range(1000))})
    words = [spans.size_mark(size)[1] for size in sizes]
    assert words == sorted(words)
    assert {len(word) for word in words} == {3}
