"""The job manager behind TLS, and behind mutual TLS."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import grpc
import pytest
from tests.support.certificates import Authority
from tests.support.jobs import idle, job_server
from tests.support.people import Town

from caseframe.catalog.database import open_sqlite
from caseframe.domain.errors import CaseframeError, JobsAway, UsageError
from caseframe.jobmanager.remote import RemoteJobs
from caseframe.tls import TlsFiles

SETTING = "jobs_tls"


@pytest.mark.parametrize("mutual", [False, True])
def test_only_those_who_trust_and_are_trusted_get_through(tmp_path: Path, mutual: bool) -> None:
    ours, other = (Authority.make(tmp_path, name) for name in ("ours", "other"))
    cert, key = ours.issue("service")
    tls = TlsFiles(ours.file if mutual else None, cert, key, setting=SETTING)
    known = TlsFiles(ours.file, *ours.issue("gateway"), setting=SETTING)
    strangers = [None, TlsFiles(other.file)]
    if mutual:
        strangers += [TlsFiles(ours.file), TlsFiles(ours.file, *other.issue("stranger"))]
    with closing(open_sqlite(tmp_path / "catalog.sqlite")) as catalog:
        town = Town(catalog)
        mint = town.local.mint
        with closing(town), job_server(idle(town), tmp_path, mint=mint, tls=tls) as address:
            with closing(RemoteJobs(address, mint, tls=known)) as jobs:
                jobs.check()
            for files in strangers:
                unknown = RemoteJobs(address, mint, tls=files)
                with closing(unknown), pytest.raises(JobsAway):
                    unknown.check()


def test_files_are_named_with_their_setting(tmp_path: Path) -> None:
    gone = TlsFiles(tmp_path / "gone.pem", setting=SETTING)
    with closing(open_sqlite(tmp_path / "catalog.sqlite")) as catalog:
        town = Town(catalog)
        with closing(town):
            with pytest.raises(UsageError, match=r"jobs_tls_ca: .*gone.pem cannot be read"):
                RemoteJobs("127.0.0.1:1", town.local.mint, tls=gone)
            server = job_server(idle(town), tmp_path, mint=town.local.mint, tls=gone)
            with pytest.raises(UsageError, match="both jobs_tls_cert and jobs_tls_key"):
                server.__enter__()


def test_an_address_that_is_taken_is_said(tmp_path: Path) -> None:
    with closing(open_sqlite(tmp_path / "catalog.sqlite")) as catalog:
        town = Town(catalog)
        with (
            closing(town),
            job_server(idle(town), tmp_path, mint=town.local.mint) as address,
            pytest.raises(CaseframeError, match="cannot listen"),
            job_server(idle(town), tmp_path, mint=town.local.mint, address=address),
        ):
            raise AssertionError("two servers at one address")


def test_it_can_listen_at_a_socket_of_this_machine(tmp_path: Path) -> None:
    with closing(open_sqlite(tmp_path / "catalog.sqlite")) as catalog:
        town = Town(catalog)
        mint, at = town.local.mint, f"unix:{tmp_path}/s"
        with closing(town), job_server(idle(town), tmp_path, mint=mint, address=at) as where:
            assert where == at
            with grpc.insecure_channel(where) as channel:
                grpc.channel_ready_future(channel).result(60)
