"""Searching at the edges of what there can be, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import pytest
from tests.support.outcomes import done, outcome

from caseframe.catalog import facets, gallery, jobs
from caseframe.catalog.database import Catalog
from caseframe.catalog.recording import record
from caseframe.catalog.search.choices import GalleryQuery
from caseframe.domain.facts import Camera, Capture, Face, Facts, Place


@pytest.fixture
def job(catalog: Catalog) -> str:
    """A crowd on the last day there is, nobody on the first."""
    crowd = Facts(faces=(Face(1, 2, 30, 40, 0.9),) * 120, capture=Capture("9999-12-31T10:00:00"))
    nobody = Facts(faces=(), capture=Capture("0001-01-01T10:00:00"))
    with catalog.begin() as connection:
        made = jobs.create_job(connection, "a job", b"/source", ("exif",)).id
        record(connection, made, [
            outcome(b"crowd", b"crowd", done("exif", facts=crowd)),
            outcome(b"nobody", b"nobody", done("exif", facts=nobody)),
        ])  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("faces:<0", set()),
        ("faces:0", {b"nobody"}),
        ("faces:<=0", {b"nobody"}),
        ("faces:<1", {b"nobody"}),
        ("faces:99", set()),
        ("faces:120", {b"crowd"}),
        ("faces:>98", {b"crowd"}),
        ("faces:>120", set()),
        ("date:>9999", set()),
        ("date:>9999-12-30", {b"crowd"}),
        ("date:9999-12-31", {b"crowd"}),
        ("date:<0001", set()),
        ("date:<0001-01-02", {b"nobody"}),
    ],
)
def test_what_a_range_finds_and_how_many(
    catalog: Catalog, job: str, query: str, expected: set[bytes]
) -> None:
    with catalog.read() as connection:
        page = gallery.page(connection, job, GalleryQuery(query))
        count = gallery.count(connection, job, GalleryQuery(query))
    assert {tile.path for tile in page.tiles} == expected
    assert count.number == len(expected)


TOWNS = ["Walla Walla", "Llanfair" + " pwll" * 40, "甲乙丙丁戊己庚辛壬癸" * 20]


@pytest.mark.parametrize("town", TOWNS)
def test_what_can_be_chosen_is_found_however_many_words_the_paths_have(
    catalog: Catalog, town: str
) -> None:
    facts = Facts(
        camera=Camera("NIKON", "D750"), place=Place(1, 2, town=town, country="Ruritania" * 20)
    )
    copies = [
        outcome(
            b"backup %d/photos of summer holiday/italy trip/IMG_0001.jpg" % n, b"a",
            done("exif", facts=facts),
        )
        for n in range(70)
    ]  # fmt: skip
    with catalog.begin() as connection:
        made = jobs.create_job(connection, "a job", b"/source", ("exif",)).id
        record(connection, made, copies)
    with catalog.read() as connection:
        there = facets.facets(connection, made)
        ((country, named),) = [(place.country, place.town) for place in there.towns]
        for chosen in (
            GalleryQuery(camera=there.cameras[0].value),
            GalleryQuery(country=country),
            GalleryQuery(country=country, town=named),
            GalleryQuery("camera:nikon holiday"),
        ):
            assert len(gallery.page(connection, made, chosen).tiles) == 1
            assert gallery.count(connection, made, chosen).number == 1
