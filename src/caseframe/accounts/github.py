"""Sign-in at GitHub, which speaks OAuth 2 and tells who it is by its own API."""

from __future__ import annotations

from caseframe.accounts.exchange import Exchange, Flow, split_name
from caseframe.domain.access import IdentityRefused
from caseframe.domain.people import ExternalIdentity
from caseframe.domain.providers import Provider


class GitHub:
    """One GitHub server."""

    scope = "read:user user:email"

    def __init__(self, provider: Provider, seconds: float) -> None:
        self._provider = provider
        self._exchange = Exchange(provider, seconds)

    def authorization_endpoint(self) -> str:
        """Where the browser is sent."""
        return f"{self._provider.site}/login/oauth/authorize"

    def identity(self, flow: Flow) -> ExternalIdentity:
        """Who it is; the address is the primary one, which GitHub must have verified."""
        url = f"{self._provider.site}/login/oauth/access_token"
        token = str(self._exchange.redeem(url, flow, "client_secret_post")["access_token"])
        user = self._exchange.fetch(f"{self._provider.api}/user", token=token)
        emails = self._exchange.fetch(f"{self._provider.api}/user/emails", token=token)
        try:
            verified = [e["email"] for e in emails if e["primary"] and e["verified"] is True]
            subject, name = user["id"], user.get("name") or user.get("login")
        except (TypeError, KeyError, AttributeError) as error:
            raise self._exchange.refused("an answer of another form") from error
        if not verified:
            raise IdentityRefused(
                f"{self._provider.shown} has not verified your e-mail address; confirm it there"
            )
        return self._exchange.person(subject, verified[0], split_name(name))
