"""Whether the server is there, whether it can work, and what it counts."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy import select

from caseframe import __version__
from caseframe.web.deps import Scraper, ServicesDep, Who
from caseframe.web.metrics import exposition

router = APIRouter(tags=["system"])


class Health(BaseModel):
    """`status` is ok as long as there is an answer at all."""

    status: str = "ok"
    version: str = __version__


class StageOut(BaseModel):
    """A stage that jobs can have; `reason` says why it cannot work here.

    An `external` one is another maker's, and works over RabbitMQ.
    """

    name: str
    title: str
    version: str
    summary: str
    reason: str | None
    external: bool


@router.get("/health")
async def health() -> Health:
    """Say that the process answers."""  # a coroutine, so that it waits for no thread
    return Health()


@router.get("/ready")
def ready(here: ServicesDep) -> Health:
    """Say that the catalog answers too, and what other services do; 503 while one does not."""
    with here.catalog.read() as connection:
        connection.execute(select(1))
    here.check()
    return Health()


@router.get("/metrics", response_class=Response)
def metrics(here: ServicesDep, _who: Scraper) -> Response:
    """Counts for Prometheus: with the setting metrics_token, or the token of an administrator."""
    return Response(exposition(here), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/v1/stages")
def stages(here: ServicesDep, _who: Who) -> list[StageOut]:
    """What can be looked for in pictures, and what cannot here."""
    return [StageOut.model_validate(stage, from_attributes=True) for stage in here.stages]
