"""The job manager's wire contract, spoken by a client that is written from its description."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.support.jobs import REQUESTS, WAIT, RawClient, job_server, messages
from tests.support.web import Person, WebServer

from caseframe.accounts.tokens import (
    Kind,
    TokenMint,
    make_service_token,
    make_task_token,
)
from caseframe.catalog import jobs
from caseframe.catalog.results import record_stages
from caseframe.domain.access import JobAccess
from caseframe.domain.facts import Face, Facts, Text
from caseframe.domain.work import StageOutcome, TaskState
from caseframe.jobmanager import messages as wire

OK = grpc.StatusCode.OK
NOT_FOUND = grpc.StatusCode.NOT_FOUND
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def mint(web: WebServer) -> TokenMint:
    made: TokenMint = web.services.accounts.mint  # type: ignore[attr-defined]
    return made


@pytest.fixture(scope="module")
def address(web: WebServer, mint: TokenMint) -> Iterator[str]:
    stages = tuple(stage.name for stage in web.services.stages)
    with job_server(web.services, web.sources, mint=mint, stages=stages) as where:
        yield where


@pytest.fixture(scope="module")
def raw(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    with grpc.insecure_channel(address) as channel:
        yield RawClient(channel, messages(tmp_path_factory.mktemp("contract")))


def as_person(raw: RawClient, person: Person) -> RawClient:
    return raw.with_token(f"Bearer {person.tokens.access}")


@pytest.fixture(scope="module")
def owner(web: WebServer) -> Person:
    return web.account("examiner")


@pytest.fixture(scope="module")
def client(raw: RawClient, owner: Person) -> RawClient:
    return as_person(raw, owner)


def create(client: RawClient, name: str = "A job", source: str = "Office") -> str:
    return str(client("createNewJob", name=name, description="Words", source=source).id)


def finished(client: RawClient, job: str) -> None:
    end = time.monotonic() + WAIT
    while client("startScanningJob", id=job).state != "completed":
        assert time.monotonic() < end
        time.sleep(0.1)


def listed(client: RawClient, method: str = "getAllJobs", **wanted: object) -> list[str]:
    return [job.id for job in client(method, **wanted).jobs.values]


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
    assert abs(boat.createdAt.ToNanoseconds() / 1e9 - time.time()) < 10 * WAIT
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


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "code"),
    [("", 400), ("nowhere", 404), ("..", 404), ("Office/../..", 404), ("/etc", 404), ("/", 404),
     ("Office/notes.txt", 404), ("Office/", 404), ("%4fffice", 404), ("Office\0", 404),
     (".", 404), ("x" * 5000, 404)],
)  # fmt: skip
def test_a_source_that_is_none_makes_no_job(client: RawClient, source: str, code: int) -> None:
    before = listed(client)
    answer = client("createNewJob", name="Bad", source=source)
    assert answer.WhichOneof("result") == "errors"
    assert answer.errors.code == code
    assert listed(client) == before


def test_a_link_is_no_source(client: RawClient, web: WebServer) -> None:
    link = web.sources / "way out"
    link.symlink_to("/etc")
    try:
        assert "way out" not in [one.name for one in client("getAvailableSources").sources.values]
        assert client("createNewJob", name="Out", source="way out").errors.code == 404
    finally:
        link.unlink()


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_job_needs_a_name(client: RawClient, name: str) -> None:
    assert client("createNewJob", name=name, source="Office").errors.code == 400


def test_a_folder_in_a_source_and_a_name_with_nul(client: RawClient, web: WebServer) -> None:
    (web.sources / "Office" / "deep").mkdir(exist_ok=True)
    job = create(client, "a\0b", "Office/deep")
    (made,) = [one for one in client("getAllJobs").jobs.values if one.id == job]
    assert (made.source, made.name) == ("Office/deep", "a\ufffdb")


FIELDS = {
    "getAllJobs": {}, "getAllJobsInProgress": {}, "getAvailableSources": {},
    "createNewJob": {"name": "New", "source": "Office"}, "deleteJobAndAllData": {"id": "JOB"},
    "startScanningJob": {"id": "JOB"}, "getImages": {"jobId": "JOB"},
    "getData": {"filepath": "/Office/map.webp"},
}  # fmt: skip


def fields(method: str, job: str) -> dict[str, str]:
    return {key: job if value == "JOB" else value for key, value in FIELDS[method].items()}


@pytest.mark.parametrize("method", sorted(REQUESTS))
def test_nobody_gets_in_without_a_token(
    raw: RawClient, client: RawClient, mint: TokenMint, owner: Person, method: str
) -> None:
    job = create(client)
    asked = fields(method, job)
    tokens = [None, "", "Bearer", "Bearer ", "x", "Bearer a.b.c", owner.tokens.refresh,
              make_service_token(mint, "gateway", HOUR),
              mint.make(Kind.ACCESS, owner.id, -HOUR, session_id="x"),
              mint.make(Kind.ACCESS, owner.id, HOUR, session_id=str(uuid.uuid4()))]  # fmt: skip
    if method != "getData":
        tokens.append(make_task_token(mint, job, HOUR))
    for token in tokens:
        assert raw.with_token(token).status(method, **asked) is UNAUTHENTICATED, token
    bare = raw.with_token(owner.tokens.access)
    for id_ in (None, "", "x" * 129, "two words", "a;b"):
        bare.correlation_id = id_
        assert bare.status(method, **asked) is grpc.StatusCode.INVALID_ARGUMENT, id_
    assert job in listed(client)


def test_the_scheme_may_be_left_out(raw: RawClient, owner: Person) -> None:
    for token in (owner.tokens.access, f"bearer {owner.tokens.access}"):
        assert raw.with_token(token).status("getAllJobs") is OK


def test_other_peoples_jobs_are_not_there(
    raw: RawClient, client: RawClient, web: WebServer
) -> None:
    """S3: every method that takes an id, with the id of somebody else's job."""
    job = create(client, source="Many")
    stranger = as_person(raw, web.account("examiner"))
    for method in ("deleteJobAndAllData", "startScanningJob", "getImages"):
        answers = {stranger.status(method, **fields(method, i)) for i in (job, str(uuid.uuid4()))}
        assert answers == {NOT_FOUND}, method
        assert stranger.status(method, **fields(method, "' OR 1=1")) is NOT_FOUND
    assert listed(stranger) == listed(stranger, "getAllJobsInProgress") == []
    assert stranger.status("getAllJobs", cursor=job) is NOT_FOUND
    assert stranger.status("getData", filepath="/Many/100.jpg") is NOT_FOUND
    assert job in listed(client)


def test_roles_bound_what_people_may_do(raw: RawClient, web: WebServer, client: RawClient) -> None:
    viewer = web.account("viewer")
    looks = as_person(raw, viewer)
    refused = grpc.StatusCode.PERMISSION_DENIED
    assert looks.status("createNewJob", name="New", source="Office") is refused
    assert looks.status("getAvailableSources") is refused
    person = web.account("examiner")
    job = create(as_person(raw, person))
    owner = web.principal(person)
    web.services.sharing.share(owner, job, viewer.email, JobAccess.EDITOR)
    assert listed(looks) == [job]
    assert looks.status("getImages", jobId=job) is OK
    assert looks.status("getData", filepath="/Office/map.webp") is OK
    assert looks.status("getData", filepath="/Many/100.jpg") is NOT_FOUND
    assert looks.status("startScanningJob", id=job) is refused
    assert looks.status("deleteJobAndAllData", id=job) is refused
    assert job in listed(as_person(raw, web.administrator), items=500, order=2)


def test_a_session_that_ended_is_refused(raw: RawClient, web: WebServer) -> None:
    person = web.account("examiner")
    client = as_person(raw, person)
    assert client.status("getAllJobs") is OK
    web.services.accounts.sign_out(web.principal(person))
    for method in REQUESTS:
        assert client.status(method, **fields(method, "x")) is UNAUTHENTICATED


def test_a_tasks_token_reads_its_jobs_files_and_no_more(
    raw: RawClient, client: RawClient, mint: TokenMint
) -> None:
    job = create(client, source="Office")
    worker = raw.with_token(f"Bearer {make_task_token(mint, job, HOUR)}")
    assert worker("getData", filepath="/Office/notes.txt") == b"Nothing to see here.\n"
    for path in ("/Many/100.jpg", "/Office/../Many/100.jpg", "/Officer/x", "/Office", "/"):
        assert worker.status("getData", filepath=path) is NOT_FOUND, path
    expired = raw.with_token(make_task_token(mint, job, -HOUR))
    assert expired.status("getData", filepath="/Office/notes.txt") is UNAUTHENTICATED
    client("deleteJobAndAllData", id=job)
    end = time.monotonic() + WAIT  # what the token opens is remembered for a moment
    while worker.status("getData", filepath="/Office/notes.txt") is not NOT_FOUND:
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("method", ["submit", "stop", "progress"])
def test_orders_of_the_gateway_need_a_services_token(
    raw: RawClient, owner: Person, mint: TokenMint, method: str
) -> None:
    call: Any = raw.channel.unary_unary(f"/jobmanager.JobControl/{method}")
    for token in (None, owner.tokens.access, make_task_token(mint, "x", HOUR)):
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", metadata=raw.with_token(token).metadata(), timeout=WAIT)
        assert refused.value.code() is UNAUTHENTICATED


# ---- what tools ask -------------------------------------------------------------------------


def test_reflection_tells_the_contract(raw: RawClient) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(raw.channel)
    ask = reflection_pb2.ServerReflectionRequest
    requests = iter(
        [ask(list_services=""), ask(file_containing_symbol="jobmanager.JobManagerController")]
    )
    services, file = stub.ServerReflectionInfo(requests, timeout=WAIT)
    names = {one.name for one in services.list_services_response.service}
    assert {"jobmanager.JobManagerController", "grpc.health.v1.Health"} <= names
    found = FileDescriptorProto.FromString(file.file_descriptor_response.file_descriptor_proto[0])
    told = {
        (message.name, field.name, field.number, field.type, field.label)
        for message in found.message_type
        for field in message.field
    }
    (ours,) = [service for service in found.service if service.name == "JobManagerController"]
    assert [method.name for method in ours.method] == list(REQUESTS)
    for name in {one for pair in REQUESTS.values() for one in pair} | {"Job", "Image", "FaceData"}:
        for field in raw.message(name).DESCRIPTOR.fields:
            label = 3 if field.is_repeated else 1
            assert (name, field.name, field.number, field.type, label) in told


def test_health_is_told_to_those_who_ask_and_those_who_watch(raw: RawClient) -> None:
    stub: Any = health_pb2_grpc.HealthStub(raw.channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    for name in ("", "jobmanager.JobManagerController", "jobmanager.JobControl"):
        request = health_pb2.HealthCheckRequest(service=name)
        assert stub.Check(request, timeout=WAIT).status == serving
        watch = stub.Watch(request, timeout=WAIT)
        assert next(watch).status == serving
        watch.cancel()
