"""S1 of the yardstick: getData never leaves its root."""

from __future__ import annotations

import os
import socket

import grpc
import pytest
from tests.makers.names import odd_names, write_special_files
from tests.support.getdata import Manager
from tests.support.jobs import RawClient

from caseframe.catalog import jobs

NOT_FOUND = grpc.StatusCode.NOT_FOUND


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
