"""Sign-in at other providers, against a real one on this machine, good and lying."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr, ValidationError
from tests.support.openid import CLIENT, SECRET, OpenIdProvider, browse, openid_provider
from tests.support.people import HERE, Clock, Town
from tests.support.people import SECRET as TOKEN_SECRET

from caseframe.accounts.oauth import ProviderButton, Providers
from caseframe.accounts.tokens import TokenMint
from caseframe.catalog.database import Catalog
from caseframe.domain.access import AccessError, AccountsAway, IdentityRefused, NotThere
from caseframe.domain.people import ExternalIdentity
from caseframe.domain.providers import Provider

BACK = "http://127.0.0.1:3000/auth/hub/back"


@pytest.fixture
def hub() -> Iterator[OpenIdProvider]:
    with openid_provider() as running:
        yield running


def configured(hub: OpenIdProvider, clock: Clock | None = None, **more: Any) -> Providers:
    values = {
        "name": "hub", "title": "The Hub", "client_id": CLIENT, "client_secret": SECRET,
        "discovery_url": f"{hub.url}/.well-known/openid-configuration",
    } | more  # fmt: skip
    mint = TokenMint(TOKEN_SECRET, clock) if clock else TokenMint(TOKEN_SECRET)
    return Providers([Provider(**values)], mint, seconds=5)


def walk(providers: Providers) -> ExternalIdentity:
    url, sealed = providers.authorize_url("hub", BACK)
    return providers.finish("hub", browse(url), sealed)


def test_the_whole_way(hub: OpenIdProvider) -> None:
    providers = configured(hub)
    assert providers.providers() == (ProviderButton("hub", "The Hub"),)
    assert walk(providers) == ExternalIdentity(
        "hub", "subject-1", "anna@example.org", "Anna", "Nyström"
    )
    assert "/userinfo" not in hub.asked


def test_the_way_leads_to_an_account(hub: OpenIdProvider, catalog: Catalog) -> None:
    town = Town(catalog)
    pair = town.accounts.sign_in_with_identity(walk(configured(hub)), HERE)
    assert town.accounts.validate(pair.access).name == "Anna Nyström"
    town.accounts.close()


def test_what_the_browser_carries_there(hub: OpenIdProvider) -> None:
    url, sealed = configured(hub).authorize_url("hub", BACK)
    query = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
    assert query["redirect_uri"] == BACK
    assert query["scope"] == "openid email profile"
    assert query["code_challenge_method"] == "S256"
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3
    assert SECRET not in url + sealed
    other, _ = configured(hub).authorize_url("hub", BACK)
    assert parse_qs(urlsplit(other).query)["state"] != [query["state"]]


def test_what_the_token_lacks_comes_from_userinfo(hub: OpenIdProvider) -> None:
    hub.in_token = False
    assert walk(configured(hub)).email == "anna@example.org"
    assert "/userinfo" in hub.asked
    hub.lies["/userinfo"] = (200, b'{"sub": "subject-2", "email": "eve@example.org"}')
    with pytest.raises(IdentityRefused, match="somebody else"):
        walk(configured(hub))


def test_a_client_that_shows_its_secret_in_the_body(hub: OpenIdProvider) -> None:
    hub.description = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert walk(configured(hub)).subject == "subject-1"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"}, {"nonce": None}, {"exp": 1}, {"exp": None}, {"iat": None},
        {"aud": "another"}, {"aud": [CLIENT, "another"], "azp": "another"}, {"azp": "another"},
        {"iss": "https://eve.example.org"}, {"sub": None}, {"sub": ""}, {"sub": "x" * 300},
        {"email": 7}, {"iat": 99999999999}, {"nbf": 99999999999},
    ],
)  # fmt: skip
def test_id_tokens_that_do_not_hold(hub: OpenIdProvider, claims: dict[str, Any]) -> None:
    hub.claims = claims
    with pytest.raises(IdentityRefused, match="The Hub gave no proof"):
        walk(configured(hub))


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512"])
def test_id_tokens_with_an_algorithm_that_anybody_can_use(
    hub: OpenIdProvider, algorithm: str
) -> None:
    hub.algorithm = algorithm
    with pytest.raises(IdentityRefused):
        walk(configured(hub))


def test_id_tokens_by_another_key(hub: OpenIdProvider) -> None:
    hub.foreign_key = True
    with pytest.raises(IdentityRefused):
        walk(configured(hub))
    hub.header = {"kid": "2"}
    with pytest.raises(IdentityRefused):
        walk(configured(hub))


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes", {}])
def test_an_address_that_nobody_verified(hub: OpenIdProvider, verified: object) -> None:
    hub.person["email_verified"] = verified
    with pytest.raises(IdentityRefused, match="has not verified"):
        walk(configured(hub))


def test_a_state_of_another_browser_or_none(hub: OpenIdProvider) -> None:
    providers = configured(hub)
    mine, sealed = providers.authorize_url("hub", BACK)
    theirs, other = providers.authorize_url("hub", BACK)
    back = browse(mine)
    for params, state in (
        (back, other),
        (back, ""),
        (back, "nonsense"),
        (back | {"state": ""}, sealed),
        ({"code": back["code"]}, sealed),
        (back | {"state": "\ud800é"}, sealed),
    ):
        with pytest.raises(IdentityRefused, match="begin it again"):
            providers.finish("hub", params, state)
    assert providers.finish("hub", back, sealed).subject == "subject-1"
    assert theirs != mine


def test_a_code_that_was_stolen_or_used(hub: OpenIdProvider) -> None:
    providers = configured(hub)
    victim, victims_state = providers.authorize_url("hub", BACK)
    code = browse(victim)["code"]
    own, sealed = providers.authorize_url("hub", BACK)
    with pytest.raises(IdentityRefused):  # PKCE: the code belongs to another sign-in
        providers.finish("hub", browse(own) | {"code": code}, sealed)
    url, sealed = providers.authorize_url("hub", BACK)
    back = browse(url)
    assert providers.finish("hub", back, sealed)
    with pytest.raises(IdentityRefused):
        providers.finish("hub", back, sealed)
    assert victims_state


def test_a_sign_in_that_took_too_long(hub: OpenIdProvider) -> None:
    clock = Clock()
    providers = configured(hub, clock)
    url, sealed = providers.authorize_url("hub", BACK)
    clock.pass_by(minutes=10)
    with pytest.raises(IdentityRefused, match="too long"):
        providers.finish("hub", browse(url), sealed)


@pytest.mark.parametrize(
    "params", [{"error": "access_denied"}, {"error": "x", "error_description": "a\r\nb\x1b[2J"}]
)
def test_somebody_who_says_no_there(hub: OpenIdProvider, params: dict[str, str]) -> None:
    providers = configured(hub)
    url, sealed = providers.authorize_url("hub", BACK)
    state = parse_qs(urlsplit(url).query)["state"][0]
    with pytest.raises(IdentityRefused, match="refused") as error:
        providers.finish("hub", params | {"state": state}, sealed)
    assert str(error.value).isprintable()


def test_an_answer_of_another_issuer(hub: OpenIdProvider) -> None:
    providers = configured(hub)
    url, sealed = providers.authorize_url("hub", BACK)
    with pytest.raises(IdentityRefused, match="another issuer"):
        providers.finish("hub", browse(url) | {"iss": "https://eve.example.org"}, sealed)


def test_a_description_of_another_issuer(hub: OpenIdProvider) -> None:
    hub.description = {"issuer": "https://eve.example.org"}
    with pytest.raises(IdentityRefused, match="another issuer"):
        configured(hub).authorize_url("hub", BACK)


def test_nothing_goes_over_an_open_way(hub: OpenIdProvider) -> None:
    hub.description = {"token_endpoint": "http://hub.example.org/token"}
    with pytest.raises(AccountsAway, match="not https"):
        walk(configured(hub))


@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (404, b"{}"), (302, b"{}"), (200, b""), (200, b"<html>"), (200, b"[]"),
     (200, b"null"), (200, b'{"keys": 7}'), (200, b'{"keys": [7, {}]}'), (200, b"\xff\xfe"),
     (200, b'{"access_token": 7, "id_token": {}}'), (400, b'{"error": "invalid_grant"}')],
)  # fmt: skip
def test_endpoints_that_answer_nonsense(
    hub: OpenIdProvider, path: str, status: int, body: bytes
) -> None:
    hub.in_token = path != "/userinfo"
    hub.lies[path] = (status, body)
    with pytest.raises(AccessError) as error:
        walk(configured(hub))
    assert isinstance(error.value, AccountsAway if status >= 500 else IdentityRefused)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b'{"issuer": 7}'])
def test_a_description_that_is_none(hub: OpenIdProvider, body: bytes) -> None:
    hub.lies["/.well-known/openid-configuration"] = (200, body)
    with pytest.raises(IdentityRefused):
        configured(hub).authorize_url("hub", BACK)


def test_a_wrong_client_secret(hub: OpenIdProvider) -> None:
    with pytest.raises(IdentityRefused, match="invalid_client"):
        walk(configured(hub, client_secret="wrong-one"))


def test_a_provider_that_is_away() -> None:
    with openid_provider() as gone:
        providers = configured(gone)
    with pytest.raises(AccountsAway, match="does not answer"):
        providers.authorize_url("hub", BACK)


def test_a_provider_that_is_not_set_up(hub: OpenIdProvider) -> None:
    providers = configured(hub)
    for name in ("other", "", "\x00"):
        with pytest.raises(NotThere):
            providers.authorize_url(name, BACK)
        with pytest.raises(NotThere):
            providers.finish(name, {}, "")


def test_a_state_is_good_for_its_provider_only(hub: OpenIdProvider) -> None:
    both = [
        Provider(name=name, client_id=CLIENT, client_secret=SecretStr(SECRET),
                 discovery_url=f"{hub.url}/.well-known/openid-configuration")
        for name in ("hub", "hub2")
    ]  # fmt: skip
    providers = Providers(both, TokenMint(TOKEN_SECRET))
    url, sealed = providers.authorize_url("hub", BACK)
    with pytest.raises(IdentityRefused):
        providers.finish("hub2", browse(url), sealed)


def github(hub: OpenIdProvider) -> Providers:
    return configured(hub, kind="github", site=hub.url, api=hub.url, discovery_url=None)


def test_github(hub: OpenIdProvider) -> None:
    provider = github(hub)
    url, sealed = provider.authorize_url("hub", BACK)
    assert urlsplit(url).path == "/login/oauth/authorize"
    assert provider.finish("hub", browse(url), sealed) == ExternalIdentity(
        "hub", "4711", "anna@example.org", "Anna Maria", "Nyström"
    )
    assert "/jwks" not in hub.asked


def test_github_without_a_verified_address(hub: OpenIdProvider) -> None:
    hub.person["email_verified"] = False
    with pytest.raises(IdentityRefused, match="has not verified"):
        walk(github(hub))


@pytest.mark.parametrize("path", ["/user", "/user/emails", "/login/oauth/access_token"])
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"id": {}}', b"[{}]", b"7"])
def test_github_that_answers_nonsense(hub: OpenIdProvider, path: str, body: bytes) -> None:
    hub.lies[path] = (200, body)
    with pytest.raises(IdentityRefused):
        walk(github(hub))


@pytest.mark.parametrize(
    "values",
    [
        {"name": "a/b"}, {"name": ""}, {"client_id": ""}, {"client_secret": None},
        {"discovery_url": None}, {"unknown": 1}, {"kind": "saml"},
    ],
)  # fmt: skip
def test_settings_that_are_not_whole(values: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "hub", "client_id": "x", "client_secret": "xyzzy-secret",
            "discovery_url": "https://hub.example.org"}  # fmt: skip
    shown = repr(Provider(**good))
    assert "xyzzy" not in shown
    with pytest.raises(ValidationError):
        Provider(**(good | values))


def test_secrets_from_files(hub: OpenIdProvider, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    file = tmp_path / "secret"
    assert walk(configured(hub, client_secret=None, client_secret_file=file)).subject
    file.unlink()
    with pytest.raises(AccountsAway, match="client secret"):
        walk(configured(hub, client_secret=None, client_secret_file=file))


def test_google_is_found_by_name() -> None:
    google = Provider(name="google", kind="google", client_id="x", client_secret="y")  # type: ignore[arg-type]
    assert google.shown == "Google"
    assert google.discovery == "https://accounts.google.com/.well-known/openid-configuration"
