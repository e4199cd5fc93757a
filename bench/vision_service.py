"""The vision service against the same model called in process, both in one run.

The model is BLIP base at its full size. In process means what a program would do that holds the
model itself: prepare eight pictures, describe them together, and so on. The service is a process
of its own behind a socket. The sides take turns.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from bench.captions import full_size_model
from bench.corpus import photos
from bench.report import Report
from caseframe.vision.blip import BlipDescriber, BlipOptions
from caseframe.vision.client import VisionClient
from caseframe.vision.embedded import EmbeddedVision
from caseframe.vision.missing import missing_extra

_BATCH = 8
_PICTURES = 16
_ROUNDS = 5
_CLIENTS = 16
_EACH = 2
_SECONDS = 600.0


def bench(report: Report) -> None:
    """Print the overhead of the service, and how long single requests take under load."""
    report.heading("The vision service, BLIP base at full size with random weights, 20 tokens")
    if (reason := missing_extra()) is not None:
        report.line("everything", f"not measured: {reason}")
        return
    with full_size_model() as folder:
        describer = BlipDescriber(BlipOptions(folder, batch=_BATCH))
        environment = {
            "CASEFRAME_MODELS_DIR": str(folder.parent),
            "CASEFRAME_CAPTION_BATCH": str(_BATCH),
            "CASEFRAME_VISION_SECONDS": str(_SECONDS),
        }
        with EmbeddedVision(environment) as embedded:
            embedded.start()
            with VisionClient(embedded.address, seconds=_SECONDS) as client:
                client.identity("BLIP")  # until it is there
                if embedded.pid is None:
                    raise RuntimeError("the vision process ended")
                _measure(report, describer, client, embedded.pid)


def _measure(report: Report, describer: BlipDescriber, client: VisionClient, pid: int) -> None:
    sources = photos()
    sample = [sources[number % len(sources)] for number in range(_PICTURES)]
    _in_process(describer, sample[:_BATCH])  # both are warm before anything is measured
    _through_service(client, sample[:_BATCH], pid)
    own, service, waits = [], [], []
    for _ in range(_ROUNDS):  # near each other, so that a busy neighbour disturbs all alike
        own.append(_in_process(describer, sample))
        service.append(_through_service(client, sample, pid))
        waits.append(_under_load(client, sample))
    _overhead(report, own, service)
    _waiting(report, own, waits)


@dataclass(frozen=True)
class Spent:
    """What some pictures took, in seconds: by the clock, and of all processors together."""

    wall: float
    processor: float


def _in_process(describer: BlipDescriber, sample: Sequence[bytes]) -> Spent:
    wall, processor = time.perf_counter(), time.process_time()
    for first in range(0, len(sample), _BATCH):
        describer.describe([describer.prepare(data) for data in sample[first : first + _BATCH]])
    return Spent(time.perf_counter() - wall, time.process_time() - processor)


def _through_service(client: VisionClient, sample: Sequence[bytes], pid: int) -> Spent:
    wall, processor = time.perf_counter(), time.process_time() + _processor(pid)
    failed = [answer.error for answer in client.describe_many(sample, "BLIP") if answer.error]
    if failed:
        raise RuntimeError(failed[0])
    spent = time.process_time() + _processor(pid) - processor
    return Spent(time.perf_counter() - wall, spent)


def _processor(pid: int) -> float:
    """Processor seconds of the service and its decoders so far."""
    service = psutil.Process(pid)
    times = [one.cpu_times() for one in (service, *service.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def _overhead(report: Report, own: Sequence[Spent], service: Sequence[Spent]) -> None:
    inside, outside = (statistics.median(s.wall for s in side) for side in (own, service))
    report.line("in process, batches of 8", f"{_PICTURES / inside:,.2f} pictures/s")
    report.line("through the service, one stream", f"{_PICTURES / outside:,.2f} pictures/s")
    pairs = list(zip(own, service, strict=True))
    wall = 100 * (statistics.median(s.wall / o.wall for o, s in pairs) - 1)
    report.limit("overhead by the clock, median of the turns", wall, at_most=5, unit="%")
    processor = 100 * (statistics.median(s.processor / o.processor for o, s in pairs) - 1)
    report.line("overhead in processor time, which neighbours disturb less", f"{processor:,.2f} %")


def _under_load(client: VisionClient, sample: Sequence[bytes]) -> list[float]:
    """Seconds of each request of 16 clients that send the next when they have the last answer."""
    together = threading.Barrier(_CLIENTS)

    def one(number: int) -> list[float]:
        took = []
        together.wait()
        for turn in range(_EACH):
            started = time.perf_counter()
            client.describe(sample[(number + turn) % len(sample)], "BLIP")
            took.append(time.perf_counter() - started)
        return took

    with ThreadPoolExecutor(_CLIENTS) as clients:
        return [took for some in clients.map(one, range(_CLIENTS)) for took in some]


def _waiting(report: Report, own: Sequence[Spent], waits: Sequence[list[float]]) -> None:
    """A client's fair share is the time in which the model makes one description for each."""
    shares = [_CLIENTS * spent.wall / _PICTURES for spent in own]
    report.line("16 clients at once: fair share of one", f"{statistics.median(shares):,.2f} s")
    parts = [took / share for some, share in zip(waits, shares, strict=True) for took in some]
    report.line("median of a request / fair share", f"{statistics.median(parts):,.2f} times")
    late = sorted(parts)[int(0.95 * len(parts))]
    report.limit("95th percentile / fair share", late, at_most=1.3, unit="times")


if __name__ == "__main__":
    bench(Report(sys.stdout))
