"""A job manager's service over the tests' web server, and those who ask it."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from tests.support.jobs import RawClient, as_person, job_server, messages
from tests.support.web import Person, WebServer

from caseframe.accounts.tokens import TokenMint


@pytest.fixture(scope="module")
def mint(web: WebServer) -> TokenMint:
    made: TokenMint = web.services.accounts.mint  # type: ignore[attr-defined]
    return made


@pytest.fixture(scope="module")
def address(web: WebServer, mint: TokenMint) -> Iterator[str]:
    stages = tuple(stage.name for stage in web.services.stages)
    with job_server(web.services, web.sources, mint=mint, stages=stages) as where:
        yield where


@pytest.fixture(scope="module")
def raw(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    with grpc.insecure_channel(address) as channel:
        yield RawClient(channel, messages(tmp_path_factory.mktemp("contract")))


@pytest.fixture(scope="module")
def owner(web: WebServer) -> Person:
    return web.account("examiner")


@pytest.fixture(scope="module")
def client(raw: RawClient, owner: Person) -> RawClient:
    return as_person(raw, owner)
