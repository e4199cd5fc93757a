"""Expressions of words, which the word indexes of both databases read in their own way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A word of the index, or all that begin with it."""

    word: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Both:
    """All of these."""

    parts: tuple[Candidates, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of these."""

    parts: tuple[Candidates, ...]


Candidates = Lexeme | Both | Either


_MOST_ALTERNATIVES = 8


def plain(what: Candidates) -> bool:
    """Whether looking this up takes few lists, each read only as far as it is needed."""
    if isinstance(what, Lexeme):
        return not what.prefix
    few = isinstance(what, Both) or len(what.parts) <= _MOST_ALTERNATIVES
    return few and all(map(plain, what.parts))


def whole(what: Candidates) -> Candidates:
    """The same with words as they stand, and none that only begins so: it leads to no more."""
    if isinstance(what, Lexeme):
        return Lexeme(what.word)
    return type(what)(tuple(map(whole, what.parts)))


def render_fts5(what: Candidates) -> str:
    """As an expression of SQLite's FTS5; words are letters, digits and the mark, and quoted."""
    if isinstance(what, Lexeme):
        return f'"{what.word}"' + (" *" if what.prefix else "")
    joined = (" AND " if isinstance(what, Both) else " OR ").join(map(render_fts5, what.parts))
    return f"({joined})"


def render_tsquery(what: Candidates) -> str:
    """As the text form of PostgreSQL's tsquery."""
    if isinstance(what, Lexeme):
        return f"'{what.word}'" + (":*" if what.prefix else "")
    joined = (" & " if isinstance(what, Both) else " | ").join(map(render_tsquery, what.parts))
    return f"({joined})"
