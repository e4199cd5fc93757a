"""Stages of other makers, from a worker's raw JSON to pane, search and export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import makers
from tests.conftest import Cli
from tests.support.external import HandWorker, Refuses, web_with_external
from tests.support.waiting import eventually
from tests.support.web import WebServer, clean_settings

from caseframe.cli.captions import registry_for
from caseframe.domain.errors import UsageError
from caseframe.domain.work import JobState

PLATES: dict[str, Any] = {
    "name": "plates", "title": "Number plates", "version": "7", "queue": "plate-reader",
    "summary": "Reads the number plates of cars.", "after": ["exif"],
    "result_schema": {
        "type": "object",
        "required": ["plates"],
        "properties": {
            "plates": {"type": "array", "items": {
                "type": "object",
                "properties": {"text": {"type": "string", "x-search": "plate"}},
            }},
        },
    },
}  # fmt: skip
SIGNS: dict[str, Any] = {"name": "signs", "after": ["plates"]}
STAGES = [PLATES, SIGNS]
FOUND = {"plates": [{"text": "ÅBC 123", "sure": 0.5}], "colour": "vermilion", "none": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("external") / "sources"
    (root / "cars").mkdir(parents=True)
    for number, make in enumerate(("Nikon", "Canon")):
        data = makers.jpeg_with_exif((96, 64), number, Make=make, Model=f"{make} 1")
        (root / "cars" / f"{make}.jpg").write_bytes(data)
    return root


@pytest.fixture(scope="module")
def served(folder: Path, cache: Path, rabbitmq_server: str) -> Iterator[WebServer]:
    with web_with_external(folder.parent, folder, cache, rabbitmq_server, STAGES) as web:
        yield web


@pytest.fixture
def client(served: WebServer) -> httpx.Client:
    return served.client(served.administrator)


def work(served: WebServer, url: str, says: dict[str, Any]) -> tuple[str, list[HandWorker]]:
    """A job over both cars, done with workers that say these things; its id."""
    hands = [HandWorker(url, queue, say) for queue, say in says.items()]
    stages = ["exif", "plates", *(["signs"] if "signs" in says else [])]
    job = served.job(served.administrator, "cars", stages=stages)
    for hand in hands:
        hand.__enter__()
    try:
        assert served.run_job(job) is JobState.FINISHED
    finally:
        for hand in hands:
            hand.__exit__()
    return job, hands


def again(served: WebServer) -> None:
    """Forget all jobs, so that the next one asks for everything anew."""
    client = served.client(served.administrator)
    for job in client.get("/api/v1/jobs").json():
        assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 204


def pictures(client: httpx.Client, job: str, q: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/api/v1/jobs/{job}/pictures", params={"q": q})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["pictures"]
    return found


def pane(client: httpx.Client, job: str, stage: str, path: str = "Nikon.jpg") -> dict[str, Any]:
    number = next(p["id"] for p in pictures(client, job) if p["path"] == path)
    known = client.get(f"/api/v1/jobs/{job}/pictures/{number}").json()
    return next(run for run in known["stages"] if run["stage"] == stage)


def test_a_result_is_shown_found_and_exported(
    served: WebServer, client: httpx.Client, rabbitmq_server: str, cli: Cli
) -> None:
    again(served)

    def say(task: dict[str, Any]) -> Any:
        return FOUND if "Nikon" in task["filepath"] else {"plates": []}

    job, hands = work(served, rabbitmq_server, {"plate-reader": say, "signs": lambda _task: "STOP"})
    shown = pane(client, job, "plates")
    assert shown["finished_at"] is not None
    assert shown | {"finished_at": None, "seconds": None} == {
        "stage": "plates", "title": "Number plates", "version": "7", "state": "done",
        "summary": "Reads the number plates of cars.", "external": True, "found": True,
        "reason": None, "attempts": 1, "seconds": None, "model": None, "model_digest": None,
        "finished_at": None, "answer": {"value": FOUND},
    }  # fmt: skip
    assert pane(client, job, "exif")["external"] is False
    for q in ("plate:åbc", "vermilion", "text:vermilion", '"ÅBC 123"', "PLATE:123 text:stop"):
        assert [p["path"] for p in pictures(client, job, q)] == ["Nikon.jpg"], q
    assert pictures(client, job, "plate:vermilion") == []
    unknown = client.get(f"/api/v1/jobs/{job}/pictures", params={"q": "plates:x"})
    assert (unknown.status_code, "plate, " in unknown.text) == (400, True)
    exported = cli("export", "--case", served.case).out
    lines = {line["path"]: line for line in map(json.loads, exported.splitlines())}
    assert lines["Nikon.jpg"]["results"] == {"plates": FOUND, "signs": "STOP"}
    assert lines["Nikon.jpg"]["stages"]["plates"] == "done"
    card = cli("show", "Nikon.jpg", "--case", served.case).out
    assert "plates[1].text: ÅBC 123" in card
    assert "STOP" in card
    given = [task["given"] for task in hands[0].tasks if "Nikon" in task["filepath"]]
    assert given[0]["exif"]["metadata"]["Exif"]["Make"] == "Nikon"
    assert {json.dumps(task["given"]) for task in hands[1].tasks} == {
        json.dumps({"plates": {"value": FOUND}}), json.dumps({"plates": {"value": {"plates": []}}}),
    }  # fmt: skip


def test_an_empty_answer_is_none_found_and_errors_are_failures(
    served: WebServer, client: httpx.Client, rabbitmq_server: str
) -> None:
    again(served)

    def say(task: dict[str, Any]) -> Any:
        return Refuses(["the lens is", "dirty"]) if "Nikon" in task["filepath"] else {"plates": []}

    job, _ = work(served, rabbitmq_server, {"plate-reader": say})
    failed = pane(client, job, "plates")
    assert (failed["state"], failed["reason"]) == ("failed", "the lens is; dirty")
    assert failed["answer"] is None
    assert pane(client, job, "plates", "Canon.jpg")["state"] == "done"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"plates": "one"}, "plates: 'one' is not of type 'array'"),
        (["x"], "is not of type 'object'"),
        ({}, "'plates' is a required property"),
        ({"plates": [], "more": "\ud800"}, "half of a surrogate pair"),
        ({"plates": [], "more": float("nan")}, "a number that JSON does not have"),
        ({"plates": [], "more": "x" * 1_000_001}, "are the most"),
    ],
    ids=["type", "root", "required", "surrogate", "nan", "size"],
)
def test_a_result_that_does_not_fit_fails_with_the_reason(
    served: WebServer, client: httpx.Client, rabbitmq_server: str, answer: Any, reason: str
) -> None:
    again(served)
    job, _ = work(served, rabbitmq_server, {"plate-reader": lambda _task: answer})
    failed = pane(client, job, "plates")
    assert failed["state"] == "failed"
    assert reason in failed["reason"]
    assert failed["reason"].startswith("the answer does not fit the stage: ")
    listed = client.get(f"/api/v1/jobs/{job}/problems", params={"stage": "plates"}).json()
    assert len(listed["problems"]) == 2


def test_a_result_that_is_nested_too_deep_fails(
    served: WebServer, client: httpx.Client, rabbitmq_server: str
) -> None:
    again(served)
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    job, _ = work(served, rabbitmq_server, {"plate-reader": lambda _: {"plates": [], "x": deep}})
    assert "nested deeper" in pane(client, job, "plates")["reason"]


def test_what_its_worker_rejects_fails_and_is_a_dead_letter(
    served: WebServer, client: httpx.Client, rabbitmq_server: str
) -> None:
    again(served)
    job, _ = work(served, rabbitmq_server, {"plate-reader": lambda _task: None})
    assert pane(client, job, "plates")["state"] == "failed"
    letters = client.get("/api/v1/dead-letters", params={"queue": "plate-reader"}).json()
    assert {(one["path"], one["job"]) for one in letters} == {
        ("cars/Nikon.jpg", job), ("cars/Canon.jpg", job),
    }  # fmt: skip
    sent = client.post("/api/v1/dead-letters/replay", json={"ids": [letters[0]["id"]]})
    assert sent.json() == {"count": 1}
    with HandWorker(rabbitmq_server, "plate-reader", lambda _task: FOUND):
        eventually(lambda: len(pictures(client, job, "plate:åbc")) == 1)
    assert client.post("/api/v1/dead-letters/drop", json={"ids": "all"}).json() == {"count": 1}


def test_what_has_no_worker_waits_and_says_so(
    served: WebServer, client: httpx.Client, rabbitmq_server: str
) -> None:
    again(served)
    job = served.job(served.administrator, "cars", stages=["plates"])
    assert client.post(f"/api/v1/jobs/{job}/start").status_code == 202

    def live() -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/api/v1/jobs/{job}/progress").json()["live"] or {}
        return found

    expected = "no worker takes tasks from the queue plate-reader; start one"
    eventually(lambda: live().get("waiting") == expected)
    assert expected in served.browser_like(served.administrator).get(f"/jobs/{job}").text
    with HandWorker(rabbitmq_server, "plate-reader", lambda _task: FOUND):
        eventually(lambda: client.get(f"/api/v1/jobs/{job}").json()["state"] == "finished")
    assert live() == {}


def test_without_a_broker_the_stage_is_listed_with_the_reason(
    tmp_path: Path, cli: Cli, fresh_web: Any
) -> None:
    listed = cli("stages", "--json", CASEFRAME_EXTERNAL_STAGES=json.dumps(STAGES))
    plates = next(row for row in listed.json["stages"] if row["name"] == "plates")
    assert plates["title"] == "Number plates"
    assert plates["summary"] == "Reads the number plates of cars."
    assert "run Caseframe as services" in plates["reason"]
    given = {"CASEFRAME_EXTERNAL_STAGES": json.dumps(STAGES), "cwd": tmp_path}
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(makers.photo(32, 32, 1, format="PNG"))
    scanned = cli("scan", "pictures", "--json", "--stages", "plates", **given)
    assert scanned.json["stages"]["plates"]["unavailable"] == 1
    assert cli("status", "--json", **given).json["stages"]["plates"]["unavailable"] == 1
    words = cli("stages", CASEFRAME_EXTERNAL_STAGES=json.dumps(STAGES)).out
    assert "Reads the number plates of cars." in words
    web = fresh_web(external_stages=STAGES)
    form = web.browser_like(web.administrator).get("/jobs/new").text
    assert "Reads the number plates of cars." in form
    assert "run Caseframe as services" in form
    job = web.job(web.administrator, "Office", run=True, stages=["exif", "plates"])
    run = pane(web.client(web.administrator), job, "plates", "map.webp")
    assert (run["state"], "run Caseframe as services" in run["reason"]) == ("unavailable", True)


@pytest.mark.parametrize("mark", ["size", "two words", "Plate", "", 5])
def test_a_field_that_cannot_be_searched_is_refused(cache: Path, mark: object) -> None:
    stage = {"name": "plates", "result_schema": {"items": {"x-search": mark}}}
    with pytest.raises(UsageError, match="setting external_stages: "):
        registry_for(clean_settings(cache, external_stages=[stage]))
