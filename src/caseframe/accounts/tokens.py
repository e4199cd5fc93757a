"""Signed tokens (RFC 7519, HS256): for access, refreshing, tasks, services, and sign-in states.

Each kind has an audience of its own, so that one is never taken for another.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import jwt
from pydantic import SecretStr

from caseframe.domain.access import TokenRefused

ALGORITHM = "HS256"
ISSUER = "caseframe"
_REQUIRED = ["iss", "aud", "sub", "typ", "exp", "iat", "jti"]


class Kind(StrEnum):
    """What a token is for."""

    ACCESS = "access"
    REFRESH = "refresh"
    TASK = "task"
    SERVICE = "service"
    SIGN_IN_STATE = "sign-in-state"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token proves; `more` holds the claims that only this kind has."""

    kind: Kind
    subject: str
    session_id: str
    issued_at: datetime
    expires_at: datetime
    more: dict[str, Any] = field(default_factory=dict, repr=False)


class TokenMint:
    """Makes and reads tokens with one secret. `clock` gives the present, aware."""

    def __init__(
        self, secret: SecretStr, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._secret = secret
        self._clock = clock

    def now(self) -> datetime:
        """The present, by the clock that tokens are made by."""
        return self._clock()

    def make(
        self, kind: Kind, subject: str, life: timedelta, *, session_id: str = "", **more: Any
    ) -> str:
        """A token of that kind about `subject`, good for `life`."""
        issued = self._clock()
        claims = {
            "iss": ISSUER,
            "aud": _audience(kind),
            "sub": subject,
            "sid": session_id,
            "typ": kind,
            "iat": issued,
            "exp": issued + life,
            "jti": str(uuid.uuid4()),
            **more,
        }
        return jwt.encode(claims, self._secret.get_secret_value(), ALGORITHM)

    def read(self, kind: Kind, token: str) -> Claims:
        """What a token of that kind proves. Raises TokenRefused for anything else."""
        try:
            claims = jwt.decode(
                token,
                self._secret.get_secret_value(),
                algorithms=[ALGORITHM],
                audience=_audience(kind),
                issuer=ISSUER,
                options={"require": _REQUIRED, "strict_aud": True, "verify_exp": False,
                         "verify_iat": False},
            )  # fmt: skip
            return self._claims(kind, claims)
        except (jwt.InvalidTokenError, UnicodeError, ValueError, TypeError, OverflowError) as error:
            raise TokenRefused from error

    def _claims(self, kind: Kind, claims: dict[str, Any]) -> Claims:
        issued, expires = (datetime.fromtimestamp(claims[c], UTC) for c in ("iat", "exp"))
        session = claims.pop("sid", "")
        if claims["typ"] != kind or not isinstance(session, str):
            raise TokenRefused
        if expires <= self._clock():
            raise TokenRefused("the token has expired; refresh it or sign in again")
        more = {key: value for key, value in claims.items() if key not in _REQUIRED}
        return Claims(kind, claims["sub"], session, issued, expires, more)


def _audience(kind: Kind) -> str:
    return f"{ISSUER}/{kind}"


@dataclass(frozen=True, slots=True)
class TaskGrant:
    """What a task's token allows: reading the files of one job, and nothing else."""

    job_id: str


def make_task_token(mint: TokenMint, job_id: str, life: timedelta) -> str:
    """A token that lets a worker read that job's files."""
    return mint.make(Kind.TASK, job_id, life)


def read_task_token(mint: TokenMint, token: str) -> TaskGrant:
    """The job whose files the bearer may read. Raises TokenRefused."""
    return TaskGrant(mint.read(Kind.TASK, token).subject)


def make_service_token(mint: TokenMint, service: str, life: timedelta) -> str:
    """A token by which one of our services gives orders to another."""
    return mint.make(Kind.SERVICE, service, life)


def read_service_token(mint: TokenMint, token: str) -> str:
    """The name of the service that bears it. Raises TokenRefused."""
    return mint.read(Kind.SERVICE, token).subject


def says_expired(token: str) -> bool:
    """Whether a token says that its time is over. Nothing is proved by that."""
    try:
        jwt.decode(token, options={"verify_signature": False, "verify_exp": True})
    except jwt.ExpiredSignatureError:
        return True
    except (jwt.InvalidTokenError, UnicodeError, ValueError, RecursionError):
        return False
    return False


def says_task(token: str) -> bool:
    """Whether a token says that it is a task's. Nothing is proved by that."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, UnicodeError, ValueError, RecursionError):
        return False
    return claims.get("typ") == Kind.TASK
