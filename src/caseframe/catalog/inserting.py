"""Writing many rows at once, each by its natural key, in the way that suits each database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table
from sqlalchemy.exc import StatementError

from caseframe.catalog.tables import FILES_KEY


def upsert(
    connection: Connection,
    table: Table,
    rows: list[dict[str, Any]],
    *,
    update: Iterable[str] | None = None,
) -> None:
    """Insert rows that all have the same keys, once each.

    On a conflict with the natural key, update the columns of `update`; leave the row for None.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        # One statement may not meet the same row twice: the last one counts, as in a row.
        identity = _identity(table)
        rows = list({tuple(row[name] for name in identity): row for row in rows}.values())
    _insert(connection, table, rows, _conflict(connection.dialect.name, table, update))


def insert_rows(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows that all have the same keys and cannot be there yet."""
    if rows:
        _insert(connection, table, rows, "")


def _insert(
    connection: Connection, table: Table, rows: list[dict[str, Any]], conflict: str
) -> None:
    execute = _execute_arrays if connection.dialect.name == "postgresql" else _execute_rows
    execute(connection, table, rows, conflict)


def _execute_rows(
    connection: Connection, table: Table, rows: list[dict[str, Any]], conflict: str
) -> None:
    """One statement for each row, in SQL of our own.

    What SQLAlchemy does to each value on its way takes as long as SQLite takes to write it.
    """
    names = list(rows[0])
    kinds = [_kind("sqlite", table, name) for name in names]
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    changed = [(name, kind.process) for name, kind in zip(names, kinds, strict=True)]
    with _refusing(rows):
        values = [
            tuple([row[name] if change is None else change(row[name]) for name, change in changed])
            for row in rows
        ]
    statement = f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) {conflict}"  # noqa: S608
    connection.exec_driver_sql(statement, values)


def _conflict(dialect: str, table: Table, update: Iterable[str] | None) -> str:
    identity = ", ".join(_identity(table))
    if dialect == "postgresql" and table.name == "files":
        identity = FILES_KEY
    if update is None:
        return f"ON CONFLICT ({identity}) DO NOTHING"
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in update)
    return f"ON CONFLICT ({identity}) DO UPDATE SET {changes}"


def _execute_arrays(
    connection: Connection, table: Table, rows: list[dict[str, Any]], conflict: str
) -> None:
    """All rows in one statement, a column an array: triggers then run once, not once a row."""
    names = list(rows[0])
    kinds = [_kind("postgresql", table, name) for name in names]
    columns = ", ".join(f'"{name}"' for name in names)
    arrays = ", ".join(f"%s::{kind.name}[]" for kind in kinds)
    values = []
    for name, kind in zip(names, kinds, strict=True):
        process = kind.process or (lambda value: value)
        with _refusing(rows):
            plain = [process(row[name]) for row in rows]
        values.append([value.value if isinstance(value, Enum) else value for value in plain])
    statement = f"INSERT INTO {table.name} ({columns}) SELECT * FROM unnest({arrays}) {conflict}"  # noqa: S608
    connection.exec_driver_sql(statement, tuple(values))


@contextmanager
def _refusing(rows: list[dict[str, Any]]) -> Iterator[None]:
    """Raise StatementError, as SQLAlchemy does, for a value that a column's type does not take."""
    try:
        yield
    except (ValueError, TypeError, AttributeError) as error:
        raise StatementError(str(error), None, rows, error) from error


class _Kind(NamedTuple):
    """The type of a column in one database, and what makes a value ready for it, where needed."""

    name: str
    process: Callable[[Any], Any] | None


@cache
def _kind(dialect: str, table: Table, name: str) -> _Kind:
    # Only one of the two is needed, and PostgreSQL's takes a while to load.
    database = import_module(f"sqlalchemy.dialects.{dialect}").dialect()
    column = table.c[name]
    process = column.type.dialect_impl(database).bind_processor(database)
    return _Kind(column.type.compile(database), process)


def _identity(table: Table) -> list[str]:
    natural = {"files": ["job_id", "path"], "images": ["sha256"], "users": ["email_key"]}
    return natural.get(table.name) or [column.name for column in table.primary_key]
