"""Opening a catalog: SQLite in the case folder or PostgreSQL, migrated to this version."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError, OperationalError
from sqlalchemy.pool import QueuePool

from caseframe.catalog import triggers  # noqa: F401 - they come with the tables
from caseframe.catalog.account_tables import metadata  # all tables, not only those of pictures
from caseframe.catalog.patience import STEP_SECONDS, Patience, never
from caseframe.domain.errors import (
    CaseError,
    CatalogAway,
    CatalogBusy,
    CatalogFull,
    CatalogRefused,
)
from caseframe.domain.text import one_line

T = TypeVar("T")
_WITH_GALLERIES = "0003"
_TOO_MUCH = "54"  # PostgreSQL's class of errors for what is over a limit of the program
_MIGRATIONS = Path(__file__).parent / "migrations"


class Catalog:
    """An open catalog. Errors of the database come out as CaseError with what to do about them."""

    def __init__(
        self, engine: Engine, shown: str, patience: Patience, line: threading.Lock | None = None
    ) -> None:
        self._engine = engine
        self._shown = shown
        self._reading = engine.execution_options(reading=True)
        if self.dialect == "postgresql":  # which else shows each statement a state of its own
            self._reading = self._reading.execution_options(isolation_level="REPEATABLE READ")
        self._patience = patience
        # SQLite has one writer at a time. Those of this process stand in line before they take a
        # connection: readers find one free however many wait.
        self._line = line or (threading.Lock() if self.dialect == "sqlite" else None)

    def waiting(
        self, seconds: float | None = None, stop: Callable[[], bool] | None = None
    ) -> Catalog:
        """The same open catalog for somebody who waits so long for it, or until `stop` says so."""
        mine = self._patience
        patience = Patience(mine.seconds if seconds is None else seconds, stop or mine.stop)
        return Catalog(self._engine, self._shown, patience, self._line)

    @property
    def busy_seconds(self) -> float:
        """How long who writes waits for others."""
        return self._patience.seconds

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @property
    def answers_at_once(self) -> bool:
        """Whether who must not wait may read: it is a file, and a connection to it is free."""
        pool = self._engine.pool
        return self.dialect == "sqlite" and isinstance(pool, QueuePool) and pool.checkedin() > 0

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back when it raises.

        Raises CatalogBusy when others write for `busy_seconds`, Stopped.
        """
        until = self._patience.until()
        with self._translated(), self._turn(until), ExitStack() as stack:
            yield self._unlocked(lambda: stack.enter_context(self._engine.begin()), until)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading one state of the catalog; rows may be streamed from it."""
        with self._translated(), self._reading.connect() as connection:
            yield connection

    def patiently(self, work: Callable[[], T]) -> T:
        """Do `work`, again and again while the database is away or held, for `busy_seconds`.

        It must be whole transactions: what was begun when the server went was rolled back.
        """
        return self._patience.again(work)

    @contextmanager
    def _turn(self, until: float) -> Iterator[None]:
        """Be the only writer of this process, where the database has but one."""
        if self._line is None:
            yield
            return
        if not self._patience.take(self._line, until):
            raise self._held()
        try:
            yield
        finally:
            self._line.release()

    def _unlocked(self, work: Callable[[], T], until: float) -> T:
        """Do `work`, again while another process holds the file; it begins a transaction."""
        for _ in self._patience.steps(until):
            try:
                return work()
            except OperationalError as error:
                if not _says_locked(error):
                    raise
        raise self._held()

    def _held(self) -> CatalogBusy:
        return CatalogBusy(
            f"another process holds the catalog {self._shown}; run the same command again "
            "when it has ended (setting busy_seconds)"
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise self._explain(error) from error
        except DatabaseError as error:
            # SQLite says in this general form only that the file is damaged or none of its own.
            if type(error.orig) is sqlite3.DatabaseError:
                raise CaseError(f"the catalog {self._shown} is damaged: {error.orig}") from error
            raise

    def _explain(self, error: OperationalError | InterfaceError) -> CaseError:
        said = one_line(str(error.orig))
        if _says_locked(error):
            return self._held()
        if "disk is full" in said or "No space left" in said or "could not extend" in said:
            return CatalogFull(
                f"no room left for the catalog {self._shown}; free some and run the same "
                "command again, it goes on where it stopped"
            )
        if "readonly" in said or "read-only" in said or "unable to open" in said:
            return CaseError(
                f"the catalog {self._shown} cannot be written: {said}; check the folder's "
                "permissions or give another with --case"
            )
        if str(getattr(error.orig, "sqlstate", "")).startswith(_TOO_MUCH):
            return CatalogRefused(f"the database cannot hold it: {said}")
        gone = f"the catalog {self._shown} does not answer: {said}"
        return CaseError(gone) if self.dialect == "sqlite" else CatalogAway(gone)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _says_locked(error: OperationalError | InterfaceError) -> bool:
    return "locked" in str(error.orig)


def open_sqlite(
    file: Path, *, busy_seconds: float = 120.0, stop: Callable[[], bool] = never
) -> Catalog:
    """The catalog in `file`, made or migrated where needed. Raises CaseError, Stopped."""
    url = f"sqlite:///{file}"
    engine = create_engine(url, connect_args={"timeout": min(STEP_SECONDS, busy_seconds)})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return _migrated(Catalog(engine, str(file), Patience(busy_seconds, stop)))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late; see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # In WAL mode NORMAL survives any crash of ours; a power cut may undo the last batches, whole,
    # and the next run does them again.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -32000")
    # Folding the log back waits for the disk; ten times the default size, ten times less often.
    cursor.execute("PRAGMA wal_autocheckpoint = 10000")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns writer in mid-transaction fails at once when another wrote meanwhile;
    # writers say so from the start with IMMEDIATE and wait their turn.
    mode = "DEFERRED" if connection.get_execution_options().get("reading") else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {mode}")


def open_postgresql(
    url: str, *, busy_seconds: float = 120.0, stop: Callable[[], bool] = never
) -> Catalog:
    """The catalog in a PostgreSQL database. Raises CaseError."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise CaseError("catalog_url is not a database URL; see the settings page") from error
    if parsed.get_backend_name() != "postgresql":
        raise CaseError("catalog_url must start with postgresql+psycopg://")
    if parsed.get_driver_name() != "psycopg":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed, pool_pre_ping=True)
    shown = parsed.render_as_string(hide_password=True)
    return _migrated(Catalog(engine, shown, Patience(busy_seconds, stop)))


def _migrated(catalog: Catalog) -> Catalog:
    """Bring the schema up to date; a catalog that cannot be used is closed again."""
    try:
        if catalog.dialect == "sqlite":  # another program may be making it, or folding its log
            catalog.patiently(lambda: _migrate(catalog))
        else:
            _migrate(catalog)
    except BaseException:
        catalog.close()
        raise
    return catalog


def _migrate(catalog: Catalog) -> None:
    """Make the tables or change them; a catalog of a newer program is refused, not guessed at."""
    head = _head_revision()
    with catalog.read() as connection:
        current = _revision(connection)
    if current == head:
        return
    if current is not None and current not in _known_revisions():
        raise CaseError(
            f"this catalog was written by a newer Caseframe (revision {current}); "
            "use that version or a newer one"
        )
    with catalog.begin() as connection:
        if catalog.dialect == "postgresql":  # two programs that start together migrate once
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('caseframe.migrate'))"))
        if (current := _revision(connection)) is None:
            _create(connection, head)
        elif current != head:
            upgrade(connection)
            _fill(connection, current)


def _fill(connection: Connection, before: str | None) -> None:
    """What galleries show is made from the tables of an older catalog, once they are all new."""
    if (before or "") < _WITH_GALLERIES:
        from caseframe.catalog.tiling import rebuild  # noqa: PLC0415 - it stands on this module

        rebuild(connection)


def _create(connection: Connection, head: str) -> None:
    """Make an empty catalog at once; a test holds that migrations lead to the same tables."""
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head})


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


@cache
def _known_revisions() -> tuple[str, ...]:
    # The files are named by number, so that no start pays for importing the migration tool.
    return tuple(sorted(f.stem.split("_")[0] for f in (_MIGRATIONS / "versions").glob("[0-9]*.py")))


def _head_revision() -> str:
    return _known_revisions()[-1]


def upgrade(connection: Connection) -> None:
    """Run all migrations that this catalog has not had, in the connection's transaction."""
    from alembic import command  # noqa: PLC0415 - slow to import, and rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
