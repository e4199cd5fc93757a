"""The pages of accounts as forms: posted without any script, protected against other sites."""

from __future__ import annotations

import re
import socket
import sqlite3
import time
from contextlib import closing
from http.cookies import SimpleCookie

import httpx
import jwt
import pytest
from fastapi.routing import APIRoute
from tests.support.people import race
from tests.support.web import PASSWORD, FreshWeb, WebServer

from caseframe.web.pages import ROUTERS

HTML = {"accept": "text/html"}


def _cookies(answer: httpx.Response) -> SimpleCookie:
    found: SimpleCookie = SimpleCookie()
    for value in answer.headers.get_list("set-cookie"):
        found.load(value)
    return found


def test_signing_in_sets_cookies_that_scripts_cannot_read(web: WebServer) -> None:
    person, asks = web.account(), web.browser_like()
    form = {"email": person.email, "password": PASSWORD, "next": "/account"}
    answer = asks.post("/sign-in", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    for name in ("caseframe_access", "caseframe_refresh"):
        morsel = _cookies(answer)[name]
        assert morsel["httponly"]
        assert morsel["samesite"] == "Lax"
        assert morsel["path"] == "/"
        assert not morsel["secure"]
    assert "Where you are signed in" in asks.get("/account").text


def test_behind_tls_cookies_are_secure(fresh_web: FreshWeb) -> None:
    web = fresh_web(public_url="https://case.example.org")
    form = {"email": web.administrator.email, "password": PASSWORD}
    origin = {"origin": "https://case.example.org"}
    answer = web.browser_like().post("/sign-in", data=form, headers=origin)
    assert answer.status_code == 303
    assert all(morsel["secure"] for morsel in _cookies(answer).values())
    assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize("target", ["//evil.example.org", "https://evil.example.org/x", "/\\evil"])
def test_signing_in_leads_to_no_other_site(web: WebServer, target: str) -> None:
    person, asks = web.account(), web.browser_like()
    form = {"email": person.email, "password": PASSWORD, "next": target}
    assert asks.post("/sign-in", data=form).headers["location"] == "/"
    assert "evil" not in web.browser_like().get("/sign-in", params={"next": target}).text
    assert asks.get("/sign-in", params={"next": target}).headers["location"] == "/"


def test_a_page_for_members_asks_visitors_to_sign_in_and_comes_back(web: WebServer) -> None:
    answer = web.browser_like().get("/users", params={"text": "a b"})
    assert answer.status_code == 401
    assert 'name="next" value="/users?text=a+b"' in answer.text
    assert "alert-danger" not in answer.text


def test_a_wrong_password_keeps_the_address_and_never_the_password(web: WebServer) -> None:
    person = web.account()
    form = {"email": person.email, "password": "Secret-typo-99", "next": "/account"}
    answer = web.browser_like().post("/sign-in", data=form)
    assert answer.status_code == 401
    assert f'value="{person.email}"' in answer.text
    assert 'name="next" value="/account"' in answer.text
    assert "Secret-typo-99" not in answer.text
    assert not _cookies(answer)


def test_what_is_typed_is_text_in_the_page(web: WebServer) -> None:
    form = {"email": '"><script>alert(1)</script>', "password": "x", "next": "/"}
    answer = web.browser_like().post("/sign-in", data=form)
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"email=%ff%fe&password=%00", b"email=a&email=b&password[]=c", b"&" * 5000,
     b"a=1&" * 5000, b"email=%ED%A0%80&password=%"],
)  # fmt: skip
def test_odd_forms_are_refused_in_words(web: WebServer, body: bytes) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = web.browser_like().post("/sign-in", content=body, headers=kind)
    assert answer.status_code in {400, 401}
    assert "<h1" in answer.text


def test_a_form_of_a_gigabyte_is_refused_before_it_comes(web: WebServer) -> None:
    """S18."""
    head = (
        f"POST /sign-in HTTP/1.1\r\nHost: x\r\nOrigin: {web.url}\r\nContent-Length: 1000000000\r\n"
    )
    kind = "Content-Type: application/x-www-form-urlencoded\r\n\r\nemail="
    port = int(web.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall((head + kind).encode())
        assert line.recv(100).startswith(b"HTTP/1.1 413 ")


def test_sign_up_shows_every_fault_at_its_field(fresh_web: FreshWeb) -> None:
    web = fresh_web(sign_up="open")
    form = {"first_name": "Zoë", "last_name": "4", "email": "nowhere", "password": "Weak"}
    answer = web.browser_like().post("/sign-up", data=form)
    assert answer.status_code == 400
    faulty = re.findall(
        r'<input class="form-control is-invalid" type="\w+" id="(\w+)"', answer.text
    )
    assert faulty == ["last_name", "email", "password"]
    assert answer.text.count("Must") + answer.text.count("must") >= 5
    assert 'value="Zoë"' in answer.text
    assert "Weak" not in answer.text


def test_sign_up_and_verification_by_pages(fresh_web: FreshWeb) -> None:
    web = fresh_web(sign_up="open")
    asks, email = web.browser_like(), "zoe@example.org"
    form = {"first_name": "Zoë", "last_name": "Ek", "email": email, "password": PASSWORD}
    assert "Look into your mail" in asks.post("/sign-up", data=form).text
    known = {"email": email, "password": PASSWORD}
    waiting = asks.post("/sign-in", data=known)
    assert waiting.status_code == 403
    assert 'action="/resend"' in waiting.text
    assert asks.post("/resend", data={"email": email}).status_code == 202
    key = web.key(email)
    assert "Address confirmed" in asks.get("/auth/verify", params={"key": key}).text
    again = asks.get("/auth/verify", params={"key": key})
    assert again.status_code == 400
    assert 'action="/resend"' in again.text
    assert asks.post("/sign-in", data=known).status_code == 303
    taken = asks.post("/sign-up", data=form)
    assert taken.status_code == 409
    assert 'id="email-wrong"' in taken.text


@pytest.mark.parametrize("policy", ["invited", "closed"])
def test_there_is_no_sign_up_where_the_policy_forbids_it(fresh_web: FreshWeb, policy: str) -> None:
    asks = fresh_web(sign_up=policy).browser_like()
    assert "/sign-up" not in asks.get("/sign-in").text
    assert asks.get("/sign-up").status_code == 403
    assert asks.post("/sign-up", data={"email": "a@example.org"}).status_code == 403


_WRITES = [
    "/sign-in", "/sign-out", "/sign-up", "/resend", "/forgot", "/reset", "/auth/invitation",
    "/auth/first", "/account/name", "/account/password", "/account/sessions/end-others",
    "/account/sessions/x/end", "/users/invite", "/users/invitations/x/withdraw",
    "/users/x/change", "/users/x/delete",
]  # fmt: skip


def test_every_form_of_these_pages_is_in_the_list() -> None:
    routes = [route for router in ROUTERS for route in router.routes]
    posts = {
        re.sub(r"\{\w+\}", "x", route.path)
        for route in routes
        if isinstance(route, APIRoute) and "POST" in (route.methods or ())
    }
    ours = ("/sign", "/account", "/users", "/auth", "/res", "/forgot")
    assert {path for path in posts if path.startswith(ours)} == set(_WRITES)


@pytest.mark.parametrize("path", _WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example.org", "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example.org"},
        {"origin": "null"},
        {"sec-fetch-site": "same-site"},
        {},
    ],
    ids=["cross-site", "origin", "null", "same-site", "no word"],
)
def test_another_site_can_post_nothing(web: WebServer, path: str, headers: dict[str, str]) -> None:
    """S19: with the cookies of an administrator, as a browser would send them."""
    tokens = web.administrator.tokens
    cookie = f"caseframe_access={tokens.access}; caseframe_refresh={tokens.refresh}"
    with httpx.Client(base_url=web.url, headers={**HTML, "cookie": cookie}) as asks:
        answer = asks.post(path, data={"first_name": "Eve", "last_name": "Il"}, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "cross-site"
    assert web.client(web.administrator).get("/api/v1/me").json()["first_name"] == "Ada"


def test_the_account_page_changes_name_and_password(web: WebServer) -> None:
    person = web.account("viewer")
    other = web.sign_in(person)
    asks = web.browser_like(person)
    bad = asks.post("/account/name", data={"first_name": "4", "last_name": "Ek"})
    assert bad.status_code == 400
    assert 'id="first_name-wrong"' in bad.text
    assert (
        asks.post("/account/name", data={"first_name": "Eva", "last_name": "Ek"}).status_code == 303
    )
    page = asks.get("/account").text
    assert "Your name is changed." in page
    assert "Your name is changed." not in asks.get("/account").text

    new = "Another-horse-8"
    wrong = asks.post("/account/password", data={"before": "x", "after": new})
    assert (wrong.status_code, 'id="before-wrong"' in wrong.text) == (400, True)
    weak = asks.post("/account/password", data={"before": PASSWORD, "after": "weak"})
    assert (weak.status_code, 'id="after-wrong"' in weak.text) == (400, True)
    good = asks.post("/account/password", data={"before": PASSWORD, "after": new})
    assert good.status_code == 303
    assert "all other devices are signed out" in asks.get("/account").text
    assert web.client(other).get("/api/v1/me").status_code == 401


def test_sessions_are_ended_by_their_buttons(web: WebServer) -> None:
    person = web.account("viewer")
    others = [web.sign_in(person) for _ in range(3)]
    asks = web.browser_like(person)
    listed = web.client(others[0]).get("/api/v1/me/sessions").json()
    theirs = next(one["id"] for one in listed if one["current"])
    assert asks.post(f"/account/sessions/{theirs}/end").status_code == 303
    assert web.client(others[0]).get("/api/v1/me").status_code == 401
    assert asks.post(f"/account/sessions/{theirs}/end").status_code == 303
    assert "there is no such session" in asks.get("/account").text
    assert asks.post("/account/sessions/end-others").status_code == 303
    assert "2 other sessions ended." in asks.get("/account").text
    own = web.client(person).get("/api/v1/me/sessions").json()[0]["id"]
    out = asks.post(f"/account/sessions/{own}/end")
    assert out.headers["location"] == "/sign-in"
    assert asks.get("/account").status_code == 401


def test_only_who_signs_out_here_loses_the_cached_pictures(web: WebServer) -> None:
    person = web.account("viewer")
    other = web.client(web.sign_in(person)).get("/api/v1/me/sessions").json()
    theirs = next(one["id"] for one in other if one["current"])
    own = next(one["id"] for one in other if not one["current"])
    asks = web.browser_like(person)
    for path in (f"{theirs}/end", "end-others"):
        assert "clear-site-data" not in asks.post(f"/account/sessions/{path}").headers
    for out in (
        asks.post(f"/account/sessions/{own}/end"),
        asks.post("/sign-out"),
        web.client(web.sign_in(person)).post("/auth/signout"),
    ):
        assert out.headers["clear-site-data"] == '"cache"'


def test_signing_out_takes_the_cookies_and_the_session(web: WebServer) -> None:
    person = web.account("viewer")
    asks = web.browser_like(person)
    answer = asks.post("/sign-out")
    assert answer.headers["location"] == "/sign-in"
    assert {m["max-age"] for n, m in _cookies(answer).items() if "said" not in n} == {"0"}
    assert "You are signed out." in asks.get("/sign-in").text
    assert web.client(person).get("/api/v1/me").status_code == 401
    assert asks.post("/sign-out").status_code == 303


def test_the_links_of_mails_that_are_no_good(web: WebServer) -> None:
    asks = web.browser_like()
    for key in ("", "x", "00000000-0000-4000-8000-000000000000", "a" * 200, "\0"):
        for path in ("/auth/invitation", "/auth/verify"):
            answer = asks.get(path, params={"key": key})
            assert answer.status_code == 400, (path, key)
            assert "<h1" in answer.text
    form = {"key": "x", "password": PASSWORD}
    refused = asks.post("/reset", data=form)
    assert refused.status_code == 400
    assert PASSWORD not in refused.text
    assert asks.post("/auth/invitation", data=form).status_code == 400
    new = {**form, "first_name": "Eve", "last_name": "Il", "email": "eve@example.org"}
    web.administrator  # noqa: B018 - there is one from here on
    assert asks.post("/auth/first", data=new).status_code == 409
    assert asks.get("/auth/first", params={"key": "x"}).status_code == 409


def _short(web: WebServer) -> httpx.Client:
    """A browser whose access token has run out, as after a break."""
    person = web.account("viewer")
    asks = web.browser_like(person)
    secret = (web.case / "token.key").read_text().strip()
    claims = jwt.decode(person.tokens.access, options={"verify_signature": False})
    old = jwt.encode({**claims, "exp": int(time.time()) - 1}, secret, "HS256")
    asks.cookies.set("caseframe_access", old, domain="127.0.0.1", path="/")
    return asks


def test_a_page_full_of_requests_after_a_break_renews_the_session_once(web: WebServer) -> None:
    asks = _short(web)
    sent = {"cookie": "; ".join(f"{c.name}={c.value}" for c in asks.cookies.jar)}
    bare = [web.client(headers=sent) for _ in range(8)]
    found = race(*[lambda c=client: c.get("/api/v1/me") for client in bare])
    answers = [one for one in found if isinstance(one, httpx.Response)]
    assert [one.status_code for one in answers] == [200] * 8
    new = {_cookies(one)["caseframe_refresh"].value for one in answers}
    assert len(new) == 1
    assert len(asks.get("/api/v1/me/sessions").json()) == 1


def test_a_session_that_cannot_be_renewed_loses_its_cookies(web: WebServer) -> None:
    asks = _short(web)
    asks.cookies.set("caseframe_refresh", "forged", domain="127.0.0.1", path="/")
    answer = asks.get("/account")
    assert answer.status_code == 401
    assert {morsel["max-age"] for morsel in _cookies(answer).values()} == {"0"}
    assert asks.get("/sign-in").status_code == 200


def test_a_busy_catalog_ends_no_session(fresh_web: FreshWeb) -> None:
    """R11: the renewal waits for the lock, says so when that takes too long, and works later."""
    web = fresh_web(web_busy_seconds=0.2)
    asks = _short(web)
    with closing(sqlite3.connect(web.case / "catalog.sqlite")) as other:
        other.execute("begin immediate")
        for accept in ("text/html", "application/json"):
            answer = asks.get("/account", headers={"accept": accept})
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert not _cookies(answer)
        other.rollback()
    assert asks.get("/account").status_code == 200


def test_users_page_lists_invites_and_withdraws(fresh_web: FreshWeb) -> None:
    web = fresh_web()
    person = web.account("viewer", "Ōtani", "Hanako")
    asks = web.browser_like(web.administrator)
    assert "Ōtani Hanako" in asks.get("/users", params={"role": "viewer", "state": "active"}).text
    assert "No user fits" in asks.get("/users", params={"text": "zzz", "role": "x"}).text
    bad = asks.post("/users/invite", data={"email": "nowhere", "role": "viewer"})
    assert (bad.status_code, 'value="nowhere"' in bad.text) == (400, True)
    assert asks.post("/users/invite", data={"email": person.email}).status_code == 409
    sent = asks.post("/users/invite", data={"email": "new@example.org", "role": "viewer"})
    assert sent.status_code == 303
    page = asks.get("/users").text
    assert "outbox" in page
    withdraw = re.findall(r"/users/invitations/[0-9a-f-]+/withdraw", page)
    assert asks.post(withdraw[0]).status_code == 303
    assert asks.post(withdraw[0]).status_code == 303
    assert "new@example.org" not in asks.get("/users").text.split("Open invitations")[1]


def test_user_page_changes_and_deletes(web: WebServer) -> None:
    person = web.account("examiner", "Béla", "Kovács")
    web.job(person, "Office", name="<i>Odd</i>")
    asks, path = web.browser_like(web.administrator), f"/users/{person.id}"
    assert "&lt;i&gt;Odd" in asks.get(path).text
    asks.post(f"{path}/change", data={"role": "viewer"})
    assert "The role is viewer now." in asks.get(path).text
    asks.post(f"{path}/change", data={"disabled": "true"})
    assert "Let in again" in asks.get(path).text
    assert web.client(person).get("/api/v1/me").status_code == 401
    undecided = asks.post(f"{path}/delete")
    assert (undecided.status_code, "owns 1 job" in undecided.text) == (409, True)
    nobody = asks.post(f"{path}/delete", data={"jobs": "hand-over"})
    assert (nobody.status_code, "who takes the jobs over" in nobody.text) == (400, True)
    gone = asks.post(f"{path}/delete", data={"jobs": "keep"})
    assert gone.headers["location"] == "/users"
    assert "is deleted; 1 job kept without an owner" in asks.get("/users").text
    assert asks.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/users", "/users/x"])
def test_user_pages_are_for_administrators(web: WebServer, path: str) -> None:
    assert web.browser_like(web.account("examiner")).get(path).status_code == 403
    assert web.browser_like().get(path).status_code == 401


def test_the_last_administrator_is_told_so_on_the_page(fresh_web: FreshWeb) -> None:
    web = fresh_web()
    asks = web.browser_like(web.administrator)
    path = f"/users/{web.administrator.id}"
    for form in ({"role": "viewer"}, {"disabled": "true"}):
        answer = asks.post(f"{path}/change", data=form)
        assert answer.status_code == 409
        assert "last administrator" in answer.text
    assert asks.post(f"{path}/delete").status_code == 409
