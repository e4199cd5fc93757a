"""The auth service: `Accounts` answering over RabbitMQ.

Anybody who may write to its queue has the five commands of the wire contract. Our own gateway has
every method of `Accounts`, as `accounts.METHOD`, with messages that it signs (see calls.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from pydantic import SecretStr

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.calls import CALLS, PREFIX, Seal, refused
from caseframe.bus.rpc import Request, refusal
from caseframe.domain.access import (
    AccessError,
    AccountDisabled,
    AccountsAway,
    Forbidden,
    InvalidInput,
    TokenRefused,
)
from caseframe.domain.errors import CaseError
from caseframe.domain.people import Client, NewAccount

_log = structlog.get_logger(__name__)
QUEUE = "auth"
COMMANDS = ("sign-up", "sign-in", "refresh-token", "validate-token", "verify-user")
"""The commands of the wire contract."""
_READY = ("validate", "refresh", "policy", "user", "sign_out")
QUICK = frozenset({"validate-token", "refresh-token", *(PREFIX + name for name in _READY)})
"""Commands that cost a look or two into the catalog; those who are in already wait for them."""
_NOWHERE = Client()  # the contract does not say where a caller's own caller is


class AccountsService:
    """A handler of requests. Safe to use from many threads."""

    def __init__(self, accounts: Accounts, secret: SecretStr) -> None:
        self._accounts = accounts
        self._seal = Seal(secret)
        methods = (self._sign_up, self._sign_in, self._refresh, self._validate, self._verify)
        self._commands: dict[str, Callable[[Any], dict[str, Any]]] = dict(
            zip(COMMANDS, methods, strict=True)
        )

    def __call__(self, request: Request) -> Any:
        """The response to one request. Raises Refusal."""
        try:
            if request.command in self._commands:
                return self._commands[request.command](request.data)
            if request.command.startswith(PREFIX):
                return self._own(request)
        except AccessError as error:
            raise refused(error) from error
        except CaseError as error:
            _log.warning("accounts.away", reason=str(error))
            away = AccountsAway("accounts cannot be looked up now; try again in a minute")
            raise refused(away) from error
        raise refusal(404, "there is no such command", code="not-found")

    def _own(self, request: Request) -> Any:
        if not self._seal.fits(request.body, request.headers):
            raise Forbidden("this command is for the gateway, which signs what it sends")
        call = CALLS.get(request.command.removeprefix(PREFIX))
        if call is None:
            raise refusal(404, "there is no such command", code="not-found")
        method = getattr(self._accounts, call.name)
        return call.response(method(**call.arguments(request.data)))

    # ---- the wire contract ----------------------------------------------------------------------

    def _sign_up(self, data: Any) -> dict[str, Any]:
        first, last, email, password = _texts(data, "firstname", "lastname", "email", "password")
        user = self._accounts.sign_up(NewAccount(first, last, email, password), _NOWHERE)
        return _said(f"the account is made; confirm it by the mail to {user.email}")

    def _sign_in(self, data: Any) -> dict[str, Any]:
        email, password = _texts(data, "email", "password")
        pair = self._accounts.sign_in(email, password, _NOWHERE)
        return {"accessToken": pair.access, "refreshToken": pair.refresh}

    def _refresh(self, data: Any) -> dict[str, Any]:
        (token,) = _texts(data, "token")
        try:
            pair = self._accounts.refresh(token, _NOWHERE)
        except (TokenRefused, AccountDisabled) as error:
            return {"isValid": False, "message": str(error)}
        return {"accessToken": pair.access, "refreshToken": pair.refresh}

    def _validate(self, data: Any) -> dict[str, Any]:
        (token,) = _texts(data, "token")
        try:
            self._accounts.validate(token)
        except TokenRefused as error:
            return {"isValid": False, "isVerified": False, "message": str(error)}
        # Tokens are for confirmed addresses only, and `validate` asks that anew.
        return {"isValid": True, "isVerified": True, "message": "the token is valid"}

    def _verify(self, data: Any) -> dict[str, Any]:
        (key,) = _texts(data, "key")
        user = self._accounts.verify(key)
        return _said(f"the address {user.email} is confirmed; sign in now")


def _said(message: str) -> dict[str, Any]:
    return {"status": "success", "message": message}


def _texts(data: Any, *names: str) -> list[str]:
    """Those values of `data`. Raises InvalidInput that names all that are missing or no text."""
    given = data if isinstance(data, dict) else {}
    if faults := [
        f"{name} must be a text" for name in names if not isinstance(given.get(name), str)
    ]:
        raise InvalidInput(*faults)
    return [given[name] for name in names]
