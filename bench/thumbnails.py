"""Thumbnails a second against the same server answering a constant body of the same size.

The constant body passes through the same middlewares and goes out from a route that does nothing
else: no session is looked up, no job, no database. Both are asked by as many connections as a
browser opens, kept alive, with the cookies of somebody who is signed in. The sides take turns.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import httpx
import uvicorn
from fastapi import Response

from bench import corpus, measure
from bench.report import Report
from caseframe.cli.assemble import open_case
from caseframe.cli.web import web_services
from caseframe.domain.people import Client, NewAccount
from caseframe.settings import load_settings
from caseframe.web.app import create_app
from caseframe.web.session import ACCESS

_PICTURES = 200
_ROUNDS = 5
_SECONDS = 3.0
_CONNECTIONS = 6
_CONSTANT = "/constant"


@dataclass(frozen=True)
class _Served:
    url: str
    token: str

    @property
    def cookies(self) -> dict[str, str]:
        return {ACCESS: self.token}


def bench(report: Report) -> None:
    """Print both rates and their ratio."""
    report.heading("Thumbnails over HTTP, 6 connections")
    with tempfile.TemporaryDirectory(prefix="bench-thumbnails-") as place:
        case = Path(place) / "case"
        with corpus.folder_of(_PICTURES, corpus.photos()) as folder:
            measure.scan(folder, case, workers=2, stages="exif")
        with _serving(case) as server:
            _measure(report, server)


def _measure(report: Report, server: _Served) -> None:
    with httpx.Client(base_url=server.url, cookies=server.cookies) as client:
        (job,) = client.get("/api/v1/jobs").json()
        base = f"/api/v1/jobs/{job['id']}/pictures"
        tiles = client.get(base, params={"limit": _PICTURES}).json()["pictures"]
        paths = [f"{base}/{tile['id']}/thumbnail" for tile in tiles]
        sizes = [len(client.get(path).raise_for_status().content) for path in paths]
    same = [f"{_CONSTANT}?size={round(statistics.mean(sizes))}"]
    report.line("mean size of a thumbnail", f"{statistics.mean(sizes):,.0f} bytes")
    sides = {"constant": same, "thumbnails": paths}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(_ROUNDS):
        for name, addresses in sides.items():
            rates[name].append(asyncio.run(_rate(server, addresses)))
    constant, ours = (statistics.median(rates[name]) for name in sides)
    report.line("thumbnails", f"{ours:,.0f} requests/s")
    report.compare("a constant body of that size", constant, ours, at_least=0.5, unit="requests/s")


async def _rate(server: _Served, paths: list[str]) -> float:
    """Requests a second over all connections."""
    host, port = server.url.removeprefix("http://").split(":")
    end = time.perf_counter() + _SECONDS
    asked = [_ask(host, int(port), server, paths[n:] + paths[:n], end) for n in range(_CONNECTIONS)]
    return sum(await asyncio.gather(*asked)) / _SECONDS


async def _ask(host: str, port: int, server: _Served, paths: list[str], end: float) -> int:
    """How many answers one connection gave; written out, as a client library takes more time
    than the server.
    """
    reader, writer = await asyncio.open_connection(host, port)
    head = f"Host: {host}:{port}\r\nCookie: {ACCESS}={server.token}\r\n\r\n"
    count = 0
    for path in cycle(paths):
        if time.perf_counter() > end:
            break
        writer.write(f"GET {path} HTTP/1.1\r\n{head}".encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not answer.startswith(b"http/1.1 200 "):
            raise RuntimeError(answer.decode("latin-1"))
        length = answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        count += 1
    writer.close()
    return count


@contextmanager
def _serving(case: Path) -> Iterator[_Served]:
    """This module as the server, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.thumbnails", str(case)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("http://"):
                yield _Served(*line.split())
                return
        raise RuntimeError("the server ended before it began")
    finally:
        process.terminate()
        process.communicate()


def _serve(case: Path) -> None:
    """The whole web over a case, and the one route more that the other side asks."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = load_settings()
        with open_case(case, settings) as opened, web_services(opened, case, url) as services:
            key = services.accounts.first_key()
            new = NewAccount("A", "B", "a@example.org", "Correct-horse-7")
            tokens = services.accounts.create_first_administrator(key or "", new, Client())
            app = create_app(services)

            @app.get(_CONSTANT)
            async def constant(size: int) -> Response:
                return Response(b"x" * size, media_type="image/jpeg")

            print(url, tokens.access, flush=True)
            config = uvicorn.Config(
                app, log_config=None, access_log=False, server_header=False, proxy_headers=False
            )
            uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
