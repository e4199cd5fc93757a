"""A gallery of which parts are gone, as while its job is deleted in steps; in both databases."""

from __future__ import annotations

from sqlalchemy import delete
from tests.support.outcomes import done, outcome, write

from caseframe.catalog import detail, gallery, jobs
from caseframe.catalog.database import Catalog
from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.tables import files
from caseframe.domain.facts import Facts, PerceptualHash

ALIKE = done("exif", facts=Facts(perceptual_hash=PerceptualHash(bytes(32), 90)))


def test_pictures_of_which_a_copy_is_gone_already_are_shown_with_another(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        job, other = (jobs.create_job(connection, name, b"/s", ()).id for name in "ab")
    for name in (b"x", b"y", b"z"):
        paths = [name + b"/1", name + b"/2", name + b"/3"]
        write(catalog, other, outcome(b"elsewhere/" + name, name, ALIKE))
        write(catalog, job, *[outcome(path, name, ALIKE) for path in paths])
    with catalog.begin() as connection:
        gone = [b"x/1", b"y/1", b"y/2"]
        connection.execute(delete(files).where(files.c.path.in_(gone), files.c.job_id == job))
    with catalog.read() as connection:
        shown = gallery.page(connection, job).tiles
        assert [tile.path for tile in shown] == [b"x/2", b"y/3", b"z/1"]
        assert gallery.count(connection, job) == gallery.Count(3)
        for tile in shown:
            assert detail.detail(connection, job, tile.image_id).tile == tile
            twins = detail.near_twins(connection, job, tile.image_id)
            assert twins == [(0, twin) for twin in shown if twin != tile]


def test_twins_that_the_job_shows_no_more_are_left_out(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        job = jobs.create_job(connection, "a", b"/s", ()).id
    write(catalog, job, *[outcome(name, name, ALIKE) for name in (b"x", b"y", b"z")])
    with catalog.begin() as connection:
        first, second, third = gallery.page(connection, job).tiles
        connection.execute(delete(tiles).where(tiles.c.image_id == second.image_id))
        assert detail.near_twins(connection, job, first.image_id) == [(0, third)]
