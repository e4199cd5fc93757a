"""A token that is not valid is refused, and never taken for none; pages for everybody stay open."""

from __future__ import annotations

import httpx
import pytest
from tests import makers
from tests.support.web import Person, WebServer

from caseframe.web.session import ACCESS, REFRESH

ADDRESS = "/vision/process-image"
Cookies = dict[str, str]
STALE: dict[str, Cookies] = {
    "refresh": {REFRESH: "bad"},
    "no refresh": {REFRESH: ""},
    "access": {ACCESS: "bad"},
    "both": {ACCESS: "bad", REFRESH: "bad"},
}


@pytest.fixture
def ended(web: WebServer) -> Cookies:
    """The cookies of a session that was signed out."""
    person = web.account("viewer")
    assert web.client(person).post("/auth/signout").status_code == 200
    return {ACCESS: person.tokens.access, REFRESH: person.tokens.refresh}


@pytest.fixture(params=[*STALE, "ended", "ended refresh"])
def stale(request: pytest.FixtureRequest, ended: Cookies) -> Cookies:
    if request.param == "ended":
        return ended
    if request.param == "ended refresh":
        return {REFRESH: ended[REFRESH]}
    return STALE[request.param]


def _with(web: WebServer, cookies: Cookies, accept: str) -> httpx.Client:
    asks = {"accept": accept, "origin": web.url, "sec-fetch-site": "same-origin"}
    client = web.client(headers=asks)
    for name, value in cookies.items():
        client.cookies.set(name, value, domain="127.0.0.1", path="/")
    return client


def _cleared(answer: httpx.Response) -> bool:
    gone = [value for value in answer.headers.get_list("set-cookie") if "Max-Age=0" in value]
    return {value.partition("=")[0] for value in gone} == {ACCESS, REFRESH}


def test_the_interface_refuses_it_and_counts_no_visit(web: WebServer, stale: Cookies) -> None:
    def left() -> int:
        allowance = web.client().get("/api/v1/models").json()["allowance"]
        return int(allowance["left"])

    before = left()
    picture = {"image": makers.photo(64, 48, 1)}
    assert _with(web, stale, "*/*").post(ADDRESS, files=picture).status_code == 401
    assert _with(web, stale, "*/*").get("/api/v1/models").status_code == 401
    assert left() == before


def test_a_page_for_everybody_opens_and_takes_the_cookies_away(
    web: WebServer, stale: Cookies
) -> None:
    answer = _with(web, stale, "text/html").get("/describe")
    assert answer.status_code == 200
    assert _cleared(answer)


def test_the_ways_in_stay_open(web: WebServer, stale: Cookies, viewer: Person) -> None:
    for address in ("/sign-in", "/forgot", "/auth/reset?key=x"):
        assert _with(web, stale, "text/html").get(address).status_code == 200
    start = _with(web, stale, "text/html").get("/")
    assert start.status_code in {200, 303}
    answer = _with(web, stale, "text/html").get("/jobs")
    assert answer.status_code == 401
    assert "password" in answer.text
    form = {"email": viewer.email, "password": viewer.password}
    browser = _with(web, stale, "text/html")
    assert browser.post("/sign-in", data=form).status_code == 303
    assert browser.get("/jobs").status_code == 200
    assert _with(web, stale, "text/html").post("/sign-out").status_code == 303
    assert _with(web, stale, "*/*").get("/health").status_code == 200
    assert _with(web, stale, "*/*").get("/static/caseframe.css").status_code == 200


@pytest.fixture
def viewer(web: WebServer) -> Person:
    return web.account("viewer")


@pytest.mark.parametrize("header", ["", "Bearer", "bearer", "Basic YTpi"])
def test_a_header_without_a_token_is_no_visitor(web: WebServer, header: str) -> None:
    client = web.client(headers={"authorization": header})
    for path in ("/api/v1/models", "/api/v1/jobs"):
        assert client.get(path).status_code == 401
    picture = {"image": makers.photo(64, 48, 1)}
    assert client.post(ADDRESS, files=picture).status_code == 401
    assert web.client(headers={"token": ""}).get("/api/v1/models").status_code == 401
