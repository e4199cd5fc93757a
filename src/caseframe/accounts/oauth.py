"""Sign-in at other providers: OAuth 2 (RFC 6749) with PKCE (RFC 7636), for a web to call.

`authorize_url` gives where to send the browser and a sealed state for a cookie (HttpOnly,
SameSite=Lax, path of the return address, ten minutes). `finish` takes what the browser brings back.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from caseframe.accounts.exchange import Dialogue, Flow
from caseframe.accounts.github import GitHub
from caseframe.accounts.oidc import OpenId
from caseframe.accounts.tokens import Kind, TokenMint
from caseframe.domain.access import IdentityRefused, NotThere, TokenRefused
from caseframe.domain.people import ExternalIdentity
from caseframe.domain.providers import Provider, ProviderKind
from caseframe.domain.text import one_line

STATE_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ProviderButton:
    """One button of the sign-in page."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class _State:
    """What must come back, or prove that what comes back belongs to this browser."""

    provider: str
    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


class Providers:
    """All configured providers. Safe to use from many threads."""

    def __init__(
        self, providers: Sequence[Provider], mint: TokenMint, *, seconds: float = 10.0
    ) -> None:
        self._mint = mint
        self._providers = {provider.name: provider for provider in providers}
        self._dialogues: dict[str, Dialogue] = {
            name: GitHub(provider, seconds)
            if provider.kind is ProviderKind.GITHUB
            else OpenId(provider, seconds, mint.now)
            for name, provider in self._providers.items()
        }

    def providers(self) -> tuple[ProviderButton, ...]:
        """The buttons to show, in the order of the settings."""
        return tuple(ProviderButton(p.name, p.shown) for p in self._providers.values())

    def authorize_url(self, provider: str, redirect_uri: str) -> tuple[str, str]:
        """(address to send the browser to, sealed state for a cookie).

        `redirect_uri` is the address that the browser comes back to, as registered there. Raises
        NotThere for a provider that is not configured, AccountsAway.
        """
        dialogue = self._dialogue(provider)
        state = _State(provider, redirect_uri, *(secrets.token_urlsafe(32) for _ in range(3)))
        url: str = prepare_grant_uri(
            dialogue.authorization_endpoint(),
            self._providers[provider].client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=dialogue.scope,
            state=state.state,
            nonce=state.nonce,
            code_challenge=create_s256_code_challenge(state.verifier),
            code_challenge_method="S256",
        )
        return url, self._seal(state)

    def finish(self, provider: str, params: Mapping[str, str], sealed: str) -> ExternalIdentity:
        """Who came back, from the query of the return address and the cookie's state.

        Raises NotThere, IdentityRefused for whatever does not fit, AccountsAway.
        """
        dialogue = self._dialogue(provider)
        state = self._unseal(sealed)
        given = params.get("state", "").encode("utf-8", "surrogatepass")
        if state.provider != provider or not hmac.compare_digest(given, state.state.encode()):
            raise IdentityRefused("this sign-in was not begun in this browser; begin it again")
        if "error" in params:
            said = one_line(params.get("error_description") or params["error"], 100)
            raise IdentityRefused(f"{self._providers[provider].shown} refused: {said}")
        flow = Flow(params.get("code", ""), params.get("iss"), state.redirect_uri, state.verifier,
                    state.nonce)  # fmt: skip
        return dialogue.identity(flow)

    def _dialogue(self, provider: str) -> Dialogue:
        found = self._dialogues.get(provider)
        if found is None:
            raise NotThere("this provider is not set up here")
        return found

    def _seal(self, state: _State) -> str:
        return self._mint.make(
            Kind.SIGN_IN_STATE, state.provider, STATE_LIFE, redirect_uri=state.redirect_uri,
            state=state.state, nonce=state.nonce, verifier=state.verifier,
        )  # fmt: skip

    def _unseal(self, sealed: str) -> _State:
        try:
            claims = self._mint.read(Kind.SIGN_IN_STATE, sealed)
            return _State(claims.subject, **claims.more)
        except (TokenRefused, TypeError) as error:
            raise IdentityRefused("the sign-in took too long; begin it again") from error
