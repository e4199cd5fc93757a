"""R14 of the yardstick: a file comes whole or as an error, of any size, to any number at once."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
import psutil
import pytest
from tests.support.getdata import MEBI, Manager, stream
from tests.support.jobs import WAIT, RawClient, idle, job_server, messages

GIBI = 1 << 30
NOT_FOUND = grpc.StatusCode.NOT_FOUND


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


def test_a_service_that_stops_cuts_nothing_short(manager: Manager, tmp_path: Path) -> None:
    """A stream that outlives the grace ends with an error, and the client begins again."""
    (manager.case / "it.tif").write_bytes(os.urandom(64 * MEBI))
    parts = idle(manager.town)
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
