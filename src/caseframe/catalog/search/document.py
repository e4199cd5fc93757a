"""The text by which a tile is found: ` img 0042 | nikon d750 | camera·nikon camera·d750 | … `.

Every word stands between blanks, so ` red boat ` is in the text exactly where the two words follow
each other, and ` boa` where a word begins so: that is what a search means, in both databases, and
their indexes only say where to look. A bar ends a value, so that no phrase reaches over it. Words
stand once for themselves and once with the name of their field (`camera·nikon`).
"""

from __future__ import annotations

from collections.abc import Iterable

from caseframe.catalog.search.words import name_words, words

MARK = "·"
"""Between a field and a word; itself part of no word."""
MOST_WORDS = 1200
"""Words of a document, field words included; what is beyond is not found."""
METADATA = frozenset({"title", "description", "keywords", "author", "software", "camera", "place",
                      "metadata"})  # fmt: skip
"""The fields that pictures' own metadata fill; asked for together as `metadata:`."""
CHOICES = {"camera": "camera", "country": "place", "town": "place"}
"""Columns of a tile that are chosen as they stand, with the field whose words find them."""
_MOST_TEXT = 8000
# SQLite's word index parts words at `_`; in its place stands a letter that no field's name has.
_LETTERS = str.maketrans("_", "\N{MODIFIER LETTER LOW MACRON}")


def document(
    paths: Iterable[str],
    texts: Iterable[tuple[str, str]],
    marks: Iterable[tuple[str, str]],
    chosen: Iterable[tuple[str, str]] = (),
) -> str:
    """The text of one tile.

    From its paths, (field, text) pairs, and (field, word) pairs found only by their field. The
    (field, text) pairs of `chosen` stand before all paths: what is chosen must be found, however
    many words there are.
    """
    values: dict[str, None] = {f"{field}{MARK}{word}": None for field, word in marks}
    for field, text in chosen:
        _add(values, words(text), field, plain=False)
    for path in paths:
        for found in name_words(path[-_MOST_TEXT:]):
            _add(values, found, "path")
        for found in name_words(path.rpartition("/")[2][-_MOST_TEXT:]):
            _add(values, found, "name", plain=False)
    for field, text in texts:
        found = words(text[:_MOST_TEXT])
        _add(values, found, field)
        if field in METADATA:
            _add(values, found, "metadata", plain=False)
    return _bounded(values)


def field_head(field: str) -> str:
    """What stands before each word of a field, in letters and digits, with the mark behind it."""
    return field.translate(_LETTERS) + MARK


def _add(values: dict[str, None], found: list[str], field: str, *, plain: bool = True) -> None:
    if found:
        head = field_head(field)
        if plain:
            values[" ".join(found)] = None
        values[" ".join([head + word for word in found])] = None


def _bounded(values: Iterable[str]) -> str:
    text = " " + " | ".join(values) + " "
    if text.count(" ") <= MOST_WORDS:
        return text
    return " " + " ".join(text.split(" ")[1 : MOST_WORDS + 1]) + " "
