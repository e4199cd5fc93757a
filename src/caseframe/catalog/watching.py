"""Triggers that keep tables of sums in step with the rows that are summed.

They run in the transaction of whatever changes a row, so a sum can no more be wrong than a foreign
key; a test recounts after random histories. SQLite fires them row by row; PostgreSQL once a
statement, over its transition tables. Where two transactions of PostgreSQL change sums at once,
the second waits for the first (`LOCK`): each must see the other's rows to count them.

SQL is put together here from our own words only.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

LOCK = "pg_advisory_xact_lock(hashtext('caseframe.tally'))"
"""What a transaction of PostgreSQL holds from its first change of a sum to its end."""


@dataclass(frozen=True, slots=True)
class Sums:
    """A table of sums: what its rows are told apart by, and what is summed in each."""

    table: str
    keys: str
    values: tuple[str, ...]

    @property
    def columns(self) -> str:
        """All columns, as SQL lists them."""
        return f"({self.keys}, {', '.join(self.values)})"

    def add(self, query: str, *, sign: str = "", grouped: bool = True) -> str:
        """The statement that adds what a query of all columns gives, in either database.

        Not `grouped` where the query gives each row once: SQLite need not sort for that.
        """
        values = ", ".join(f"{sign}sum({v})" if grouped else f"{sign}{v}" for v in self.values)
        some = " OR ".join(f"sum({value}) <> 0" for value in self.values)
        changes = ", ".join(f"{v} = {self.table}.{v} + excluded.{v}" for v in self.values)
        summed = f"SELECT {self.keys}, {values} FROM u"  # noqa: S608
        if grouped:
            summed += f" GROUP BY {self.keys} HAVING {some}"
        # Named within, because SQLite takes no WITH at the head of a trigger's statement.
        return (
            f"INSERT INTO {self.table} {self.columns}"  # noqa: S608
            f" SELECT * FROM (WITH u {self.columns} AS ({query}) {summed}) AS s WHERE true"
            f" ON CONFLICT ({self.keys}) DO UPDATE SET {changes}"
        )

    def negative(self, query: str) -> str:
        """A query of all columns with every value less than nothing."""
        values = ", ".join(f"-{value}" for value in self.values)
        return f"SELECT {self.keys}, {values} FROM ({query}) AS minus {self.columns}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Counted:
    """What rows add to a table of sums.

    `rows` is a query of all its columns over changed rows, which stand for `{rows}` in it; `others`
    is more of it for rows that come or go, and not for those that only change.
    """

    sums: Sums
    rows: str
    others: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """Which table is watched, the columns that matter, and what its rows add where."""

    name: str
    table: str
    columns: tuple[str, ...]
    counted: tuple[Counted, ...]

    def triggers(self, dialect: str) -> list[str]:
        """The statements that make its triggers."""
        return _postgresql(self) if dialect == "postgresql" else _sqlite(self)

    def names(self) -> list[tuple[str, str]]:
        """(trigger, table) of all of them."""
        return [(f"{self.name}_{when}", self.table) for when in ("insert", "delete", "update")]

    def recount(self, connection: Connection) -> None:
        """Add all rows that there are, as they are now."""
        for one in self.counted:
            connection.exec_driver_sql(one.sums.add(one.rows.format(rows=self.table)))


def _sqlite(watch: Watch) -> list[str]:
    watched = [c for c in watch.columns if c != "id"]
    changed = " OR ".join(f"OLD.{c} IS NOT NEW.{c}" for c in watched)
    old, new = _row("OLD", watch.columns), _row("NEW", watch.columns)
    came, went, before, after = [], [], [], []
    for one in watch.counted:
        sums, all_of = one.sums, one.rows + one.others
        came.append(sums.add(all_of.format(rows=new), grouped=False))
        went.append(sums.add(all_of.format(rows=old), sign="-", grouped=False))
        before.append(sums.add(one.rows.format(rows=old), sign="-", grouped=False))
        after.append(sums.add(one.rows.format(rows=new), grouped=False))
    named, of = f"CREATE TRIGGER {watch.name}_", f"OF {', '.join(watched)} ON {watch.table}"
    return [
        f"{named}insert AFTER INSERT ON {watch.table} BEGIN {'; '.join(came)}; END",
        f"{named}delete AFTER DELETE ON {watch.table} BEGIN {'; '.join(went)}; END",
        f"{named}update AFTER UPDATE {of} WHEN {changed} BEGIN {'; '.join(before + after)}; END",
    ]


def _row(name: str, columns: tuple[str, ...]) -> str:
    return "(SELECT " + ", ".join(f"{name}.{c} AS {c}" for c in columns) + ")"


def _postgresql(watch: Watch) -> list[str]:
    bodies: dict[str, list[str]] = {"insert": [], "delete": [], "update": []}
    for one in watch.counted:
        all_of = one.rows + one.others
        less = one.sums.negative(one.rows.format(rows="old_rows"))
        both = f"{one.rows.format(rows='new_rows')} UNION ALL {less}"
        bodies["insert"].append(one.sums.add(all_of.format(rows="new_rows")))
        bodies["delete"].append(one.sums.add(all_of.format(rows="old_rows"), sign="-"))
        bodies["update"].append(one.sums.add(both))
    seen = {
        "insert": "NEW TABLE AS new_rows",
        "delete": "OLD TABLE AS old_rows",
        "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    }
    made = []
    for when, statements in bodies.items():
        name = f"{watch.name}_{when}"
        made.append(function(name, f"PERFORM {LOCK}; {'; '.join(statements)};", "NULL"))
        made.append(
            f"CREATE TRIGGER {name} AFTER {when.upper()} ON {watch.table} REFERENCING {seen[when]}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION caseframe_{name}()"
        )
    return made


def function(name: str, body: str, returned: str) -> str:
    """The statement that makes a trigger's function in PostgreSQL."""
    return (
        f"CREATE OR REPLACE FUNCTION caseframe_{name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$body$ BEGIN {body} RETURN {returned}; END $body$"
    )


def drop_triggers(connection: Connection, names: list[tuple[str, str]]) -> None:
    """Remove triggers, given as (trigger, table)."""
    for name, table in names:
        on = f" ON {table}" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{on}")
