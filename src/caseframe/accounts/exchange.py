"""What GitHub and OpenID providers have in common: a code becomes a token, over HTTP."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote_plus, urlsplit

import httpx

from caseframe.domain.access import AccountsAway, IdentityRefused
from caseframe.domain.people import ExternalIdentity
from caseframe.domain.providers import Provider
from caseframe.domain.text import one_line, storable

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_SUBJECT_LENGTH = 255  # OpenID Connect Core 1.0, section 2


@dataclass(frozen=True, slots=True)
class Flow:
    """What came back from the provider, and what it must fit."""

    code: str = field(repr=False)
    issuer: str | None
    redirect_uri: str
    verifier: str = field(repr=False)
    nonce: str = field(repr=False)


class Dialogue(Protocol):
    """How one kind of provider is asked."""

    scope: str

    def authorization_endpoint(self) -> str:
        """Where the browser is sent. Raises AccountsAway."""

    def identity(self, flow: Flow) -> ExternalIdentity:
        """Who it is. Raises IdentityRefused, AccountsAway."""


class Exchange:
    """Calls one provider; what it answers is checked to be what its standard says."""

    def __init__(self, provider: Provider, seconds: float) -> None:
        self._provider = provider
        self._seconds = seconds

    def fetch(self, url: str, *, token: str | None = None) -> Any:
        """JSON from an address, with a bearer token where one is given."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._ask(httpx.Request("GET", _safe(url), headers=headers))

    def redeem(self, url: str, flow: Flow, method: str) -> dict[str, Any]:
        """The token endpoint's answer for a code.

        `method` is how the client shows its secret, by OpenID's name for it.
        """
        if not flow.code:
            raise IdentityRefused("the other provider sent no code; begin the sign-in again")
        form = {
            "grant_type": "authorization_code",
            "code": storable(flow.code),
            "redirect_uri": flow.redirect_uri,
            "code_verifier": flow.verifier,
        }
        name, secret, headers = self._provider.client_id, self._secret(), {}
        if method == "client_secret_post":
            form |= {"client_id": name, "client_secret": secret}
        else:  # RFC 6749, section 2.3.1: each part is encoded as in a form
            pair = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
        answer = self._ask(httpx.Request("POST", _safe(url), headers=headers, data=form))
        if not isinstance(answer, dict) or "error" in answer or "access_token" not in answer:
            said = answer.get("error", "no token") if isinstance(answer, dict) else "no token"
            raise self.refused(str(said))
        return answer

    def _secret(self) -> str:
        try:
            return self._provider.secret()
        except OSError as error:
            raise AccountsAway(
                f"the client secret of {self._provider.shown} cannot be read; check the settings"
            ) from error

    def _ask(self, request: httpx.Request) -> Any:
        request.headers["Accept"] = "application/json"
        request.headers["User-Agent"] = "caseframe"
        try:
            # One client a call: sign-ins are rare, and no cookie must outlive one of them.
            with httpx.Client(timeout=self._seconds) as client:
                response = client.send(request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AccountsAway(
                f"{self._provider.shown} does not answer; try again later or sign in another way"
            ) from error
        if response.status_code >= 500:
            raise AccountsAway(f"{self._provider.shown} is out of order now; try again later")
        try:
            answer = response.json()
        except ValueError as error:
            raise self.refused("no JSON") from error
        # The token endpoint says in the body what is wrong; all others say 200 or nothing.
        if response.status_code >= 300 and not (isinstance(answer, dict) and "error" in answer):
            raise self.refused(f"HTTP status {response.status_code}")
        return answer

    def refused(self, said: str) -> IdentityRefused:
        """The error for an answer that does not do."""
        return IdentityRefused(
            f"{self._provider.shown} gave no proof of who you are ({one_line(said, 100)}); begin "
            "the sign-in again"
        )

    def person(self, subject: object, email: object, names: tuple[str, str]) -> ExternalIdentity:
        """The identity, if subject and address are such."""
        usable = isinstance(subject, str | int) and isinstance(email, str)
        found = storable(str(subject))
        if not usable or not 1 <= len(found) <= _SUBJECT_LENGTH:
            raise self.refused("no subject or no e-mail address")
        return ExternalIdentity(self._provider.name, found, str(email), *names)


def _safe(url: str) -> str:
    """The address, if what goes there cannot be read on the way."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise AccountsAway("an address of the other provider is not https; check the settings")
    return url


def split_name(name: object) -> tuple[str, str]:
    """First and last name of a whole one: the last word is the last name."""
    words = name.split() if isinstance(name, str) else []
    return (" ".join(words[:-1]), words[-1]) if len(words) > 1 else ("".join(words), "")
