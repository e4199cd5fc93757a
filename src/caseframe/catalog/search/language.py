"""What people type into the search box, read: `camera:nikon place:chamonix "red boat" -canon`.

A query is a list of clauses that must all hold; a clause is one term, or several with OR between
them of which one must hold. docs/search.md says it to users. Nothing here raises anything but
UsageError, whatever is typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from caseframe.catalog.search.values import FILTERS, Value
from caseframe.catalog.search.words import words
from caseframe.domain.errors import UsageError
from caseframe.domain.text import one_line, storable

LONGEST_QUERY = 1000
MOST_TERMS = 40
WORD_FIELDS = (
    "path", "name", "caption", "facts", "text", "camera", "lens", "place", "metadata", "title",
    "description", "keywords", "author", "software",
)  # fmt: skip
"""The fields whose words can be asked for."""
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9_]*):")
_QUOTES = str.maketrans("“”„«»", '"""""')
_EXAMPLE = 'for example: camera:nikon place:chamonix "red boat" -canon'


@dataclass(frozen=True, slots=True)
class Words:
    """Words that follow each other, anywhere or in one field; `prefix`: the last one may go on."""

    field: str | None
    words: tuple[str, ...]
    prefix: bool


@dataclass(frozen=True, slots=True)
class Term:
    """One thing asked for, or (`negated`) the lack of it."""

    what: Words | Value
    negated: bool


Clause = tuple[Term, ...]
"""Terms of which one must hold."""


def parse(query: str, more_fields: Collection[str] = ()) -> tuple[Clause, ...]:
    """The clauses of a query; none for an empty one.

    `more_fields` are fields of words beside WORD_FIELDS; none has the name of a filter.

    Raises UsageError that says where it cannot be read and what was expected there.
    """
    if len(query) > LONGEST_QUERY:
        raise UsageError(
            f"a search takes at most {LONGEST_QUERY:,} characters, this one has {len(query):,}"
        )
    text = "".join(c for c in storable(query) if unicodedata.category(c) != "Cf")
    return _Reader(text.translate(_QUOTES), (*WORD_FIELDS, *more_fields)).clauses()


class _Reader:
    def __init__(self, text: str, word_fields: Collection[str]) -> None:
        self._text = text
        self._word_fields = word_fields
        self._at = 0

    def clauses(self) -> tuple[Clause, ...]:
        found: list[list[Term]] = []
        joined = False  # the last thing read was OR
        count = 0
        while self._skip_blanks():
            if self._or():
                if not found or joined:
                    raise self._error("OR stands between two terms", "boat OR ship")
                joined = True
                continue
            term = self._term()
            count += 1
            if count > MOST_TERMS:
                raise UsageError(f"a search takes at most {MOST_TERMS} terms")
            if term is None:
                continue
            if joined:
                found[-1].append(term)
            else:
                found.append([term])
            joined = False
        if joined:
            raise self._error("a term is expected after OR", "boat OR ship")
        if count and not found:
            raise UsageError(f"there is no letter or digit to search for; {_EXAMPLE}")
        return tuple(tuple(clause) for clause in found)

    def _skip_blanks(self) -> bool:
        while self._at < len(self._text) and not self._visible(self._text[self._at]):
            self._at += 1
        return self._at < len(self._text)

    @staticmethod
    def _visible(character: str) -> bool:
        return not (character.isspace() or unicodedata.category(character) == "Cc")

    def _or(self) -> bool:
        end = self._at + 2
        whole = end >= len(self._text) or not self._visible(self._text[end])
        if self._text.startswith("OR", self._at) and whole:
            self._at = end
            return True
        return False

    def _term(self) -> Term | None:
        """The next term; None for one without a letter or digit, such as a lone `&`."""
        start = self._at
        negated = self._text[self._at] == "-"
        self._at += negated
        field = self._field()
        if field is not None and field not in self._word_fields:
            value = self._value()[0]
            try:
                return Term(FILTERS[field](value), negated)
            except UsageError as error:
                raise UsageError(f"at position {start + 1}: {error}") from None
        value, prefix = self._value()
        found = words(value)
        if not found:
            if field is not None:
                self._at = start
                raise self._error(f"a word is expected after {field}:", f"{field}:boat")
            return None
        if field == "path":
            prefix = prefix and not value.endswith("/")
        return Term(Words(field, tuple(found), prefix), negated)

    def _field(self) -> str | None:
        match = _FIELD.match(self._text, self._at)
        if match is None:
            return None
        name = match[1].lower()
        if name not in self._word_fields and name not in FILTERS:
            known = ", ".join(sorted({*self._word_fields, *FILTERS}))
            raise self._error(
                f"there is no field {one_line(match[1], 40)}; there are {known}",
                '"10:30" in quotation marks searches for the words themselves',
            )
        self._at = match.end()
        return name

    def _value(self) -> tuple[str, bool]:
        """(the text up to the next blank or the closing quotation mark, whether `*` ends it)."""
        if self._text.startswith('"', self._at):
            end = self._text.find('"', self._at + 1)
            if end < 0:
                raise self._error("this quotation mark is never closed", '"red boat"')
            value = self._text[self._at + 1 : end]
            self._at = end + 1
            prefix = self._text.startswith("*", self._at)
            self._at += prefix
            return value, prefix
        start = self._at
        while self._at < len(self._text) and self._visible(self._text[self._at]):
            self._at += 1
        value = self._text[start : self._at]
        return value, value.endswith("*")

    def _error(self, what: str, example: str) -> UsageError:
        return UsageError(f"at position {self._at + 1}: {what}; for example: {example}")
