"""Searching: what is found by what is typed, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from tests.support.outcomes import digests, done, failed, outcome

from caseframe.catalog import gallery, jobs, tiling
from caseframe.catalog.database import Catalog
from caseframe.catalog.gallery_tables import documents, tiles
from caseframe.catalog.recording import record, record_skipped
from caseframe.catalog.search.choices import Area, GalleryQuery
from caseframe.catalog.tables import files, images
from caseframe.domain.errors import UsageError
from caseframe.domain.evidence import FileState, PictureInfo
from caseframe.domain.facts import Camera, Capture, Face, Facts, Place, Text
from caseframe.domain.work import Outcome


@pytest.fixture
def job(catalog: Catalog) -> str:
    with catalog.begin() as connection:
        made = jobs.create_job(connection, "a job", b"/source", ("exif",)).id
        record(connection, made, _pictures())
    return made


def _face() -> Face:
    return Face(1, 2, 30, 40, 0.9)


def _pictures() -> list[Outcome]:
    boat = Facts(
        camera=Camera("NIKON CORPORATION", "NIKON D750", "24-120mm f/4"),
        capture=Capture("2016-07-15T23:30:00-05:00", -300),
        place=Place(45.92, 6.87, town="Chamonix-Mont-Blanc", region="Savoie", country="France"),
        faces=(_face(), _face()),
        texts=(Text("caption", "A red boat on the lake"), Text("title", "Été à Zürich")),
    )
    sea = Facts(
        camera=Camera("Canon", "EOS 5D"),
        capture=Capture("2020-01-02T03:04:05"),
        place=Place(-18.1, 178.4, town="Suva", country="Fiji"),
        faces=(),
        texts=(Text("caption", "boat, red house"), Text("keywords", "東京 straße")),
    )
    large = PictureInfo("image/png", "PNG", 6000, 4000)
    return [
        outcome(b"trip/IMG_2016RedBoat.JPG", b"a", done("exif", facts=boat)),
        outcome(b"trip/DSC0042.png", b"b", done("exif", facts=sea), picture=large, mime="image/png",
                size=7_000_000),
        outcome(b"other/c.jpg", b"c", failed("exif"), state=FileState.CORRUPT, reason="cut"),
        outcome(b"other/copy of c.jpg", b"c", state=FileState.CORRUPT, reason="cut"),
        outcome(b"deep/\xff\xfe.jpg", b"d"),
        outcome(b"notes.txt", b"e", state=FileState.NOT_A_PICTURE, picture=None, thumbnail=None),
    ]  # fmt: skip


ALL = {"a", "b", "c", "d"}


def found(catalog: Catalog, job: str, query: str | GalleryQuery) -> set[str]:
    """The contents of the pictures that a query finds; the count says the same."""
    wanted = GalleryQuery(query) if isinstance(query, str) else query
    names = {digests(name.encode()).sha256: name for name in ALL}
    with catalog.read() as connection:
        page = gallery.page(connection, job, wanted)
        assert gallery.count(connection, job, wanted).number == len(page.tiles)
    return {names[tile.sha256] for tile in page.tiles}


CASES: list[tuple[str | GalleryQuery, set[str]]] = [
    ("", ALL),
    ("boat", {"a", "b"}),
    ("BOAT red", {"a", "b"}),
    ('"red boat"', {"a"}),
    ('"boat red"', {"b"}),
    ('"red bo"', set()),
    ('"red bo"*', {"a"}),
    ("boa", set()),
    ("boa*", {"a", "b"}),
    ("ete zurich", {"a"}),
    ("ÉTÉ ZU\u0308RICH", {"a"}),
    ("caption:boat -canon", {"a"}),
    ("title:boat", set()),
    ("metadata:zurich", {"a"}),
    ("metadata:lake", set()),
    ("camera:nikon place:chamonix", {"a"}),
    ("camera:canon OR camera:nikon", {"a", "b"}),
    ("boat camera:canon OR camera:nikon -suva", {"a"}),
    ("lens:24", {"a"}),
    ("place:chamonix-mont", {"a"}),
    ("-boat", {"c", "d"}),
    ("東京", {"b"}),
    ("京", {"b"}),
    ("STRASSE", {"b"}),
    ("path:trip", {"a", "b"}),
    ("name:trip", set()),
    ("path:trip/dsc*", {"b"}),
    ("img_2016", {"a"}),
    ("0042", {"b"}),
    ('"copy of c"', {"c"}),
    ("format:png", {"b"}),
    ("format:JPG", {"a", "c", "d"}),
    ("state:corrupt", {"c"}),
    ("is:corrupt OR is:duplicate", {"c"}),
    ("copies:>1", {"c"}),
    ("has:problem", {"c"}),
    ("-has:problem has:place", {"a", "b"}),
    ("date:2016", {"a"}),
    ("date:2016-07-15", {"a"}),
    ("date:2016-07-16", set()),
    ("date:2016-06..2016-08", {"a"}),
    ("date:2016-12..2025", {"b"}),
    ("date:>2016", {"b"}),
    ("date:..2019", {"a"}),
    ("-has:date", {"c", "d"}),
    ("faces:2", {"a"}),
    ("faces:0", {"b"}),
    ("faces:>=1", {"a"}),
    ("faces:<5", {"a", "b"}),
    ("has:faces", {"a"}),
    ("size:>5MB", {"b"}),
    ("size:6.5MB..8MB", {"b"}),
    ("width:>1000", {"b"}),
    ("width:64 height:48", {"a", "c", "d"}),
    (f"sha256:{digests(b'c').sha256.hex()}", {"c"}),
    (f"md5:{digests(b'd').md5.hex().upper()}", {"d"}),
    (f"-sha1:{digests(b'd').sha1.hex()}", {"a", "b", "c"}),
    (f"boat sha256:{digests(b'c').sha256.hex()}", set()),
    (GalleryQuery(camera="NIKON CORPORATION NIKON D750"), {"a"}),
    (GalleryQuery(camera="NIKON"), set()),
    (GalleryQuery(country="Fiji", town="Suva"), {"b"}),
    (GalleryQuery("boat", area=Area(-30, 170, 0, -170)), {"b"}),
    (GalleryQuery(area=Area(40, 0, 50, 10)), {"a"}),
]


def test_what_is_found(catalog: Catalog, job: str) -> None:
    wrong = {}
    for query, expected in CASES:
        if (names := found(catalog, job, query)) != expected:
            wrong[str(query)] = (names, expected)
    assert wrong == {}


def test_fields_of_other_makers_may_have_underlines(catalog: Catalog, job: str) -> None:
    texts = (Text("my_plate", "abc 42"), Text("myplate", "other"))
    with catalog.begin() as connection:
        stage = done("plates", facts=Facts(texts=texts))
        record(connection, job, [outcome(b"deep/\xff\xfe.jpg", b"d", stage)])

    def asked(query: str) -> set[str]:
        return found(catalog, job, GalleryQuery(query, fields=frozenset({"my_plate", "myplate"})))

    for query in ("my_plate:abc", "MY_PLATE:ABC", "my_plate:ab*", 'my_plate:"abc 42"', "abc"):
        assert asked(query) == {"d"}, query
    for query in ("my", "plate", "plat*", "myplate:abc", "my_plate:other", 'my_plate:"42 abc"'):
        assert asked(query) == set(), query
    assert asked("-my_plate:abc") == ALL - {"d"}
    assert asked("my_plate:abc OR caption:lake") == {"a", "d"}


def test_the_index_follows_a_stage_that_runs_again(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        number = connection.scalar(
            select(images.c.id).where(images.c.sha256 == digests(b"a").sha256)
        )
        again = done("exif", facts=Facts(texts=(Text("caption", "a green tree"),)))
        order = {"ingest": False, "image_id": number}
        record(connection, job, [outcome(b"trip/IMG_2016RedBoat.JPG", b"a", again, order=order)])
    assert found(catalog, job, "caption:boat") == {"b"}
    assert found(catalog, job, "green") == {"a"}
    assert found(catalog, job, "camera:nikon") == set()
    assert found(catalog, job, "place:chamonix") == set()


def test_the_index_follows_paths(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        record(connection, job, [outcome(b"fresh/zebra.jpg", b"a", already_known=True)])
    assert found(catalog, job, "zebra") == {"a"}
    with catalog.begin() as connection:  # the same path holds another picture now
        record(connection, job, [outcome(b"fresh/zebra.jpg", b"b", already_known=True)])
    assert found(catalog, job, "zebra") == {"b"}
    with catalog.begin() as connection:  # and then none
        row = {"path": b"fresh/zebra.jpg", "size": 1, "modified_ns": 1, "reason": "a link",
               "state": FileState.NOT_A_PICTURE, "mime": "inode/symlink"}  # fmt: skip
        record_skipped(connection, job, [row])
    assert found(catalog, job, "zebra") == set()
    assert found(catalog, job, "") == ALL


def test_a_path_is_found_in_its_own_job_only(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        other = jobs.create_job(connection, "other", b"/other", ()).id
        record(connection, other, [outcome(b"secret/place.jpg", b"a", already_known=True)])
    assert found(catalog, other, "secret boat") == {"a"}
    assert found(catalog, job, "secret") == set()
    assert found(catalog, other, "trip") == set()
    with catalog.begin() as connection:
        jobs.delete_job(connection, other)
        number = connection.scalars(select(tiles.c.id)).all()
        assert len(number) == len(connection.scalars(select(documents.c.id)).all()) == len(ALL)
    assert found(catalog, job, "boat") == {"a", "b"}


def test_content_at_thousands_of_paths_is_bounded(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        rows = [outcome(f"many/{n:05}.jpg".encode(), b"d", already_known=True)
                for n in range(tiling.MOST_COPIES + 50)]  # fmt: skip
        record(connection, job, rows)
        page = gallery.page(connection, job, GalleryQuery("many"))
    assert [tile.copies for tile in page.tiles] == [tiling.MOST_COPIES]


def test_rebuilding_changes_nothing(catalog: Catalog, job: str) -> None:
    def everything() -> str:
        with catalog.read() as connection:
            rows = [
                connection.execute(select(t).order_by(t.c.id)).all() for t in (tiles, documents)
            ]
        return repr(rows)

    before = everything()
    with catalog.begin() as connection:
        tiling.rebuild(connection)
    assert everything() == before
    assert found(catalog, job, "boat") == {"a", "b"}
    with catalog.begin() as connection:
        connection.execute(delete(tiles))
    assert found(catalog, job, "") == set()
    with catalog.begin() as connection:
        tiling.rebuild(connection)
    assert everything() == before


def answers_or_explains(catalog: Catalog, job: str, query: str) -> bool:
    """Whether a query has an answer, or an explanation of one printable line."""
    try:
        return found(catalog, job, query) <= ALL
    except UsageError as error:
        return str(error).isprintable()


NASTY = [
    "'; DROP TABLE images; --",
    "a\0b",
    "\ud800 boat",
    "\u202eboat",
    "boat\u200f",
    "((((",
    "a AND b",
    "NEAR(a b)",
    "a^2",
    "-",
    "*",
    '"',
    '""',
    '"a" "b',
    "a:b:c",
    "camera:",
    "camera:*",
    "OR",
    "a OR",
    "OR a",
    "a OR OR b",
    "a" * 10_000,
    "x " * 5000,
    "col.x:y",
    "{a b}: c",
    "\\",
    "%",
    "_",
    "' OR 1=1",
    "a & b | !c",
    "a:*",
    "<->",
    "date:99999",
    "date:2016-13",
    "date:2016-02-30",
    "date:..",
    "date:0001..9999",
    "date:9999-12-31",
    "date:<0001",
    "size:1e99",
    "size:-1",
    "faces:>>3",
    "faces:999999999999",
    "faces:>150",
    "width:<0",
    "sha256:zz",
    "has:nothing",
    "is:",
    "format:../x",
    "\u0661\u0662",
    "date:\u0662\u0660\u0661\u0666",
    "size:²",
    "\ufdfa" * 300,
    "\u0301\u0301",
    "🚤 boat",
    json.dumps({"a": 1}),
    "http://example.org/x",
    "C:\\x",
    "10:30",
]


def test_hostile_queries_end_in_an_answer_or_an_explanation(catalog: Catalog, job: str) -> None:
    assert [query for query in NASTY if not answers_or_explains(catalog, job, query)] == []


PIECES = [
    '"', "-", "OR", "*", ":", "camera:", "red", "boat", "(", "'", "date:", "..",
    ">", "2016", "\0", "é", "size:", "MB", " ", "has:", "place", ".",
]  # fmt: skip
"""Of which queries are made."""


@settings(
    max_examples=100, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    query=st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    )
)
def test_any_text_is_a_query_or_explained(catalog: Catalog, job: str, query: str) -> None:
    assert answers_or_explains(catalog, job, query)


EXPLAINED = [
    ('red "boat', "position 5"),
    ("colour:red", "no field colour"),
    ("boat OR", "expected after OR"),
    ("OR boat", "between two terms"),
    ("camera:", "expected after camera:"),
    ("red date:2016-13", "position 5"),
    ("faces:many", "faces:>3"),
    ("size:5parsec", "size:>5MB"),
    ("has:wings", "place, faces"),
    ("sha256:12", "64 hexadecimal"),
    ("???", "no letter or digit"),
    ("a" * 1001, "1,000 characters"),
]


def test_what_cannot_be_read_is_explained(catalog: Catalog, job: str) -> None:
    for query, said in EXPLAINED:
        with catalog.read() as connection, pytest.raises(UsageError, match=said):
            gallery.page(connection, job, GalleryQuery(query))


def test_stored_words_cannot_break_the_index(catalog: Catalog, job: str) -> None:
    hostile = [
        "\0\ud800",
        "'):*|&!<->",
        "a" * 3000,
        "\u202e\u200f",
        "x' OR 'y",
        "·|· | ·",
        "İstanbul",
        "ß" * 2000,
        " ".join(str(n) for n in range(9000)),
    ]
    with catalog.begin() as connection:
        facts = Facts(texts=tuple(Text("caption", text) for text in hostile),
                      camera=Camera("'\0|", "\ud800·"))  # fmt: skip
        name = "we'ird | na·me\n\\.jpg".encode()
        record(connection, job, [outcome(name, b"a", done("exif", facts=facts))])
        held = connection.scalars(select(documents.c.text)).all()
    assert max(map(len, held)) < 200_000
    assert found(catalog, job, "istanbul") == {"a"}
    assert found(catalog, job, "a" * 900) == {"a"}
    assert found(catalog, job, "x or y") >= set()
    with catalog.read() as connection:
        assert connection.scalar(select(files.c.id).where(files.c.path == name)) is not None
