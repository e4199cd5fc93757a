"""R9 over HTTP: the disk of the case, or the one for temporary files, is full."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from tests.support.served import Served, served
from tests.support.volume import fill, volume
from tests.support.web import PASSWORD

ADDRESS = "/vision/process-image"
LARGE = b"\xff\xd8\xff" + bytes(6_000_000)


@contextmanager
def running(case: Path, sources: Path, cache: Path, **settings: str) -> Iterator[Served]:
    """A server whose words go to a file beside the case."""
    log = case.with_suffix(".log")
    with log.open("w") as written, served(case, sources, cache, stderr=written, **settings) as made:
        yield made


def _refused(answer: httpx.Response, *secret: str) -> None:
    assert answer.status_code == 507, answer.text
    said = answer.json()["error"]
    assert said["code"] == "no-room"
    assert len(said["message"]) > 20
    for words in (*secret, "command", "TMPDIR"):
        assert words not in answer.text


def test_an_upload_that_finds_no_room_is_507_without_a_traceback(
    tmp_path: Path, pictures: Path, cache: Path
) -> None:
    case = tmp_path / "case"
    with (
        TemporaryDirectory(prefix="cf-") as short,  # sockets lie below it
        volume(Path(short, "t"), "1m") as small,
        running(
            case, pictures, cache, TMPDIR=str(small), CASEFRAME_ANONYMOUS_CALLS="1000"
        ) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        text = base64.b64encode(LARGE).decode()
        for _ in range(2):
            _refused(client.post(ADDRESS, files={"a": LARGE}), str(small))
            _refused(client.post(ADDRESS, files={"a": LARGE[:700_000], "b": LARGE}), str(small))
            _refused(client.post(ADDRESS, json={"image": text}), str(small))
            _refused(client.post(ADDRESS, json={"images": [text, text]}), str(small))
        assert all(one.is_dir() for one in small.iterdir()), "temporary files were left behind"
        picture = next(pictures.glob("Holidays/*.jpg")).read_bytes()
        assert client.post(ADDRESS, files={"a": picture}).status_code == 200
    log = case.with_suffix(".log").read_text()
    assert "Traceback" not in log
    assert str(small) in log


def test_a_full_case_disk_is_507_without_paths_and_goes_on_when_there_is_room(
    tmp_path: Path, pictures: Path, cache: Path
) -> None:
    with volume(tmp_path / "disk", "8m") as small:
        case = small / "case"
        with (
            served(case, pictures, cache, stderr=subprocess.PIPE) as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
        ):
            who = {"email": "ada@example.org", "password": PASSWORD}
            new = {"key": server.key, "first_name": "Ada", "last_name": "Root", **who}
            made = client.post("/auth/first", data=new, headers={"origin": server.url})
            assert made.status_code == 303
            client.cookies.clear()
            token = client.post("/auth/signin", json=who).json()["accessToken"]
            signed_in = {"authorization": f"Bearer {token}"}
            ballast = fill(small)
            # What is written first may still fit into pages that the log has.
            answers = [client.post("/auth/signin", json=who) for _ in range(30)]
            _refused(answers[-1], str(small), "catalog.sqlite")
            page = client.post(
                "/sign-in", data=who, headers={"origin": server.url, "accept": "text/html"}
            )
            assert page.status_code == 507
            assert "catalog.sqlite" not in page.text
            ballast.unlink()
            assert client.post("/auth/signin", json=who).status_code == 200
            made = client.post("/api/v1/jobs", json={"name": "x", "source": ""}, headers=signed_in)
            assert made.status_code == 201
            assert server.process.stderr is not None
            server.process.terminate()
            log = server.process.stderr.read()
    assert "catalog.sqlite" in log
    assert "Traceback" not in log


def test_streams_and_reasons_of_jobs_name_no_place_either() -> None:
    """What ends up as a job's reason, or in an event, is `public`."""
    from caseframe.domain import errors  # noqa: PLC0415

    for kind in (errors.CaseError, errors.CatalogBusy, errors.CatalogFull, errors.CatalogAway):
        told = kind("the catalog /srv/case/catalog.sqlite; run the same command again")
        assert "/srv" not in told.public
        assert "command" not in told.public
    assert errors.UsageError("no such stage").public == "no such stage"
