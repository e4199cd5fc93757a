"""Sign-in at an OpenID provider (OpenID Connect Core 1.0, code flow; Discovery 1.0)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt

from caseframe.accounts.exchange import Exchange, Flow, split_name
from caseframe.domain.access import IdentityRefused
from caseframe.domain.people import ExternalIdentity
from caseframe.domain.providers import Provider

_WELL_KNOWN = "/.well-known/openid-configuration"
_KEPT = timedelta(hours=1)
_CLOCK_SKEW = 60
# Signatures by a key that only the provider has. `none` and those with a shared secret are out.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
               "ES256", "ES384", "ES512", "EdDSA"]  # fmt: skip
_REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]


class OpenId:
    """One OpenID provider; what it says about itself is kept for an hour."""

    scope = "openid email profile"

    def __init__(self, provider: Provider, seconds: float, clock: Callable[[], datetime]) -> None:
        self._provider = provider
        self._exchange = Exchange(provider, seconds)
        self._clock = clock
        self._lock = threading.Lock()
        self._described: tuple[datetime, dict[str, Any]] | None = None

    def authorization_endpoint(self) -> str:
        """Where the browser is sent."""
        return self._endpoint("authorization_endpoint")

    def identity(self, flow: Flow) -> ExternalIdentity:
        """Who it is, by a signed ID token and, where that is short, the userinfo endpoint."""
        issuer = self._endpoint("issuer")
        if flow.issuer is not None and flow.issuer != issuer:  # RFC 9207: a mix-up of providers
            raise self._exchange.refused("another issuer")
        url = self._endpoint("token_endpoint")
        answer = self._exchange.redeem(url, flow, self._client_auth())
        claims = self._claims(str(answer.get("id_token", "")), issuer, flow.nonce)
        if "email" not in claims:
            claims |= self._userinfo(str(answer["access_token"]), claims["sub"])
        if str(claims.get("email_verified", False)).lower() != "true":
            raise IdentityRefused(
                f"{self._provider.shown} has not verified your e-mail address; confirm it there"
            )
        first, last = split_name(claims.get("name"))
        names = (str(claims.get("given_name") or first), str(claims.get("family_name") or last))
        return self._exchange.person(claims["sub"], claims.get("email"), names)

    def _describe(self) -> dict[str, Any]:
        with self._lock:
            if self._described is None or self._clock() - self._described[0] > _KEPT:
                found = self._exchange.fetch(self._provider.discovery)
                expected = self._provider.discovery.removesuffix(_WELL_KNOWN)
                issuer = found.get("issuer") if isinstance(found, dict) else None
                if not isinstance(issuer, str) or issuer.rstrip("/") != expected.rstrip("/"):
                    raise self._exchange.refused("its description names another issuer")
                self._described = (self._clock(), found)
            return self._described[1]

    def _endpoint(self, name: str) -> str:
        found = self._describe().get(name)
        if not isinstance(found, str):
            raise self._exchange.refused(f"its description has no {name}")
        return found

    def _client_auth(self) -> str:
        # Servers differ in how they read odd characters in Basic, so the body is better; Basic is
        # what holds where nothing is said (Discovery 1.0, section 3).
        body = "client_secret_post"
        methods = self._describe().get("token_endpoint_auth_methods_supported")
        return body if isinstance(methods, list) and body in methods else "client_secret_basic"

    def _claims(self, token: str, issuer: str, nonce: str) -> dict[str, Any]:
        """What the ID token says, after all checks of Core 1.0, section 3.1.3.7."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(token),
                algorithms=_ALGORITHMS,
                audience=self._provider.client_id,
                issuer=issuer,
                leeway=_CLOCK_SKEW,
                options={"require": _REQUIRED},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise self._exchange.refused(f"its ID token does not hold: {error}") from error
        if claims["nonce"] != nonce:
            raise self._exchange.refused("its ID token is for another sign-in")
        if claims.get("azp", self._provider.client_id) != self._provider.client_id:
            raise self._exchange.refused("its ID token is for another client")
        return claims

    def _key(self, token: str) -> jwt.PyJWK:
        """The provider's key that the token names; fetched each time, so that it can change."""
        header = jwt.get_unverified_header(token)
        known = self._exchange.fetch(self._endpoint("jwks_uri"))
        keys = jwt.PyJWKSet.from_dict(known if isinstance(known, dict) else {}).keys
        named = [key for key in keys if "kid" not in header or key.key_id == header["kid"]]
        if len(named) != 1:
            raise jwt.InvalidKeyError("its key is not among the provider's")
        return named[0]

    def _userinfo(self, token: str, subject: object) -> dict[str, Any]:
        found = self._exchange.fetch(self._endpoint("userinfo_endpoint"), token=token)
        # Core 1.0, section 5.3.2: without this check one answer could be put in another's place.
        if not isinstance(found, dict) or found.get("sub") != subject:
            raise self._exchange.refused("its userinfo is about somebody else")
        wanted = ("email", "email_verified", "name", "given_name", "family_name")
        return {key: found[key] for key in wanted if key in found}
