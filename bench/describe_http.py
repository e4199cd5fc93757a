"""POST /vision/process-image against the same describer called in process; memory under uploads.

The server is `caseframe serve` as its users run it. In process means what a program would do that
holds the describer itself. The sides take turns at each picture; its figure is the median over the
rounds. Forms are made before the clock runs, and sent by Python's own HTTP client over a connection
that stays: what a client takes for itself is not the server's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Self, TypeVar

import httpx
import numpy as np
import psutil
import simplejpeg

from bench.captions import full_size_model
from bench.corpus import distinct, photos
from bench.report import Report
from caseframe.cli.vision import describers
from caseframe.domain.errors import ModelUnavailable
from caseframe.settings import Settings, load_settings
from caseframe.vision.describer import Describer
from caseframe.vision.missing import missing_extra

_T = TypeVar("_T")
_ROUNDS = 5
_FACTS_PICTURES, _BLIP_PICTURES = 40, 4
_UPLOADS = (10, 100)
_SIDE = 2620
_MB = 1e6


_PATH = "/vision/process-image"


@dataclass(frozen=True)
class _Form:
    """A request with one picture, ready to be sent."""

    content: bytes
    headers: dict[str, str]

    @classmethod
    def of(cls, data: bytes, model: str) -> Self:
        """The form with a picture and the name of a model."""
        files, fields = {"image": ("a.jpg", data)}, {"model": model}
        request = httpx.Request("POST", "http://127.0.0.1", files=files, data=fields)
        return cls(request.read(), {"Content-Type": request.headers["content-type"]})


@dataclass(frozen=True)
class _Server:
    client: httpx.Client
    process: subprocess.Popen[str]

    def describe(self, data: bytes, model: str) -> str:
        """The description as the server gives it. Raises RuntimeError for an error."""
        form = _Form.of(data, model)
        answer = self.client.post(_PATH, content=form.content, headers=form.headers)
        return _description(answer.status_code, answer.content)

    @contextmanager
    def connected(self) -> Iterator[Callable[[_Form], str]]:
        """What sends a form and gives the description, over one connection."""
        url = self.client.base_url
        with closing(HTTPConnection(url.host, url.port, timeout=600)) as connection:

            def send(form: _Form) -> str:
                connection.request("POST", _PATH, form.content, form.headers)
                answer = connection.getresponse()
                return _description(answer.status, answer.read())

            yield send


def _description(status: int, answer: bytes) -> str:
    if status != 200:
        raise RuntimeError(answer.decode())
    return str(json.loads(answer)["description"])


def bench(report: Report) -> None:
    """Print the overhead for each way of describing, and the memory that many uploads take."""
    sources = photos()
    _facts(report, sources)
    _blip(report, sources)
    _memory(report)


def _facts(report: Report, sources: Sequence[bytes]) -> None:
    report.heading("POST /vision/process-image against the same describer in process")
    with _serving() as server:
        _overhead(report, server, load_settings(), "FACTS", sources, _FACTS_PICTURES)


def _blip(report: Report, sources: Sequence[bytes]) -> None:
    if (reason := missing_extra()) is not None:
        report.line("BLIP", f"not measured: {reason}")
        return
    with full_size_model() as folder, _serving(CASEFRAME_MODELS_DIR=str(folder.parent)) as server:
        settings = load_settings(models_dir=folder.parent)
        _overhead(report, server, settings, "BLIP", sources, _BLIP_PICTURES)


def _overhead(
    report: Report, server: _Server, settings: Settings, model: str, sources: Sequence[bytes],
    count: int,
) -> None:  # fmt: skip
    describer = describers(settings)[model]
    if isinstance(describer, ModelUnavailable):
        raise describer
    describer.load()
    sample = [distinct(sources[n % len(sources)], n) for n in range(count)]
    _same_words(describer, server, model, sample[:2])
    forms = [_Form.of(data, model) for data in sample]
    own: list[list[float]] = [[] for _ in sample]
    theirs: list[list[float]] = [[] for _ in sample]
    with server.connected() as send:
        for _ in range(_ROUNDS):
            for number, (data, form) in enumerate(zip(sample, forms, strict=True)):
                own[number].append(_timed(lambda data: _in_process(describer, data), data))
                theirs[number].append(_timed(send, form))
    inside, outside = (sum(map(statistics.median, side)) / count for side in (own, theirs))
    report.line(f"{model} in process", f"{1000 * inside:,.1f} ms a picture")
    report.line(f"{model} over HTTP", f"{1000 * outside:,.1f} ms a picture")
    report.limit(f"{model}: added by HTTP", 100 * (outside / inside - 1), at_most=10, unit="%")


def _same_words(describer: Describer, server: _Server, model: str, sample: Sequence[bytes]) -> None:
    """Both sides are warm, and do the same, before anything is measured."""
    for data in sample:
        own, theirs = _in_process(describer, data), server.describe(data, model)
        if own != theirs:
            raise RuntimeError(f"in process: {own}\nover HTTP: {theirs}")


def _in_process(describer: Describer, data: bytes) -> str:
    return describer.describe([describer.prepare(data)])[0]


def _timed(work: Callable[[_T], object], given: _T) -> float:
    started = time.perf_counter()
    work(given)
    return time.perf_counter() - started


def _memory(report: Report) -> None:
    picture = _large_picture()
    report.heading(f"Uploads of {len(picture) / _MB:.1f} MB at the same moment")
    with _serving() as server:
        peaks = {}
        idle = _rss(server.process.pid)
        for count in _UPLOADS:
            peaks[count] = _peak(server, [distinct(picture, n) for n in range(count)]) - idle
            report.line(f"{count} at once, memory of the server", f"+{peaks[count]:,.0f} MB")
        few, many = (peaks[count] for count in _UPLOADS)
        report.limit(
            f"memory with {_UPLOADS[1]} / with {_UPLOADS[0]}", many / few, at_most=2, unit="times"
        )


def _large_picture() -> bytes:
    """A JPEG of about 8 MB: noise does not compress."""
    noise = np.random.default_rng(3).integers(0, 255, (_SIDE, _SIDE, 3), dtype=np.uint8)
    return bytes(simplejpeg.encode_jpeg(noise, quality=95, colorsubsampling="420"))


def _peak(server: _Server, bodies: Sequence[bytes]) -> float:
    ended = threading.Event()
    seen: list[float] = []

    def watch() -> None:
        while not ended.wait(0.02):
            seen.append(_rss(server.process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(len(bodies)) as senders:
            words = list(senders.map(lambda data: server.describe(data, "FACTS"), bodies))
    finally:
        ended.set()
        watcher.join()
    if not all(words):
        raise RuntimeError("a picture has no description")
    return max(seen)


def _rss(pid: int) -> float:
    held: int = psutil.Process(pid).memory_info().rss
    return held / _MB


@contextmanager
def _serving(**environment: str) -> Iterator[_Server]:
    """A server of its own over an empty case; strangers may ask it as often as they like."""
    with tempfile.TemporaryDirectory(prefix="bench-serve-") as place:
        settings = {
            "CASEFRAME_ANONYMOUS_CALLS": "1000000", "PYTHONUNBUFFERED": "1", **environment,
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "caseframe", "serve", "--case", f"{place}/case",
             "--sources", place, "--port", "0"],
            stdout=subprocess.PIPE, text=True, env={**os.environ, **settings},
        )  # fmt: skip
        try:
            limits = httpx.Limits(max_connections=None)
            with httpx.Client(base_url=_address(process), timeout=600, limits=limits) as client:
                yield _Server(client, process)
        finally:
            process.terminate()
            process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if "Caseframe is at " in line:
            return line.split("Caseframe is at ")[1].split()[0]
    raise RuntimeError("the server ended before it began")


if __name__ == "__main__":
    bench(Report(sys.stdout))
