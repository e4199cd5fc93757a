"""Forged tokens, ended sessions, guessing; with `access` S3, S4, S5, S9, S11, S13."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import httpx
import jwt
from tests.support.web import FreshWeb, Person, WebServer

from caseframe.accounts.secret import case_secret
from caseframe.accounts.tokens import Kind, TokenMint
from caseframe.web.session import ACCESS, REFRESH

# --- forged tokens -------------------------------------------------------------------------------


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(web: WebServer, person: Person) -> dict[str, str]:
    """Access tokens that somebody could try, by what is wrong with them."""
    secret = case_secret(web.case).get_secret_value()
    good = jwt.decode(person.tokens.access, options={"verify_signature": False})
    head, body, signature = person.tokens.access.split(".")
    now = datetime.now(UTC)

    def signed(algorithm: str = "HS256", key: str = secret, **change: Any) -> str:
        claims = {k: v for k, v in {**good, **change}.items() if v is not None}
        return jwt.encode(claims, key, algorithm)

    old = TokenMint(case_secret(web.case), lambda: now - timedelta(days=1))
    return {
        "no algorithm": f"{_part({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        "no algorithm, in another case": f"{_part({'alg': 'nOnE'})}.{body}.{signature}",
        "no signature": f"{head}.{body}.",
        "another algorithm with our secret": signed("HS512"),
        "an asymmetric algorithm": f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{body}.{signature}",
        "a key of its own": f"{_part({'alg': 'HS256', 'jwk': {'kty': 'oct', 'k': 'eA'}})}.{body}."
                            f"{signature}",
        "another secret": signed(key="another-secret-of-good-length-q8Zr2"),
        "an almost empty secret": signed(key=" " * 32),
        "another person": f"{head}.{_part({**good, 'sub': web.administrator.id})}.{signature}",
        "no end": signed(exp=None),
        "an end in words": f"{head}.{_part({**good, 'exp': 'never'})}.{signature}",
        "already over": old.make(Kind.ACCESS, person.id, timedelta(minutes=5),
                                 session_id=good["sid"]),
        "no audience": signed(aud=None),
        "another audience": signed(aud="caseframe/refresh"),
        "a list of audiences": signed(aud=["caseframe/access", "x"]),
        "another issuer": signed(iss="somebody"),
        "no subject": signed(sub=None),
        "no kind": signed(typ=None),
        "a refresh token": person.tokens.refresh,
        "a task's token": TokenMint(case_secret(web.case)).make(
            Kind.TASK, person.id, timedelta(hours=1)
        ),
        "a session that never was": signed(sid=str(uuid.uuid4())),
        "somebody else's session": signed(sub=web.administrator.id),
        "no session": signed(sid=""),
        "cut": person.tokens.access[:-3],
        "more at the end": person.tokens.access + "AAAA",
        "nothing but dots": "..",
        "no text": "\xff\xfe",
        "long": "a" * 20_000,
    }  # fmt: skip


def test_no_forged_token_is_taken(web: WebServer) -> None:
    person = web.account("examiner")
    assert web.client(person).get("/api/v1/me").status_code == 200
    stranger = web.client()
    taken = []
    for name, token in forged(web, person).items():
        for header, value in (
            ("authorization", f"Bearer {token}"), ("token", token), ("cookie", f"{ACCESS}={token}"),
        ):  # fmt: skip
            raw = {header: value.encode("latin-1")}
            answer = stranger.get("/api/v1/me", headers=raw)  # type: ignore[arg-type]
            if answer.status_code != 401:
                taken.append((name, header, answer.status_code))
    assert taken == []
    assert web.client(person).get("/api/v1/me").status_code == 200


def test_an_access_token_refreshes_nothing(web: WebServer) -> None:
    person = web.account("viewer")
    for token in (person.tokens.access, "x", ""):
        answer = web.client().post("/auth/refresh", json={"token": token})
        assert answer.status_code == 401
        assert answer.json()["isValid"] is False


# --- ended sessions ------------------------------------------------------------------------------


def _sign_out(web: WebServer, person: Person) -> None:
    assert web.client(person).post("/auth/signout").status_code == 200


def _disable(web: WebServer, person: Person) -> None:
    root = web.client(web.administrator)
    assert root.patch(f"/api/v1/users/{person.id}", json={"disabled": True}).status_code == 200


def _delete(web: WebServer, person: Person) -> None:
    root = web.client(web.administrator)
    assert root.delete(f"/api/v1/users/{person.id}?jobs=keep").status_code == 200


def _new_password(web: WebServer, person: Person) -> None:
    body = {"before": person.password, "after": "Another-horse-8"}
    assert web.client(person).post("/api/v1/me/password", json=body).status_code == 200


def _reset_password(web: WebServer, person: Person) -> None:
    assert web.client().post("/auth/forgot", json={"email": person.email}).status_code == 202
    body = {"key": web.key(person.email), "password": "Another-horse-8"}
    assert web.client().post("/auth/reset", json=body).status_code == 200


def _end_elsewhere(web: WebServer, person: Person) -> None:
    assert web.client(web.sign_in(person)).delete("/api/v1/me/sessions").status_code == 200


def _reuse_refresh(web: WebServer, person: Person) -> None:
    stranger = web.client()
    for status in (200, 401):
        body = {"token": person.tokens.refresh}
        assert stranger.post("/auth/refresh", json=body).status_code == status


_ENDS = (
    _sign_out, _disable, _delete, _new_password, _reset_password, _end_elsewhere, _reuse_refresh,
)  # fmt: skip


@dataclass
class _Ended:
    """Somebody who watches a job, and whose session is ended in the meantime."""

    web: WebServer
    end: Callable[[WebServer, Person], None]
    person: Person
    job: str
    thumbnail: str
    lines: Iterator[str]

    def refused(self) -> None:
        """Everything but what is remembered for moments, at once."""
        client = self.web.client(self.person)
        said = [
            client.get("/api/v1/me"),
            client.post("/vision/process-image", json={"image": ""}),
            client.get(f"/api/v1/jobs/{self.job}"),
        ]
        browser = self.web.browser_like()
        browser.cookies.update(
            {ACCESS: self.person.tokens.access, REFRESH: self.person.tokens.refresh}
        )
        said.append(browser.get("/jobs"))
        assert [answer.status_code for answer in said] == [401] * 4, self.end
        refresh = {"token": self.person.tokens.refresh}
        assert self.web.client().post("/auth/refresh", json=refresh).status_code in {401, 403}

    def forgotten(self) -> None:
        """Also what is remembered; and its stream ends when there is news."""
        ended = time.monotonic()
        client = self.web.client(self.person)
        while client.get(self.thumbnail).status_code == 200:
            assert time.monotonic() < ended + 5, self.end
            time.sleep(0.2)
        self.web.run_job(self.job)
        assert len(list(islice(self.lines, 100))) < 100, self.end


def _watching(
    web: WebServer, end: Callable[[WebServer, Person], None], streams: ExitStack
) -> _Ended:
    person = web.account("examiner")
    job = web.job(person, "Office", run=True)
    client = web.client(person)
    picture = client.get(f"/api/v1/jobs/{job}/pictures").json()["pictures"][0]["id"]
    thumbnail = f"/api/v1/jobs/{job}/pictures/{picture}/thumbnail"
    for address in ("/api/v1/me", thumbnail):
        assert client.get(address).status_code == 200
    events = streams.enter_context(client.stream("GET", f"/api/v1/jobs/{job}/events"))
    lines = events.iter_lines()
    assert next(lines).startswith("event:")
    return _Ended(web, end, person, job, thumbnail, lines)


def test_what_was_ended_is_refused_at_once_and_everywhere(web: WebServer) -> None:
    with ExitStack() as streams:
        ended = [_watching(web, end, streams) for end in _ENDS]
        for one in ended:
            one.end(web, one.person)
            one.refused()
        for one in ended:
            one.forgotten()


# --- guessing ------------------------------------------------------------------------------------


def test_guessing_is_slowed_down_whatever_address_is_claimed(fresh_web: FreshWeb) -> None:
    web = fresh_web()
    person = web.account("viewer")
    stranger = web.client()
    found = [
        stranger.post(
            "/auth/signin",
            json={"email": person.email, "password": f"Wrong-{number}"},
            headers={"x-forwarded-for": f"203.0.113.{number}", "x-real-ip": f"203.0.113.{number}"},
        )
        for number in range(50)
    ]
    statuses = [answer.status_code for answer in found]
    assert statuses == [401] * 10 + [429] * 40
    assert int(found[-1].headers["retry-after"]) > 60
    right = {"email": person.email, "password": person.password}
    assert stranger.post("/auth/signin", json=right).status_code == 429
    pages = web.browser_like().post("/sign-in", data=right)
    assert pages.status_code == 429
    assert int(pages.headers["retry-after"]) > 60


def test_many_accounts_from_one_address_are_slowed_down_too(fresh_web: FreshWeb) -> None:
    stranger = fresh_web().client()
    statuses = [
        stranger.post(
            "/auth/signin", json={"email": f"u{number}@example.org", "password": "Wrong-pass-1"},
            headers={"x-forwarded-for": f"2001:db8::{number}"},
        ).status_code
        for number in range(50)
    ]  # fmt: skip
    assert statuses == [401] * 30 + [429] * 20


def test_a_trusted_proxy_names_the_client_and_nobody_behind_it_does(fresh_web: FreshWeb) -> None:
    web = fresh_web(trusted_proxies=("127.0.0.1",), anonymous_calls=1)
    body = {"image": base64.b64encode(b"no picture").decode()}
    stranger = web.client()

    def call(*chain: str) -> int:
        headers = httpx.Headers([("x-forwarded-for", value) for value in chain])
        return stranger.post("/vision/process-image", json=body, headers=headers).status_code

    assert call("203.0.113.1") == 422
    assert call("203.0.113.1") == 429
    assert call("203.0.113.2") == 422
    assert [call(f"198.51.100.{n}, 203.0.113.2") for n in range(3)] == [429] * 3
    assert call("198.51.100.9", "203.0.113.2, 127.0.0.1") == 429
    assert call("2001:db8:1:1::1") == 422
    assert call("2001:db8:1:1:ffff::2") == 429  # the same line: a /64 is handed out whole
    assert call("2001:db8:1:2::1") == 422
