"""What Prometheus may ask for: requests by route, and what the jobs are doing."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caseframe.catalog import jobs
from caseframe.domain.work import JobState
from caseframe.web.services import Services

REGISTRY = CollectorRegistry()
_REQUESTS = Counter(
    "caseframe_http_requests", "Requests answered.", ("method", "route", "status"),
    registry=REGISTRY,
)  # fmt: skip
_SECONDS = Histogram(
    "caseframe_http_request_seconds", "Time to the first byte of an answer.", ("route",),
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10), registry=REGISTRY,
)  # fmt: skip
_JOBS = Gauge("caseframe_jobs", "Jobs by state.", ("state",), registry=REGISTRY)
# Whatever a client makes up is a method too, and each label would be kept for ever.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measured:
    """Counts and times every request by the route that took it, never by its path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on and note the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                _REQUESTS.labels(method, route, str(message["status"])).inc()
                _SECONDS.labels(route).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, noted)


def exposition(services: Services) -> bytes:
    """All metrics in Prometheus' text format; asks the catalog for the jobs."""
    with services.catalog.read() as connection:
        states = [job.state for job in jobs.list_jobs(connection)]
    for state in JobState:
        _JOBS.labels(state.value).set(states.count(state))
    return generate_latest(REGISTRY)
