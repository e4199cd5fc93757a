"""Triggers that keep galleries, tallies and SQLite's word index in step with the tables.

They run in the transaction of whatever changes a row, so a count can no more be wrong than a
foreign key; a test recounts after random histories. SQLite fires them row by row; PostgreSQL once
a statement, over its transition tables. Where two transactions of PostgreSQL change counts at
once, the second waits for the first (`LOCK`): each must see the other's rows to count them.

The statements are those of revision 0003. Who changes them adds a migration that drops and makes
them again.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, MetaData, event, inspect

from caseframe.catalog import gallery_tables  # noqa: F401 - the triggers stand on these tables
from caseframe.catalog.tables import metadata

LOCK = "pg_advisory_xact_lock(hashtext('caseframe.tally'))"
"""What a transaction of PostgreSQL holds from its first change of a count to its end."""

# SQL is put together here from our own words only. Each of these reads changed rows under the name
# `r` (of tiles: `t`) and gives (gallery, topic, a, b, c, count, bytes).
_TASK = (
    "r.stage, r.version,"
    " r.state || CASE WHEN r.found THEN '+' WHEN NOT r.found THEN '-' ELSE '' END"
)
_FILES = """
SELECT g.number, 'file', r.state, coalesce(r.mime, ''),
  CASE WHEN r.missing THEN 'missing' ELSE '' END, 1, r.size
  FROM {rows} r JOIN galleries g ON g.job_id = r.job_id"""
_TASKS = f"""
SELECT t.gallery, 'task', {_TASK}, 1, 0
  FROM {{rows}} r JOIN tiles t ON t.image_id = r.image_id"""  # noqa: S608
_PROBLEMS = """
SELECT t.gallery, 'problem', r.stage, '', '', 1, 0
  FROM {rows} r JOIN tiles t ON t.image_id = r.image_id
UNION ALL SELECT g.number, 'problem', r.stage, '', '', 1, 0
  FROM {rows} r JOIN files f ON f.id = r.file_id JOIN galleries g ON g.job_id = f.job_id"""
# A gallery that is being deleted has no row any more, and nothing is counted for it.
_OWN = "FROM {rows} t JOIN galleries g ON g.number = t.gallery"
_TILES = f"""
SELECT t.gallery, 'tile', t.state, '', '', 1, t.size {_OWN}
UNION ALL SELECT t.gallery, 'format', t.format, '', '', 1, t.size {_OWN} WHERE t.format IS NOT NULL
UNION ALL SELECT t.gallery, 'camera', t.camera, '', '', 1, t.size {_OWN} WHERE t.camera IS NOT NULL
UNION ALL SELECT t.gallery, 'month', CAST(t.month AS text), '', '', 1, t.size {_OWN}
  WHERE t.month IS NOT NULL
UNION ALL SELECT t.gallery, 'place', t.country, coalesce(t.town, ''), '', 1, t.size {_OWN}
  WHERE t.country IS NOT NULL
"""
_OF_TILES = f"""
UNION ALL SELECT t.gallery, 'task', {_TASK}, 1, 0 {_OWN} JOIN tasks r ON r.image_id = t.image_id
UNION ALL SELECT t.gallery, 'problem', r.stage, '', '', 1, 0 {_OWN}
  JOIN problems r ON r.image_id = t.image_id
"""
_COLUMNS = "(gallery, topic, a, b, c, count, bytes)"
_ADD = (
    "ON CONFLICT (gallery, topic, a, b, c) DO UPDATE SET"
    " count = tallies.count + excluded.count, bytes = tallies.bytes + excluded.bytes"
)
_WATCHED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # table: (what its rows count as, what else does when they come or go, columns that matter)
    "files": (_FILES, "", ("id", "job_id", "state", "mime", "missing", "size")),
    "tasks": (_TASKS, "", ("image_id", "stage", "version", "state", "found")),
    "problems": (_PROBLEMS, "", ("file_id", "image_id", "stage")),
    "tiles": (
        _TILES, _OF_TILES,
        ("gallery", "image_id", "state", "size", "format", "camera", "month", "country", "town"),
    ),
}  # fmt: skip


# ---- SQLite ---------------------------------------------------------------------------------


def _sqlite() -> list[str]:
    made = [
        (
            "CREATE TRIGGER jobs_gallery AFTER INSERT ON jobs BEGIN"
            " INSERT INTO galleries (job_id) VALUES (NEW.id); END"
        ),
        # Before, because a problem is counted by the job of its file.
        (
            "CREATE TRIGGER files_problems BEFORE DELETE ON files BEGIN"
            " DELETE FROM problems WHERE file_id = OLD.id; END"
        ),
    ]
    for table, (rows, others, columns) in _WATCHED.items():
        watched = [c for c in columns if c != "id"]
        changed = " OR ".join(f"OLD.{c} IS NOT NEW.{c}" for c in watched)
        minus, plus = _row("OLD", columns), _row("NEW", columns)
        less, more = _sqlite_add(rows, minus, "-"), _sqlite_add(rows, plus, "")
        came, went = _sqlite_add(rows + others, plus, ""), _sqlite_add(rows + others, minus, "-")
        named, of = f"CREATE TRIGGER {table}_tally_", f"OF {', '.join(watched)} ON {table}"
        made += [
            f"{named}insert AFTER INSERT ON {table} BEGIN {came}; END",
            f"{named}delete AFTER DELETE ON {table} BEGIN {went}; END",
            f"{named}update AFTER UPDATE {of} WHEN {changed} BEGIN {less}; {more}; END",
        ]
    return made + _sqlite_words()


def _row(name: str, columns: tuple[str, ...]) -> str:
    return "(SELECT " + ", ".join(f"{name}.{c} AS {c}" for c in columns) + ")"


def _sqlite_add(query: str, row: str, sign: str) -> str:
    counted = query.format(rows=row)
    named = f"WITH u {_COLUMNS} AS ({counted})"
    columns = f"gallery, topic, a, b, c, {sign}count, {sign}bytes"
    return (
        f"INSERT INTO tallies {_COLUMNS} SELECT * FROM ({named} SELECT {columns} FROM u) "  # noqa: S608
        f"WHERE true {_ADD}"
    )


def _sqlite_words() -> list[str]:
    """The word index over documents: it keeps no text of its own and no positions."""
    drop = (
        "INSERT INTO document_words (document_words, rowid, text)"
        " VALUES ('delete', OLD.id, OLD.text)"
    )
    add = "INSERT INTO document_words (rowid, text) VALUES (NEW.id, NEW.text)"
    named = "CREATE TRIGGER documents_words_"
    changed = "WHEN OLD.text IS NOT NEW.text"
    return [
        # Documents hold folded words between blanks; this tokenizer leaves them as they are.
        (
            "CREATE VIRTUAL TABLE document_words USING fts5 (text, content='documents',"
            " content_rowid='id', tokenize='ascii', detail='none', columnsize=0)"
        ),
        f"{named}insert AFTER INSERT ON documents BEGIN {add}; END",
        f"{named}delete AFTER DELETE ON documents BEGIN {drop}; END",
        f"{named}update AFTER UPDATE OF text ON documents {changed} BEGIN {drop}; {add}; END",
    ]


# ---- PostgreSQL -----------------------------------------------------------------------------

# The words of a document as the index holds them; PostgreSQL's own parser takes no part. The cost
# tells its planner what going through documents without the index would take.
_WORDS = (
    "CREATE OR REPLACE FUNCTION caseframe_words(document text) RETURNS tsvector LANGUAGE plpgsql"
    " IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $body$ BEGIN RETURN"
    " array_to_tsvector(array_remove(string_to_array(btrim(document), ' '), '|')); END $body$"
)
_BEFORE = (  # (trigger, event, what it does, what it returns)
    ("jobs_gallery", "AFTER INSERT ON jobs", "INSERT INTO galleries (job_id) VALUES (NEW.id);"),
    # Before, because a problem is counted by the job of its file.
    ("files_problems", "BEFORE DELETE ON files", "DELETE FROM problems WHERE file_id = OLD.id;"),
    # PostgreSQL runs the triggers of cascades when all of them are through; tiles go first, while
    # the tasks that are counted by them are still there.
    ("images_tiles", "BEFORE DELETE ON images", "DELETE FROM tiles WHERE image_id = OLD.id;"),
)


def _postgresql() -> list[str]:
    index = "CREATE INDEX ix_documents_words ON documents USING gin (caseframe_words(text))"
    made = [_WORDS, index]
    for name, when, body in _BEFORE:
        made.append(_function(name, body, "OLD" if "DELETE" in when else "NEW"))
        made.append(
            f"CREATE TRIGGER {name} {when} FOR EACH ROW EXECUTE FUNCTION caseframe_{name}()"
        )
    for table, (rows, others, _columns) in _WATCHED.items():
        added = (rows + others).format(rows="new_rows")
        gone = _negative((rows + others).format(rows="old_rows"))
        both = f"{rows.format(rows='new_rows')} UNION ALL {_negative(rows.format(rows='old_rows'))}"
        for when, query, changed in (
            ("insert", added, "NEW TABLE AS new_rows"),
            ("delete", gone, "OLD TABLE AS old_rows"),
            ("update", both, "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
        ):
            name = f"{table}_tally_{when}"
            made.append(_function(name, f"PERFORM {LOCK}; {_postgresql_add(query)};", "NULL"))
            made.append(
                f"CREATE TRIGGER {name} AFTER {when.upper()} ON {table} REFERENCING {changed}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION caseframe_{name}()"
            )
    return made


def _function(name: str, body: str, returned: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION caseframe_{name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$body$ BEGIN {body} RETURN {returned}; END $body$"
    )


def _negative(query: str) -> str:
    columns = "gallery, topic, a, b, c, -count, -bytes"
    return f"SELECT {columns} FROM ({query}) AS minus {_COLUMNS}"  # noqa: S608 - our own words


def _postgresql_add(query: str) -> str:
    return (
        f"INSERT INTO tallies {_COLUMNS} SELECT gallery, topic, a, b, c, sum(count), sum(bytes) "  # noqa: S608
        f"FROM ({query}) AS u {_COLUMNS} GROUP BY gallery, topic, a, b, c "
        f"HAVING sum(count) <> 0 OR sum(bytes) <> 0 {_ADD}"
    )


# ---- both -----------------------------------------------------------------------------------

_STATEMENTS: dict[str, Callable[[], list[str]]] = {"sqlite": _sqlite, "postgresql": _postgresql}


def create(connection: Connection) -> None:
    """Make the triggers and word indexes; the tables must be there."""
    for statement in _STATEMENTS[connection.dialect.name]():
        connection.exec_driver_sql(statement)


def drop(connection: Connection) -> None:
    """Remove what `create` made, before the tables go."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP INDEX IF EXISTS ix_documents_words")
    else:
        connection.exec_driver_sql("DROP TABLE IF EXISTS document_words")
    names = [("jobs_gallery", "jobs"), ("files_problems", "files")]
    names += [(f"{t}_tally_{when}", t) for t in _WATCHED for when in ("insert", "delete", "update")]
    if connection.dialect.name == "postgresql":
        names.append(("images_tiles", "images"))
    else:
        names += [(f"documents_words_{w}", "documents") for w in ("insert", "delete", "update")]
    for name, table in names:
        on = f" ON {table}" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{on}")


def recount(connection: Connection) -> None:
    """Count everything anew: for catalogs that are older than the triggers, and for tests."""
    connection.exec_driver_sql("DELETE FROM tallies")
    queries = [_FILES, _TASKS, _PROBLEMS, _TILES]
    for query, table in zip(queries, ("files", "tasks", "problems", "tiles"), strict=True):
        connection.exec_driver_sql(
            f"WITH u {_COLUMNS} AS ({query.format(rows=table)}) INSERT INTO tallies {_COLUMNS} "  # noqa: S608
            "SELECT gallery, topic, a, b, c, sum(count), sum(bytes) FROM u "
            f"WHERE true GROUP BY gallery, topic, a, b, c {_ADD}"
        )


def lock(connection: Connection) -> None:
    """Wait until no other transaction changes counts. SQLite has one writer at a time anyway.

    Who changes many rows calls this first: two that come upon each other's rows half way, and
    only then upon this lock, would wait for each other.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT {LOCK}")


def _made(_target: MetaData, connection: Connection, **_options: object) -> None:
    create(connection)


def _dropped(_target: MetaData, connection: Connection, **_options: object) -> None:
    if inspect(connection).has_table("documents"):
        drop(connection)


event.listen(metadata, "after_create", _made)
event.listen(metadata, "before_drop", _dropped)
