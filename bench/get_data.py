"""Files from the job manager against a bare gRPC server that reads nothing, both in one run.

The bare server streams the same mebibyte again and again; ours opens the file, checks who asks,
reads, and checks that nothing changed. Each is a process of its own; the sides take turns. Then the
service's memory is watched while it sends five gibibytes (most of a sparse file).
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import psutil
from pydantic import SecretStr

from bench.report import Report
from caseframe.accounts.local import LocalAccounts
from caseframe.accounts.mail import OutboxMailer
from caseframe.accounts.tokens import TokenMint, make_task_token
from caseframe.catalog import jobs
from caseframe.catalog.database import open_sqlite
from caseframe.jobmanager import jobmanager_pb2 as pb
from caseframe.jobmanager import protocol
from caseframe.jobmanager.client import AsyncJobsClient
from caseframe.jobmanager.server import JobServices, serving
from caseframe.pipeline.manager import JobManager
from caseframe.stages.registry import Registry

_MEBI = 1 << 20
_SIZE = 256 * _MEBI
_GIANT = 5 * 1024 * _MEBI
_ROUNDS = 5
_SMALL = 164_000  # bytes: a mean photograph of the web
_PICTURES = 400
_AT_ONCE = 8
_SECRET = SecretStr("a secret that is only good for this benchmark")
_METHOD = f"/{protocol.CONTROLLER}/{protocol.GET_DATA}"


def bench(report: Report) -> None:
    """Print the ratio of the two speeds, and memory."""
    report.heading("getData of the job manager, 256 MiB from the page cache")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "sources"
        (root / "case").mkdir(parents=True)
        (root / "case" / "large.tif").write_bytes(os.urandom(_MEBI) * (_SIZE // _MEBI))
        (root / "case" / "small.jpg").write_bytes(os.urandom(_SMALL))
        with open(root / "case" / "giant.tif", "wb") as file:
            file.truncate(_GIANT)
        with _process("bare", folder) as bare, _process("ours", folder) as ours:
            token = ours.words[1]
            _speeds(report, bare, ours, token)
            _pictures(report, ours, token)
            _memory(report, ours, token)


def _speeds(report: Report, bare: _Served, ours: _Served, token: str) -> None:
    for side in (bare, ours):
        _stream(side.address, token, b"case/large.tif")
    pairs = [
        tuple(_stream(side.address, token, b"case/large.tif") for side in (bare, ours))
        for _ in range(_ROUNDS)
    ]
    rates = [_SIZE / _MEBI / statistics.median(side) for side in zip(*pairs, strict=True)]
    report.line("ours", f"{rates[1]:,.0f} MiB/s")
    report.compare("bare gRPC server", rates[0], rates[1], at_least=0.5, unit="MiB/s")


def _pictures(report: Report, ours: _Served, token: str) -> None:
    """Pictures a second through our own client, eight at once."""

    async def fetch_all() -> float:
        free = asyncio.Semaphore(_AT_ONCE)

        async def fetch() -> bytes:
            async with free:
                return await client.fetch(
                    b"case/small.jpg", token=token, correlation_id="bench", limit=_MEBI
                )

        async with AsyncJobsClient(ours.address) as client:
            started = time.perf_counter()
            got = await asyncio.gather(*(fetch() for _ in range(_PICTURES)))
            took = time.perf_counter() - started
        if any(len(data) != _SMALL for data in got):
            raise RuntimeError("a picture did not arrive whole")
        return took

    took = asyncio.run(fetch_all())
    report.line("pictures of 164 kB, eight at once", f"{_PICTURES / took:,.0f} pictures/s")


def _memory(report: Report, ours: _Served, token: str) -> None:
    process = psutil.Process(ours.process.pid)
    before = most = process.memory_info().rss
    for number, _ in enumerate(_messages(ours.address, token, b"case/giant.tif")):
        if number % 64 == 0:
            most = max(most, process.memory_info().rss)
    grown = (most - before) / _MEBI
    report.limit("memory of the service over 5 GiB: growth", grown, at_most=64, unit="MiB")


def _stream(address: str, token: str, path: bytes) -> float:
    """Seconds to receive a file."""
    started = time.perf_counter()
    got = sum(map(len, _messages(address, token, path)))
    if got != _SIZE:
        raise RuntimeError(f"{got} bytes arrived")
    return time.perf_counter() - started


def _messages(address: str, token: str, path: bytes) -> Iterator[bytes]:
    """The pieces as they come over a connection of their own."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_stream(
            _METHOD, pb.GetDataRequest.SerializeToString, pb.GetDataResponse.FromString
        )
        metadata = protocol.metadata(token, "bench")
        yield from (
            message.data for message in call(pb.GetDataRequest(path=path), metadata=metadata)
        )


# ---- the two servers, in processes of their own ----------------------------------------------


class _Served:
    """A server process; its first line says where it listens, ours also the token to use."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.words = process.stdout.readline().split()
        self.address = self.words[0]


@contextmanager
def _process(kind: str, folder: str) -> Iterator[_Served]:
    command = [sys.executable, "-m", "bench.get_data", kind, folder]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield _Served(process)
    finally:
        process.communicate("")  # the end of its input is the end of its work


def _serve_bare() -> None:
    message = pb.GetDataResponse(data=os.urandom(_MEBI))

    def get_data(_request: object, _context: object) -> Iterator[pb.GetDataResponse]:
        for _ in range(_SIZE // _MEBI):
            yield message

    server = grpc.server(ThreadPoolExecutor(8))
    handler = grpc.unary_stream_rpc_method_handler(
        get_data, pb.GetDataRequest.FromString, pb.GetDataResponse.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(protocol.CONTROLLER, {protocol.GET_DATA: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(None)


def _serve_ours(folder: Path) -> None:
    def no_runner(*_: object) -> None:
        raise AssertionError("no job is run here")

    mint = TokenMint(_SECRET)
    with (
        closing(open_sqlite(folder / "catalog.sqlite")) as catalog,
        closing(LocalAccounts(catalog, OutboxMailer(folder / "outbox", "x"), _SECRET)) as accounts,
    ):
        with catalog.begin() as connection:
            source = os.fsencode(folder / "sources" / "case")
            job = jobs.create_job(connection, "bench", source, ())
        manager = JobManager(catalog, Registry(()), no_runner)  # type: ignore[arg-type]
        services = JobServices(catalog, accounts, mint, manager, folder / "sources", ())
        with serving(services, "127.0.0.1:0") as address:
            print(address, make_task_token(mint, job.id, timedelta(hours=1)), flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        _serve_bare()
    elif sys.argv[1:2] == ["ours"]:
        _serve_ours(Path(sys.argv[2]))
    else:
        bench(Report(sys.stdout))
