"""The application: middlewares, routes and pages around the services it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from caseframe import __version__
from caseframe.web import errors, metrics
from caseframe.web.api import ROUTERS as API_ROUTERS
from caseframe.web.correlation import Correlated
from caseframe.web.desk import Desk
from caseframe.web.pages import ROUTERS as PAGE_ROUTERS
from caseframe.web.security import (
    BodyLimit,
    ClientAddress,
    SameOriginOnly,
    SecurityHeaders,
    content_policy,
)
from caseframe.web.services import Services
from caseframe.web.session import BrowserSession
from caseframe.web.static_files import StaticFiles
from caseframe.web.texts import Storable
from caseframe.web.turns import ByMethod, Turns

_WITH_FILES = ("/vision/",)


def create_app(services: Services) -> FastAPI:
    """The web application over `services`; their owner closes them."""
    options = services.options

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        services.broadcaster.close()

    app = FastAPI(
        title="Caseframe",
        version=__version__,
        description="A folder of pictures as a case that people can look through.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        dependencies=[Storable, ByMethod],
        middleware=[
            Middleware(Correlated),
            Middleware(metrics.Measured),
            Middleware(ClientAddress, options.trusted_proxies),
            Middleware(SecurityHeaders, content_policy(options.tile_url), secure=options.secure),
            Middleware(SameOriginOnly, options.public_url),
            Middleware(BodyLimit, options.max_body, options.max_json, _WITH_FILES),
            Middleware(BrowserSession, services.accounts, secure=options.secure),
        ],
    )
    app.state.services = services
    app.state.turns = Turns()
    app.state.desk = Desk(services.vision, options)
    errors.install(app)
    for router in API_ROUTERS:
        app.include_router(router)
    pages = APIRouter(include_in_schema=False)
    for router in PAGE_ROUTERS:
        pages.include_router(router)
    app.include_router(pages)
    app.mount("/static", StaticFiles())
    return app
