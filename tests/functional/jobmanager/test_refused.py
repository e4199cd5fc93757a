"""What the job manager refuses: sources that are none, people without a right, tokens, methods."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

import grpc
import pytest
from tests.support.jobs import REQUESTS, WAIT, RawClient, as_person, create, listed
from tests.support.web import Person, WebServer

from caseframe.accounts.tokens import Kind, TokenMint, make_service_token, make_task_token
from caseframe.domain.access import JobAccess

OK = grpc.StatusCode.OK
NOT_FOUND = grpc.StatusCode.NOT_FOUND
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
HOUR = timedelta(hours=1)


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
