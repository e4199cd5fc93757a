"""A catalog from before there were people gets their tables and keeps everything."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Connection

from caseframe.catalog import jobs, migrations
from caseframe.catalog.database import open_sqlite


def _to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def test_jobs_and_files_of_before_stay(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'c.sqlite'}")
    event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys = ON"))
    with engine.begin() as connection:
        _to(connection, "0001")
        connection.execute(
            text(
                "INSERT INTO jobs (id, name, source, state, stages, created_at) "
                "VALUES ('j', 'old', x'2f', 'finished', '[]', 0)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO files (job_id, path, path_text, size, modified_ns, state, "
                "examined_at) VALUES ('j', x'61', 'a', 1, 1, 'not-a-picture', 0)"
            )
        )
    engine.dispose()
    catalog = open_sqlite(tmp_path / "c.sqlite")
    with catalog.read() as connection:
        old = jobs.get_job(connection, "j")
        assert (old.name, old.owner_id) == ("old", None)
        assert connection.scalar(text("SELECT count(*) FROM files")) == 1
        assert connection.scalar(text("SELECT count(*) FROM users")) == 0
    catalog.close()
