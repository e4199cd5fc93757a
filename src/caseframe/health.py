"""The small HTTP door of a service: is it there, can it work, what does it count.

`/health` answers as long as the process does; `/ready` says 503 and why while it cannot work;
`/metrics` is for Prometheus. Nothing about pictures or people is told here.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from caseframe import __version__
from caseframe.domain.errors import CaseError

Ready = Callable[[], str | None]
"""Why the service cannot work now, in one line; None when it can. Asked from several threads."""


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@contextmanager
def health_server(
    address: str, service: str, ready: Ready, registry: CollectorRegistry
) -> Iterator[str]:
    """Answer at `address` while the block lasts; yields where.

    It is host:port, with brackets around an address of IPv6; port 0 takes any.

    Raises CaseError when it cannot listen there.
    """
    host, _, port = address.rpartition(":")
    bare = host.strip("[]")
    kind = _Server6 if ":" in bare else ThreadingHTTPServer
    try:
        server = kind((bare, int(port)), _handler(service, ready, registry))
    except (OSError, ValueError, OverflowError) as error:
        raise CaseError(
            f"cannot listen at {address} (health_address); give another host:port"
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield f"{f'[{bare}]' if ':' in bare else bare}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _handler(
    service: str, ready: Ready, registry: CollectorRegistry
) -> type[BaseHTTPRequestHandler]:
    class Door(BaseHTTPRequestHandler):
        timeout = 10
        server_version = "caseframe"
        sys_version = ""

        def do_GET(self) -> None:
            """Answer one of the three questions."""
            path = self.path.partition("?")[0]
            if path == "/health":
                self._say(200, {"status": "ok", "service": service, "version": __version__})
            elif path == "/ready":
                reason = ready()
                status = "ok" if reason is None else "not ready"
                self._say(200 if reason is None else 503, {"status": status, "reason": reason})
            elif path == "/metrics":
                self._send(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            else:
                self._say(404, {"error": "there are /health, /ready and /metrics"})

        def _say(self, status: int, body: dict[str, Any]) -> None:
            self._send(status, "application/json", json.dumps(body).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Probes come every few seconds and are no news."""

    return Door
