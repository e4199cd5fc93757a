"""Single requests that a catalog cannot take, over SQLite and PostgreSQL: 4xx, and never 500."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support import postgresql
from tests.support.web import WebServer, web_server


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    pictures: Path,
    cache: Path,
) -> Iterator[WebServer]:
    """A server over each of the databases."""
    case = tmp_path_factory.mktemp("odd") / "case"
    if request.param == "sqlite":
        with web_server(case, pictures, cache) as running:
            yield running
        return
    with (
        postgresql.database(
            request.getfixturevalue("postgresql_server"),
            like=request.getfixturevalue("made_postgresql"),
        ) as url,
        web_server(case, pictures, cache, catalog_url=url) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def client(server: WebServer) -> httpx.Client:
    return server.client(server.administrator)


@pytest.fixture(scope="module")
def job(server: WebServer) -> str:
    return server.job(server.administrator, name="Everything", run=True)


def refusal(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    message: str = answer.json()["error"]["message"]
    return message


def as_json(text: str) -> dict[str, object]:
    return {"content": text.encode(), "headers": {"content-type": "application/json"}}


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud800"])
def test_json_with_text_that_no_catalog_holds(client: httpx.Client, job: str, odd: str) -> None:
    """S18, R13: at the first level and below it."""
    for body in (
        f'{{"name": "a{odd}b", "source": "Office"}}',
        f'{{"name": "a", "description": "{odd}", "source": "Office"}}',
        f'{{"name": "a", "source": "Office", "stages": ["{odd}"]}}',
    ):
        refusal(client.request("POST", "/api/v1/jobs", **as_json(body)))  # type: ignore[arg-type]
    body = f'{{"description": "a{odd}"}}'
    refusal(client.request("PATCH", f"/api/v1/jobs/{job}", **as_json(body)))  # type: ignore[arg-type]


def test_a_body_that_is_no_json_is_said_to_be_none(client: httpx.Client) -> None:
    refusal(client.post("/api/v1/jobs", content=b"\\u0000", headers={"content-type": "text/plain"}))


def test_what_only_looks_like_nul_is_taken(client: httpx.Client, job: str) -> None:
    body = r'{"description": "a\\u0000 \ud83d\ude00"}'
    answer = client.request("PATCH", f"/api/v1/jobs/{job}", **as_json(body))  # type: ignore[arg-type]
    assert answer.json()["description"] == r"a\u0000 😀"


@pytest.mark.parametrize(
    "address",
    ["jobs?after=%00", "jobs?limit=5&after=a%00", "jobs/{job}/pictures?q=%00",
     "jobs/{job}/pictures?camera=a%00b", "jobs/{job}/pictures?after=%00",
     "jobs/{job}/problems?stage=%00", "users?text=%00", "users?after=%00"],
)  # fmt: skip
def test_nul_in_a_query(client: httpx.Client, job: str, address: str) -> None:
    name = address.rpartition("?")[2].rpartition("&")[2].partition("=")[0]
    said = refusal(client.get(f"/api/v1/{address.format(job=job)}"))
    assert said == f"{name}: NUL and lone surrogates are not taken"


def test_nul_in_an_address_and_in_a_form(server: WebServer, client: httpx.Client) -> None:
    refusal(client.get("/api/v1/jobs/a%00b"), 404)
    answer = server.browser_like().post("/sign-in", data={"email": "a\0", "password": "b"})
    assert answer.status_code == 400


@pytest.mark.parametrize("model", [r"\ud800", r"\u0000", r"a\nb"])
def test_a_model_by_an_odd_name(server: WebServer, model: str) -> None:
    """By anybody, as descriptions are open to all."""
    body = f'{{"image": "aGk=", "model": "{model}"}}'
    said = refusal(
        server.client().request("POST", "/vision/process-image", **as_json(body))  # type: ignore[arg-type]
    )
    assert said.startswith("no model is called ")


@pytest.mark.parametrize(
    "wanted", ["size:999999999999999TB", "size:>999999999999999TB", "size:..999999999999999TB",
               "width:999999999999", "faces:999999999999", "copies:<999999999999"],
)  # fmt: skip
def test_numbers_larger_than_a_catalog_holds(client: httpx.Client, job: str, wanted: str) -> None:
    answer = client.get(f"/api/v1/jobs/{job}/pictures", params={"q": wanted})
    assert answer.status_code == 200, answer.text
    assert bool(answer.json()["pictures"]) == ("<" in wanted or ".." in wanted)
