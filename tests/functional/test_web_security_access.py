"""Who reaches what, over every route; with `sessions` S3, S4, S5, S9, S11, S13 of the yardstick."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest
from tests.support.walking import ANYTHING, SAFE, Route, documented, of_the_interface, undocumented
from tests.support.web import Person, WebServer

FOR_ALL = {
    "GET /health", "GET /ready", "GET /api/v1/models", "POST /vision/process-image",
    "POST /auth/signup", "POST /auth/signin", "POST /auth/refresh", "GET /auth/verify",
    "POST /auth/resend", "POST /auth/forgot", "POST /auth/reset",
}  # fmt: skip
PAGES_FOR_ALL = {
    "GET /", "GET /describe", "GET /sign-in", "POST /sign-in", "POST /sign-out", "GET /sign-up",
    "POST /sign-up", "POST /resend", "GET /forgot", "POST /forgot", "GET /auth/reset",
    "GET /reset", "POST /reset", "GET /auth/invitation", "POST /auth/invitation",
    "GET /auth/first", "POST /auth/first", "GET /auth/oauth/{provider}",
    "GET /auth/oauth/{provider}/return",
}  # fmt: skip


def ask(client: httpx.Client, route: Route, values: dict[str, str]) -> httpx.Response:
    """Call a route; only the head of an answer that has no end."""
    given: dict[str, Any] = {} if route.body is None else {"json": route.body}
    if route.page and route.method not in SAFE:
        given = {"data": {"key": "x"}}
    with client.stream(route.method, route.address(values), **given) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer
        answer.read()
    return answer


def said(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url.path} -> {answer.status_code}"


def test_the_document_holds_the_whole_interface(web: WebServer) -> None:
    told = {(route.method, route.path.partition("?")[0]) for route in documented(web)}
    assert told == {(route.method, route.path) for route in of_the_interface()}
    assert len(told) > 30


def test_every_route_without_a_token_is_401(web: WebServer) -> None:
    stranger = web.client()
    routes = documented(web)
    assert {str(route) for route in routes} >= FOR_ALL, "an entry of the allow-list is gone"
    closed = [route for route in routes if str(route) not in FOR_ALL]
    answers = [ask(stranger, route, ANYTHING) for route in closed]
    assert [said(answer) for answer in answers if answer.status_code != 401] == []
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers)


def test_every_page_without_a_session_asks_to_sign_in(web: WebServer) -> None:
    stranger = web.browser_like()
    routes = undocumented()
    assert {str(route) for route in routes} >= PAGES_FOR_ALL, "an entry of the allow-list is gone"
    closed = [route for route in routes if str(route) not in PAGES_FOR_ALL]
    answers = [ask(stranger, route, ANYTHING) for route in closed]
    assert [said(answer) for answer in answers if answer.status_code != 401] == []
    assert len(answers) >= 10


@pytest.fixture
def mine(web: WebServer, scanned: str) -> tuple[Person, dict[str, str]]:
    """Somebody with everything that can be had, and the ids of it all."""
    owner = web.account("examiner", "Astrid", "Owner")
    job = web.job(owner, "Office", name="Private", run=True)
    asking = web.client(owner)
    picture = asking.get(f"/api/v1/jobs/{job}/pictures").json()["pictures"][0]["id"]
    session = web.principal(owner).session_id
    invited = web.services.accounts.invite(
        web.principal(), f"{uuid.uuid4().hex[:8]}@example.org", owner.role
    )
    ids = {
        "job_id": job, "image_id": str(picture), "user_id": owner.id, "session_id": session,
        "invitation_id": invited.id,
    }  # fmt: skip
    return owner, ids


@pytest.mark.parametrize("role", ["examiner", "viewer"])
def test_no_route_gives_anybody_what_is_somebody_elses(
    web: WebServer, mine: tuple[Person, dict[str, str]], role: str
) -> None:
    owner, ids = mine
    before = _everything(web, owner, ids)
    other = web.account(role)
    for client, routes in (
        (web.client(other), documented(web)),
        (web.browser_like(other), undocumented()),
    ):
        about = [r for r in routes if r.parameters and "provider" not in r.parameters]
        answers = [(route, ask(client, route, ids)) for route in about]
        wrong = [
            said(answer)
            for route, answer in answers
            if answer.status_code not in {403, 404}
            and not (str(route).startswith("POST /account/sessions/") and _says_no(answer))
        ]
        assert wrong == []
        assert len(answers) >= 5
        for _, answer in answers:
            assert "Private" not in _text(answer), said(answer)
    assert _everything(web, owner, ids) == before


def _says_no(answer: httpx.Response) -> bool:
    """A form's answer that leads back to the page one came from, where it says what was wrong."""
    return answer.status_code == 303 and answer.headers["location"] == "/account"


def _text(answer: httpx.Response) -> str:
    return answer.text if answer.is_stream_consumed else ""


def _everything(web: WebServer, owner: Person, ids: dict[str, str]) -> Any:
    """What a stranger's call could have changed."""
    asking = web.client(owner)
    job = asking.get(f"/api/v1/jobs/{ids['job_id']}")
    assert job.status_code == 200, "the job is gone, or its owner was signed out"
    root = web.client(web.administrator)
    invited = [one["id"] for one in root.get("/api/v1/invitations").json()]
    shares = asking.get(f"/api/v1/jobs/{ids['job_id']}/shares").json()
    user = root.get(f"/api/v1/users/{owner.id}").json()
    kept = {name: user[name] for name in ("role", "disabled_at", "first_name", "last_name")}
    return job.json(), ids["invitation_id"] in invited, shares, kept


ODD = [
    "x", "0", "-1", str(2**31), str(2**63), str(2**70), "9" * 5000, "%00", "%ff", "%2e%2e%2f",
    "%F0%9F%92%A9", "'--", "x" * 4000, "1.5", "1e9", "%0d%0aX: y", " ",
    "00000000-0000-4000-8000-000000000000",
]  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=lambda value: value[:12])
def test_ids_of_nothing_are_refused_and_break_nothing(
    web: WebServer, scanned: str, value: str
) -> None:
    """As the administrator, who may see everything: there is nothing to see."""
    root = web.administrator
    for client, routes in (
        (web.client(root), documented(web)),
        (web.browser_like(root), undocumented()),
    ):
        wrong = []
        for route in routes:
            for name in route.parameters:
                # All others are right, so that the walk gets as far as this one.
                ids = {**ANYTHING, "job_id": scanned, "user_id": root.id, name: value}
                if route.method not in SAFE and name != route.parameters[0]:
                    ids["job_id"] = "x"  # nothing is to be changed
                answer = ask(client, route, ids)
                fine = {
                    307,
                    400,
                    404,
                    405,
                    *({303} if route.page else ()),
                }  # 307: a slash at the end
                if answer.status_code not in fine:
                    wrong.append(said(answer))
        assert wrong == []


@pytest.mark.parametrize("role", ["viewer", "examiner"])
def test_nobody_raises_their_own_role(web: WebServer, role: str) -> None:
    person = web.account(role)
    client, pages = web.client(person), web.browser_like(person)
    for name in ("role", "is_admin", "id", "email", "user_id"):
        refused = client.patch("/api/v1/me", json={name: "administrator"})
        assert refused.status_code == 400, name
    tries = [
        client.patch(f"/api/v1/users/{person.id}", json={"role": "administrator"}),
        client.post(
            "/api/v1/invitations", json={"email": "x@example.org", "role": "administrator"}
        ),
        pages.post(f"/users/{person.id}/change", data={"role": "administrator"}),
        pages.post("/users/invite", data={"email": "x@example.org", "role": "administrator"}),
    ]
    assert [answer.status_code for answer in tries] == [403] * 4
    pages.post("/account/name", data={"first_name": "A", "last_name": "B", "role": "administrator"})
    assert client.get("/api/v1/me").json()["role"] == role


def test_an_invitation_gives_its_own_role_and_address(web: WebServer) -> None:
    address = f"{uuid.uuid4().hex[:8]}@example.org"
    root = web.client(web.administrator)
    root.post("/api/v1/invitations", json={"email": address, "role": "viewer"})
    form = {
        "key": web.key(address), "first_name": "Eve", "last_name": "Else", "role": "administrator",
        "email": "ada@example.org", "password": "Correct-horse-7",
    }  # fmt: skip
    stranger = web.browser_like()
    assert stranger.post("/auth/invitation", data=form).status_code == 303
    me = stranger.get("/api/v1/me").json()
    assert (me["email"], me["role"]) == (address, "viewer")


def test_an_editor_shares_nothing_and_gives_nobody_more(web: WebServer) -> None:
    owner, friend, third = (web.account("examiner") for _ in range(3))
    job = web.job(owner, "Office")
    shares = f"/api/v1/jobs/{job}/shares"
    given = web.client(owner).put(shares, json={"email": friend.email, "level": "editor"})
    assert given.status_code == 200
    friends = web.client(friend)
    for email in (friend.email, third.email):
        for level in ("viewer", "editor", "owner"):
            answer = friends.put(shares, json={"email": email, "level": level})
            assert answer.status_code in {400, 403}
    owners = web.client(owner).put(shares, json={"email": friend.email, "level": "owner"})
    assert owners.status_code == 400
    assert friends.delete(f"/api/v1/jobs/{job}").status_code == 403
    assert web.client(third).get(f"/api/v1/jobs/{job}").status_code == 404


def test_a_source_outside_the_root_makes_no_job(web: WebServer) -> None:
    examiner = web.client(web.account("examiner"))
    for token in ("..", "../..", "/etc", "Holidays/../..", "%2e%2e", "a%00b", "Holidays/boat.jpg",
                  "%2Fetc", "./Holidays/../../", "Holidays//..//.."):  # fmt: skip
        listing = examiner.get("/api/v1/sources", params={"path": token})
        made = examiner.post("/api/v1/jobs", json={"name": "x", "source": token})
        assert (listing.status_code, made.status_code) == (404, 404), token
    assert examiner.get("/api/v1/jobs").json() == []
