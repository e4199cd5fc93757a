"""From clauses to SQL: for each what must hold of a tile, and where its word index may look first.

The check is the truth. The candidates are words whose tiles include every tile for which the check
holds; `exact` says that they are just those.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, func, literal, not_, or_, select

from caseframe.catalog.gallery_tables import documents, tiles
from caseframe.catalog.search.candidates import Both, Candidates, Either, Lexeme
from caseframe.catalog.search.document import MARK, field_head
from caseframe.catalog.search.language import Clause, Term, Words
from caseframe.catalog.search.spans import sizes
from caseframe.catalog.search.values import MOST, Digest, Mark, Range
from caseframe.catalog.tables import images

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Check:
    """What one clause asks of a tile.

    `bound` when it only bounds a column, `text` when the document must be read for it, `few` when
    the condition itself finds its few tiles by an index.
    """

    condition: Condition
    candidates: Candidates | None = None
    exact: bool = False
    bound: Range | None = None
    text: bool = False
    few: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """All clauses of a query; an empty plan means every tile."""

    checks: tuple[Check, ...] = ()

    @property
    def condition(self) -> Condition:
        """What must hold of a tile."""
        return and_(*(check.condition for check in self.checks))

    @property
    def candidates(self) -> Candidates | None:
        """Where the word index may look; None when no clause says."""
        parts = tuple(check.candidates for check in self.checks if check.candidates is not None)
        return Both(parts) if parts else None

    @property
    def exact(self) -> bool:
        """Whether the candidates are all that must hold."""
        return all(check.exact for check in self.checks)

    @property
    def unproven(self) -> Plan:
        """The checks that candidates do not stand for already."""
        return Plan(tuple(check for check in self.checks if not check.exact))

    @property
    def text(self) -> bool:
        """Whether documents must be read."""
        return any(check.text for check in self.checks)

    @property
    def few(self) -> bool:
        """Whether the conditions find few tiles by themselves."""
        return any(check.few for check in self.checks)

    def bound(self, column: str) -> Range | None:
        """Between which values a column must lie, as far as the clauses say so directly."""
        least, most = -MOST, MOST
        found = False
        for check in self.checks:
            if check.bound is not None and check.bound.column == column:
                least, most = max(least, check.bound.least), min(most, check.bound.most)
                found = True
        return Range(column, least, most) if found else None


def plan(clauses: Sequence[Clause], dialect: str) -> Plan:
    """How to look for what the clauses say; `dialect` is `sqlite` or `postgresql`."""
    return Plan(tuple(_clause(clause, dialect) for clause in clauses))


def _clause(clause: Clause, dialect: str) -> Check:
    checks = [_term(term, dialect) for term in clause]
    if len(checks) == 1:
        return checks[0]
    found = [check.candidates for check in checks if check.candidates is not None]
    all_known = len(found) == len(checks)
    return Check(
        or_(*(check.condition for check in checks)),
        Either(tuple(found)) if all_known else None,
        exact=all_known and all(check.exact for check in checks),
        text=any(check.text for check in checks),
    )


def _term(term: Term, dialect: str) -> Check:
    what = term.what
    if isinstance(what, Words):
        check = _words(what, dialect)
    elif isinstance(what, Mark):
        check = _mark(what)
    elif isinstance(what, Range):
        check = _range(what, dialect)
    else:
        check = _digest(what)
    if not term.negated:
        return check
    return Check(not_(check.condition), text=check.text)


def _holds(text: str, dialect: str) -> Condition:
    """Whether the document contains this text."""
    name = "strpos" if dialect == "postgresql" else "instr"
    return getattr(func, name)(documents.c.text, bindparam(None, text, unique=True)) > 0  # type: ignore[no-any-return]


def _words(what: Words, dialect: str) -> Check:
    head = "" if what.field is None else field_head(what.field)
    words = [head + word for word in what.words]
    last = len(words) - 1
    lexemes = tuple(Lexeme(word, what.prefix and i == last) for i, word in enumerate(words))
    text = " " + " ".join(words) + ("" if what.prefix else " ")
    return Check(_holds(text, dialect), Both(lexemes), exact=len(words) == 1, text=True)


def mark(field: str, word: str, condition: Condition) -> Check:
    """A condition on a tile's columns for which documents hold a word as well."""
    return Check(condition, Lexeme(f"{field}{MARK}{word}"), exact=True)


def _mark(what: Mark) -> Check:
    c = tiles.c
    columns: dict[tuple[str, str], Condition] = {
        ("has", "place"): c.latitude.is_not(None),
        ("has", "problem"): c.problem,
        ("has", "date"): c.captured.is_not(None),
        ("has", "camera"): c.camera.is_not(None),
        ("has", "faces"): func.coalesce(c.faces, 0) > 0,
        ("has", "duplicate"): c.copies > 1,
    }
    if what.field == "format":
        condition = func.lower(func.coalesce(c.format, "")) == what.word
    elif what.field == "state":
        condition = func.replace(c.state, "-", "") == what.word
    else:
        condition = columns[what.field, what.word]
    return mark(what.field, what.word, condition)


def _range(what: Range, dialect: str) -> Check:
    column: ColumnElement[int] = tiles.c[what.column]
    if dialect == "sqlite":  # a sum, or it sorts all within the range instead of walking the order
        column = column + 0
    # Said to be large, or PostgreSQL takes them for numbers as small as the column's.
    least, most = literal(what.least, BigInteger), literal(what.most, BigInteger)
    condition = and_(column.is_not(None), column >= least, column <= most)
    candidates, exact = _range_candidates(what)
    return Check(condition, candidates, exact, bound=what)


def _range_candidates(what: Range) -> tuple[Candidates | None, bool]:
    """Words that stand for spans of values and cover the range; whether they cover no more."""
    if what.least > what.most or (what.column == "faces" and what.most < 0):
        return Lexeme("nothing" + MARK), True
    if what.column == "captured":
        words, exact = dates(what)
        return words, exact and _has_day(what.least) and _has_day(what.most)
    if what.column == "size":
        return sizes(what.least, what.most), False
    if what.column == "faces":
        exact = what.most < _MOST_FACES or (what.least <= _MOST_FACES and what.most > 10**9)
        numbers = range(max(what.least, 0), min(what.most, _MOST_FACES) + 1)
        return _each("faces", numbers or range(_MOST_FACES, _MOST_FACES + 1)), exact
    if what.column in {"width", "height"}:
        low, high = (min(max(n, 0), 2**31).bit_length() for n in (what.least, what.most))
        return _each(what.column, range(low, high + 1)), False
    if what.column == "copies" and what.least > 1:
        return Lexeme(f"has{MARK}duplicate"), what.least == 2 and what.most > 10**9
    return None, False


def _each(field: str, values: range) -> Candidates:
    return Either(tuple(Lexeme(f"{field}{MARK}{number}") for number in values))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_MOST_MONTHS = 36
_MOST_FACES = 99  # more than these are under the word of this many
_MOST_YEARS = 150


def dates(what: Range) -> tuple[Candidates, bool]:
    """Days, months or years; a range of `date:` begins and ends with whole days."""
    first, last = _moment(what.least), _moment(what.most)
    years = range(first.year, last.year + 1)
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    whole_months = first.day == 1 and last.day == monthrange(last.year, last.month)[1]
    whole_years = whole_months and first.month == 1 and last.month == 12
    if len(months) == 1 and not whole_months:
        stem = f"date{MARK}{first.year:04}{first.month:02}"
        days = range(first.day, last.day + 1)
        return Either(tuple(Lexeme(f"{stem}{day:02}") for day in days)), True
    if len(months) <= _MOST_MONTHS and not whole_years:
        words = (f"{m // 12:04}{m % 12 + 1:02}" for m in months)
        return Either(tuple(Lexeme(f"date{MARK}{word}") for word in words)), whole_months
    if len(years) <= _MOST_YEARS:
        words = (f"{year:04}" for year in years)
        return Either(tuple(Lexeme(f"date{MARK}{word}") for word in words)), whole_years
    return Lexeme(f"has{MARK}date"), False


def _moment(seconds: int) -> datetime:
    """The moment of a bound, or the end of time that it lies behind."""
    if _has_day(seconds):
        return _EPOCH + timedelta(seconds=seconds)
    return _FIRST if seconds < 0 else _LAST


def _has_day(seconds: int) -> bool:
    """Whether a bound is in a year that has words."""
    try:
        return _EPOCH + timedelta(seconds=seconds) >= _FIRST
    except OverflowError:
        return False


def _digest(what: Digest) -> Check:
    # Digests are few: the images are found first, and asked for by number.
    numbers = select(images.c.id).where(images.c[what.column] == what.value)
    return Check(tiles.c.image_id.in_(numbers), few=True)
