"""Dead letters for administrators: the REST interface and the page, over a real broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support import letters
from tests.support.letters import JOB, bury, task
from tests.support.web import WebServer

QUEUES = ("Faces", "ocr")
AT = "/api/v1/dead-letters"
HOSTILE = "<script>alert(1)</script>\u202e{{7*7}}"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, pictures: Path, cache: Path, rabbitmq_server: str
) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("letters")
    with letters.web_with_letters(folder, pictures, cache, rabbitmq_server, QUEUES) as web:
        yield web


@pytest.fixture
def broker(rabbitmq_server: str) -> Iterator[str]:
    """The broker, with queues that are empty before and gone after."""
    names = [name for one in QUEUES for name in (one, f"{one}.dead")]
    letters.delete(rabbitmq_server, *names)  # other tests of this process have the same broker
    letters.declare(rabbitmq_server, QUEUES)
    yield rabbitmq_server
    letters.delete(rabbitmq_server, *names)


@pytest.fixture
def client(served: WebServer) -> httpx.Client:
    return served.client(served.administrator)


def paths(client: httpx.Client, **query: str) -> list[str]:
    return [one["path"] for one in client.get(AT, params=query).json()]


def test_they_are_listed_with_all_that_is_known(broker: str, client: httpx.Client) -> None:
    assert client.get(AT).json() == []
    bury(broker, "Faces", task("/trip/a.jpg", "Faces"), "its worker died 3 times")
    bury(broker, "Faces", task("/trip/b.jpg", "Faces", attempt=1))
    bury(broker, "ocr", b"{no json", HOSTILE)
    first, second, third = client.get(AT).json()
    assert len(first.pop("id")) == 16
    assert first == {
        "queue": "Faces", "job": JOB, "path": "trip/a.jpg", "reason": "its worker died 3 times",
        "attempt": 2, "at": "2026-02-03T00:00:00Z",
    }  # fmt: skip
    assert (second["path"], second["reason"]) == ("trip/b.jpg", "its worker refused it")
    assert second["at"] > "2026-02"  # by the broker's clock
    assert (third["queue"], third["job"], third["path"]) == ("ocr", None, None)
    assert third["reason"] == HOSTILE
    assert paths(client, queue="ocr") == [None]
    assert paths(client, limit="1") == ["trip/a.jpg", None]
    assert client.get(AT, params={"queue": "other"}).status_code == 404
    assert paths(client, queue="Faces") == ["trip/a.jpg", "trip/b.jpg"], "a look takes none away"


def test_chosen_ones_and_all_are_sent_again(broker: str, client: httpx.Client) -> None:
    for name in ("a", "b", "c"):
        bury(broker, "Faces", task(f"/trip/{name}.jpg", "Faces"), "x")
    bury(broker, "ocr", task("/trip/a.jpg", "ocr"), "x")
    wanted = client.get(AT).json()[1]["id"]
    answer = client.post(f"{AT}/replay", json={"ids": [wanted]})
    assert answer.json() == {"count": 1}
    assert [json.loads(b)["filepath"] for b in letters.waiting(broker, "Faces")] == ["/trip/b.jpg"]
    assert paths(client, queue="Faces") == ["trip/a.jpg", "trip/c.jpg"]
    assert client.post(f"{AT}/replay", json={"ids": [wanted]}).json() == {"count": 0}
    everything = {"ids": "all", "queue": "Faces"}
    assert client.post(f"{AT}/replay", json=everything).json() == {"count": 2}
    assert len(letters.waiting(broker, "Faces")) == 2
    assert paths(client) == ["trip/a.jpg"]


def test_chosen_ones_and_all_are_dropped(broker: str, client: httpx.Client) -> None:
    for name in ("a", "b", "c"):
        bury(broker, "ocr", task(f"/trip/{name}.jpg", "ocr"), "x")
    wanted = client.get(AT).json()[0]["id"]
    assert client.post(f"{AT}/drop", json={"ids": [wanted]}).json() == {"count": 1}
    assert paths(client) == ["trip/b.jpg", "trip/c.jpg"]
    assert client.post(f"{AT}/drop", json={"ids": "all"}).json() == {"count": 2}
    assert paths(client) == []
    assert letters.waiting(broker, "ocr") == []


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": "some"}, {"ids": [""]}, {"ids": ["0"]}, {"ids": ["x" * 16]}, {"ids": [1]},
     {"ids": ["0" * 16], "everything": True}],
)  # fmt: skip
def test_what_could_mean_more_than_was_meant_is_refused(
    broker: str, client: httpx.Client, body: object
) -> None:
    bury(broker, "ocr", task("/trip/a.jpg", "ocr"), "x")
    for order in ("replay", "drop"):
        assert client.post(f"{AT}/{order}", json=body).status_code == 400
        assert client.post(f"{AT}/{order}", json={"ids": []}).json() == {"count": 0}
    assert paths(client) == ["trip/a.jpg"]


def test_where_the_queue_is_gone_they_stay(broker: str, client: httpx.Client) -> None:
    bury(broker, "ocr", task("/trip/a.jpg", "ocr"), "x")
    letters.delete(broker, "ocr")
    refused = client.post(f"{AT}/replay", json={"ids": "all"})
    assert refused.status_code == 409
    assert "no queue ocr any more" in refused.json()["error"]["message"]
    assert paths(client) == ["trip/a.jpg"]


def test_only_administrators_see_them_and_only_where_there_is_a_broker(
    broker: str, served: WebServer, web: WebServer
) -> None:
    stranger, pages = served.client(), served.browser_like()
    assert stranger.get(AT).status_code == pages.get("/dead-letters").status_code == 401
    for role in ("viewer", "examiner"):
        person = served.account(role)
        client, pages = served.client(person), served.browser_like(person)
        answers = [client.get(AT), pages.get("/dead-letters")]
        for order in ("replay", "drop"):
            answers.append(client.post(f"{AT}/{order}", json={"ids": "all"}))
            answers.append(pages.post(f"/dead-letters/{order}", data={"all": "true", "sure": "1"}))
        assert [answer.status_code for answer in answers] == [403] * 6
        assert "/dead-letters" not in pages.get("/jobs").text
    root = web.administrator
    assert web.client(root).get(AT).status_code == 404
    without = web.browser_like(root)
    assert without.get("/dead-letters").status_code == 404
    assert "/dead-letters" not in without.get("/jobs").text
    assert "/dead-letters" in served.browser_like(served.administrator).get("/jobs").text


def test_the_page_works_without_scripts(broker: str, served: WebServer) -> None:
    browser = served.browser_like(served.administrator)
    empty = browser.get("/dead-letters").text
    assert "No dead letters" in empty
    assert '<form method="post" action="/dead-letters' not in empty
    for name in ("a", "b", HOSTILE):
        bury(broker, "ocr", task(f"/trip/{name}.jpg", "ocr"), HOSTILE * 20)
    full = browser.get("/dead-letters").text
    assert "<script>alert" not in full
    assert full.count('name="id"') == 3
    assert f'href="/jobs/{JOB}"' in full
    number = served.client(served.administrator).get(AT).json()[0]["id"]
    none = browser.post("/dead-letters/drop", data={"queue": ""})
    assert (none.status_code, "choose at least one" in none.text) == (400, True)
    asked = browser.post("/dead-letters/drop", data={"id": number, "queue": "ocr"}).text
    assert "Drop 1 dead letter?" in asked
    assert f'name="id" value="{number}"' in asked
    gone = browser.post("/dead-letters/drop", data={"id": number, "queue": "ocr", "sure": "true"})
    assert (gone.status_code, gone.headers["location"]) == (303, "/dead-letters?queue=ocr")
    then = browser.get("/dead-letters").text
    assert "1 dead letter dropped." in then
    assert then.count('name="id"') == 2
    sent = browser.post("/dead-letters/replay", data={"all": "true", "queue": ""})
    assert sent.status_code == 303
    assert len(letters.waiting(broker, "ocr")) == 2
    assert "2 dead letters sent again." in browser.get("/dead-letters").text


def test_without_the_broker_it_is_503_and_the_rest_goes_on(
    tmp_path: Path, pictures: Path, cache: Path
) -> None:
    nowhere = "amqp://guest:guest@127.0.0.1:1/"
    with letters.web_with_letters(tmp_path, pictures, cache, nowhere, QUEUES) as web:
        client, pages = web.client(web.administrator), web.browser_like(web.administrator)
        answers = [
            client.get(AT), client.post(f"{AT}/drop", json={"ids": "all"}),
            pages.get("/dead-letters"), pages.post("/dead-letters/replay", data={"all": "true"}),
        ]  # fmt: skip
        assert [answer.status_code for answer in answers] == [503] * 4
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        assert "RabbitMQ" in answers[0].json()["error"]["message"]
        assert client.get("/api/v1/jobs").status_code == pages.get("/jobs").status_code == 200
