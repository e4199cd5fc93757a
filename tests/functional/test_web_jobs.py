"""Jobs over REST: made, started, stopped, watched, mended, shared, deleted."""

from __future__ import annotations

import html
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import and_, select, update
from tests.support.outcomes import outcome
from tests.support.waiting import eventually
from tests.support.web import WebServer, web_server

from caseframe.catalog import jobs, problem_list
from caseframe.catalog.recording import record
from caseframe.catalog.tables import files, tasks
from caseframe.domain.errors import JobsAway
from caseframe.domain.evidence import FileState
from caseframe.domain.work import JobState, TaskState
from caseframe.web.pages import jobs as job_pages
from caseframe.web.pages import problems as pages


def progress_events(client: httpx.Client, job_id: str) -> Iterator[dict[str, Any]]:
    """The snapshots of a job's event stream."""
    with client.stream("GET", f"/api/v1/jobs/{job_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


def test_a_job_from_making_to_deleting(web: WebServer) -> None:
    owner = web.account("examiner")
    client = web.client(owner)
    listing = client.get("/api/v1/sources").json()
    assert [folder["name"] for folder in listing["folders"]] == [
        "Broken", "Holidays", "Many", "Office",
    ]  # fmt: skip
    made = client.post(
        "/api/v1/jobs",
        json={"name": "Office", "description": "papers", "source": "Office", "stages": ["exif"]},
    )
    assert made.status_code == 201
    job = made.json()
    assert (job["status"], job["access"], job["stages"]) == ("empty", "owner", ["exif"])
    path = f"/api/v1/jobs/{job['id']}"
    assert client.post(f"{path}/start").status_code == 202
    last = next(e for e in progress_events(client, job["id"]) if e["status"] == "complete")
    assert last["files"]["picture"] == 3
    assert last["files"]["not-a-picture"] == 1
    (stage,) = last["stages"]
    assert (stage["name"], stage["ended"], stage["total"]) == ("exif", 3, 3)
    changed = client.patch(path, json={"name": "Papers", "stages": ["exif", "similar"]}).json()
    assert (changed["name"], changed["description"]) == ("Papers", "papers")
    web.run_job(job["id"])
    after = client.get(f"{path}/progress").json()
    assert [s["ended"] for s in after["stages"]] == [3, 3]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert (web.sources / "Office" / "map.webp").exists()


@pytest.fixture
def link_outside(web: WebServer) -> Iterator[None]:
    link = web.sources / "link"
    link.symlink_to("/etc")
    yield
    link.unlink()


OUTSIDE = ("../", "..%2f..", "/etc", "%2e%2e", "Office/../..", "gone", "a%00b", "link")


@pytest.mark.usefixtures("link_outside")
@pytest.mark.parametrize("source", [*OUTSIDE, "Office/scan.png"])
def test_no_job_reaches_outside_the_sources(web: WebServer, source: str) -> None:
    """S1, as job source and as a folder to list."""
    client = web.client(web.account("examiner"))
    made = client.post("/api/v1/jobs", json={"name": "x", "source": source})
    assert made.status_code == 404, made.text
    assert client.get("/api/v1/sources", params={"path": source}).status_code == 404


def test_a_folder_whose_name_is_no_text_can_be_chosen(web: WebServer) -> None:
    name = b"caf\xe9 \n"
    folder = os.path.join(os.fsencode(web.sources), b"Odd names", name)
    os.makedirs(folder)
    try:
        client = web.client(web.account("examiner"))
        (found,) = client.get("/api/v1/sources", params={"path": "Odd%20names"}).json()["folders"]
        made = client.post("/api/v1/jobs", json={"name": "x", "source": found["path"]}).json()
        with web.services.catalog.read() as connection:
            assert jobs.get_job(connection, made["id"]).source == folder
    finally:
        os.removedirs(folder)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"source": ""}, "name"),
        ({"name": "  ", "source": ""}, "name"),
        ({"name": "x" * 201, "source": ""}, "name"),
        ({"name": "x", "source": "", "stages": ["nothing"]}, "no stage is called nothing"),
        ({"name": "x", "source": 7}, "source"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_with_the_reason(
    web: WebServer, body: dict[str, object], words: str
) -> None:
    answer = web.client(web.account("examiner")).post("/api/v1/jobs", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_a_viewer_makes_no_jobs_and_browses_nothing(
    signed_in: Callable[..., httpx.Client],
) -> None:
    viewer = signed_in("viewer")
    assert viewer.post("/api/v1/jobs", json={"name": "x", "source": ""}).status_code == 403
    assert viewer.get("/api/v1/sources").status_code == 403
    assert viewer.get("/api/v1/jobs").json() == []


def test_who_sees_a_job_and_what_sharing_changes(web: WebServer, scanned: str) -> None:
    owner, friend, stranger = (web.account("examiner") for _ in range(3))
    job = web.job(owner, "Office", name="Mine")
    seen = [one["id"] for one in web.client(owner).get("/api/v1/jobs").json()]
    assert seen == [job]
    path = f"/api/v1/jobs/{job}"
    assert web.client(friend).get(path).status_code == 404
    shared = web.client(owner).put(
        f"{path}/shares", json={"email": friend.email, "level": "viewer"}
    )
    assert shared.is_success, shared.text
    assert web.client(friend).get(path).json()["access"] == "viewer"
    assert web.client(friend).post(f"{path}/start").status_code == 403
    assert web.client(friend).delete(path).status_code == 403
    web.client(owner).put(f"{path}/shares", json={"email": friend.email, "level": "editor"})
    assert web.client(friend).post(f"{path}/start").status_code == 202
    assert web.client(stranger).get(path).status_code == 404
    everything = {one["id"] for one in web.client(web.administrator).get("/api/v1/jobs").json()}
    assert {job, scanned} <= everything


def test_the_page_of_jobs_leads_to_older_ones_and_back(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_pages, "_PAGE", 2)
    owner = web.account("examiner")
    made = [web.job(owner, name=f"number {number}") for number in range(5)]
    client, address, seen = web.client(owner), "/jobs", []
    while True:
        shown = client.get(address).text
        seen.append(re.findall(r'href="/jobs/([0-9a-f-]{36})"', shown))
        assert ("Newest jobs" in shown) is (address != "/jobs")
        if (further := re.search(r'href="([^"]*)">Older jobs', shown)) is None:
            break
        address = "/jobs" + html.unescape(further[1])
    assert seen == [made[4:2:-1], made[2:0:-1], made[:1]]
    beyond = client.get("/jobs", params={"after": made[0]}).text
    assert "No older jobs" in beyond
    assert 'href="/jobs"' in beyond


def test_problems_are_listed_filtered_and_tried_again(web: WebServer) -> None:
    owner = web.account("examiner")
    job = web.job(owner, "Broken", stages=["exif", "similar"], run=True)
    client = web.client(owner)
    path = f"/api/v1/jobs/{job}/problems"
    found = client.get(path).json()
    assert {one["path"] for one in found["problems"]} == {"cut.jpg", "zero.jpg"}
    assert client.get(path, params={"text": "no such words"}).json()["problems"] == []
    assert client.get(path, params={"stage": "scan"}).json()["problems"]
    assert client.get(path, params={"after": "nonsense"}).status_code == 400
    assert client.get(path, params={"kind": "nonsense"}).status_code == 400
    answer = client.post(f"{path}/retry", json={"stage": "similar"})
    assert answer.status_code == 202
    assert answer.json() == {"tasks": sum(one["kind"] == "failed" for one in found["problems"])}


@pytest.mark.parametrize("images", [[10**30], [2**63], [2**40], [0], [-1], [1] * 10_001])
def test_numbers_that_are_no_pictures_are_refused(web: WebServer, images: list[int]) -> None:
    owner = web.account("examiner")
    path = f"/api/v1/jobs/{web.job(owner, 'Broken')}/problems/retry"
    assert web.client(owner).post(path, json={"images": images}).status_code == 400
    answer = web.client(owner).post(path, json={"images": [2**40 - 1]})
    assert (answer.status_code, answer.json()) == (202, {"tasks": 0})


def test_a_retry_that_could_not_be_queued_is_done_when_it_is_asked_again(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: nobody may hear of nothing to do while tasks wait and the job does not."""
    owner = web.account("examiner")
    job = web.job(owner, "Office", run=True)
    images = select(files.c.image_id).where(files.c.job_id == job)
    mine = and_(tasks.c.stage == "similar", tasks.c.image_id.in_(images))
    with web.services.catalog.begin() as connection:
        connection.execute(update(tasks).where(mine).values(state=TaskState.FAILED, reason="x"))
    client, path = web.client(owner), f"/api/v1/jobs/{job}/problems/retry"

    def away(_job: str, **_how: bool) -> None:
        raise JobsAway("the job manager does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(web.services.manager, "submit", away)
        assert client.post(path, json={}).status_code == 503
    assert client.post(path, json={}).json() == {"tasks": 0}

    def done() -> bool:
        with web.services.catalog.read() as connection:
            return set(connection.scalars(select(tasks.c.state).where(mine))) == {TaskState.DONE}

    eventually(done)


def test_a_search_among_many_problems_offers_to_look_on(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = web.account("examiner")
    job = web.job(owner, "Broken")
    with web.services.catalog.begin() as connection:
        cut = [outcome(b"%d.jpg" % n, b"%d" % n, state=FileState.CORRUPT) for n in range(3)]
        record(connection, job, cut)
    client = web.client(owner)
    address = f"/jobs/{job}/problems"
    monkeypatch.setattr(problem_list, "MOST_LOOKED_AT", 1)
    assert "2.jpg" in client.get(address, params={"text": "2.jpg"}).text
    monkeypatch.setattr(pages, "_SECONDS", 0.0)
    shown = client.get(address, params={"text": "no such words"}).text
    steps = 1
    while (further := re.search(r'href="([^"]*)">Look on', shown)) is not None:
        assert "None of those looked at so far fits" in shown
        shown = client.get(address + html.unescape(further[1])).text
        steps += 1
    assert "No problem fits this filter" in shown
    assert steps > 1


def test_an_event_stream_is_right_at_once_for_whoever_comes_late(
    web: WebServer, scanned: str
) -> None:
    client = web.client(web.administrator)
    first = next(progress_events(client, scanned))
    assert first == client.get(f"/api/v1/jobs/{scanned}/progress").json()
    assert first["status"] == "complete with problems"
    assert first["live"] is None


def test_many_listeners_hear_the_same(web: WebServer, scanned: str) -> None:
    heard: list[dict[str, Any]] = []

    def listen() -> None:
        heard.append(next(progress_events(web.client(web.administrator), scanned)))

    threads = [threading.Thread(target=listen) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(heard) == 12
    assert all(one == heard[0] for one in heard)


def test_a_job_goes_on_in_the_next_server(tmp_path: Path, pictures: Path, cache: Path) -> None:
    """R18: the server ends in the middle of a job; the next one ends with every file in place."""
    case = tmp_path / "case"
    with web_server(case, pictures, cache) as server:
        job = server.job(server.administrator, name="All")
        server.services.manager.submit(job)
        until = time.monotonic() + 60
        while server.services.manager.progress(job) is None and time.monotonic() < until:
            time.sleep(0.005)
        tokens = server.administrator.bearer
    with web_server(case, pictures, cache) as server:
        until = time.monotonic() + 120
        state = JobState.RUNNING
        while state is not JobState.FINISHED and time.monotonic() < until:
            with server.services.catalog.read() as connection:
                state = jobs.get_job(connection, job).state
            time.sleep(0.05)
        assert state is JobState.FINISHED
        client = server.client(headers=tokens)
        files = sum(client.get(f"/api/v1/jobs/{job}/progress").json()["files"].values())
    assert files == sum(1 for path in pictures.rglob("*") if path.is_file() or path.is_symlink())


def test_health_readiness_and_metrics(web: WebServer, scanned: str) -> None:
    open_to_all = web.client()
    assert open_to_all.get("/health").json()["status"] == "ok"
    assert open_to_all.get("/ready").status_code == 200
    assert open_to_all.get("/metrics").status_code == 401
    text = web.client(web.administrator).get("/metrics").text
    assert 'caseframe_jobs{state="finished"}' in text
    assert 'route="/api/v1/jobs' in text
    assert scanned not in text
