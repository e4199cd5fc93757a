"""How the web server behaves; the command line makes this from the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import SecretStr


@dataclass(frozen=True)
class WebOptions:
    """Values for the whole server. Sizes are bytes, times seconds."""

    case: Path
    sources: Path
    """Root of all folders that jobs may be made of."""
    public_url: str
    """What people type to get here, without a slash at the end."""
    secure: bool = False
    """Whether people come by https: cookies are then sent by it alone."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Only these may say in X-Forwarded-For on whose behalf they ask."""
    max_body: int = 256_000_000
    """Largest request as a whole."""
    max_json: int = 1_000_000
    """Largest request that is neither a form with files nor a picture."""
    max_picture: int = 64_000_000
    max_parts: int = 100
    """Most fields and files of a form."""
    anonymous_calls: int = 3
    """Descriptions an hour for each address without an account."""
    counts: str = field(default="memory://", repr=False)
    """Where those calls are counted, as a URI of `limits`."""
    anonymous_pictures: int = 10
    """Most pictures in one of those calls."""
    uploads: int = 64
    """Requests with pictures that are received, or wait to be described, at once."""
    upload_seconds: float = 300.0
    """Time for the pictures of one request to arrive."""
    at_work: int = 16
    """Requests that are being described at once; `max_picture` bounds what they hold together."""
    patience: float = 60.0
    """How long an upload waits for its turn before it is told to come again."""
    default_model: str = "FACTS"
    outbox: Path | None = None
    """Where mails are files for want of a mail server."""
    tile_url: str | None = None
    """Template of a tile server for maps, if an administrator configured one."""
    metrics_token: SecretStr | None = None
    """What Prometheus may ask for /metrics with."""
    max_side: int = 2560
    """Longer side of a picture as shown in full, in pixels."""
