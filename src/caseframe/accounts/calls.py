"""The calls of `Accounts` as messages between our own gateway and the auth service.

Everything comes from the annotations of the Protocol, so a new method there needs no second list.
Messages carry a signature by the secret of the services: only those who hold it speak in the name
of other people. Others who may write to the queue have the five commands of serve.py.
"""

from __future__ import annotations

import hashlib
import hmac
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, get_type_hints

from pydantic import SecretStr, TypeAdapter, ValidationError

from caseframe.accounts.accounts import Accounts
from caseframe.bus.rpc import Refusal, refusal
from caseframe.domain.access import STATUS, AccessError, AccountsAway, InvalidInput

PREFIX = "accounts."
"""What the names of our own commands begin with; the method's name follows."""
SIGNATURE = "x-caseframe-signature"
_OWN = frozenset({"close"})  # ends this side, not the service


class Call:
    """One method: its parameters and its result, to JSON and back."""

    def __init__(self, name: str, method: Callable[..., Any]) -> None:
        hints = get_type_hints(method)
        self.name = name
        self.signature = inspect.signature(method)
        self._result = TypeAdapter[Any](hints.pop("return"))
        self._parameters = {one: TypeAdapter[Any](hint) for one, hint in hints.items()}

    def data(self, *given: Any, **named: Any) -> dict[str, Any]:
        """The arguments of one call as JSON. Raises TypeError as the method itself would."""
        bound = self.signature.bind(None, *given, **named)
        return {name: _plain(bound.arguments[name]) for name in list(bound.arguments)[1:]}

    def arguments(self, data: Any) -> dict[str, Any]:
        """What `data` made of the arguments. Raises InvalidInput for anything else."""
        try:
            self.signature.bind(None, **data)
            return {
                name: self._parameters[name].validate_python(_storable(value))
                for name, value in data.items()
            }
        except (TypeError, ValidationError):
            # Their own words would repeat what was sent, and that may be a password.
            raise InvalidInput(f"these are not the parameters of {self.name}") from None

    def response(self, result: Any) -> Any:
        """The result as JSON."""
        return _plain(result)

    def result(self, response: Any) -> Any:
        """What `response` made of the result. Raises AccountsAway for anything else."""
        try:
            return self._result.validate_python(response)
        except ValidationError:
            raise AccountsAway("the auth service is of another version than this one") from None


def _calls() -> dict[str, Call]:
    found = inspect.getmembers(Accounts, inspect.isfunction)
    return {
        name: Call(name, method)
        for name, method in found
        if not name.startswith("_") and name not in _OWN
    }


CALLS = _calls()
"""Every method of `Accounts` that crosses the wire."""


def _plain(value: Any) -> Any:
    """JSON of the values in domain/people.py; enumerations are strings already."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _storable(value: Any) -> Any:
    """The same with lone surrogates, which pydantic does not take, as NUL, which no rule takes."""
    if isinstance(value, str):
        return "".join("\x00" if 0xD800 <= ord(c) <= 0xDFFF else c for c in value)
    if isinstance(value, dict):
        return {name: _storable(one) for name, one in value.items()}
    return [_storable(one) for one in value] if isinstance(value, list) else value


# ---- who may call -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seal:
    """Signs messages and tells signed ones, by a key of its own made from the secret."""

    secret: SecretStr

    def sign(self, body: bytes) -> dict[str, str]:
        """The header of a message with that body."""
        key = hmac.digest(self.secret.get_secret_value().encode(), b"caseframe accounts", "sha256")
        return {SIGNATURE: hmac.new(key, body, hashlib.sha256).hexdigest()}

    def fits(self, body: bytes, headers: Mapping[str, Any]) -> bool:
        """Whether somebody with the same secret signed that body."""
        given = headers.get(SIGNATURE)
        return isinstance(given, str) and hmac.compare_digest(
            given.encode("utf-8", "replace"), self.sign(body)[SIGNATURE].encode()
        )


# ---- refusals ------------------------------------------------------------------------------------


def _classes(base: type[AccessError]) -> dict[str, type[AccessError]]:
    found: dict[str, type[AccessError]] = {}
    for one in base.__subclasses__():
        found |= {one.code: one, **_classes(one)}
    return found


def refused(error: AccessError) -> Refusal:
    """The error as it travels; of several reasons `message` is the list."""
    message = list(error.reasons) if isinstance(error, InvalidInput) else str(error)
    more = {"code": error.code, "details": {k: _plain(v) for k, v in vars(error).items()}}
    return refusal(STATUS.get(error.code, 403), message, **more)


def as_error(no: Refusal) -> AccessError:
    """The error that travelled; AccountsAway for one that is none of ours."""
    message, code, details = (no.err.get(name) for name in ("message", "code", "details"))
    kind = _classes(AccessError).get(str(code))
    if kind is None or not isinstance(message, (str, list)):
        return AccountsAway("the auth service failed over this; its log says why")
    text = "; ".join(map(str, message)) if isinstance(message, list) else message
    made = kind.__new__(kind)
    Exception.__init__(made, text)
    for name, value in (details if isinstance(details, dict) else {}).items():
        setattr(made, name, tuple(value) if isinstance(value, list) else value)
    return made
