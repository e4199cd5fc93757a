"""A job manager's service over a folder, and a client of the contract that may read from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from tests.support.getdata import Manager
from tests.support.jobs import RawClient, idle, job_server, messages
from tests.support.people import Town

from caseframe.catalog import jobs
from caseframe.catalog.database import open_sqlite


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
        address = stack.enter_context(job_server(idle(town), root, mint=town.local.mint))
        yield Manager(root, town, job.id, address)


@pytest.fixture
def raw(manager: Manager, tmp_path: Path) -> Iterator[RawClient]:
    with grpc.insecure_channel(manager.address) as channel:
        yield RawClient(channel, messages(tmp_path), manager.token)
