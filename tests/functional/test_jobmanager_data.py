"""S1 and R14 of the yardstick: getData never leaves its root; a file comes whole or as an error."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import psutil
import pytest
from tests.makers.names import odd_names, write_special_files
from tests.support.jobs import WAIT, RawClient, job_server, messages
from tests.support.people import Town

from caseframe.accounts.tokens import make_task_token
from caseframe.catalog import jobs
from caseframe.catalog.database import open_sqlite
from caseframe.domain.access import TokenRefused
from caseframe.domain.errors import JobsAway, OverLimit, ReadError, UsageError
from caseframe.jobmanager.client import AsyncJobsClient, JobsClient
from caseframe.pipeline.manager import JobManager
from caseframe.stages.registry import Registry

MEBI = 1 << 20
GIBI = 1 << 30
HOUR = timedelta(hours=1)
NOT_FOUND = grpc.StatusCode.NOT_FOUND


class Idle(JobManager):
    """A manager that is never started: nothing here runs a job."""

    def __init__(self, town: Town) -> None:
        def no_runner(*_: object) -> None:
            raise AssertionError("nothing is run here")

        super().__init__(town.catalog, Registry(()), no_runner)  # type: ignore[arg-type]


@dataclass
class Manager:
    """A job manager's service over a folder, with one job over all of `root/case`."""

    root: Path
    town: Town
    job: str
    address: str
    stack: ExitStack

    @property
    def case(self) -> Path:
        return self.root / "case"

    @property
    def token(self) -> str:
        return make_task_token(self.town.local.mint, self.job, HOUR)

    def client(self, **options: float) -> JobsClient:
        return self.stack.enter_context(JobsClient(self.address, **options))  # type: ignore[arg-type]

    def fetch(self, name: bytes | str, limit: int = 64 * MEBI) -> bytes:
        path = b"case/" + os.fsencode(name)
        with JobsClient(self.address, patience=5) as client:
            return client.fetch(path, token=self.token, correlation_id="t", limit=limit)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with ExitStack() as stack:
        root = tmp_path / "sources"
        (root / "case").mkdir(parents=True)
        catalog = open_sqlite(tmp_path / "catalog.sqlite")
        stack.callback(catalog.close)
        town = Town(catalog)
        stack.callback(town.close)
        with catalog.begin() as connection:
            job = jobs.create_job(connection, "A job", os.fsencode(root / "case"), ("exif",))
        parts = Parts(town, Idle(town))
        address = stack.enter_context(job_server(parts, root, mint=town.local.mint))
        yield Manager(root, town, job.id, address, stack)


class Parts:
    """What the service stands on."""

    def __init__(self, town: Town, manager: JobManager) -> None:
        self.catalog = town.catalog
        self.accounts = town.accounts
        self.manager = manager


@pytest.fixture
def raw(manager: Manager, tmp_path: Path) -> Iterator[RawClient]:
    with grpc.insecure_channel(manager.address) as channel:
        yield RawClient(channel, messages(tmp_path), manager.token)


# ---- S1 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["", "/", "//", "/..", "/../outside.jpg", "/case/../../outside.jpg", "/case/../other/x.jpg",
     "/case/..", "/case/.", "/case/./in.jpg", "/case//in.jpg", "//case/in.jpg", "/case/in.jpg/",
     "/etc/passwd", "//etc/passwd", "/case//etc/passwd", "/%2e%2e/outside.jpg",
     "/case/%2e%2e/%2e%2e/outside.jpg", "/case%2fin.jpg", "/case\\in.jpg", "/case/in.jpg\0",
     "/case/in.jpg\0.png", "\0", "/case/link", "/case/folder link/x.jpg", "/case/loop",
     "/case/folder", "/case", "/case/nothing.jpg", "/other/x.jpg", "/case/" + "x" * 300,
     "/case/" + "a/" * 9000 + "b", "/proc/self/environ", "file:///etc/passwd", "~/.profile",
     "/Case/in.jpg", "/case/in.jpg/../in.jpg", "/case/folder/../../../outside.jpg",
     "/way out/outside.jpg"],
)  # fmt: skip
def test_nothing_but_files_of_the_job_is_reached(
    manager: Manager, raw: RawClient, path: str
) -> None:
    write_tree(manager)
    assert raw("getData", filepath="/case/in.jpg") == b"inside"
    assert raw.status("getData", filepath=path) is NOT_FOUND


def write_tree(manager: Manager) -> None:
    (manager.case / "in.jpg").write_bytes(b"inside")
    (manager.case / "folder").mkdir()
    (manager.root / "other").mkdir()
    (manager.root / "other" / "x.jpg").write_bytes(b"of another job")
    outside = manager.root.parent / "outside.jpg"
    outside.write_bytes(b"outside")
    (manager.case / "link").symlink_to(outside)
    (manager.case / "folder link").symlink_to(manager.root / "other")
    (manager.case / "loop").symlink_to(manager.case / "loop")
    (manager.root / "way out").symlink_to(manager.root.parent)


def test_special_files_are_neither_opened_nor_waited_for(
    manager: Manager, raw: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    special = {
        kind: name
        for kind, name in write_special_files(manager.case).items()
        if not (manager.case / os.fsdecode(name)).is_file()
        or (manager.case / os.fsdecode(name)).is_symlink()
    }
    assert special
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(manager.case)  # names of sockets are short
        listening.bind("socket")
    for name in (*special.values(), b"socket"):
        status = raw.status("getData", filepath="/case/" + name.decode())
        assert status is NOT_FOUND, name


def test_a_folder_that_becomes_a_link_leads_nowhere(manager: Manager, raw: RawClient) -> None:
    (manager.case / "sub").mkdir()
    (manager.case / "sub" / "x.jpg").write_bytes(b"mine")
    (manager.root.parent / "x.jpg").write_bytes(b"outside")
    assert raw("getData", filepath="/case/sub/x.jpg") == b"mine"
    (manager.case / "sub").rename(manager.case / "before")
    (manager.case / "sub").symlink_to(manager.root.parent)
    assert raw.status("getData", filepath="/case/sub/x.jpg") is NOT_FOUND


def test_every_name_that_a_file_can_have_comes_back(manager: Manager) -> None:
    made = {}
    for number, name in enumerate(odd_names().values()):
        try:
            descriptor = os.open(os.fsencode(manager.case) + b"/" + name, os.O_CREAT | os.O_WRONLY)
        except OSError:
            continue
        os.write(descriptor, b"%d" % number)
        os.close(descriptor)
        made[name] = b"%d" % number
    assert len(made) > 20
    assert {name: manager.fetch(name) for name in made} == made


def test_a_person_reads_what_their_jobs_hold(manager: Manager, raw: RawClient) -> None:
    (manager.case / "in.jpg").write_bytes(b"inside")
    owner, stranger = manager.town.member("o@example.org"), manager.town.member("s@example.org")
    with manager.town.catalog.begin() as connection:
        source = os.fsencode(manager.case)
        jobs.create_job(connection, "Mine", source, (), owner_id=owner.user_id)
    assert raw.with_token(owner.token)("getData", filepath="/case/in.jpg") == b"inside"
    assert raw.with_token(stranger.token).status("getData", filepath="/case/in.jpg") is NOT_FOUND


# ---- R14 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size", [0, 1, MEBI - 1, MEBI, MEBI + 1, 4 * MEBI - 1, 4 * MEBI, 4 * MEBI + 1, 9_000_000]
)
def test_files_of_every_size_arrive_whole(manager: Manager, raw: RawClient, size: int) -> None:
    data = os.urandom(size)
    (manager.case / "it.jpg").write_bytes(data)
    expected = hashlib.sha256(data).digest()
    assert hashlib.sha256(raw("getData", filepath="/case/it.jpg")).digest() == expected
    assert hashlib.sha256(manager.fetch("it.jpg")).digest() == expected


def test_pieces_are_at_most_one_mebibyte_and_the_size_is_said(
    manager: Manager, raw: RawClient
) -> None:
    (manager.case / "it.jpg").write_bytes(bytes(5 * MEBI + 7))
    call = stream(raw, "/case/it.jpg")
    assert dict(call.initial_metadata())["x-size"] == str(5 * MEBI + 7)
    assert [len(message.data) for message in call] == [MEBI] * 5 + [7]


def stream(raw: RawClient, path: str):  # type: ignore[no-untyped-def]  # gRPC's own call
    request, response = raw.message("GetDataRequest"), raw.message("GetDataResponse")
    call = raw.channel.unary_stream(
        "/jobmanager.JobManagerController/getData", request.SerializeToString, response.FromString
    )
    return call(request(filepath=path), metadata=raw.metadata(), timeout=WAIT)


def test_five_gibibytes_in_flat_memory(manager: Manager, raw: RawClient) -> None:
    with open(manager.case / "giant.tif", "wb") as file:
        file.write(b"begin")
        file.seek(5 * GIBI - 3)
        file.write(b"end")
    before, most, got, last = memory(), 0, 0, b""
    for number, message in enumerate(stream(raw, "/case/giant.tif")):
        got += len(message.data)
        last = message.data
        if number % 256 == 0:
            most = max(most, memory())
    assert got == 5 * GIBI
    assert last.endswith(b"\0end")
    assert most - before < 200 * MEBI  # of both sides, which are this one process


def memory() -> int:
    held: int = psutil.Process().memory_info().rss
    return held


@pytest.mark.parametrize("change", ["append", "truncate", "rewrite", "empty"])
def test_a_file_that_changes_on_the_way_ends_in_an_error(
    manager: Manager, raw: RawClient, change: str
) -> None:
    file = manager.case / "it.tif"
    file.write_bytes(bytes(64 * MEBI))
    os.utime(file, (1, 1))
    call = stream(raw, "/case/it.tif")
    next(call)
    match change:
        case "append":
            with open(file, "ab") as opened:
                opened.write(b"more")
        case "rewrite":
            with open(file, "r+b") as opened:
                opened.write(b"other")
        case "truncate":
            os.truncate(file, 40 * MEBI)
        case "empty":
            os.truncate(file, 0)
    with pytest.raises(grpc.RpcError) as ended:
        list(call)
    assert ended.value.code() is grpc.StatusCode.ABORTED
    assert "changed" in str(ended.value.details())


def test_a_client_that_leaves_leaves_nothing_open(manager: Manager, raw: RawClient) -> None:
    (manager.case / "it.tif").write_bytes(bytes(256 * MEBI))
    assert raw.status("getData", filepath="/case/none") is NOT_FOUND
    for _ in range(40):
        call = stream(raw, "/case/it.tif")
        next(call)
        call.cancel()
        unread = stream(raw, "/case/it.tif")
        unread.cancel()
    end = time.monotonic() + WAIT
    while any(file.path.endswith("it.tif") for file in psutil.Process().open_files()):
        assert time.monotonic() < end, "files stay open"
        time.sleep(0.05)
    (manager.case / "small").write_bytes(b"small")
    assert raw("getData", filepath="/case/small") == b"small"


def test_readers_that_dawdle_do_not_keep_others_waiting(manager: Manager, raw: RawClient) -> None:
    """More streams than there are threads for them, none of which is read from."""
    (manager.case / "it.tif").write_bytes(bytes(64 * MEBI))
    calls = [stream(raw, "/case/it.tif") for _ in range(40)]
    owner = manager.town.member("dawdle@example.org")
    assert raw.with_token(owner.token).status("getAllJobs") is grpc.StatusCode.OK
    for call in calls:
        call.cancel()


# ---- our own clients ------------------------------------------------------------------------


def test_the_client_keeps_to_its_limit(manager: Manager) -> None:
    (manager.case / "it.jpg").write_bytes(bytes(3 * MEBI))
    assert len(manager.fetch("it.jpg", limit=3 * MEBI)) == 3 * MEBI
    with pytest.raises(OverLimit, match="over the limit"):
        manager.fetch("it.jpg", limit=3 * MEBI - 1)


def test_what_the_client_raises(manager: Manager) -> None:
    (manager.case / "folder").mkdir()
    with pytest.raises(ReadError, match="no such file"):
        manager.fetch("folder")
    client = manager.client(patience=0.2)
    for token in (
        "x",
        "",
        "not\nprintable",
        "ñ",
        make_task_token(manager.town.local.mint, "x", -HOUR),
    ):
        with pytest.raises(TokenRefused):
            client.fetch(b"case/x", token=token, correlation_id="t", limit=9)
    with pytest.raises(UsageError):
        JobsClient(" ")


def test_an_id_that_nobody_could_send_is_replaced(manager: Manager) -> None:
    (manager.case / "it.jpg").write_bytes(b"it")
    client = manager.client()
    for number in ("", "two words", "line\nfeed", "\u00e9"):
        got = client.fetch(b"case/it.jpg", token=manager.token, correlation_id=number, limit=9)
        assert got == b"it"


def test_many_at_once_in_one_event_loop(manager: Manager) -> None:
    wanted = {}
    for number in range(60):
        data = os.urandom(10_000 * number)
        (manager.case / f"{number}.jpg").write_bytes(data)
        wanted[f"case/{number}.jpg".encode()] = data

    async def fetch_all() -> list[bytes]:
        async with AsyncJobsClient(manager.address) as client:
            return await asyncio.gather(
                *(
                    client.fetch(path, token=manager.token, correlation_id="t", limit=MEBI)
                    for path in wanted
                )
            )

    assert asyncio.run(fetch_all()) == list(wanted.values())


def test_the_asynchronous_client_raises_the_same(manager: Manager) -> None:
    (manager.case / "it.jpg").write_bytes(bytes(100))

    async def raises(kind: type[Exception], name: bytes, token: str, limit: int) -> None:
        async with AsyncJobsClient(manager.address, patience=0.2) as client:
            with pytest.raises(kind):
                await client.fetch(name, token=token, correlation_id="t", limit=limit)

    asyncio.run(raises(OverLimit, b"case/it.jpg", manager.token, 99))
    asyncio.run(raises(ReadError, b"case/none.jpg", manager.token, 99))
    asyncio.run(raises(TokenRefused, b"case/it.jpg", "x", 99))


@pytest.mark.parametrize("how", ["threads", "event loop"])
def test_a_manager_that_is_away_is_waited_for(manager: Manager, tmp_path: Path, how: str) -> None:
    (manager.case / "it.jpg").write_bytes(b"it")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = f"127.0.0.1:{port}"
    began = threading.Event()
    got: list[bytes] = []

    def fetch() -> None:
        asked = {"token": manager.token, "correlation_id": "t", "limit": 9}

        async def later() -> bytes:
            async with AsyncJobsClient(address, patience=WAIT) as client:
                began.set()
                return await client.fetch(b"case/it.jpg", **asked)  # type: ignore[arg-type]

        if how == "event loop":
            got.append(asyncio.run(later()))
            return
        with JobsClient(address, patience=WAIT) as client:
            began.set()
            got.append(client.fetch(b"case/it.jpg", **asked))  # type: ignore[arg-type]

    thread = threading.Thread(target=fetch)
    thread.start()
    assert began.wait(WAIT)
    time.sleep(0.3)
    parts = Parts(manager.town, Idle(manager.town))
    with job_server(parts, manager.root, mint=manager.town.local.mint, address=address):
        thread.join(WAIT)
    assert got == [b"it"]


def test_patience_has_an_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with JobsClient(address, patience=0.3) as client, pytest.raises(JobsAway, match="not answer"):
        client.fetch(b"x", token="t", correlation_id="t", limit=9)

    async def later() -> None:
        async with AsyncJobsClient(address, patience=0.3) as client:
            with pytest.raises(JobsAway, match="not answer"):
                await client.fetch(b"x", token="t", correlation_id="t", limit=9)

    asyncio.run(later())


def test_a_service_that_stops_cuts_nothing_short(manager: Manager, tmp_path: Path) -> None:
    """A stream that outlives the grace ends with an error, and the client begins again."""
    (manager.case / "it.tif").write_bytes(os.urandom(64 * MEBI))
    parts = Parts(manager.town, Idle(manager.town))
    mint = manager.town.local.mint
    with ExitStack() as first:
        address = first.enter_context(job_server(parts, manager.root, mint=mint, grace=0.1))
        with grpc.insecure_channel(address) as channel:
            call = stream(RawClient(channel, messages(tmp_path), manager.token), "/case/it.tif")
            next(call)
            first.close()
            with pytest.raises(grpc.RpcError) as cut:
                list(call)
            assert cut.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
