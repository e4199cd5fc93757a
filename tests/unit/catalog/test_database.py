"""Opening catalogs: made, migrated, refused with words."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, select, text
from tests.support.outcomes import done, outcome

from caseframe.catalog import database, gallery, jobs, recording, tally, triggers
from caseframe.catalog.database import (
    Catalog,
    open_postgresql,
    open_sqlite,
    upgrade,
)
from caseframe.catalog.gallery_tables import cells, documents, tallies
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.catalog.tables import metadata
from caseframe.domain.errors import CaseError, CatalogBusy, CatalogRefused
from caseframe.domain.facts import Capture, Facts, Place, Text
from caseframe.domain.work import Outcome


def test_migrations_lead_to_the_tables(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated.sqlite'}")
    with engine.begin() as connection:
        upgrade(connection)
    with engine.connect() as connection:
        differences = _differences(connection)
        migrated = _shape(connection)
    assert differences == []
    open_sqlite(tmp_path / "made.sqlite").close()
    made = create_engine(f"sqlite:///{tmp_path / 'made.sqlite'}")
    with made.connect() as connection, engine.connect() as other:
        assert _shape(connection) == migrated
        assert _statements(connection) == _statements(other)
    engine.dispose()
    made.dispose()


def _differences(connection: Connection) -> list[Any]:
    """How the database differs from the tables; word indexes are no tables and compared apart.

    PostgreSQL's index of paths is no column's either; `_statements` has it.
    """

    def wanted(_object: object, name: str | None, *_more: object) -> bool:
        apart = "document_words", "ix_documents_words", "uq_files_job_id_path"
        return not str(name).startswith(apart)

    context = MigrationContext.configure(connection, opts={"include_object": wanted})
    found: list[Any] = compare_metadata(context, metadata)
    return found


def _statements(connection: Connection) -> set[tuple[str, str]]:
    """Triggers, word indexes and functions, which the tables do not hold."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'table'"
        rows = connection.execute(text(query + " OR name = 'document_words'"))
    else:
        rows = connection.execute(text(
            "SELECT tgname, pg_get_triggerdef(oid) || pg_get_functiondef(tgfoid) FROM pg_trigger"
            " WHERE NOT tgisinternal UNION ALL SELECT indexname, indexdef FROM pg_indexes"
            " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"))  # fmt: skip
    return {(name, said) for name, said in rows}


def _shape(connection: object) -> dict[str, object]:
    found = inspect(connection)
    assert found is not None
    return {
        name: (
            sorted((c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)),
            sorted((i["name"], tuple(i["column_names"])) for i in found.get_indexes(name)),
            sorted(tuple(k["constrained_columns"]) for k in found.get_foreign_keys(name)),
        )
        for name in found.get_table_names()
        if name != "alembic_version"
    }


def test_migrations_work_on_postgresql(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        upgrade(connection)
        assert _differences(connection) == []


def test_what_postgresql_can_never_hold_is_no_server_that_went_away(made_postgresql: str) -> None:
    catalog = open_postgresql(made_postgresql)
    with (
        pytest.raises(CatalogRefused, match="cannot hold it: array size"),
        catalog.read() as opened,
    ):
        opened.execute(text("SELECT array_fill(0, ARRAY[2000000000])"))
    catalog.close()


def test_a_migrated_catalog_has_the_same_triggers(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        made = _statements(connection)
        metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        upgrade(connection)
        assert _statements(connection) == made


def test_an_older_catalog_gets_its_gallery(tmp_path: Path) -> None:
    """A catalog of before galleries is filled when it is opened, without a scan."""
    file = tmp_path / "old.sqlite"
    opened = open_sqlite(file)
    with opened.begin() as connection:
        job = jobs.create_job(connection, "old", b"/old", ())
        facts = Facts(texts=(Text("caption", "a red boat"),))
        recording.record(connection, job.id, [outcome(b"a.jpg", b"a", done("exif", facts=facts))])
        before = tally.progress(connection, job.id)
    opened.close()
    _back_to(file, "0002")
    opened = open_sqlite(file)
    with opened.read() as connection:
        page = gallery.page(connection, job.id, GalleryQuery("boat"))
        assert [tile.path for tile in page.tiles] == [b"a.jpg"]
        assert tally.progress(connection, job.id) == before
    opened.close()


def test_two_programs_that_open_an_older_catalog_fill_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that waited for the other finds the work done."""
    file = tmp_path / "old.sqlite"
    open_sqlite(file).close()
    _back_to(file, "0002")
    filled: list[str | None] = []
    fill = database._fill
    begin = Catalog.begin

    def counted(connection: Connection, before: str | None) -> None:
        filled.append(before)
        fill(connection, before)

    def overtaken(self: Catalog) -> Any:
        monkeypatch.setattr(Catalog, "begin", begin)
        open_sqlite(file).close()
        return begin(self)

    monkeypatch.setattr(database, "_fill", counted)
    monkeypatch.setattr(Catalog, "begin", overtaken)
    open_sqlite(file).close()
    assert filled == ["0002"]


def test_documents_of_an_older_catalog_get_the_words_of_new_ones(tmp_path: Path) -> None:
    file = tmp_path / "old.sqlite"
    made = [outcome(b"%d.jpg" % n, b"%d" % n, size=n**5) for n in range(300)]
    opened = open_sqlite(file)
    with opened.begin() as connection:
        job = jobs.create_job(connection, "old", b"/old", ())
        recording.record(connection, job.id, made)
        before = connection.scalars(select(documents.c.text).order_by(documents.c.id)).all()
    opened.close()
    _back_to(file, "0003")
    with sqlite3.connect(file) as older:
        held = [row[0] for row in older.execute("SELECT text FROM documents")]
        assert len(held) == 300
        assert not any(" size·" in text for text in held)
    older.close()
    opened = open_sqlite(file)
    with opened.read() as connection:
        after = connection.scalars(select(documents.c.text).order_by(documents.c.id)).all()
        assert after == before
        page = gallery.page(connection, job.id, GalleryQuery("size:>1000000"), limit=500)
        assert {tile.size for tile in page.tiles} == {n**5 for n in range(300) if n**5 > 10**6}
    opened.close()


def test_an_older_catalog_counts_when_and_where(catalog: Catalog) -> None:
    """What was there before revision 0005 is counted by it, and what comes later by triggers."""
    with catalog.begin() as connection:
        job = jobs.create_job(connection, "old", b"/old", ())
        recording.record(connection, job.id, [_taken(number) for number in range(60)])
        before = _when_and_where(connection)
        _downgrade(connection, "0004")
        upgrade(connection)
        assert _when_and_where(connection) == before
        recording.record(connection, job.id, [_taken(number) for number in range(60, 90)])
        after = _when_and_where(connection)
        triggers.recount(connection)
        assert _when_and_where(connection) == after
        assert len(after) > len(before) > 60


def _taken(number: int) -> Outcome:
    facts = Facts(
        capture=Capture(f"20{number % 30:02}-05-1{number % 3}T10:00:00"),
        place=Place(number - 45.0, 2.0 * number, country="Fiji"),
    )
    return outcome(b"%d.jpg" % number, b"%d" % number, done("exif", facts=facts))


def _when_and_where(connection: Connection) -> set[tuple[Any, ...]]:
    days = connection.execute(select(tallies).where(tallies.c.topic == "day"))
    return {tuple(row) for row in (*days, *connection.execute(select(cells)))}


def _back_to(file: Path, revision: str) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        _downgrade(connection, revision)
    engine.dispose()


def _downgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def test_opening_again_keeps_what_is_there(tmp_path: Path) -> None:
    first = open_sqlite(tmp_path / "c.sqlite")
    with first.begin() as connection:
        made = jobs.create_job(connection, "x", b"/x", ())
    first.close()
    second = open_sqlite(tmp_path / "c.sqlite")
    with second.read() as connection:
        assert jobs.get_job(connection, made.id) == made
    second.close()


def test_a_catalog_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    open_sqlite(tmp_path / "c.sqlite").close()
    with sqlite3.connect(tmp_path / "c.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(CaseError, match="newer Caseframe"):
        open_sqlite(tmp_path / "c.sqlite")


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"this is not a database, it only has its name" * 40)
    with pytest.raises(CaseError):
        open_sqlite(tmp_path / "c.sqlite")


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://root@127.0.0.1/x", "postgresql://nobody@127.0.0.1:1/none"]
)
def test_a_wrong_database_url_is_said_without_its_password(url: str) -> None:
    with pytest.raises(CaseError):
        open_postgresql(url)


def test_the_password_of_a_database_stays_out_of_errors() -> None:
    with pytest.raises(CaseError) as error:
        open_postgresql("postgresql://someone:sesame@127.0.0.1:1/none")
    assert "sesame" not in str(error.value)


def test_a_writer_waits_for_another_and_then_writes(tmp_path: Path) -> None:
    """R11: a lock held for a while loses nothing. For a minute in `make chaos`."""
    opened = open_sqlite(tmp_path / "c.sqlite")
    other = sqlite3.connect(tmp_path / "c.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(1.5, lambda: other.execute("COMMIT")).start()
    started = time.monotonic()
    with opened.begin() as connection:
        jobs.create_job(connection, "late", b"/late", ())
    assert time.monotonic() - started > 1
    with opened.read() as connection:
        assert [job.name for job in jobs.list_jobs(connection)] == ["late"]
    other.close()
    opened.close()


def test_a_lock_held_too_long_is_said(tmp_path: Path) -> None:
    open_sqlite(tmp_path / "c.sqlite").close()
    opened = open_sqlite(tmp_path / "c.sqlite", busy_seconds=0.2)
    other = sqlite3.connect(tmp_path / "c.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CatalogBusy, match="another process"), opened.begin():
        pass
    other.execute("ROLLBACK")
    other.close()
    opened.close()
