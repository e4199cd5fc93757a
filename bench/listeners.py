"""What 200 people who watch a job cost the job: its time with them against its time without.

The server is `caseframe serve`; the listeners are in a process of their own, which does nothing but
read. Jobs over the same folder are scanned anew in turns, each into a case of its own.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from contextlib import closing
from datetime import datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import httpx
from tests.support.served import Served, served

from bench import corpus
from bench.report import Report

_PICTURES = 1200
_LISTENERS = 200
_ROUNDS = 3
_PASSWORD = "Correct-horse-7"


def bench(report: Report) -> None:
    """Print both times and what the listeners add."""
    report.heading(f"{_LISTENERS} listeners on one job of {_PICTURES} photographs")
    times: dict[int, list[float]] = {0: [], _LISTENERS: []}
    with corpus.folder_of(_PICTURES, corpus.photos()) as folder:
        for _ in range(_ROUNDS):
            for count, found in times.items():
                found.append(_job_seconds(folder, count))
    alone, watched = (statistics.median(found) for found in times.values())
    report.line("the job alone, median of the turns", f"{alone:.2f} s")
    report.line("the job with its listeners", f"{watched:.2f} s")
    report.limit("what they add", 100 * (watched / alone - 1), at_most=5, unit="%")


def _job_seconds(folder: Path, listeners: int) -> float:
    """Seconds that a scan of the folder takes by the job's own record."""
    with tempfile.TemporaryDirectory(prefix="bench-listeners-") as place:
        case = Path(place) / "case"
        cache = Path(os.environ.get("CASEFRAME_CACHE_DIR", place))
        with served(case, folder, cache) as server, closing(_signed_in(server)) as client:
            new = {"name": "Job", "source": "", "stages": ["exif", "place", "similar"]}
            made = client.post("/api/v1/jobs", json=new)
            job = made.raise_for_status().json()["id"]
            if not listeners:
                return _run(client, job)
            ready, end = multiprocessing.Event(), multiprocessing.Event()
            token = client.headers["authorization"]
            audience = multiprocessing.Process(
                target=_listen, args=(server.port, job, token, listeners, ready, end)
            )
            audience.start()
            ready.wait(60)
            try:
                return _run(client, job)
            finally:
                end.set()
                audience.join(30)


def _signed_in(server: Served) -> httpx.Client:
    """A client of the administrator that the first link makes."""
    client = httpx.Client(base_url=server.url, timeout=60)
    form = {"key": server.key, "first_name": "Ada", "last_name": "Lovelace",
            "email": "ada@example.org", "password": _PASSWORD}  # fmt: skip
    own = {"origin": server.url, "sec-fetch-site": "same-origin"}
    client.post("/auth/first", data=form, headers=own)
    client.cookies.clear()
    asked = {"email": form["email"], "password": _PASSWORD}
    tokens = client.post("/auth/signin", json=asked).raise_for_status().json()
    client.headers["authorization"] = f"Bearer {tokens['accessToken']}"
    return client


def _run(client: httpx.Client, job: str) -> float:
    client.post(f"/api/v1/jobs/{job}/start").raise_for_status()
    while (found := client.get(f"/api/v1/jobs/{job}").json())["state"] != "finished":
        time.sleep(0.2)
    began, ended = (datetime.fromisoformat(found[key]) for key in ("started_at", "finished_at"))
    return (ended - began).total_seconds()


def _listen(port: int, job: str, token: str, count: int, ready: Event, end: Event) -> None:
    asyncio.run(_all(port, job, token, count, ready, end))


async def _all(port: int, job: str, token: str, count: int, ready: Event, end: Event) -> None:
    tasks = [asyncio.create_task(_one(port, job, token)) for _ in range(count)]
    await asyncio.sleep(2)
    ready.set()
    await asyncio.to_thread(end.wait)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _one(port: int, job: str, token: str) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /api/v1/jobs/{job}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    writer.write(f"{head}Authorization: {token}\r\n\r\n".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(answer.decode("latin-1"))
    while await reader.read(1 << 16):
        pass
