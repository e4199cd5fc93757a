"""What triggers keep in step with the tables: galleries, tallies, SQLite's word index.

How they count is in watching.py. The statements are those of revision 0003, and those of when and
where pictures were taken of revision 0005. Who changes them adds a migration that drops and makes
them again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import Connection, MetaData, event, inspect

from caseframe.catalog import gallery_tables  # noqa: F401 - the triggers stand on these tables
from caseframe.catalog.spread import CELLS, cells_of, day_of
from caseframe.catalog.tables import metadata
from caseframe.catalog.watching import LOCK, Counted, Sums, Watch, drop_triggers, function

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
CHANGES = "change"
"""The topic of the tally of how often a gallery changed; the only one that is no trigger's."""
_TALLIES = Sums("tallies", "gallery, topic, a, b, c", ("count", "bytes"))
_WATCHED = tuple(
    Watch(f"{table}_tally", table, columns, (Counted(_TALLIES, rows, others),))
    for table, rows, others, columns in (
        ("files", _FILES, "", ("id", "job_id", "state", "mime", "missing", "size")),
        ("tasks", _TASKS, "", ("image_id", "stage", "version", "state", "found")),
        ("problems", _PROBLEMS, "", ("file_id", "image_id", "stage")),
        (
            "tiles", _TILES, _OF_TILES,
            ("gallery", "image_id", "state", "size", "format", "camera", "month", "country",
             "town"),
        ),
    )
)  # fmt: skip

_DAYS = f"""
SELECT t.gallery, 'day', CAST({day_of("t.captured")} AS text), '', '', 1, t.size {_OWN}
  WHERE t.captured IS NOT NULL
"""
_SPREAD = Watch(
    "tiles_spread", "tiles", ("gallery", "captured", "size", "latitude", "longitude"),
    (Counted(_TALLIES, _DAYS), Counted(CELLS, cells_of(_OWN))),
)  # fmt: skip


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
    return made + _sqlite_words()


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
        made.append(function(name, body, "OLD" if "DELETE" in when else "NEW"))
        made.append(
            f"CREATE TRIGGER {name} {when} FOR EACH ROW EXECUTE FUNCTION caseframe_{name}()"
        )
    return made


# ---- both -----------------------------------------------------------------------------------

_STATEMENTS: dict[str, Callable[[], list[str]]] = {"sqlite": _sqlite, "postgresql": _postgresql}


def create(connection: Connection) -> None:
    """Make the triggers and word indexes of revision 0003; the tables must be there."""
    dialect = connection.dialect.name
    for statement in _STATEMENTS[dialect]():
        connection.exec_driver_sql(statement)
    for watch in _WATCHED:
        _watch(connection, watch)


def create_spread(connection: Connection) -> None:
    """Make the triggers of when and where (revision 0005); the tables must be there."""
    _watch(connection, _SPREAD)


def _watch(connection: Connection, watch: Watch) -> None:
    for statement in watch.triggers(connection.dialect.name):
        connection.exec_driver_sql(statement)


def drop(connection: Connection) -> None:
    """Remove what `create` made, before the tables go."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("DROP INDEX IF EXISTS ix_documents_words")
    else:
        connection.exec_driver_sql("DROP TABLE IF EXISTS document_words")
    names = [("jobs_gallery", "jobs"), ("files_problems", "files")]
    names += [name for watch in _WATCHED for name in watch.names()]
    if connection.dialect.name == "postgresql":
        names.append(("images_tiles", "images"))
    else:
        names += [(f"documents_words_{w}", "documents") for w in ("insert", "delete", "update")]
    drop_triggers(connection, names)


def drop_spread(connection: Connection) -> None:
    """Remove what `create_spread` made."""
    drop_triggers(connection, _SPREAD.names())


def recount(connection: Connection) -> None:
    """Count everything anew: for catalogs that are older than the triggers, and for tests."""
    # How often a gallery changed follows from no rows.
    connection.exec_driver_sql(f"DELETE FROM tallies WHERE topic <> '{CHANGES}'")  # noqa: S608
    connection.exec_driver_sql(f"DELETE FROM {CELLS.table}")  # noqa: S608 - our own words
    for watch in (*_WATCHED, _SPREAD):
        watch.recount(connection)


def count_spread(connection: Connection) -> None:
    """Count when and where pictures were taken, in a catalog that has not done so yet."""
    _SPREAD.recount(connection)


def count_changes(connection: Connection, galleries: Collection[int]) -> None:
    """Count that these galleries, by number, show something else; after `lock` or a change."""
    if galleries:
        numbers = ", ".join(str(number) for number in sorted(galleries))
        query = f"SELECT number, '{CHANGES}', '', '', '', 1, 0 FROM galleries"  # noqa: S608
        query += f" WHERE number IN ({numbers})"
        connection.exec_driver_sql(_TALLIES.add(query, grouped=False))


def lock(connection: Connection) -> None:
    """Wait until no other transaction changes counts. SQLite has one writer at a time anyway.

    Who changes many rows calls this first: two that come upon each other's rows half way, and
    only then upon this lock, would wait for each other.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT {LOCK}")


def _made(_target: MetaData, connection: Connection, **_options: object) -> None:
    create(connection)
    create_spread(connection)


def _dropped(_target: MetaData, connection: Connection, **_options: object) -> None:
    if inspect(connection).has_table("documents"):
        drop_spread(connection)
        drop(connection)


event.listen(metadata, "after_create", _made)
event.listen(metadata, "before_drop", _dropped)
