"""Where RabbitMQ is, and how it is spoken to."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import SecretStr

from caseframe.domain.errors import UsageError


@dataclass(frozen=True)
class AmqpOptions:
    """Where the broker is. The files are PEM; a certificate of ours is shown where one is given."""

    url: SecretStr
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    heartbeat: int = 20
    """Seconds; the URL may say another."""
    name: str = "caseframe"
    """Shown in the broker's list of connections."""

    def context(self) -> ssl.SSLContext | None:
        """For amqps:// only. Raises UsageError for files that cannot be used."""
        if not self.url.get_secret_value().startswith("amqps:"):
            return None
        try:
            made = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                made.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"amqp_ca, amqp_cert and amqp_key cannot be used: {error}") from error
        return made

    @property
    def place(self) -> str:
        """Where, for people: without name and password."""
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}"


def check(url: SecretStr) -> None:
    """Raise UsageError, which does not repeat it, for what is no address of a RabbitMQ."""
    try:
        parts = urlsplit(url.get_secret_value())
        sound = parts.scheme in {"amqp", "amqps"} and parts.hostname and parts.port != 0
    except ValueError:  # the port is no number, or none that there is
        sound = False
    if not sound:
        raise UsageError(
            "amqp_url is no address of a RabbitMQ; write amqps://user@host/ or "
            "amqps://user@host:5671/vhost, with a port from 1 to 65535"
        )


def with_password(url: str, password: str, user: str = "guest") -> SecretStr:
    """The URL with that password in it; `user` where it names none."""
    parts = urlsplit(url)
    at = parts.netloc.rpartition("@")[2]
    user = quote(parts.username or user, safe="")
    return SecretStr(urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{at}")))
