"""Accounts over HTTP as programs use them: the wire contract, and what it refuses."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from tests.support.people import race
from tests.support.web import PASSWORD, FreshWeb, WebServer

NEW = {
    "firstname": "Zoë", "lastname": "O'Brien-Șerban", "email": "zoe@example.org",
    "password": PASSWORD,
}  # fmt: skip
WITHIN = 5.0


def test_the_life_of_an_account(fresh_web: FreshWeb) -> None:
    web = fresh_web(sign_up="open")
    asks = web.client()
    made = asks.post("/auth/signup", json=NEW)
    assert made.status_code == 201
    assert set(made.json()) == {"status", "message"}
    assert made.json()["status"] == "success"

    known = {"email": NEW["email"], "password": PASSWORD}
    early = asks.post("/auth/signin", json=known)
    assert (early.status_code, early.json()["error"]["code"]) == (403, "not-verified")

    verified = asks.get("/auth/verify", params={"key": web.key(NEW["email"])})
    assert verified.status_code == 200
    assert set(verified.json()) == {"status", "message"}
    twice = asks.get("/auth/verify", params={"key": web.key(NEW["email"])})
    assert (twice.status_code, twice.json()["error"]["code"]) == (400, "key-refused")

    pair = asks.post("/auth/signin", json=known)
    assert pair.status_code == 200
    assert set(pair.json()) == {"accessToken", "refreshToken"}
    me = asks.get("/api/v1/me", headers={"token": pair.json()["accessToken"]}).json()
    assert (me["first_name"], me["last_name"], me["role"]) == ("Zoë", "O'Brien-Șerban", "viewer")

    again = asks.post("/auth/refresh", json={"token": pair.json()["refreshToken"]})
    assert again.status_code == 200
    assert set(again.json()) == {"accessToken", "refreshToken"}

    bearer = {"authorization": f"Bearer {again.json()['accessToken']}"}
    out = asks.post("/auth/signout", headers=bearer)
    assert out.json() == {"status": "success", "message": "signed out"}
    assert asks.get("/api/v1/me", headers=bearer).status_code == 401


def test_a_second_sign_up_with_the_same_address_is_a_conflict(fresh_web: FreshWeb) -> None:
    asks = fresh_web(sign_up="open").client()
    assert asks.post("/auth/signup", json=NEW).status_code == 201
    second = asks.post("/auth/signup", json={**NEW, "email": "ZOE@Example.org"})
    assert (second.status_code, second.json()["error"]["code"]) == (409, "email-taken")


def test_two_sign_ups_at_the_same_moment_make_one_account(fresh_web: FreshWeb) -> None:
    web = fresh_web(sign_up="open")
    clients = [web.client() for _ in range(4)]
    found = race(*[lambda c=c: c.post("/auth/signup", json=NEW).status_code for c in clients])
    assert sorted(map(str, found)) == ["201", "409", "409", "409"]


def test_every_broken_rule_is_told(fresh_web: FreshWeb) -> None:
    asks = fresh_web(sign_up="open").client()
    bad = {"firstname": "4", "lastname": "<b>", "email": "nowhere", "password": "x"}
    answer = asks.post("/auth/signup", json=bad)
    assert answer.status_code == 400
    error = answer.json()["error"]
    for words in ("first name", "last name", "e-mail address", "8 to 128", "upper-case", "digit",
                  "symbol"):  # fmt: skip
        assert any(words in reason for reason in error["reasons"]), words
        assert words in error["message"]
    missing = asks.post("/auth/signup", json={}).json()["error"]["reasons"]
    assert len(missing) == 4


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b'{"email": 1, "password": []}', b'"\\ud800"',
     b'{"email": "\\ud800@example.org", "password": "\\u0000"}', b"\xff\xfe", b"[" * 100_000],
)  # fmt: skip
def test_a_body_that_is_no_sign_in_is_refused(web: WebServer, body: bytes) -> None:
    asks = web.client(headers={"content-type": "application/json"})
    answer = asks.post("/auth/signin", content=body)
    assert answer.status_code in {400, 401}
    assert answer.json()["error"]["message"]


def test_strangers_need_an_invitation_by_default(web: WebServer) -> None:
    refused = web.client().post("/auth/signup", json=NEW)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "sign-up-refused")


def test_wrong_password_and_unknown_address_have_one_answer(web: WebServer) -> None:
    person, asks = web.account(), web.client()
    wrong = asks.post("/auth/signin", json={"email": person.email, "password": "Wrong-horse-7"})
    unknown = asks.post("/auth/signin", json={"email": "no@example.org", "password": PASSWORD})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_a_refresh_token_works_once_and_reuse_ends_the_session(web: WebServer) -> None:
    person, asks = web.account(), web.client()
    first = {"token": person.tokens.refresh}
    pair = asks.post("/auth/refresh", json=first).json()
    again = asks.post("/auth/refresh", json=first)
    assert again.status_code == 401
    assert again.json()["isValid"] is False
    assert again.json()["message"]
    bearer = {"authorization": f"Bearer {pair['accessToken']}"}
    assert asks.get("/api/v1/me", headers=bearer).status_code == 401
    assert asks.post("/auth/refresh", json={"token": pair["refreshToken"]}).status_code == 401


def test_forgotten_password(web: WebServer) -> None:
    person, asks = web.account(), web.client()
    known = asks.post("/auth/forgot", json={"email": person.email})
    unknown = asks.post("/auth/forgot", json={"email": "nobody@example.org"})
    assert known.status_code == unknown.status_code == 202
    assert known.json() == unknown.json()
    key, new = web.key(person.email), "Another-horse-8"
    weak = asks.post("/auth/reset", json={"key": key, "password": "weak"})
    assert weak.status_code == 400
    assert len(weak.json()["error"]["reasons"]) == 4
    assert asks.post("/auth/reset", json={"key": key, "password": new}).status_code == 200
    assert asks.get("/api/v1/me", headers=person.bearer).status_code == 401
    for password, status in ((PASSWORD, 401), (new, 200)):
        said = {"email": person.email, "password": password}
        assert asks.post("/auth/signin", json=said).status_code == status
    assert asks.post("/auth/reset", json={"key": key, "password": PASSWORD}).status_code == 400


def test_the_mail_that_confirms_can_be_sent_again(fresh_web: FreshWeb) -> None:
    web = fresh_web(sign_up="open")
    asks = web.client()
    asks.post("/auth/signup", json=NEW)
    first = web.key(NEW["email"])
    assert asks.post("/auth/resend", json={"email": NEW["email"]}).status_code == 202
    assert asks.post("/auth/resend", json={"email": "no@example.org"}).status_code == 202
    second = web.key(NEW["email"])
    assert second != first
    assert asks.get("/auth/verify", params={"key": first}).status_code == 400
    assert asks.get("/auth/verify", params={"key": second}).status_code == 200


def test_guessing_ends_in_429_whatever_the_client_says_of_itself(fresh_web: FreshWeb) -> None:
    """S13: X-Forwarded-For of somebody who is no proxy of ours means nothing."""
    web = fresh_web()
    asks, person = web.client(), web.account()
    statuses = []
    for number in range(50):
        said = {"email": f"victim{number % 25}@example.org", "password": f"Wrong-{number}"}
        header = {"x-forwarded-for": f"198.51.100.{number}", "forwarded": f"for=192.0.2.{number}"}
        answer = asks.post("/auth/signin", json=said, headers=header)
        statuses.append(answer.status_code)
    assert statuses.count(401) == 30
    assert set(statuses[30:]) == {429}
    assert 0 < int(answer.headers["retry-after"]) <= 900
    assert answer.json()["error"]["code"] == "too-many-attempts"
    right = {"email": person.email, "password": PASSWORD}
    assert asks.post("/auth/signin", json=right).status_code == 429
    assert asks.get("/api/v1/me", headers=person.bearer).status_code == 200


def test_a_trusted_proxy_says_on_whose_behalf_it_asks(fresh_web: FreshWeb) -> None:
    asks = fresh_web(trusted_proxies=["127.0.0.1/32"]).client()
    statuses = {}
    for address, times in (("198.51.100.7", 21), ("198.51.100.8", 1)):
        for number in range(times):
            said = {"email": f"v{number}-{address}@example.org"}
            header = {"x-forwarded-for": f"203.0.113.{number}, {address}"}
            statuses[address] = asks.post("/auth/forgot", json=said, headers=header).status_code
    assert statuses == {"198.51.100.7": 429, "198.51.100.8": 202}


def _claims(token: str) -> dict[str, object]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def _forged(web: WebServer, token: str) -> dict[str, str]:
    secret = (web.case / "token.key").read_text().strip()
    claims, late = _claims(token), datetime.now(UTC) - timedelta(minutes=1)
    signed = {
        "no expiry": {k: v for k, v in claims.items() if k != "exp"},
        "expired": {**claims, "exp": int(late.timestamp())},
        "other audience": {**claims, "aud": "caseframe/refresh"},
        "other issuer": {**claims, "iss": "somebody"},
        "other kind": {**claims, "typ": "task"},
        "another session": {**claims, "sid": "00000000-0000-4000-8000-000000000000"},
    }
    head, body, signature = token.split(".")
    return {
        "no algorithm": jwt.encode(claims, "", "none"),
        "another secret": jwt.encode(claims, "x" * 64, "HS256"),
        "another algorithm": jwt.encode(claims, secret, "HS512"),
        "no signature": f"{head}.{body}.",
        "cut": f"{head}.{body}.{signature[:-3]}",
        "nothing": "x",
        **{name: jwt.encode(said, secret, "HS256") for name, said in signed.items()},
    }


def test_forged_tokens_are_refused(web: WebServer) -> None:
    """S9, in every place that a token can come in."""
    person, asks = web.account(), web.client()
    forged = {**_forged(web, person.tokens.access), "a refresh token": person.tokens.refresh}
    for name, token in forged.items():
        for headers in (
            {"authorization": f"Bearer {token}"}, {"token": token},
            {"cookie": f"caseframe_access={token}"},
        ):  # fmt: skip
            answer = asks.get("/api/v1/me", headers=headers)
            assert answer.status_code == 401, (name, headers)
            assert person.email not in answer.text
    refreshed = asks.post("/auth/refresh", json={"token": person.tokens.access})
    assert refreshed.status_code == 401
    assert asks.get("/api/v1/me", headers=person.bearer).status_code == 200


@pytest.mark.parametrize("header", ["Bearer", "Basic YTpi", "x"])
def test_a_header_without_a_token_is_no_anonymous_visit(web: WebServer, header: str) -> None:
    asked = web.client().get("/api/v1/me", headers={"authorization": header})
    assert asked.status_code == 401


def _refused_within(asks: httpx.Client, bearer: dict[str, str]) -> bool:
    end = time.monotonic() + WITHIN
    while time.monotonic() < end:
        if asks.get("/api/v1/me", headers=bearer).status_code == 401:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("how", ["sign out", "disable", "delete", "password", "reset", "end"])
def test_revocation_holds_at_once(web: WebServer, how: str) -> None:
    """S11: whatever ends a session, its tokens are worth nothing within five seconds."""
    person = web.account()
    asks, admin = web.client(), web.client(web.administrator)
    old = person.tokens
    if how == "sign out":
        asks.post("/auth/signout", headers=person.bearer)
    elif how == "disable":
        admin.patch(f"/api/v1/users/{person.id}", json={"disabled": True})
    elif how == "delete":
        admin.delete(f"/api/v1/users/{person.id}")
    elif how == "password":
        change = {"before": PASSWORD, "after": "Another-horse-8"}
        asks.post("/api/v1/me/password", json=change, headers=person.bearer)
    elif how == "reset":
        asks.post("/auth/forgot", json={"email": person.email})
        new = {"key": web.key(person.email), "password": "Another-horse-8"}
        asks.post("/auth/reset", json=new)
    else:
        other = web.sign_in(person)
        asks.delete("/api/v1/me/sessions", headers=other.bearer)
    assert _refused_within(asks, person.bearer)
    assert asks.post("/auth/refresh", json={"token": old.refresh}).status_code == 401
    cookies = {"caseframe_access": old.access, "caseframe_refresh": old.refresh}
    sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
    assert asks.get("/api/v1/me", headers={"cookie": sent}).status_code == 401


def test_secrets_are_in_no_log(fresh_web: FreshWeb, capfd: pytest.CaptureFixture[str]) -> None:
    """S12, for what this server writes while people come and go."""
    web = fresh_web(sign_up="open", log_level="debug")
    asks = web.client()
    asks.post("/auth/signup", json=NEW)
    key = web.key(NEW["email"])
    asks.get("/auth/verify", params={"key": key})
    pair = asks.post("/auth/signin", json={"email": NEW["email"], "password": PASSWORD}).json()
    asks.post("/auth/refresh", json={"token": pair["refreshToken"]})
    asks.post("/auth/refresh", json={"token": pair["refreshToken"]})
    out, err = capfd.readouterr()
    for secret in (PASSWORD, key, pair["accessToken"], pair["refreshToken"]):
        assert secret not in out + err
    assert "token_reused" in out + err


def test_the_openapi_page_names_these_routes(web: WebServer) -> None:
    document = web.client().get("/api/v1/openapi.json")
    assert document.status_code == 200
    paths = json.loads(document.content)["paths"]
    wire = {"/auth/signup", "/auth/signin", "/auth/refresh", "/auth/verify"}
    assert wire <= set(paths)
    assert all(route.get("description") for path in wire for route in paths[path].values())
