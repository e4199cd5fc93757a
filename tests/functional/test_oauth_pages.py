"""Signing in at another provider, end to end against a real one on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support.openid import CLIENT, SECRET, OpenIdProvider, openid_provider
from tests.support.web import FreshWeb, WebServer


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    with openid_provider() as made:
        yield made


@pytest.fixture
def open_web(fresh_web: FreshWeb, provider: OpenIdProvider) -> FreshWeb:
    described = f"{provider.url}/.well-known/openid-configuration"
    client = {"client_id": CLIENT, "client_secret": SECRET}
    both = [
        {"name": "institute", "title": "The Institute", "discovery_url": described, **client},
        {"name": "github", "kind": "github", "site": provider.url, "api": provider.url, **client},
    ]
    return lambda **given: fresh_web(**{"sign_up": "open", "oauth_providers": both, **given})


def _out(asks: httpx.Client, name: str = "institute", target: str = "/account") -> httpx.Response:
    """Follow the button to the provider; what sends the browser back."""
    away = asks.get(f"/auth/oauth/{name}", params={"next": target})
    assert away.status_code == 303, away.text
    return httpx.get(away.headers["location"])


def _sign_in(
    asks: httpx.Client, name: str = "institute", target: str = "/account"
) -> httpx.Response:
    return asks.get(_out(asks, name, target).headers["location"])


def test_there_are_no_buttons_where_nothing_is_set_up(web: WebServer) -> None:
    asks = web.browser_like()
    assert "/auth/oauth/" not in asks.get("/sign-in").text
    assert asks.get("/auth/oauth/institute").status_code == 404
    assert asks.get("/auth/oauth/institute/return", params={"code": "x"}).status_code == 404


@pytest.mark.parametrize("name", ["institute", "github"])
def test_somebody_new_comes_in(open_web: FreshWeb, name: str) -> None:
    web = open_web()
    asks = web.browser_like()
    page = asks.get("/sign-in", params={"next": "/account"}).text
    assert "Sign in with The Institute" in page
    assert f'href="/auth/oauth/{name}?next=/account"' in page
    done = _sign_in(asks, name)
    assert (done.status_code, done.headers["location"]) == (303, "/account")
    account = asks.get("/account").text
    assert "anna@example.org" in account
    assert "used by this account" in account
    assert "You have none, because you sign in with another provider" in account
    assert not {"caseframe_state", "caseframe_next"} & {cookie.name for cookie in asks.cookies.jar}


def test_an_account_of_that_address_is_the_same_account(
    open_web: FreshWeb, provider: OpenIdProvider
) -> None:
    web = open_web()
    provider.person["email"] = web.administrator.email
    asks = web.browser_like()
    assert _sign_in(asks).status_code == 303
    me = asks.get("/api/v1/me", headers={"accept": "application/json"}).json()
    assert (me["id"], me["role"], me["providers"]) == (
        web.administrator.id, "administrator", ["institute"],
    )  # fmt: skip


def test_the_state_cookie_is_for_the_way_back_only(open_web: FreshWeb) -> None:
    answer = open_web().browser_like().get("/auth/oauth/institute")
    cookies = [v for v in answer.headers.get_list("set-cookie") if v.startswith("caseframe_")]
    assert len(cookies) == 2
    for cookie in cookies:
        for part in ("HttpOnly", "Path=/auth/oauth/institute", "SameSite=lax", "Max-Age=600"):
            assert part in cookie
    sent = parse_qs(urlsplit(answer.headers["location"]).query)
    assert sent["redirect_uri"][0].endswith("/auth/oauth/institute/return")
    assert sent["code_challenge_method"] == ["S256"]


def test_a_sign_in_that_began_in_another_browser_ends_here(open_web: FreshWeb) -> None:
    """An attacker's answer of the provider must not sign a victim in as the attacker."""
    web = open_web()
    attacker, victim = web.browser_like(), web.browser_like()
    back = _out(attacker).headers["location"]
    for prepare in (lambda: None, lambda: _out(victim)):
        prepare()
        answer = victim.get(back)
        assert answer.status_code == 401
        assert "begin it again" in answer.text
        assert victim.get("/account").status_code == 401


def test_an_answer_works_once(open_web: FreshWeb) -> None:
    web = open_web()
    asks = web.browser_like()
    back = _out(asks).headers["location"]
    cookie = "; ".join(f"{c.name}={c.value}" for c in asks.cookies.jar)
    assert asks.get(back).status_code == 303
    with httpx.Client(base_url=web.url, headers={"accept": "text/html", "cookie": cookie}) as again:
        assert again.get(back).status_code == 401


def test_strangers_need_leave_and_get_no_further(open_web: FreshWeb) -> None:
    web = open_web(sign_up="invited")
    asks = web.browser_like()
    refused = _sign_in(asks)
    assert refused.status_code == 403
    assert "by invitation" in refused.text
    assert asks.get("/account").status_code == 401


@pytest.mark.parametrize("lie", ["unverified", "refused", "broken", "away"])
def test_a_provider_that_does_not_vouch(
    open_web: FreshWeb, provider: OpenIdProvider, lie: str
) -> None:
    web = open_web()
    asks = web.browser_like()
    if lie == "unverified":
        provider.person["email_verified"] = False
    elif lie == "broken":
        provider.lies["/token"] = (200, b"<html>")
    elif lie == "away":
        provider.lies["/token"] = (503, b"")
    back = _out(asks).headers["location"]
    if lie == "refused":
        state = parse_qs(urlsplit(back).query)["state"][0]
        said = {"state": state, "error": "access_denied", "error_description": "<b>no</b>"}
        back = f"{urlsplit(back).path}?{httpx.QueryParams(said)}"
    answer = asks.get(back)
    assert answer.status_code == (503 if lie == "away" else 401)
    assert "<b>no" not in answer.text
    assert asks.get("/account").status_code == 401


def test_a_disabled_account_stays_out(open_web: FreshWeb, provider: OpenIdProvider) -> None:
    web = open_web()
    person = web.account("viewer")
    provider.person["email"] = person.email
    web.services.accounts.disable(web.principal(), person.id)
    assert _sign_in(web.browser_like()).status_code == 403


@pytest.mark.parametrize("target", ["https://evil.example.org", "//evil.example.org", "/\\evil"])
def test_the_way_back_leads_to_no_other_site(open_web: FreshWeb, target: str) -> None:
    done = _sign_in(open_web().browser_like(), target=target)
    assert done.headers["location"] == "/"


@pytest.mark.parametrize("query", ["", "code=x", "state=%ED%A0%80&code=%00", "state=" + "a" * 3000])
def test_odd_ways_back_are_refused(open_web: FreshWeb, query: str) -> None:
    asks = open_web().browser_like()
    _out(asks)
    refused = 400 if "%00" in query else 401
    assert asks.get(f"/auth/oauth/institute/return?{query}").status_code == refused
