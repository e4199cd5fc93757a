"""The id that one request keeps on its whole way through the services, and through their logs."""

from __future__ import annotations

import re
import uuid

HEADER = "x-correlation-id"
"""Its name in HTTP, in gRPC metadata and in RabbitMQ headers."""
LOGGED = "correlation_id"
"""Its name in log records, and in structlog's context while a request is at work."""
_FORM = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def well_formed(text: str) -> bool:
    """Whether somebody else's id can be taken over: short, and nothing that could forge a log."""
    return _FORM.fullmatch(text) is not None


def new_id() -> str:
    """An id for a request that came without one."""
    return str(uuid.uuid4())
