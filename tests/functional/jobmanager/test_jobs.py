"""The job manager's wire contract, spoken by a client that is written from its description."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime
from pathlib import Path

import grpc
import pytest
from tests.support.jobs import WAIT, RawClient, as_person, create, finished, listed
from tests.support.web import Person, WebServer

from caseframe.catalog import jobs
from caseframe.catalog.results import record_stages
from caseframe.domain.facts import Face, Facts, Text
from caseframe.domain.work import StageOutcome, TaskState
from caseframe.jobmanager import messages as wire

NOT_FOUND = grpc.StatusCode.NOT_FOUND


# ---- the life of a job ----------------------------------------------------------------------


def test_sources_are_the_folders_below_the_root(client: RawClient, web: WebServer) -> None:
    found = client("getAvailableSources").sources.values
    assert [one.name for one in found] == ["Broken", "Holidays", "Many", "Office"]
    for one in found:
        modified = (web.sources / one.name).stat().st_mtime
        assert abs(one.modified_at.ToNanoseconds() / 1e9 - modified) < 1e-3
        assert 0 < one.created_at.ToNanoseconds() <= one.modified_at.ToNanoseconds()


def test_a_job_from_making_it_to_deleting_it(
    client: RawClient, owner: Person, web: WebServer
) -> None:
    job = create(client, "Papers")
    (made,) = [one for one in client("getAllJobs").jobs.values if one.id == job]
    assert (made.name, made.description, made.source) == ("Papers", "Words", "Office")
    assert (made.user_id, made.images, made.scanned) == (owner.id, 0, False)
    assert abs(made.created_at.ToNanoseconds() / 1e9 - time.time()) < WAIT
    assert client("startScanningJob", id=job).state == "started"
    finished(client, job)
    (made,) = [one for one in client("getAllJobs").jobs.values if one.id == job]
    assert (made.images, made.jpegs, made.pngs) == (3, 1, 1)
    assert (made.scanned, made.in_progress) == (True, False)
    assert job not in listed(client, "getAllJobsInProgress")
    assert client("deleteJobAndAllData", id=job).success
    assert job not in listed(client)
    assert client.status("deleteJobAndAllData", id=job) is NOT_FOUND
    assert (web.sources / "Office" / "map.webp").exists()


def test_states_of_a_job_that_waits_or_whose_source_is_gone(
    raw: RawClient, web: WebServer, tmp_path: Path
) -> None:
    person = web.account("examiner")
    client = as_person(raw, person)
    waiting = create(client)
    with web.services.catalog.begin() as connection:
        jobs.queue_job(connection, waiting)
        gone = jobs.create_job(
            connection, "Gone", bytes(tmp_path / "gone"), ("exif",), owner_id=person.id
        ).id
    assert client("startScanningJob", id=waiting).state == "pending"
    with web.services.catalog.begin() as connection:
        jobs.start_job(connection, waiting, ())
    assert client("startScanningJob", id=waiting).state == "in-progress"
    assert listed(client, "getAllJobsInProgress") == [waiting]
    assert client("startScanningJob", id=gone).state == "source-missing"
    (shown,) = [one for one in client("getAllJobs").jobs.values if one.id == gone]
    assert shown.source == str(tmp_path / "gone")


def test_images_with_all_that_the_contract_names(client: RawClient, web: WebServer) -> None:
    job = create(client, source="Holidays")
    client("startScanningJob", id=job)
    finished(client, job)
    found = {one.filename: one for one in client("getImages", jobId=job).images.values}
    boat, lake = found["boat.jpg"], found["lake.jpg"]
    data = (web.sources / "Holidays" / "boat.jpg").read_bytes()
    assert len(found) == 2  # the copy of the boat is the same content
    assert (boat.mimetype, boat.format, boat.width, boat.height) == ("image/jpeg", "JPEG", 640, 480)
    assert boat.filesize == pytest.approx(len(data) / 1e6)
    assert (boat.md5, boat.sha1) == (
        hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest(),
    )  # fmt: skip
    assert (boat.source, boat.depth) == ("Holidays", 8)
    assert json.loads(boat.exifData)["Model"] == "NIKON D90"
    assert json.loads(lake.exifData)["Make"] == "Canon"
    assert abs(boat.createdAt.ToNanoseconds() / 1e9 - time.time()) < 3600  # seconds
    assert (boat.tags, list(boat.faces)) == ("", [])
    assert client("getData", filepath=f"/{boat.source}/{boat.filename}") == data


def test_faces_and_captions_reach_the_images(client: RawClient, web: WebServer) -> None:
    job = create(client, source="Many")
    client("startScanningJob", id=job)
    finished(client, job)
    image = int(client("getImages", jobId=job, items=1).images.values[0].id)
    numbers = tuple(n / 128 for n in range(128))
    facts = (
        ("faces", Facts(faces=(Face(1, 2, 30, 40, 0.9, descriptor=numbers),))),
        ("caption", Facts(texts=(Text("caption", "a boat on a lake"),))),
    )
    with web.services.catalog.begin() as connection:
        for stage, said in facts:
            outcome = StageOutcome(stage, "t", TaskState.DONE, True, payload="{}", facts=said)
            record_stages(connection, [(image, outcome)], set())
    shown = client("getImages", jobId=job, items=1).images.values[0]
    with web.services.catalog.begin() as connection:  # other tests see the same pictures
        for stage, _ in facts:
            nothing = StageOutcome(stage, "t", TaskState.DONE, facts=Facts(faces=()))
            record_stages(connection, [(image, nothing)], set())
    assert shown.tags == "a boat on a lake"
    (face,) = shown.faces
    assert (face.x, face.y, face.width, face.height) == (1, 2, 30, 40)
    assert face.hash.split(",")[:3] == ["0.00000000", "0.00781250", "0.01562500"]
    assert len(face.hash.split(",")) == 128


# ---- pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
def test_jobs_come_in_pages_that_survive_new_and_deleted_jobs(
    raw: RawClient, web: WebServer, order: int
) -> None:
    client = as_person(raw, web.account("examiner"))
    made = [create(client, f"Job {number}") for number in range(5)]
    wanted = made if order == 1 else made[::-1]
    assert listed(client, order=order) == wanted
    first = listed(client, items=2, order=order)
    assert first == wanted[:2]
    create(client, "One more")
    by_id = listed(client, items=2, order=order, cursor=first[-1])
    assert by_id == wanted[2:4]
    stored = jobs_place(web, by_id[-1])
    opaque = wire.job_cursor(*stored, descending=order == 2)
    client("deleteJobAndAllData", id=by_id[-1])
    assert listed(client, items=1, order=order, cursor=opaque) == wanted[4:]


def jobs_place(web: WebServer, job: str) -> tuple[datetime, str]:
    with web.services.catalog.read() as connection:
        return jobs.get_job(connection, job).created_at, job


@pytest.mark.parametrize("order", [1, 2])
def test_images_come_in_pages(client: RawClient, scanned_many: str, order: int) -> None:
    whole = [i.id for i in client("getImages", jobId=scanned_many, order=order).images.values]
    assert len(whole) == 24
    assert [int(number) for number in whole] == sorted(map(int, whole), reverse=order == 2)
    paged: list[str] = []
    while page := client(
        "getImages", jobId=scanned_many, items=7, order=order, cursor=paged[-1] if paged else ""
    ).images.values:
        paged += [image.id for image in page]
    assert paged == whole


@pytest.fixture(scope="module")
def scanned_many(client: RawClient) -> str:
    job = create(client, source="Many")
    client("startScanningJob", id=job)
    finished(client, job)
    return job


@pytest.mark.parametrize("cursor", ["x", "é", "e30", "W10", "!!!", "A" * 5000, "9" * 18, "[" * 999])
def test_a_bad_cursor_is_said(client: RawClient, scanned_many: str, cursor: str) -> None:
    for answer in (
        client("getAllJobs", cursor=cursor),
        client("getImages", jobId=scanned_many, cursor=cursor),
    ):
        assert (answer.errors.code, answer.errors.type) == (400, "invalid-input")
        assert answer.errors.message
        assert abs(answer.errors.date.ToNanoseconds() / 1e9 - time.time()) < WAIT


def test_nobody_gets_a_page_without_end(client: RawClient, scanned_many: str) -> None:
    assert len(client("getImages", jobId=scanned_many, items=2**32 - 1).images.values) == 24
    answer = client("getAllJobs", order=7)
    assert (answer.errors.code, answer.errors.type) == (400, "invalid-input")
