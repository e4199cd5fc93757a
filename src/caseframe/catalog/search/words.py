"""Words as they are stored and as they are asked for: one folding, so that both databases agree.

Folding takes case and diacritics away (Unicode NFKD, marks of a combining class dropped, case
folded), so `Zürich` and `ZURICH` are one word, however the dots are encoded. A word is a run of
letters, digits and the marks that belong to them; each Han or Kana character is a word of its own,
because those scripts put no blanks between words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from caseframe.domain.text import storable

LONGEST = 48
"""Characters of a word that count; an index entry has room for no more in every script."""
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_RUN = re.compile(r"[A-Za-z0-9]+")
# Han with its extensions, Hiragana, Katakana.
_ALONE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")


def words(text: str) -> list[str]:
    """The folded words of a text in their order, each at most `LONGEST` characters."""
    if text.isascii():
        return [w if len(w) <= LONGEST else w[:LONGEST] for w in _ASCII_WORD.findall(text.lower())]
    return [word[:LONGEST] for word in _fold(text).split()]


def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", storable(text)).casefold())
    kept = "".join(map(_kept, folded))
    return unicodedata.normalize("NFC", _ALONE.sub(r" \g<0> ", kept))


@lru_cache(maxsize=65536)
def _kept(character: str) -> str:
    """The character if it is part of words, nothing for what is dropped from them, or a blank."""
    kind = unicodedata.category(character)
    if kind[0] in "LN":
        return character
    if kind == "Cf" or unicodedata.combining(character):
        return ""
    return character if kind[0] == "M" else " "


def name_words(path: str) -> Iterator[list[str]]:
    """The words of a path, twice where that is not the same.

    First split at every change of kind (IMG_2016RedBoat: img 2016 red boat), then in whole runs
    (img 2016redboat).
    """
    split = words(_RUN.sub(_split, path) if path.isascii() else _split_any(path))
    yield split
    whole = words(path)
    if whole != split:
        yield whole


def _split(run: re.Match[str]) -> str:
    return " ".join(_PART.findall(run[0]))


def _split_any(path: str) -> str:
    """The same in any script: split where its characters' kinds, written in ASCII, are."""
    composed = unicodedata.normalize("NFC", storable(path))  # a mark apart has no capitals
    kinds = "".join(map(_kind, composed))
    return " ".join(composed[slice(*part.span())] for part in _PART.finditer(kinds))


@lru_cache(maxsize=65536)
def _kind(character: str) -> str:
    """A for a capital, 0 for a digit, a for what else words are made of, or a blank."""
    kind = unicodedata.category(character)
    if _kept(character) == " ":
        return " "
    return "A" if kind == "Lu" else "0" if kind[0] == "N" else "a"
