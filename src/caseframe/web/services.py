"""What the web server works with; the command line puts it together and picks what is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fastapi import Request

from caseframe.accounts.accounts import Accounts
from caseframe.accounts.oauth import Providers
from caseframe.accounts.sharing import Sharing
from caseframe.catalog.database import Catalog
from caseframe.pipeline.manager import JobManager
from caseframe.vision.client import VisionClient
from caseframe.web.events import Broadcaster
from caseframe.web.options import WebOptions


class Renderer(Protocol):
    """Makes what a browser can show of a picture, away from this process."""

    def view(self, root: bytes, path: bytes, sha256: bytes, side: int) -> bytes:
        """The picture upright as JPEG, its longer side at most `side` pixels.

        Raises ReadError when the file is gone or not that content, PictureError when it cannot
        be decoded.
        """


@dataclass(frozen=True)
class StageInfo:
    """A stage as people choose it; `reason` says why it cannot work here."""

    name: str
    title: str
    version: str
    summary: str
    reason: str | None


@dataclass(frozen=True)
class Services:
    """Everything a request may need."""

    catalog: Catalog
    accounts: Accounts
    sharing: Sharing
    providers: Providers
    manager: JobManager
    vision: VisionClient
    renderer: Renderer
    broadcaster: Broadcaster
    stages: tuple[StageInfo, ...]
    options: WebOptions


async def services(request: Request) -> Services:
    """The services of the application that the request came to.

    A coroutine, as it waits for nothing: FastAPI would send a plain function to a thread.
    """
    found: Services = request.app.state.services
    return found
